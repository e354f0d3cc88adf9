"""Batch prediction jobs as this cloud keeps them: one document each, with the job and the plan of its model server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.vertex.states import ENDED, short

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]

# Kind of document: {"job": BatchPredictionJob, "plan": Plan, "why": what ended it from outside, if anything did}.
BATCH = "vertex-batch"


def state_of(job: Body) -> str:
    """Such as "RUNNING"."""
    return short(job["state"])


def unfinished(cloud: Cloud, prefix: str = "") -> list[Body]:
    """The documents of jobs that have not ended, of the cloud or of a place."""
    return [kept for kept in cloud.documents.list(BATCH, prefix) if state_of(kept["job"]) not in ENDED]
