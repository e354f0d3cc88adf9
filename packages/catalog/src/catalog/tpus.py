"""TPUs that a TensorFlow job can have: the machine of each type, and the TensorFlow that is built for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from catalog.book import UnknownName, read


@dataclass(frozen=True)
class Tpu:
    """One type, such as v5e-4: a machine, and the accelerators that a job must name beside it, if any."""

    name: str
    machine: str
    accelerator: str = ""
    count: int = 0


@dataclass(frozen=True)
class Software:
    """What a job on TPUs starts from: an image, and pins in place of the trainer's TensorFlow."""

    image: str
    tensorflow: str
    pins: tuple[str, ...]


class Unsupported(LookupError):
    """A chip on which TensorFlow can't train there; `source` says who says so."""

    def __init__(self, chip: str, source: str) -> None:
        super().__init__(f"TensorFlow can't train on TPU {chip}")
        self.chip, self.source = chip, source


@cache
def tpus() -> Mapping[str, Tpu]:
    """All types by name; of each chip the smallest comes first."""
    return MappingProxyType({name: Tpu(name, **row) for name, row in read("tpus.json")["types"].items()})


def tpu(name: str) -> Tpu:
    """The type called `name`: "v5e-4", "v5e" (the smallest), "TPU_V5E", "v5litepod-4" or its machine.

    Raises Unsupported, or catalog.book.UnknownName.
    """
    wanted = re.sub(r"^tpu-?", "", name.lower().replace("_", "-")).replace("v5litepod", "v5e")
    for known in tpus().values():
        if wanted in (known.name, known.name.partition("-")[0]) or name == known.machine != "cloud-tpu":
            return known
    chip = {"ct6e": "v6e", "v7x": "7x", "7x": "7x"}.get(wanted.partition("-")[0], wanted.partition("-")[0])
    if source := read("tpus.json")["refused"].get(chip):
        raise Unsupported(chip, source)
    raise UnknownName("TPU", name, list(tpus()))


def software() -> Software:
    """What a job on TPUs starts from."""
    book = read("tpus.json")
    return Software(book["image"], book["tensorflow"], tuple(book["pins"]))
