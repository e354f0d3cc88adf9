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

# By the region's name: https://cloud.google.com/about/locations. The code is that of ISO 3166.
_COUNTRIES = {
    "africa-south1": "ZA South Africa", "asia-east1": "TW Taiwan", "asia-east2": "HK Hong Kong",
    "asia-northeast1": "JP Japan", "asia-northeast2": "JP Japan", "asia-northeast3": "KR South Korea",
    "asia-south1": "IN India", "asia-south2": "IN India", "asia-southeast1": "SG Singapore",
    "asia-southeast2": "ID Indonesia", "australia-southeast1": "AU Australia", "australia-southeast2": "AU Australia",
    "europe-central2": "PL Poland", "europe-north1": "FI Finland", "europe-southwest1": "ES Spain",
    "europe-west1": "BE Belgium", "europe-west2": "GB United Kingdom", "europe-west3": "DE Germany",
    "europe-west4": "NL Netherlands", "europe-west6": "CH Switzerland", "europe-west8": "IT Italy",
    "europe-west9": "FR France", "europe-west12": "IT Italy", "me-central1": "QA Qatar",
    "me-central2": "SA Saudi Arabia", "me-west1": "IL Israel", "northamerica-northeast1": "CA Canada",
    "northamerica-northeast2": "CA Canada", "southamerica-east1": "BR Brazil", "southamerica-west1": "CL Chile",
}  # fmt: skip
_UNION = frozenset("BE DE ES FI FR IT NL PL".split())


@dataclass(frozen=True)
class Region:
    """One region. `free_storage`: Cloud Storage's free 5 GB a month count here."""

    name: str
    place: str
    accelerators: tuple[str, ...]
    free_storage: bool

    @property
    def country(self) -> tuple[str, str]:
        """Its country's code and name: ("KR", "South Korea"); ("", "") where it isn't known."""
        known = _COUNTRIES.get(self.name, "US United States" if self.name.startswith("us-") else "")
        code, _space, name = known.partition(" ")
        return code, name


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


def regions_of(country: str) -> list[str]:
    """Names of the regions in a country, by its code or English name in any case; "EU" is the European Union's.

    A part of a name that fits one country alone is enough: "Korea". Empty where there is none.
    """
    wanted = country.strip().casefold()
    if wanted in ("eu", "european union"):
        return [r.name for r in regions().values() if r.country[0] in _UNION]
    found = {r.name: r.country for r in regions().values()}
    exact = [name for name, known in found.items() if wanted in (part.casefold() for part in known)]
    if exact or len(wanted) < 3:
        return exact if wanted else []
    fitting = {known for known in found.values() if wanted in known[1].casefold()}
    return [name for name, known in found.items() if known in fitting] if len(fitting) == 1 else []
