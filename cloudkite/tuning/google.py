"""The engine "google": tuning jobs of Vertex AI, whose tries its service chooses, runs at once and stops early.

The jobs are all that is kept: one is found again by its labels, so a command that was killed is gone on with by the
next. What a study is made of: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/StudySpec
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudkite.accounts.api import Passing
from cloudkite.accounts.target import Target
from cloudkite.jobs import logs, plans
from cloudkite.jobs.body import STUDY, check_label
from cloudkite.jobs.job import Job, Wanted
from cloudkite.jobs.places import tuning
from cloudkite.jobs.places.tuning import Look
from cloudkite.jobs.plans import Plan
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _
from cloudkite.tuning.space import Parameter, Space
from cloudkite.tuning.study import Try

SPACE = "tuning-space"  # the label of a tuning job: the mark of what it tries
_OUTAGE = 300  # seconds that the service may stay silent while a job is watched
COUNTED = ("done", "pruned")  # states of tries that gave a measurement


@dataclass(frozen=True)
class Found:
    """A study: its jobs, newest first, and what they tried until now; numbers go on from job to job."""

    name: str
    jobs: tuple[Job, ...]
    tries: tuple[Try, ...]

    @property
    def newest(self) -> Job | None:
        """The job that was started last; None where nothing was."""
        return self.jobs[0] if self.jobs else None

    @property
    def running(self) -> Job | None:
        """The job that has not ended."""
        return next((job for job in self.jobs if job.active), None)

    def before(self, job: Job) -> tuple[Try, ...]:
        """The tries of the jobs before that one."""
        return tuple(one for one in self.tries if not one.output.startswith(job.output))

    @property
    def counted(self) -> int:
        """How many tries gave a measurement."""
        return sum(one.state in COUNTED for one in self.tries)


def study_spec(space: Space) -> dict[str, Any]:
    """The StudySpec of a space. Raises BadValue for what Google's service can't give a trainer.

    A try is stopped when its best is below the median of the others' averages at that step.
    """
    return {
        "metrics": [{"metricId": space.tag, "goal": space.goal.upper()}],
        "parameters": [_parameter(one) for one in space.parameters],
        "medianAutomatedStoppingSpec": {"useElapsedDuration": False},
    }


def _parameter(one: Parameter) -> dict[str, Any]:
    scale = {"scaleType": "UNIT_LOG_SCALE" if one.log else "UNIT_LINEAR_SCALE"}
    if one.kind == "whole":
        whole = {"minValue": str(int(one.low)), "maxValue": str(int(one.high))}
        return {"parameterId": one.name, "integerValueSpec": whole, **scale}
    if one.kind == "real":
        real = {"minValue": float(one.low), "maxValue": float(one.high)}
        return {"parameterId": one.name, "doubleValueSpec": real, **scale}
    if any(isinstance(value, bool) for value in one.choices):
        raise BadValue(
            _("--{name} has no value, and Google's service gives each option one").format(name=one.name),
            _("leave it out of tuning.toml, or take --engine here"),
        )
    if all(isinstance(value, int | float) for value in one.choices):
        values = sorted(float(value) for value in one.choices)
        return {"parameterId": one.name, "discreteValueSpec": {"values": values}, **scale}
    return {"parameterId": one.name, "categoricalValueSpec": {"values": [str(value) for value in one.choices]}}


def sample(study: Mapping[str, Any]) -> list[str]:
    """One value of each parameter as the service gives it to a trainer, to see whether that takes them."""
    found = []
    for one in study.get("parameters", []):
        kind = next(key for key in one if key.endswith("ValueSpec"))
        value = one[kind]["values"][0] if "values" in one[kind] else one[kind]["minValue"]
        whole = kind == "discreteValueSpec" and float(value).is_integer()
        found.append(f"--{one['parameterId']}={int(value) if whole else value}")
    return found


def planned(
    plan: Plan, space: Space, name: str, mark: str, tries: int, parallel: int, max_cost: str, limit: str
) -> Plan:
    """The plan of a tuning job for the study `name`, each of whose tries is the job of `plan`. Raises BadValue."""
    made = plans.tuned(plan, study_spec(space), tries, parallel, max_cost, limit)
    return dataclasses.replace(made, name=name, labels={**made.labels, STUDY: name, SPACE: mark})


def mark(space: Space, arguments: Sequence[str], fingerprint: str) -> str:
    """What is the same for jobs that try the same; `fingerprint` is that of the trainer's code and data."""
    text = json.dumps([study_spec(space), list(arguments), fingerprint], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def find(target: Target, trainer: str, name: str, mark: str) -> Found:
    """The study of that name with its jobs, whoever started them, and their tries; without a name the newest of that
    mark. Nothing is found where there is none. Raises BadValue for a name whose study tries something else."""
    check_label(STUDY, name)
    if not name:
        newest = next(tuning.search(target, Wanted(trainer=trainer, labels={SPACE: mark}), 1), None)
        if newest is None:
            return Found("", (), ())
        name = newest.labels[STUDY]
    jobs = tuple(tuning.search(target, Wanted(trainer=trainer, labels={STUDY: name})))
    if jobs and jobs[0].labels.get(SPACE) != mark:
        said = _("study {name} was begun with other code, data, arguments or another tuning.toml")
        end = _("uv run invoke cancel {job} ends it; ").format(job=jobs[0].name) if jobs[0].active else ""
        raise BadValue(said.format(name=name), end + _("--name {name}-2 begins another one").format(name=name))
    tries: list[Try] = []
    for job in reversed(jobs):
        tries += tries_of(tuning.look(target, job.id), len(tries))
    return Found(name, jobs, tuple(tries))


def watch(target: Target, job: Job, before: int = 0) -> Iterator[tuple[Job, list[Try]]]:
    """The job and its tries as they are, numbered from `before` + 1, again and again until it has ended.

    Looks often while it is young. Raises UserError after minutes without an answer; the job goes on all the same.
    """
    began = heard = time.monotonic()
    while True:
        try:
            look = tuning.look(target, job.id)
        except Passing as failed:
            if time.monotonic() - heard > _OUTAGE:
                hint = _("the tuning goes on without this command, and the same command finds it again")
                raise UserError(failed.message, hint) from None
        else:
            heard = time.monotonic()
            yield look.job, tries_of(look, before)
            if not look.job.active:
                return
        time.sleep(logs.pause(time.monotonic() - began))


def tries_of(look: Look, before: int = 0) -> list[Try]:
    """A tuning job's tries in order, numbered from `before` + 1."""
    kinds = {one["parameterId"]: one for one in look.raw.get("studySpec", {}).get("parameters", [])}
    metric = look.raw["studySpec"]["metrics"][0]["metricId"]
    found = []
    for trial in look.raw.get("trials", []):
        run = look.runs[trial["id"]]
        state = tuning.state_of(trial, run, look.job.state)
        given = trial.get("parameters", [])
        found.append(
            Try(
                number=before + int(trial["id"]),
                values={one["parameterId"]: _value(kinds.get(one["parameterId"], {}), one["value"]) for one in given},
                state=state,
                metric=tuning.measured(trial, metric),
                seconds=run.seconds,
                cost=run.cost,
                why=_why(state, trial, run),
                output=run.output,
            )
        )
    return found


def _value(parameter: Mapping[str, Any], value: Any) -> Any:
    """A value as it was written in the space: the service makes all numbers floats."""
    if isinstance(value, str) or "doubleValueSpec" in parameter:
        return value
    return int(value) if float(value).is_integer() else float(value)


def _why(state: str, trial: Mapping[str, Any], run: Job) -> str:
    """What became of a try, where that needs words."""
    if state == "failed":
        return trial.get("infeasibleReason") or run.error or _("it reported no metric")
    if state == "pruned":
        return _("stopped early: it was below the median of the others")
    if state == "killed":
        return _("ended with the whole tuning")
    return _("being stopped early") if trial.get("state") == "STOPPING" else ""
