"""Decides whether a job or a replica that failed is started again, by Vertex AI's rules.

https://cloud.google.com/vertex-ai/docs/training/understanding-training-service and .../use-spot-vms. All starts are
from the beginning of the user's code, and all of their time is part of the job's.

Where the rules leave it open: a program's own exit code is an error of its code and ends the job; one that was killed
by a signal (other than SIGABRT and SIGSEGV) counts as not permanent where it is not the primary replica.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.vertex.jobs.records import Job
from localcloud.vertex.replicas.outcome import (
    CANCELLED,
    LOST,
    PRIMARY,
    Exit,
    Outcome,
    first_failure,
    outcome,
    stockout,
    succeeded,
    timed_out,
)

DEFAULT_TIMEOUT = "604800s"  # seven days, Google's own
SPOT, FLEX = ("SPOT", "LOW_COST"), ("FLEX_START",)  # the second is what Spot was called before
WORKER_RESTARTS = 5  # of one worker in its place, before the whole job is tried again
# How often a whole job starts again, by why.
LIMITS: Mapping[str, int] = {"crash": 3, "internal": 2, "preemption": 6, "worker": WORKER_RESTARTS}
_TRANSIENT = frozenset({6, 11, 134, 139})  # SIGABRT and SIGSEGV
_SIGNALS = 128


@dataclass(frozen=True)
class Again:
    """Start the job anew: `kind` is what it counts as (see LIMITS), `why` is for its log."""

    kind: str
    why: str


def scheduling(job: Job) -> Mapping[str, Any]:
    """The job's Scheduling."""
    return job.body["jobSpec"].get("scheduling", {})


def timeout(job: Job) -> str:
    """How long it may run, over all attempts: "3600s"."""
    return scheduling(job).get("timeout") or DEFAULT_TIMEOUT


def is_spot(job: Job) -> bool:
    """Whether its machines may be taken away."""
    return scheduling(job).get("strategy", "") in SPOT


def stockout_attempts(job: Job) -> int:
    """How often a job asks for machines that are not there."""
    return LIMITS["preemption"] if is_spot(job) else LIMITS["crash"]


def passes(name: str, ended: Exit) -> bool:
    """Whether a worker's end is no permanent error: it may start again in its place."""
    if name == PRIMARY:
        return False
    return ended.reason == LOST or (ended.reason == "exited" and ended.code > _SIGNALS and ended.code not in _TRANSIENT)


def in_place(job: Job, name: str, ended: Exit) -> bool:
    """Whether a worker that ended starts again alone; the others go on."""
    if scheduling(job).get("restartJobOnWorkerRestart") and not scheduling(job).get("disableRetries"):
        return False
    return passes(name, ended) and job.run.get("restarts", {}).get(name, 0) < WORKER_RESTARTS


def stopped(job: Job) -> Outcome:
    """How a job ends that was told to, for its state or the reason that it keeps (`ending`)."""
    ending = job.run.get("ending")
    if job.state != "CANCELLING" and isinstance(ending, dict):
        return Outcome("FAILED", ending)
    return timed_out(timeout(job)) if ending == "timeout" else Outcome("CANCELLED", CANCELLED)


def decide(job: Job, exits: Mapping[str, Exit]) -> Outcome | Again:
    """What becomes of a job all of whose replicas have ended."""
    if succeeded(exits):
        return Outcome("SUCCEEDED")
    ending = job.run.get("ending")
    if job.state == "CANCELLING" or (ending and ending != "preempted"):
        return stopped(job)
    if ending == "preempted":
        again = Again("preemption", "The job was preempted: its machines were taken away.")
        return again if _left(job, again.kind) else Outcome("FAILED", stockout(job.region))
    name, first = first_failure(exits)
    plain = outcome(exits, False, job.id, job.number, timeout(job))
    kind = _kind(job, name, first)
    if not kind or not _left(job, kind):
        return plain
    how = "was lost" if first.reason == LOST else f"ended with status {first.code}"
    return Again(kind, f"The replica {name} {how}.")


def _kind(job: Job, name: str, first: Exit) -> str:
    if passes(name, first):
        return "worker" if scheduling(job).get("restartJobOnWorkerRestart") and _left(job, "worker") else "crash"
    if first.reason in (LOST, "interrupted"):
        return "internal"
    return "crash" if first.reason == "exited" and first.code in _TRANSIENT else ""


def _left(job: Job, kind: str) -> bool:
    """Whether there is another attempt for this reason."""
    if scheduling(job).get("disableRetries"):
        return False
    return job.run.get("retries", {}).get(kind, 0) < LIMITS[kind]
