"""Training jobs of an account, wherever they run: create, look up, list, cancel, forget.

Custom jobs and tuning jobs of Vertex AI have numbers for ids, Cloud Run jobs names. So a number is looked for among
custom jobs first, and a Job, which knows its place, costs one request.
"""

from __future__ import annotations

import datetime
import heapq
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from cloudkite.accounts.api import Passing
from cloudkite.accounts.target import Target
from cloudkite.jobs.body import JobSpec
from cloudkite.jobs.job import ACTIVE, ENDED, RUN, STATES, TUNING, VERTEX, Job, Unsure, Wanted, moment
from cloudkite.jobs.places import cloudrun, tuning, vertex
from cloudkite.jobs.places.vertex import parse
from cloudkite.show.errors import UserError

__all__ = [
    "ENDED", "RUN", "STATES", "TUNING", "VERTEX", "Job", "Unsure", "cancel", "create", "forget", "get", "moment",
    "parse", "recent", "running", "search",
]  # fmt: skip
_PLACES = {VERTEX: vertex, RUN: cloudrun, TUNING: tuning}


def create(target: Target, spec: JobSpec) -> Job:
    """Submit a job, once: an answer that was lost may be a job that runs, and is paid for."""
    return _PLACES[spec.place].create(target, spec)


def get(target: Target, job: Job | str) -> Job:
    """A job as it is now, or the one with that id."""
    if isinstance(job, Job):
        return _PLACES[job.place].get(target, job.id)
    if not job.isdecimal():
        return cloudrun.get(target, job)
    try:
        return vertex.get(target, job)
    except Passing:
        raise
    except UserError as refused:
        try:
            return tuning.get(target, job)
        except UserError:
            raise refused from None


def cancel(target: Target, job: Job | str) -> None:
    """Ask the service to stop a job; it ends a little later. A job that has ended already stays as it is."""
    found = job if isinstance(job, Job) else get(target, job)
    _PLACES[found.place].cancel(target, found.id)


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
    """Jobs of all services, newest first, as many as are asked for. `everything` also gives those of other makers.

    `since` is the earliest creation. All are asked at once; where Cloud Run is off there is nothing in it.
    """
    wanted = Wanted(everything, states, trainer, name, labels or {}, since)
    target.session()  # made once, before threads ask for it
    ours, tuned = vertex.search(target, wanted, page), tuning.search(target, wanted, page)
    with ThreadPoolExecutor(2) as beside:
        there, first_tuned = beside.submit(cloudrun.search, target, wanted), beside.submit(next, tuned, None)
        first = next(ours, None)
        firsts, found = (first, first_tuned.result()), there.result()
    begun = [[one] if one else [] for one in firsts]
    merged = (chain(begun[0], ours), chain(begun[1], tuned), found)
    return heapq.merge(*merged, key=lambda job: job.created, reverse=True)


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
