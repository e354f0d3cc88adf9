"""Training jobs of Vertex AI: create, look up, list, cancel."""

from __future__ import annotations

import datetime
import heapq
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from catalog.book import UnknownName
from catalog.prices import Price
from cloudkite.accounts.api import LONGEST, Passing, call, pages, send, table
from cloudkite.accounts.target import Target
from cloudkite.jobs.body import MANAGED, STUDY, JobSpec, body, restarts
from cloudkite.jobs.job import ENDED, Job, Unsure, Wanted, arguments_of, in_console, maybe
from cloudkite.money import limits, prices
from cloudkite.show.errors import UserError
from cloudkite.show.text import _

_GRANULE = 30  # seconds; time is billed in such steps
FLEX_START = "FLEX_START"  # the strategy of a job that waits for machines; priced as on demand: see plans.py
_FLEX_WAIT = 24 * 3600  # seconds, where none are said (documentation of Scheduling)
_NOT_TAKEN = frozenset({429, 503})  # answers by which a service says that it did nothing
# What `parse` reads of a job. The start-up text of each, which is not read here, is most of an answer.
# https://cloud.google.com/apis/docs/system-parameters: fields
_SPEC = "scheduling,baseOutputDirectory,workerPoolSpecs(machineSpec,replicaCount,diskSpec,containerSpec(args))"
_OF_ALL = "name,displayName,state,createTime,startTime,endTime,error,labels"
_TOLD = {
    "customJobs": f"{_OF_ALL},jobSpec({_SPEC})",
    "hyperparameterTuningJobs": f"{_OF_ALL},studySpec,maxTrialCount,parallelTrialCount,trialJobSpec({_SPEC}),trials",
}
_PAUSES = (1.0, 2.0, 5.0)  # seconds before a submission that was not taken is sent again


def create(target: Target, spec: JobSpec) -> Job:
    """Submit a job, once."""
    return _told(target, submit_once(target, spec, url(target, region=spec.region), body(spec), search))


def submit_once(
    target: Target,
    spec: JobSpec,
    place: str,
    wanted: dict[str, Any],
    search: Callable[[Target, Wanted], Iterator[Job]],
) -> dict[str, Any]:
    """POST a job to a collection, once: an answer that was lost may be a job that runs, and is paid for.

    So after a failure the job is looked up by its output folder, which no other has. It is sent again only where the
    service said that it did not take it (429, 503) and it is not there either. Gives the job's JSON.
    """
    for pause in (*_PAUSES, None):
        try:
            return call(target, "POST", place, _("submit the job"), body=wanted)
        except Passing as failed:
            if failed.http != 429 and (found := _submitted(target, spec, failed, search)):
                return call(target, "GET", f"{place}/{found.id}", _("look up job {id}").format(id=found.id))
            if failed.http not in _NOT_TAKEN:
                hint = _("no job {name} is there: look again with `uv run invoke jobs` before you try again")
                raise Unsure(failed.message, hint.format(name=spec.name)) from None
            if pause is None or failed.wait > LONGEST:
                raise
            time.sleep(max(pause, failed.wait))
    raise UserError(_("submit the job"))  # not reached: the last round returns or raises


def _submitted(
    target: Target, spec: JobSpec, failed: Passing, search: Callable[[Target, Wanted], Iterator[Job]]
) -> Job | None:
    """The job of that name and output, if there is one after all. Raises UserError when that can't be told."""
    looks = (0, 1, 2) if failed.http not in _NOT_TAKEN else (0,)  # a list may be a little behind
    try:
        for wait in looks:
            time.sleep(wait)
            for found in search(target, Wanted(everything=True, name=spec.name)):
                if found.output == spec.output:
                    return found
    except UserError:
        hint = _("it may have been submitted: look with `uv run invoke jobs` before you try again")
        raise Unsure(failed.message, hint) from None
    return None


def get(target: Target, job: str) -> Job:
    """The job with that id, in whichever of the account's regions it is."""
    doing = _("look up job {id}").format(id=job)
    *some, last = ("", *target.account.also)
    for region in some:
        answer = send(target, "GET", f"{url(target, region=region)}/{job}", doing, again=True)
        if answer.ok:
            return _told(target, table(answer, doing))
        if answer.status_code != 404:
            last = region  # which tells what is wrong
            break
    return _told(target, call(target, "GET", f"{url(target, region=last)}/{job}", doing))


