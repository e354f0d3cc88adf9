"""What in an account costs or did, asked of the APIs themselves, whoever made it.

Machines are told with the times at which they were there, stored objects with that from which on they are kept.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from catalog import regions
from cloudkite.accounts.target import Target
from cloudkite.jobs import service
from cloudkite.jobs.job import Job, maybe
from cloudkite.jobs.places import vertex
from cloudkite.money import inventory, limits, prices
from cloudkite.money.inventory import Standing
from cloudkite.money.spent import rows
from cloudkite.show.text import _

_VERTEX = "https://{region}-aiplatform.googleapis.com/v1/projects/{project}/locations/{region}/{key}"
_STORAGE = "https://storage.googleapis.com/storage/v1/b"
_KEPT = "items(size,storageClass,timeCreated,timeStorageClassUpdated),nextPageToken"
_MOST_PAGES = 50  # of 1,000 objects each
_PAGE = 1000  # jobs; a service that gives fewer at once gives more pages
_THREADS = 8


@dataclass(frozen=True)
class Machines:
    """Machines at `hourly` USD, None where no price is known, that were there at `times` of the whole second.

    `going`: they are there now, until `ends`, or until somebody ends them.
    """

    kind: str
    name: str
    hourly: Decimal | None
    times: tuple[tuple[datetime.datetime, datetime.datetime], ...]
    going: bool
    ends: datetime.datetime | None = None
    why: str = ""
    ref: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    job: Job | None = None
    price_date: str = ""


@dataclass(frozen=True)
class Kept:
    """Bytes of one class in a bucket: since when, until when (None: they are there now), and how many."""

    bucket: str
    place: str
    storage_class: str
    labels: Mapping[str, str]
    objects: tuple[tuple[datetime.datetime, datetime.datetime | None, int], ...]
    partial: str = ""  # why some objects are not there


@dataclass(frozen=True)
class Seen:
    """All that was found, at the moment `now` of the account's cloud; `unseen` tells what could not be looked at.

    `regions`: where machines were looked for.
    """

    now: datetime.datetime
    machines: tuple[Machines, ...]
    kept: tuple[Kept, ...]
    others: tuple[Standing, ...]
    unseen: tuple[str, ...]
    regions: tuple[str, ...]


def look(target: Target, since: datetime.datetime, *, everywhere: bool = False) -> Seen:
    """Look at all that cost something since then: in the account's region, or in all where Vertex AI trains.

    Raises UserError where the jobs can't be read.
    """
    here, now = target.account.region, target.now()
    where = [here, *(name for name in regions.regions() if everywhere and name != here)]
    begun = since - datetime.timedelta(seconds=limits.LONGEST)  # a job may have begun in the month before
    target.session()  # made once, before threads ask for it
    with ThreadPoolExecutor(_THREADS) as pool:
        resting = pool.submit(inventory.resting, target, where)
        stored = pool.submit(_stored, target)
        lists = {
            (key, region): pool.submit(
                inventory.entries,
                target,
                _VERTEX.format(region=region, project=target.account.project, key=key),
                key,
                {"pageSize": _PAGE},
            )
            for region in where
            for key in (*_READERS, *(() if region == here else ("customJobs",)))
        }
        jobs = list(service.search(target, everything=True, since=begun, page=_PAGE))
        found, unseen = [_of_job(job, now) for job in jobs], []
        known = {job.resource for job in jobs}
        for (key, region), answer in lists.items():
            entries, problem = answer.result()
            unseen += [f"{key}, {region}: {problem}"] if problem else []
            for entry in entries:
                if entry.get("name") not in known:
                    found += _READERS.get(key, _custom)(entry, region, now)
        kept, problems = stored.result()
        others, more = resting.result()
    unseen += [*problems, *more]
    return Seen(now, tuple(found), tuple(kept), tuple(others), tuple(unseen), tuple(where))


def _of_job(job: Job, now: datetime.datetime) -> Machines:
    """A training job; one that waits costs nothing yet, and may begin now."""
    times = ()
    if job.started is not None:
        begun, seconds = _whole(job.started), job.billed
        times = ((begun, begun + datetime.timedelta(seconds=float(seconds))),) if seconds else ()
    ends = (_whole(job.started or now) + datetime.timedelta(seconds=job.limit_seconds)) if job.active else None
    kind = rows.TRIES if job.place == rows.TUNING else rows.JOBS
    why = _("a job that started again is counted from its first start to its end") if job.restarts else ""
    return Machines(
        kind, job.name, job.hourly, times, job.active, ends, why, job.resource, job.labels, job, job.price_date
    )


def _custom(entry: Mapping[str, Any], _region: str, now: datetime.datetime) -> Iterator[Machines]:
    yield _of_job(vertex.parse(dict(entry), now), now)


def _tuning(entry: Mapping[str, Any], region: str, now: datetime.datetime) -> Iterator[Machines]:
    """A hyperparameter tuning job: each trial has its machines from its own start to its own end."""
    hourly, date = _priced(entry.get("trialJobSpec", {}), region)
    times = [
        _times(maybe(trial["startTime"]), maybe(trial.get("endTime")), now)
        for trial in entry.get("trials", [])
        if trial.get("startTime")
    ]
    yield Machines(
        rows.TRIES, entry.get("displayName", ""), hourly, tuple(times), _going(entry), None,
        _("{count} trials, by their own times").format(count=len(times)), entry.get("name", ""),
        entry.get("labels", {}), None, date,
    )  # fmt: skip


def _batch(entry: Mapping[str, Any], region: str, now: datetime.datetime) -> Iterator[Machines]:
    """A batch prediction: its machines from its start to its end."""
    machine = entry.get("dedicatedResources", {})
    price = prices.serving_hour(machine.get("machineSpec", {}), region)
    count = int(machine.get("startingReplicaCount", 1))
    hourly = None if price.amount is None or not machine else price.amount * count
    began = maybe(entry.get("startTime"))
    times = (_times(began, maybe(entry.get("endTime")), now),) if began else ()
    yield Machines(
        rows.PREDICTIONS, entry.get("displayName", ""), hourly, times, _going(entry), None,
        _("{count} machines from its start to its end").format(count=count), entry.get("name", ""),
        entry.get("labels", {}), None, price.as_of,
    )  # fmt: skip


def _endpoint(entry: Mapping[str, Any], region: str, now: datetime.datetime) -> Iterator[Machines]:
    """Each deployed model has its machines since it was deployed, asked or not."""
    for model in entry.get("deployedModels", []):
        resources = model.get("dedicatedResources") or model.get("automaticResources") or {}
        count = int(resources.get("minReplicaCount", 1))
        price = prices.serving_hour(resources.get("machineSpec", {}), region)
        began = maybe(model.get("createTime"))
        yield Machines(
            rows.ENDPOINTS,
            f"{entry.get('displayName', '')}: {model.get('displayName') or model.get('id', '')}",
            None if price.amount is None else price.amount * count,
            (_times(began, None, now),) if began else (),
            True,
            None,
            _("{count} machines since they were deployed, used or not").format(count=count),
            f"{entry.get('name', '')}/deployedModels/{model.get('id', '')}",
            entry.get("labels", {}),
            None,
            price.as_of,
        )


_READERS = {
    "hyperparameterTuningJobs": _tuning,
    "batchPredictionJobs": _batch,
    "endpoints": _endpoint,
}


def _going(entry: Mapping[str, Any]) -> bool:
    return str(entry.get("state", "")).removeprefix("JOB_STATE_") not in service.ENDED


def _whole(moment: datetime.datetime) -> datetime.datetime:
    return moment.replace(microsecond=0)


def _times(
    began: datetime.datetime | None, ended: datetime.datetime | None, now: datetime.datetime
) -> tuple[datetime.datetime, datetime.datetime]:
    """From when to when machines are charged, by Vertex AI's half minutes."""
    start = _whole(began or now)
    return start, start + datetime.timedelta(seconds=float(vertex.charged(start, ended or now, 10**9)))


