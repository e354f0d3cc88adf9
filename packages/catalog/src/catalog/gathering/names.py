"""What a SKU is called, and what that is in the price book.

By descriptions that public price lists, bills and tools show: machine families under their own name or an older one
("Compute optimized" is c2, "Memory-optimized" m1), spot in front of cores and behind accelerators ("attached to Spot
Preemptible VMs"). A description that fits no form whole is not known: custom machines, sole tenancy, commitments,
reservations, "DWS" and virtual workstations have their own prices.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalog.gathering.amounts import Measure
from catalog.listed import ANYWHERE

VERTEX, COMPUTE, RUN, STORAGE = "C7E2-9256-1C43", "6F81-5844-456A", "152E-C115-5142", "95FF-2EF5-5EA1"
SERVICES = {VERTEX: "Vertex AI", COMPUTE: "Compute Engine", RUN: "Cloud Run", STORAGE: "Cloud Storage"}

# Machine families by what stands before "Core" and "Ram".
FAMILIES = {
    "n1": "N1 Predefined Instance",
    "e2": "E2 Instance",
    "n2": "N2 Instance",
    "n4": "N4 Instance",
    "c2": "Compute optimized",
    "m1": "Memory-optimized Instance",
    "a2": "A2 Instance",
    "a3": "A3 Instance",
    "a3-mega": "A3Plus Instance",
    "a3-ultra": "A3Ultra Instance",
    "g2": "G2 Instance",
}
GPUS = {
    "NVIDIA_TESLA_T4": "Nvidia Tesla T4 GPU",
    "NVIDIA_TESLA_P4": "Nvidia Tesla P4 GPU",
    "NVIDIA_TESLA_V100": "Nvidia Tesla V100 GPU",
    "NVIDIA_TESLA_A100": "Nvidia Tesla A100 GPU",
    "NVIDIA_A100_80GB": "Nvidia Tesla A100 80GB GPU",
    "NVIDIA_L4": "Nvidia L4 GPU",
    "NVIDIA_H100_80GB": "Nvidia H100 80GB GPU",
    "NVIDIA_H100_MEGA_80GB": "Nvidia H100 80GB Mega GPU",
    "NVIDIA_H200_141GB": "Nvidia H200 141GB GPU",
    "NVIDIA_B200": "A4 Nvidia B200 (1 gpu slice)",
}
TPUS = {"TPU_V5E": "TpuV5e"}
DISKS = {"pd-ssd": "SSD backed PD Capacity", "pd-standard": "Storage PD Capacity"}
_ALSO = {"compute optimized instance": "c2"}
_IN_VERTEX = {"n1 instance": "n1"}
_REGION = re.compile(r"[a-z]+-[a-z]+[0-9]+")
_MULTI_REGIONS = {"us": "us", "asia": "asia", "europe": "eu", "eu": "eu"}
_VERTEX = re.compile(r"Vertex AI: Training/Pipelines (management fee )?on (.+?)(?: running)?(?: in ([^()]+))?", re.I)
_CORES = re.compile(r"(.+) (core|ram)", re.I)
_COMPUTE = re.compile(
    r"(spot preemptible |preemptible )?(.+?)( attached to spot preemptible vms)? running in [^()]+", re.I
)
_DISK = re.compile(r"(.+ PD Capacity)(?: in [^()]+)?")
_JOB = re.compile(r"Jobs (CPU|Memory) in ([a-z]+-[a-z]+[0-9]+)")
_STORED = re.compile(r"(Standard|Nearline|Coldline|Archive) Storage ([A-Z][A-Za-z .-]*)")
_OPERATION = re.compile(r"(Regional|Multi-Region) (Standard|Nearline|Coldline|Archive) Class (A|B) Operations")
_EGRESS = "Download Worldwide Destinations (excluding Asia & Australia)"


@dataclass(frozen=True)
class Known:
    """What a SKU is: a table and a name of catalog.listed, where, and in what it is measured there."""

    table: str
    name: str
    measure: Measure
    regions: tuple[str, ...]


def known(service: str, sku: Mapping[str, Any]) -> Known | None:
    """What a SKU of a service is; None for one that the book has no place for. Raises KeyError, TypeError: torn."""
    text, regions, usage = sku["description"], sku["serviceRegions"], sku["category"]["usageType"]
    if not isinstance(text, str) or not isinstance(regions, list):
        raise TypeError
    if usage not in ("OnDemand", "Preemptible"):
        return None
    found = {VERTEX: _vertex, COMPUTE: _compute, RUN: _run, STORAGE: _storage}[service](text, regions)
    # Some spot SKUs say that they are on demand; none on demand says that it is spot.
    contrary = found is not None and usage == "Preemptible" and found.table != "spot"
    return None if contrary or found is None or not found.regions else found


def _vertex(text: str, regions: Sequence[str]) -> Known | None:
    found = _VERTEX.fullmatch(text)
    if found is None:
        return None
    part = _part(found[2], _IN_VERTEX) or _gpu(found[2]) or _disk(found[2])
    table = "fee" if found[1] else "training"
    return part and Known(table, *part, _regional(regions))


def _compute(text: str, regions: Sequence[str]) -> Known | None:
    disk = _DISK.fullmatch(text)
    if disk is not None:
        part = _disk(disk[1])
        return part and Known("compute", *part, _regional(regions))
    found = _COMPUTE.fullmatch(text)
    if found is None:
        return None
    before, what, behind = found.groups()
    cores = None if behind else _part(what, {})
    devices = _gpu(what) or _tpu(what)
    part = cores or devices
    if before and devices and "(1 gpu slice)" not in what:
        return None  # accelerators say it behind their name
    return part and Known("spot" if before or behind else "compute", *part, _regional(regions))


def _run(text: str, regions: Sequence[str]) -> Known | None:
    found = _JOB.fullmatch(text)
    if found is None or found[2] not in regions:
        return None
    cpu = found[1] == "CPU"
    return Known("run", found[1].lower(), "second" if cpu else "gib second", (found[2],))


def _storage(text: str, regions: Sequence[str]) -> Known | None:
    everywhere = (ANYWHERE,) if list(regions) == ["global"] else ()
    if text == _EGRESS:
        return Known("egress", "internet", "gib", everywhere)
    if found := _OPERATION.fullmatch(text):
        where = "region" if found[1] == "Regional" else "multi-region"
        return Known("operation", f"{found[2].upper()} {found[3]} {where}", "count", everywhere)
    found = _STORED.fullmatch(text)
    if found is None or found[2].endswith("Dual-region"):
        return None
    several = found[2].endswith("Multi-region")
    where = tuple(_MULTI_REGIONS[r] for r in regions if r in _MULTI_REGIONS) if several else _regional(regions)
    return Known("storage", found[1].upper(), "gib month", where)


def _regional(regions: Sequence[str]) -> tuple[str, ...]:
    return tuple(region for region in regions if _REGION.fullmatch(region))


def _part(text: str, also: Mapping[str, str]) -> tuple[str, Measure] | None:
    """ "N1 Predefined Instance Core" is ("n1 core", "hour")."""
    found = _CORES.fullmatch(text)
    if found is None:
        return None
    names = {name.lower(): family for family, name in FAMILIES.items()} | _ALSO | dict(also)
    family = names.get(found[1].lower())
    if family is None:
        return None
    return (f"{family} core", "hour") if found[2].lower() == "core" else (f"{family} memory", "gib hour")


def _gpu(text: str) -> tuple[str, Measure] | None:
    """An accelerator by its name, in whatever order and case: "NVIDIA H100 80GB", "Nvidia H100 Mega 80GB GPU"."""
    wanted = _words(text)
    return next(((kind, "hour") for kind, name in GPUS.items() if _words(name) == wanted), None)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.lower().split()) - {"nvidia", "tesla", "gpu"}


def _tpu(text: str) -> tuple[str, Measure] | None:
    return next(((kind, "hour") for kind, name in TPUS.items() if name == text), None)


def _disk(text: str) -> tuple[str, Measure] | None:
    return next(((kind, "gib hour") for kind, name in DISKS.items() if name == text), None)