def cancel(target: Target, job: str) -> None:
    """Ask the service to stop a job; it ends a little later. A job that has ended already stays as it is."""
    stop(target, "customJobs", job, get)


def stop(target: Target, collection: str, job: str, get: Callable[[Target, str], Job]) -> None:
    """The same for a job of a collection, which `get` looks up."""
    found = get(target, job)
    if not found.active:
        return
    try:
        place = url(target, collection, found.region)
        call(target, "POST", f"{place}/{job}:cancel", _("cancel job {id}").format(id=job), body={}, again=True)
    except UserError:  # a second try is refused when the first was heard, and only its answer was lost
        if get(target, job).state not in {*ENDED, "CANCELLING"}:
            raise


def search(target: Target, wanted: Wanted, page: int = 100) -> Iterator[Job]:
    """Jobs that are wanted, newest first, as many as are asked for; `page` is how many one request brings.

    A try of a tuning job is part of that, and isn't among them.
    """
    now = target.now()

    def of(region: str) -> Iterator[Job]:
        for raw in listed(target, "customJobs", wanted, page, region):
            job = _told(target, raw, now)
            if wanted.name in ("", job.name) and STUDY not in job.labels:  # a star in a filter means any text
                yield job

    everywhere = (of(region) for region in ("", *target.account.also))
    return heapq.merge(*everywhere, key=lambda job: job.created, reverse=True)


def listed(target: Target, collection: str, wanted: Wanted, page: int, region: str = "") -> Iterator[dict[str, Any]]:
    """The JSON of jobs of a collection that the service takes for wanted; of the account's region, or another."""
    terms = [" OR ".join(f'state="JOB_STATE_{state}"' for state in wanted.states)] if wanted.states else []
    terms += [f"display_name={quoted(wanted.name)}"] if wanted.name else []
    labels = {**({} if wanted.everything else {"managed-by": MANAGED}), **wanted.labels}
    labels |= {"trainer": wanted.trainer} if wanted.trainer else {}
    terms += [f"labels.{key}={quoted(value)}" for key, value in labels.items()]
    if wanted.since:
        terms.append(f'create_time>="{wanted.since.astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"')
    params = {
        "pageSize": page,
        "fields": f"nextPageToken,{collection}({_TOLD[collection]})",
        **({"filter": " AND ".join(f"({term})" for term in terms)} if terms else {}),
    }
    return pages(target, url(target, collection, region), collection, _("list the jobs"), params)


def quoted(text: str) -> str:
    """A text as a value in the service's filter language."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _told(target: Target, raw: dict[str, Any], now: datetime.datetime | None = None) -> Job:
    """A job as the service told it, with the console's pages about it where the account is on Google.

    `now` is what time it is at the account's cloud, where that was asked for before.
    """
    job = parse(raw, now or target.now())
    if not target.account.costs_money:
        return job
    return shown(target, job)


def shown(target: Target, job: Job) -> Job:
    """The job with the console's pages about it."""
    page = f"vertex-ai/locations/{job.region}/training/{job.id}"
    query = f'resource.type="ml_job" resource.labels.job_id="{job.id}"'
    return in_console(job, target.account.project, page, query)


