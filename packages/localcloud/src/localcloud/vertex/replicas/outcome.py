"""Decides how a job ended, from how its replicas ended, and says it in Google's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from localcloud.containers.supervised import LOST, Exit

CANCELLED = {"code": 1, "message": "CANCELED"}
PRIMARY = "workerpool0-0"


@dataclass(frozen=True)
class Outcome:
    """The job's last state without JOB_STATE_, and its error (JSON of google.rpc.Status) or None."""

    state: str
    error: dict[str, Any] | None = None


def stockout(region: str) -> dict[str, Any]:
    """The error of a job that got no machines, or lost them too often."""
    text = f"Resources are insufficient in region: {region}. Try a different region or use a different accelerator."
    return {"code": 8, "message": text}


def timed_out(timeout: str) -> Outcome:
    """The end of a job that ran for longer than its timeout ("3600s")."""
    text = f"The job was ended because it ran longer than its timeout of {timeout}."
    return Outcome("FAILED", {"code": 4, "message": text})


def settled(exits: Mapping[str, Exit]) -> bool:
    """Whether the job is decided though replicas may still run: the primary has ended, or one has failed."""
    return PRIMARY in exits or any(e.code or e.reason == LOST for e in exits.values())


def succeeded(exits: Mapping[str, Exit]) -> bool:
    """Whether the primary replica ended by itself with 0."""
    primary = exits.get(PRIMARY)
    return primary is not None and primary.reason == "exited" and primary.code == 0


def first_failure(exits: Mapping[str, Exit]) -> tuple[str, Exit]:
    """The replica that failed first, and how. Replicas that were told to end because of another did not fail."""
    own = {n: e for n, e in exits.items() if e.reason != "cancelled" and (e.code or e.reason != "exited")}
    return min(own.items(), key=lambda item: item[1].ended) if own else (PRIMARY, Exit(LOST, 0, 0))


def outcome(exits: Mapping[str, Exit], cancelling: bool, job_id: str, project_number: str, timeout: str) -> Outcome:
    """The job succeeded if its primary replica ended by itself with 0; else what failed first counts."""
    if succeeded(exits):
        return Outcome("SUCCEEDED")
    if cancelling:
        return Outcome("CANCELLED", CANCELLED)
    name, first = first_failure(exits)
    if first.reason in (LOST, "interrupted"):
        text = f"Internal error occurred for the current attempt. The process of replica {name} was lost."
        return Outcome("FAILED", {"code": 13, "message": text})
    if first.reason == "timeout":
        return timed_out(timeout)
    if first.reason == "memory":
        text = f"The replica {name} ran out of memory and exited with a non-zero status of {first.code}."
        return Outcome("FAILED", {"code": 3, "message": text})
    tail = f"\n{first.tail}" if first.tail else ""
    text = (
        f"The replica {name} exited with a non-zero status of {first.code}. Termination reason: Error. {tail}\n\n"
        f"To find out more about why your job exited please check the logs: {console(job_id, project_number)}"
    )
    return Outcome("FAILED", {"code": 3, "message": text})


def console(job_id: str, project_number: str) -> str:
    """The address of the job's log in Google's console."""
    resource = quote(f"ml_job/job_id/{job_id}", safe="")
    wanted = quote(f'resource.type="ml_job"\nresource.labels.job_id="{job_id}"', safe="")
    base = "https://console.cloud.google.com/logs/viewer"
    return f"{base}?project={project_number}&resource={resource}&advancedFilter={wanted}"
