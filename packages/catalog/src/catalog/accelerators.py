"""GPUs and TPUs that custom training offers, by Google's type name or by the short name people use ("T4")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from catalog.book import UnknownName, read


@dataclass(frozen=True)
class Accelerator:
    """One accelerator type. `memory_gb` of one, `compute` its CUDA capability, `ended` the day its support ended.

    `queues`: a job may wait until some are free (FLEX_START).
    """

    name: str
    short: str
    memory_gb: int
    compute: str
    ended: str = ""
    queues: bool = False

    @property
    def tpu(self) -> bool:
        """Whether it is a TPU."""
        return self.name.startswith("TPU_")


@cache
def accelerators() -> Mapping[str, Accelerator]:
    """All accelerator types by Google's name, those whose support ended too."""
    rows = read("accelerators.json")["accelerators"].items()
    return MappingProxyType(
        {
            n: Accelerator(n, r["short"], r["memory_gb"], r["compute"], r.get("ended", ""), r.get("queues", False))
            for n, r in rows
        }
    )


def accelerator(name: str) -> Accelerator:
    """The accelerator called `name` ("T4", "nvidia-l4" or "NVIDIA_TESLA_T4"). Raises catalog.book.UnknownName."""
    wanted = name.upper().replace("-", "_")
    for known in accelerators().values():
        if wanted in (known.name, known.short.replace("-", "_")):
            return known
    raise UnknownName("accelerator", name.upper(), [a.short for a in accelerators().values() if not a.ended])
