"""Tuning jobs of Vertex AI: create, look up, list, cancel; a try is a job of its own, which is priced as such."""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from cloudkite.accounts.api import call
from cloudkite.accounts.target import Target
from cloudkite.jobs.body import JobSpec, tuning_body
from cloudkite.jobs.job import ENDED, TUNING, Job, Wanted
from cloudkite.jobs.places import vertex
from cloudkite.money import limits
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import read_json, write_atomically

_KIND = "hyperparameterTuningJobs"
_KNOWN = "tries.json"  # in the account's state: what ended tries ran. It can be deleted; they are then asked again
_MOST_KNOWN = 5000
_AT_ONCE = 8  # requests
_ENDED_TRIALS = ("SUCCEEDED", "INFEASIBLE")
_OF_A_RUN = ("state", "createTime", "startTime", "endTime", "error")

Body = Mapping[str, Any]
State = Literal["waiting", "running", "done", "pruned", "failed", "killed"]  # of a try


@dataclass(frozen=True)
class Look:
    """A tuning job as it is now: Google's JSON, what Cloudkite tells of it, and each try's own job by its number."""

    raw: dict[str, Any]
    job: Job
    runs: dict[str, Job]


def create(target: Target, spec: JobSpec) -> Job:
    """Submit a tuning job, once."""
    place = vertex.url(target, _KIND)
    return _look(target, vertex.submit_once(target, spec, place, tuning_body(spec), search)).job


def get(target: Target, job: str) -> Job:
    """The tuning job with that id."""
    return look(target, job).job


def look(target: Target, job: str) -> Look:
    """The same with its tries."""
    place = f"{vertex.url(target, _KIND)}/{job}"
    return _look(target, call(target, "GET", place, _("look up job {id}").format(id=job)))


def cancel(target: Target, job: str) -> None:
    """Ask the service to stop a tuning job and its tries; they end a little later. One that has ended stays so."""
    vertex.stop(target, _KIND, job, get)


def search(target: Target, wanted: Wanted, page: int = 100) -> Iterator[Job]:
    """Tuning jobs that are wanted, newest first, as many as are asked for."""
    now = target.now()
    for raw in vertex.listed(target, _KIND, wanted, page):
        if wanted.name in ("", raw.get("displayName")):  # a star in a filter means any text
            yield _look(target, raw, now).job


def best(target: Target, job: Job) -> Job:
    """A tuning job with the output folder of its best try, where a model lies as in a job's. Raises UserError."""
    found = look(target, job.id)
    metric = found.raw["studySpec"]["metrics"][0]
    sign = 1 if metric.get("goal") == "MAXIMIZE" else -1
    done = [
        (sign * value, found.runs[one["id"]].output)
        for one in found.raw.get("trials", [])
        if state_of(one, found.runs[one["id"]], found.job.state) == "done"
        if (value := measured(one, metric["metricId"])) is not None
    ]
    if not done:
        raise UserError(_("no try of {name} has succeeded").format(name=job.name))
    return replace(found.job, output=max(done, key=lambda one: one[0])[1])


def measured(trial: Body, metric: str) -> float | None:
    """A trial's metric: the one that counts, or the last while it runs."""
    rows = [trial["finalMeasurement"]] if "finalMeasurement" in trial else trial.get("measurements", [])[-1:]
    return next((float(one["value"]) for row in rows for one in row.get("metrics", []) if one["metricId"] == metric
                 and "value" in one), None)  # fmt: skip


def _look(target: Target, raw: dict[str, Any], now: datetime.datetime | None = None) -> Look:
    now = now or target.now()
    job, runs = parse(raw, _ran(target, raw), now)
    return Look(raw, vertex.shown(target, job) if target.account.costs_money else job, runs)


