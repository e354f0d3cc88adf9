"""Decides which jobs of the queue start, and how long those wait that don't wait for ever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from localcloud.quotas.capacity import Key, wanted
from localcloud.vertex.jobs import retries
from localcloud.vertex.jobs.records import Job
from localcloud.vertex.jobs.validation import seconds

_FLEX_WAIT = "86400s"  # of FLEX_START, Google's own default


@dataclass
class Choice:
    """`start`: in their order. `short`: the quotas ("a, b") that a job waits for, by its id."""

    start: list[Job] = field(default_factory=list)
    short: dict[str, str] = field(default_factory=dict)


def choose(queued: Iterable[Job], running: Iterable[Job], room: int, exceeds: Callable[[Key, int], bool]) -> Choice:
    """Which of the queued jobs, at most `room`, start beside those that run; `exceeds` knows each quota.

    In their order: a job that waits for a quota is overtaken only by those that don't need it.
    """
    used: Counter[Key] = Counter()
    for job in running:
        used.update(_wanted(job))
    blocked: set[Key] = set()
    choice = Choice()
    for job in queued:
        if len(choice.start) >= room:
            break
        needs = _wanted(job)
        short = {key for key, amount in needs.items() if exceeds(key, used[key] + amount)}
        if short or blocked & needs.keys():
            blocked |= short
            choice.short[job.id] = ", ".join(sorted(key.name for key in short))
            continue
        used.update(needs)
        choice.start.append(job)
    return choice


def _wanted(job: Job) -> Counter[Key]:
    return wanted(job.project, job.region, job.body["jobSpec"])


def waits_until(job: Job) -> float | None:
    """Until when a FLEX_START job waits for machines, in seconds since the epoch; None: for as long as it takes."""
    chosen = retries.scheduling(job)
    if chosen.get("strategy") not in retries.FLEX or "startTime" in job.body:
        return None
    wait = seconds(chosen.get("maxWaitDuration") or _FLEX_WAIT)
    return datetime.fromisoformat(job.body["createTime"]).timestamp() + wait if wait else None
