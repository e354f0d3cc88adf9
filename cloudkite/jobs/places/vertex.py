"""Training jobs of Vertex AI: create, look up, list, cancel."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from catalog.book import UnknownName
from catalog.prices import Price
from cloudkite.accounts.api import LONGEST, Passing, call, pages
from cloudkite.accounts.target import Target
from cloudkite.jobs.body import MANAGED, JobSpec, body, restarts
from cloudkite.jobs.job import ENDED, Job, Unsure, Wanted, arguments_of, in_console, maybe
from cloudkite.money import limits, prices
from cloudkite.show.errors import UserError
from cloudkite.show.text import _

_GRANULE = 30  # seconds; time is billed in such steps
_NOT_TAKEN = frozenset({429, 503})  # answers by which a service says that it did nothing
_PAUSES = (1.0, 2.0, 5.0)  # seconds before a submission that was not taken is sent again


def create(target: Target, spec: JobSpec) -> Job:
    """Submit a job, once: an answer that was lost may be a job that runs, and is paid for.

    So after a failure the job is looked up by its output folder, which no other has. It is sent again only where the
    service said that it did not take it (429, 503) and it is not there either.
    """
    wanted = body(spec)
    for pause in (*_PAUSES, None):
        try:
            return _told(target, call(target, "POST", _url(target), _("submit the job"), body=wanted))
        except Passing as failed:
            if failed.http != 429 and (found := _submitted(target, spec, failed)):
                return found
            if failed.http not in _NOT_TAKEN:
                hint = _("no job {name} is there: look again with `uv run invoke jobs` before you try again")
                raise Unsure(failed.message, hint.format(name=spec.name)) from None
            if pause is None or failed.wait > LONGEST:
                raise
            time.sleep(max(pause, failed.wait))
    raise UserError(_("submit the job"))  # not reached: the last round returns or raises


def _submitted(target: Target, spec: JobSpec, failed: Passing) -> Job | None:
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
    """The job with that id."""
    return _told(target, call(target, "GET", f"{_url(target)}/{job}", _("look up job {id}").format(id=job)))


def cancel(target: Target, job: str) -> None:
    """Ask the service to stop a job; it ends a little later. A job that has ended already stays as it is."""
    if not get(target, job).active:
        return
    try:
        call(target, "POST", f"{_url(target)}/{job}:cancel", _("cancel job {id}").format(id=job), body={}, again=True)
    except UserError:  # a second try is refused when the first was heard, and only its answer was lost
        if get(target, job).state not in {*ENDED, "CANCELLING"}:
            raise


def search(target: Target, wanted: Wanted, page: int = 100) -> Iterator[Job]:
    """Jobs that are wanted, newest first, as many as are asked for; `page` is how many one request brings."""
    terms = [" OR ".join(f'state="JOB_STATE_{state}"' for state in wanted.states)] if wanted.states else []
    terms += [f"display_name={quoted(wanted.name)}"] if wanted.name else []
    labels = {**({} if wanted.everything else {"managed-by": MANAGED}), **wanted.labels}
    labels |= {"trainer": wanted.trainer} if wanted.trainer else {}
    terms += [f"labels.{key}={quoted(value)}" for key, value in labels.items()]
    if wanted.since:
        terms.append(f'create_time>="{wanted.since.astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"')
    params = {"pageSize": page, **({"filter": " AND ".join(f"({term})" for term in terms)} if terms else {})}
    now = target.now()
    for raw in pages(target, _url(target), "customJobs", _("list the jobs"), params):
        job = _told(target, raw, now)
        if wanted.name in ("", job.name):  # a star in a filter means any text
            yield job


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
    price = _hourly(pools, region, strategy == "SPOT")
    hourly = price.amount if price else None
    limit = int(float(str(scheduling.get("timeout", f"{limits.LONGEST}s")).rstrip("s")))
    again = restarts(strategy, bool(scheduling.get("disableRetries")))
    billed = -(-seconds // _GRANULE) * _GRANULE
    cost = None if hourly is None else (hourly * Decimal(billed) / 3600).quantize(Decimal("0.0001"))
    state = raw.get("state", "JOB_STATE_UNSPECIFIED").removeprefix("JOB_STATE_")
    worst = None if hourly is None else limits.worst_case(hourly, limit, again)
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
        spot=strategy == "SPOT",
        limit_seconds=limit,
        restarts=again,
        created=maybe(raw.get("createTime")) or now,
        started=started,
        ended=ended,
        error=raw.get("error", {}).get("message", ""),
        output=spec.get("baseOutputDirectory", {}).get("outputUriPrefix", ""),
        seconds=seconds,
        hourly=hourly,
        cost=cost,
        worst_case=cost if state in ENDED else worst,
        currency=price.currency if price else "USD",
        price_date=price.as_of if price else "",
        labels=raw.get("labels", {}),
        arguments=arguments_of(pools[0].get("containerSpec", {}).get("args", [])),
    )


def _hourly(pools: list[dict[str, Any]], region: str, spot: bool) -> Price | None:
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


def _url(target: Target) -> str:
    account = target.account
    host = f"https://{account.region}-aiplatform.googleapis.com/v1"
    return f"{host}/projects/{account.project}/locations/{account.region}/customJobs"
