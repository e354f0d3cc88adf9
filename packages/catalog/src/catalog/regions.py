"""Regions of custom training, and which accelerators each has for training.

Source: the documentation's page of locations; the accelerators that it lists but that can't be used for training are
left out. It contradicts the quota page for T4 in two regions: a project's own quota decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from catalog.book import pick, read


@dataclass(frozen=True)
class Region:
    """One region. `free_storage`: Cloud Storage's free 5 GB a month count here."""

    name: str
    place: str
    accelerators: tuple[str, ...]
    free_storage: bool


@cache
def regions() -> Mapping[str, Region]:
    """All regions by name."""
    rows = read("regions.json")["regions"].items()
    return MappingProxyType({n: Region(n, r["place"], tuple(r["accelerators"]), r["free_storage"]) for n, r in rows})


def region(name: str) -> Region:
    """The region called `name`. Raises catalog.book.UnknownName."""
    return pick("region", name, regions())


def regions_with(accelerator: str) -> list[str]:
    """Names of the regions where `accelerator` (Google's type name) can be used for training."""
    return [r.name for r in regions().values() if accelerator in r.accelerators]