def parse(raw: Body, ran: Mapping[str, Body], now: datetime.datetime) -> tuple[Job, dict[str, Job]]:
    """A HyperparameterTuningJob's JSON as a Job, with the job of each try by its number.

    `ran` has the JSON of tries' own jobs by their names: their times are what is billed. Where one is missing, the
    trial's times stand for it, which begin before it has a machine. `now` is when costs are counted to.
    """
    each = vertex.parse({**raw, "jobSpec": raw.get("trialJobSpec", {})}, now)
    runs = {one["id"]: _run(raw, one, ran, now) for one in raw.get("trials", [])}
    states = [state_of(one, runs[one["id"]], each.state) for one in raw.get("trials", [])]
    most, parallel = int(raw.get("maxTrialCount", 1)), int(raw.get("parallelTrialCount", 1))
    ended = sum(state not in ("waiting", "running") for state in states)
    cost = worst = None
    if each.hourly is not None:
        cost = sum((run.cost or Decimal(0) for run in runs.values()), Decimal(0))
        paid = sum((run.cost or Decimal(0) for run in runs.values() if not run.active), Decimal(0))
        open_ = each.hourly * max(most - ended, 0)
        worst = cost if each.state in ENDED else paid + limits.worst_case(open_, each.limit_seconds, each.restarts)
    job = replace(
        each,
        hourly=None if each.hourly is None else each.hourly * parallel,
        cost=cost,
        billed=sum((run.billed for run in runs.values()), Decimal(0)) / parallel,
        worst_case=worst,
        place=TUNING,
        parallel=parallel,
        tries={"all": most, **{state: states.count(state) for state in dict.fromkeys(states)}},
    )
    return job, runs


def state_of(trial: Body, run: Job, job: str) -> State:
    """The state of a try; `job` is the state of the whole.

    A trial that the study's rule stopped has succeeded, and its job was cancelled.
    """
    state = trial.get("state", "")
    if state not in _ENDED_TRIALS:
        if job in ENDED:
            return "killed"
        return "waiting" if run.started is None else "running"
    if state == "SUCCEEDED":
        return "pruned" if run.state == "CANCELLED" else "done"
    return "killed" if run.state == "CANCELLED" else "failed"


def _run(raw: Body, trial: Body, ran: Mapping[str, Body], now: datetime.datetime) -> Job:
    """The job of a try."""
    known = ran.get(trial.get("customJob", "")) or {
        "state": {"SUCCEEDED": "JOB_STATE_SUCCEEDED", "INFEASIBLE": "JOB_STATE_FAILED"}.get(trial.get("state", ""), ""),
        **{key: trial[key] for key in ("startTime", "endTime") if key in trial},
    }
    base = raw.get("trialJobSpec", {}).get("baseOutputDirectory", {}).get("outputUriPrefix", "")
    run = {**known, "name": raw.get("name", ""), "jobSpec": raw.get("trialJobSpec", {})}
    output = f"{base.rstrip('/')}/{trial['id']}/" if base else ""
    return replace(vertex.parse(run, now), id=trial.get("customJob", "").rpartition("/")[2], output=output)


def _ran(target: Target, raw: Body) -> dict[str, dict[str, Any]]:
    """What the jobs of a tuning job's tries ran, by their names. What has ended is asked once, then kept here."""
    names = [one["customJob"] for one in raw.get("trials", []) if one.get("customJob")]
    file = target.account.state / _KNOWN
    known: dict[str, dict[str, Any]] = {}
    with contextlib.suppress(OSError, ValueError):
        kept = read_json(file)
        known = {name: row for name, row in kept.items() if isinstance(row, dict)} if isinstance(kept, dict) else {}
    asked = [name for name in names if name not in known]
    if asked:
        with ThreadPoolExecutor(_AT_ONCE) as together:
            answers = list(together.map(lambda name: _asked(target, name), asked))
        told = {name: row for name, row in zip(asked, answers, strict=True) if row}
        if ended := {name: row for name, row in told.items() if "endTime" in row}:
            newest = dict([*known.items(), *ended.items()][-_MOST_KNOWN:])
            with contextlib.suppress(OSError):  # then they are asked again
                write_atomically(file, json.dumps(newest))
        known |= told
    return {name: known[name] for name in names if name in known}


def _asked(target: Target, name: str) -> dict[str, Any]:
    """The parts of a try's job that matter; {} where it can't be had."""
    try:
        row = call(target, "GET", f"{vertex.host(target)}/{name}", _("look up job {id}").format(id=name))
    except UserError:
        return {}
    return {key: row[key] for key in _OF_A_RUN if key in row}
