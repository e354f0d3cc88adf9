"""The quotas that jobs and deployed models count against, and their values before anybody asked for others.

Simplified: the values are the documented defaults of the catalogue (a small account on Google often has less, so there
only a read of the quotas tells). Where the documentation says nothing, spot quotas are as on demand, and vCPUs of
families that come with their accelerator are unlimited.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from catalog import run
from catalog.book import read
from catalog.quotas import SERVICE
from catalog.regions import regions

UNLIMITED = -1


@dataclass(frozen=True)
class Limit:
    """One quota of a service. `metric` is "" where it isn't known; `values` has the default of each region."""

    id: str
    metric: str
    title: str
    values: Mapping[str, int]
    accelerator: bool = False


@cache
def limits(service: str) -> Mapping[str, Limit]:
    """The quotas of a service by their id; empty for a service that has none here."""
    if service == run.SERVICE:
        return {quota.meter.id: _of_run(quota) for quota in run.quotas()}
    if service != SERVICE:
        return {}
    book = read("quotas.json")
    found: list[Limit] = []
    for title, row in book["vcpus"].items():
        spot = title == "spot vCPUs"
        documented = book["vcpus"]["N1 and E2 vCPUs"]["documented"] if spot else row["documented"]
        values = _by_region(documented, 0 if documented else UNLIMITED)
        found.append(Limit(row["id"] or "", row["metric"] or "", f"Custom model training {title} per region", values))
    for name, row in book["accelerators"].items():
        values = _by_region(row["documented"], 0)
        title = name.removeprefix("NVIDIA_").replace("_", " ")
        for spot in (False, True):
            prefix, word = ("spot_", "preemptible ") if spot else ("", "")
            quota, metric = row[f"{prefix}id"] or "", row[f"{prefix}metric"] or ""
            found.append(Limit(quota, metric, f"Custom model training {word}{title} per region", values, True))
    found += _serving(book["serving"])
    return {limit.id: limit for limit in found if limit.id}


def _of_run(quota: run.Quota) -> Limit:
    """Of Cloud Run, what new projects are reported to have."""
    titles = {"cpu_allocation": "Total CPU allocation, in milli vCPU, per project per region",
              "mem_allocation": "Total memory allocation, in bytes, per project per region"}  # fmt: skip
    title = titles[quota.meter.metric.partition("/")[2]]
    return Limit(quota.meter.id, quota.meter.metric, title, dict.fromkeys(run.regions(), quota.reported))


def _serving(book: Mapping[str, Any]) -> Iterator[Limit]:
    """Those of deployed models and batch predictions, with the names that Google's console shows."""
    for title, row in book["vcpus"].items():
        values = _by_region(row["documented"], 0)
        yield Limit(row["id"], row["metric"], f"Custom model serving {title} per region", values)
    for name, row in book["accelerators"].items():
        title = name.removeprefix("NVIDIA_").removeprefix("TESLA_").replace("_", " ")
        values = _by_region(row["documented"], 0)
        yield Limit(
            row["id"], row["metric"] or "", f"Custom model serving Nvidia {title} GPUs per region", values, True
        )


def by_metric(service: str, metric: str) -> Limit | None:
    """The quota that a metric such as "aiplatform.googleapis.com/custom_model_training_cpus" belongs to."""
    return next((limit for limit in limits(service).values() if limit.metric == metric), None)


def _by_region(documented: Mapping[str, Any], otherwise: int) -> dict[str, int]:
    """{"12": ["us-central1"]} turned round, with `otherwise` for regions that it does not name."""
    values = dict.fromkeys(regions(), otherwise)
    for value, names in documented.items():
        values |= dict.fromkeys((name for name in names if name in values), int(value))
    return values
