"""Training jobs of an account, wherever they run: create, look up, list, cancel, forget.

Custom jobs of Vertex AI have numbers for ids, Cloud Run jobs names; so an id says where its job is.
"""

from __future__ import annotations

import datetime
import heapq
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from cloudkite.accounts.target import Target
from cloudkite.jobs.body import JobSpec
from cloudkite.jobs.job import ACTIVE, ENDED, RUN, STATES, VERTEX, Job, Unsure, Wanted, moment
from cloudkite.jobs.places import cloudrun, vertex
from cloudkite.jobs.places.vertex import parse

__all__ = [
    "ENDED", "RUN", "STATES", "VERTEX", "Job", "Unsure", "cancel", "create", "forget", "get", "moment", "parse",
    "recent", "running", "search",
]  # fmt: skip


def create(target: Target, spec: JobSpec) -> Job:
    """Submit a job, once: an answer that was lost may be a job that runs, and is paid for."""
    return cloudrun.create(target, spec) if spec.place == RUN else vertex.create(target, spec)


def get(target: Target, job: str) -> Job:
    """The job with that id."""
    return vertex.get(target, job) if job.isdecimal() else cloudrun.get(target, job)


def cancel(target: Target, job: str) -> None:
    """Ask the service to stop a job; it ends a little later. A job that has ended already stays as it is."""
    if job.isdecimal():
        vertex.cancel(target, job)
    else:
        cloudrun.cancel(target, job)


def forget(target: Target) -> int:
    """Delete what is kept of Cloudkite's Cloud Run jobs, those that run included; gives how many there were."""
    return cloudrun.forget(target)


def search(
    target: Target,
    *,
    everything: bool = False,
    states: Collection[str] = (),
    trainer: str = "",
    name: str = "",
    labels: Mapping[str, str] | None = None,
    page: int = 100,
    since: datetime.datetime | None = None,
) -> Iterator[Job]:
    """Jobs of both services, newest first, as many as are asked for. `everything` also gives those of other makers.

    `since` is the earliest creation. Both services are asked at once; where Cloud Run is off there is nothing in it.
    """
    wanted = Wanted(everything, states, trainer, name, labels or {}, since)
    target.session()  # made once, before threads ask for it
    with ThreadPoolExecutor(1) as beside:
        there = beside.submit(cloudrun.search, target, wanted)
        here = vertex.search(target, wanted, page)
        first = next(here, None)
        found = there.result()
    ours = (job for some in ([first] if first else [], here) for job in some)
    return heapq.merge(ours, found, key=lambda job: job.created, reverse=True)


def recent(
    target: Target, *, everything: bool = False, states: Collection[str] = (), trainer: str = "", most: int = 50
) -> list[Job]:
    """The newest jobs, at most `most`; only those in one of `states` and of `trainer`, where they are given."""
    found = []
    for job in search(target, everything=everything, states=states, trainer=trainer, page=min(most, 100)):
        found.append(job)
        if len(found) == most:
            break
    return sorted(found, key=lambda job: job.created, reverse=True)


def running(target: Target) -> list[Job]:
    """Cloudkite's jobs that have not ended."""
    return [job for job in search(target, states=ACTIVE) if job.active]
