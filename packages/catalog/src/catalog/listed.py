"""The layers of the price book: what was read at once has one date, one source and one sureness.

A price stands in a table, under a name and a region ("*" for all regions). The tables and their units, all in USD:

compute, spot   Compute Engine's price of an hour of one core, one GiB of memory, one accelerator or one GB of disk
training, fee   the same of Vertex AI: with its fee in it, and the fee alone, which is paid beside a spot price
storage         a GiB kept for a month; operation: one of them; egress: a GiB that leaves for the internet
run             a second of a vCPU or of a GiB of a Cloud Run job
free            how much of another table's unit costs nothing in a month

The newest layer that has a price decides. A person's own copy of Google's price list is one more layer, which a process
is given with `use` once it knows for which account it works.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from catalog.book import read

Layer = Mapping[str, Any]
TABLES = ("compute", "spot", "training", "fee", "storage", "operation", "egress", "run", "free")
SURENESS = ("confirmed", "derived", "estimate", "unknown")  # the surest first
ANYWHERE = "*"
_copies: list[Layer] = []


@dataclass(frozen=True)
class Cell:
    """One price as it was read. `sure` is one of SURENESS, but never "unknown"."""

    amount: Decimal
    as_of: str
    sure: str
    source: str


def use(copy: Layer | None) -> None:
    """Let this process price by `copy` too, a layer read from a price list; None: by the bundled book alone."""
    _copies[:] = [copy] if copy else []


def find(table: str, name: str, region: str) -> Cell | None:
    """The newest price, None where no layer has one."""
    for layer in _layers():
        row = layer.get(table, {}).get(name, {})
        if (amount := row.get(region, row.get(ANYWHERE))) is not None:
            return Cell(Decimal(amount), layer["as_of"], layer["sure"], layer["source"])
    return None


def names(table: str) -> list[str]:
    """All names that a table has in any layer."""
    return list(dict.fromkeys(name for layer in _layers() for name in layer.get(table, {})))


def regions(table: str, name: str) -> list[str]:
    """Where a name has a price; "*" among them when that is anywhere."""
    return sorted({region for layer in _layers() for region in layer.get(table, {}).get(name, {})})


def oldest() -> str:
    """The date of the oldest layer: what isn't known has been unknown since then."""
    return _layers()[-1]["as_of"]


def _layers() -> list[Layer]:
    bundled = _bundled()
    return sorted([*_copies, *bundled], key=_age, reverse=True) if _copies else bundled


@cache
def _bundled() -> list[Layer]:
    return sorted(read("prices.json")["layers"], key=_age, reverse=True)


def _age(layer: Layer) -> str:
    return layer["as_of"]
