"""Reads how long the epochs of jobs took, each ended job once: from the times of the lines that its trainer wrote.

What was read is kept in a file of the account's folder, which is only a copy: without it, or where it is damaged, the
jobs are read again, as long as their logs are kept (30 days: infra/logs.py).
"""

from __future__ import annotations

import datetime
import itertools
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from cloudkite.accounts.target import Target
from cloudkite.jobs import facts, logs, service
from cloudkite.jobs.job import TUNING, Job
from cloudkite.jobs.logs import Line
from cloudkite.money.measured.speed import Measurements, Run, Setup, options, relevant
from cloudkite.workspace import read_json, write_atomically

_KEPT = "measured.json"  # in the account's folder
_FORMAT = 1
_LOOKED_AT = 200  # of the newest jobs of a trainer
_AT_ONCE = 4  # requests
_MOST = 20  # jobs are read by one command: a project may read 60 pages of logs a minute
_PAUSE = 5  # times the usual: an epoch that was interrupted, by a preemption for example, is none
_MOST_KEPT = 2000  # jobs
_LATE = datetime.timedelta(minutes=2)
_EPOCHS = "jsonPayload.epoch>0"


def of_trainer(target: Target, trainer: str) -> Measurements:
    """The measured runs of a trainer's jobs that succeeded, in this account. Raises UserError.

    On a local cloud a job for accelerators is a rehearsal on this machine's CPU, which tells nothing about them: it is
    left out, and so are tuning jobs, whose tries differ in what they do.
    """
    path = target.account.state / _KEPT
    kept = _kept(path, target.cloud)
    found = (one for one in service.search(target, trainer=trainer, states=("SUCCEEDED",)) if one.place != TUNING)
    ended = [job for job in itertools.islice(found, _LOOKED_AT) if target.account.costs_money or not job.accelerator]
    new = [job for job in ended if job.id not in kept]
    if new:
        with ThreadPoolExecutor(_AT_ONCE) as beside:
            read = list(beside.map(lambda job: _read(target, job), new[:_MOST]))
        added = {job.id: _Row(trainer, run) for job, run in zip(new, read, strict=False)}
        whole = {job.id: added[job.id] for job in new[:_MOST] if _indexed(target, job)}
        kept = {**_kept(path, target.cloud), **whole}  # another command may have kept some in the meantime
        if whole:
            _keep(path, target.cloud, kept)
        kept |= added
    runs = [row.run for row in kept.values() if row.run and row.trainer == trainer]
    return Measurements(tuple(sorted(runs, key=lambda run: run.created, reverse=True)), len(new[_MOST:]))


@dataclass(frozen=True)
class _Row:
    """What is kept of one job: `run` None where there was nothing to measure."""

    trainer: str
    run: Run | None


def _indexed(target: Target, job: Job) -> bool:
    """Whether its log is whole: on Google, lines may be found a little later than they were written."""
    return not target.account.costs_money or job.ended is None or target.now() - job.ended > _LATE


def _read(target: Target, job: Job) -> Run | None:
    """One job's run; None for one without two epochs one after the other. Raises UserError."""
    lines = list(logs.read(target, job, only=_EPOCHS))
    each = epoch_seconds(lines)
    if each is None or not job.seconds:
        return None
    epochs = len({line.fields["epoch"] for line in lines})
    left = _facts(target, job)
    rows = left.get("rows", {}).get("training")
    given = options(job.arguments)
    return Run(
        job=job.name,
        created=job.created.isoformat(),
        setup=Setup(job.place, job.machine, job.accelerator, job.count, job.replicas),
        spot=job.spot,
        epochs=epochs,
        epoch_seconds=each,
        rest_seconds=max(job.seconds - epochs * each, 0.0),
        rows=rows if isinstance(rows, int) and rows > 0 else None,
        given=given,
        used=relevant(used) if isinstance(used := left.get("run", {}).get("options"), dict) else given,
    )


def epoch_seconds(lines: Sequence[Line]) -> float | None:
    """The seconds of an epoch after the first, which also builds the graph; None where no two follow one another."""
    times = [(line.fields["epoch"], line.time) for line in lines if isinstance(line.fields.get("epoch"), int | float)]
    between = [
        (after - before).total_seconds()
        for (one, before), (other, after) in itertools.pairwise(times)
        if other == one + 1 and after > before
    ]
    if not between:
        return None
    usual = median(between)
    return fmean(seconds for seconds in between if seconds <= _PAUSE * usual)


def _facts(target: Target, job: Job) -> dict[str, Any]:
    """What the trainer wrote of the run beside its model, {} where there is nothing. Raises UserError."""
    try:
        return facts.read(target, job.output)
    except facts.Missing:
        return {}


def _kept(path: Path, cloud: str) -> dict[str, _Row]:
    """What was read before of this cloud's jobs; {} where that is damaged, or of another version."""
    try:
        found = read_json(path)
        if (found["format"], found["cloud"]) != (_FORMAT, cloud):
            return {}
        return {str(job): _row(row) for job, row in found["jobs"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _row(row: Mapping[str, Any]) -> _Row:
    run = row["run"]
    if run is None:
        return _Row(str(row["trainer"]), None)
    made = Run(**{**run, "setup": Setup(**run["setup"]), "given": dict(run["given"]), "used": dict(run["used"])})
    if not (made.epoch_seconds > 0 and made.rest_seconds >= 0):
        raise ValueError(made.job)
    return _Row(str(row["trainer"]), made)


def _keep(path: Path, cloud: str, rows: Mapping[str, _Row]) -> None:
    newest = list(rows.items())[-_MOST_KEPT:]
    write_atomically(path, json.dumps({"format": _FORMAT, "cloud": cloud, "jobs": {k: asdict(v) for k, v in newest}}))