def _priced(spec: Mapping[str, Any], region: str) -> tuple[Decimal | None, str]:
    """(what an hour of a job's machines costs, the price's date)."""
    price = vertex.hourly(spec.get("workerPoolSpecs") or [{}], region, vertex.is_spot(spec))
    return (price.amount, price.as_of) if price else (None, "")


# --- storage


def _stored(target: Target) -> tuple[list[Kept], list[str]]:
    """What is kept in the project's buckets, older versions and deleted objects that are still billed included."""
    buckets, problem = inventory.entries(target, _STORAGE, "items", {"project": target.account.project})
    problems = [_("buckets: {why}").format(why=problem)] if problem else []
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(lambda bucket: _of_bucket(target, bucket), buckets))
    return [one for some in found for one in some], problems


def _of_bucket(target: Target, bucket: Mapping[str, Any]) -> list[Kept]:
    name, place = bucket["name"], str(bucket.get("location", "")).lower()
    url, asked = f"{_STORAGE}/{name}/o", {"fields": _KEPT, "maxResults": 1000}
    objects, partial = inventory.entries(target, url, "items", {**asked, "versions": "true"}, _MOST_PAGES)
    if int(bucket.get("softDeletePolicy", {}).get("retentionDurationSeconds", 0)):
        deleted, more = inventory.entries(target, url, "items", {**asked, "softDeleted": "true"}, _MOST_PAGES)
        objects, partial = [*objects, *deleted], partial or more
    usual = bucket.get("storageClass", "STANDARD")
    found: dict[str, list[tuple[datetime.datetime, datetime.datetime | None, int]]] = {usual: []}
    for one in objects:
        kind, size, made = one.get("storageClass", usual), int(one.get("size", 0)), service.moment(one["timeCreated"])
        moved = service.moment(one.get("timeStorageClassUpdated") or one["timeCreated"])
        if moved > made and kind != usual:  # a life cycle moved it from the bucket's own class
            found[usual].append((made, moved, size))
            made = moved
        found.setdefault(kind, []).append((made, None, size))
    labels = bucket.get("labels", {})
    return [Kept(name, place, kind, labels, tuple(some), partial) for kind, some in found.items() if some or partial]