def parse(raw: dict[str, Any], now: datetime.datetime | None = None) -> Job:
    """A CustomJob's JSON as a Job. `now` is when its cost is counted to, while it runs."""
    spec = raw.get("jobSpec", {})
    pools = spec.get("workerPoolSpecs") or [{}]
    machine = pools[0].get("machineSpec", {})
    scheduling = spec.get("scheduling", {})
    strategy = scheduling.get("strategy", "STANDARD")
    region = raw.get("name", "").split("/")[3] if raw.get("name", "").count("/") >= 5 else ""
    started, ended = maybe(raw.get("startTime")), maybe(raw.get("endTime"))
    now = now or datetime.datetime.now(datetime.UTC)
    seconds = max(((ended or now) - started).total_seconds(), 0.0) if started else 0.0
    price = hourly(pools, region, is_spot(spec))
    each = price.amount if price else None
    limit = int(float(str(scheduling.get("timeout", f"{limits.LONGEST}s")).rstrip("s"))) or limits.LONGEST
    again = restarts(strategy, bool(scheduling.get("disableRetries")))
    billed = charged(started, ended or now, limit * (1 + again))
    cost = None if each is None else (each * billed / 3600).quantize(Decimal("0.0001"))
    state = raw.get("state", "JOB_STATE_UNSPECIFIED").removeprefix("JOB_STATE_")
    worst = None if each is None else limits.worst_case(each, limit, again)
    return Job(
        id=raw.get("name", "").rsplit("/", 1)[-1],
        name=raw.get("displayName", ""),
        resource=raw.get("name", ""),
        trainer=raw.get("labels", {}).get("trainer", ""),
        state=state,
        region=region,
        machine=machine.get("machineType", ""),
        accelerator=_known(machine.get("acceleratorType", "")),
        count=int(machine.get("acceleratorCount", 0)),
        replicas=sum(int(p.get("replicaCount", 1)) for p in pools),
        spot=is_spot(spec),
        limit_seconds=limit,
        restarts=again,
        created=maybe(raw.get("createTime")) or now,
        started=started,
        ended=ended,
        error=raw.get("error", {}).get("message", ""),
        output=spec.get("baseOutputDirectory", {}).get("outputUriPrefix", ""),
        seconds=seconds,
        hourly=each,
        cost=cost,
        worst_case=cost if state in ENDED else worst,
        currency=price.currency if price else "USD",
        price_date=price.as_of if price else "",
        labels=raw.get("labels", {}),
        arguments=arguments_of(pools[0].get("containerSpec", {}).get("args", [])),
        waits_until=None if started or state in ENDED else _waits_until(scheduling, raw),
        billed=billed,
    )


def _waits_until(scheduling: dict[str, Any], raw: dict[str, Any]) -> datetime.datetime | None:
    """When a FLEX_START job that got no machines ends; None for one that waits for ever, or isn't of these."""
    if scheduling.get("strategy") != FLEX_START or not (created := maybe(raw.get("createTime"))):
        return None
    wait = float(str(scheduling.get("maxWaitDuration", f"{_FLEX_WAIT}s")).rstrip("s"))
    return created + datetime.timedelta(seconds=wait) if wait else None


def charged(started: datetime.datetime | None, ended: datetime.datetime, most: int = limits.LONGEST) -> Decimal:
    """For how many seconds machines are charged: by the half minute begun, and not beyond the time limit `most`.

    https://cloud.google.com/vertex-ai/pricing#custom-trained_models: usage is billed in 30-second increments. Moments
    count by the whole second. A job that is out of time is ended a moment later.
    """
    if started is None:
        return Decimal(0)
    seconds = min(max(int(ended.timestamp()) - int(started.timestamp()), 1), most)
    return Decimal(-(-seconds // _GRANULE) * _GRANULE)


def is_spot(spec: Mapping[str, Any]) -> bool:
    """Whether a CustomJobSpec asks for Spot machines."""
    return spec.get("scheduling", {}).get("strategy") == "SPOT"


def hourly(pools: list[dict[str, Any]], region: str, spot: bool) -> Price | None:
    """The price of an hour of all pools, None when the catalogue lacks the machine."""
    total = None
    for pool in pools:
        machine, disk = pool.get("machineSpec", {}), pool.get("diskSpec", {})
        try:
            price = prices.job_hour(
                machine.get("machineType", ""),
                region,
                _known(machine.get("acceleratorType", "")),
                int(machine.get("acceleratorCount", 0)),
                int(pool.get("replicaCount", 1)),
                spot,
                int(disk.get("bootDiskSizeGb") or prices.DISK_GB),
                disk.get("bootDiskType") or prices.DISK_KIND,
            )
        except UnknownName:
            return None
        total = total.plus(price) if total else price
    return total


def _known(accelerator: str) -> str:
    return "" if accelerator == "ACCELERATOR_TYPE_UNSPECIFIED" else accelerator


def host(target: Target, region: str = "") -> str:
    """The service in a region, "" for the account's own."""
    return f"https://{region or target.account.region}-aiplatform.googleapis.com/v1"


def url(target: Target, collection: str = "customJobs", region: str = "") -> str:
    """The collection of all jobs of a kind in a region, "" for the account's own."""
    account, region = target.account, region or target.account.region
    return f"{host(target, region)}/projects/{account.project}/locations/{region}/{collection}"
