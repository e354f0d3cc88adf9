"""Refuses training jobs that need more than the project's quotas allow, in the service's own words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from catalog.quotas import needs
from localcloud.errors import ApiError
from localcloud.quotas.limits import UNLIMITED
from localcloud.quotas.store import effective

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

_SPOT = ("SPOT", "FLEX_START", "LOW_COST")


def check(cloud: Cloud, project: str, region: str, spec: dict[str, Any]) -> None:
    """Raises 429 RESOURCE_EXHAUSTED when a CustomJobSpec alone needs more than a quota is.

    Simplified: what other jobs use is not counted, because Google queues a job that has to wait for them, and so does
    this cloud. A quota that isn't known here holds nothing back.
    """
    spot = spec.get("scheduling", {}).get("strategy", "") in _SPOT
    wanted: Counter[tuple[str, str]] = Counter()
    for pool in filter(None, spec["workerPoolSpecs"]):
        machine = pool["machineSpec"]
        accelerator = machine.get("acceleratorType", "")
        count, replicas = int(machine.get("acceleratorCount", 0)), int(pool.get("replicaCount", 1))
        for need in needs(machine["machineType"], accelerator, count, replicas, spot):
            wanted[need.meter.id, need.meter.metric] += need.amount
    short = []
    for (quota, metric), amount in wanted.items():
        limit = effective(cloud, project, region, quota or metric)
        if limit is not None and limit != UNLIMITED and amount > limit:
            short.append(metric or quota)
    if short:
        raise ApiError(429, f"The following quota metrics exceed quota limits: {','.join(short)}")
