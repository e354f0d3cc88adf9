"""What runs in a project and costs by the hour, whose it is, and how it is ended.

What carries the label managed-by=cloudkite is the account's own; everything else is told and left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .cloud import Refused, Session, call, pages

OURS = ("managed-by", "cloudkite")
_LONGEST = 120.0  # seconds that an undeployment is waited for
_VERTEX = "https://{region}-aiplatform.googleapis.com/v1/"
_RUN = "https://run.googleapis.com/v2/"
_PLACE = "projects/{project}/locations/{region}/"
# The kinds of Vertex AI that run for a while, and how the states are called in which they go on.
# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/JobState, .../v1/PipelineState
_GOING = frozenset({"QUEUED", "PENDING", "RUNNING", "PAUSED", "UPDATING"})
_JOBS = {
    "customJobs": "job",
    "hyperparameterTuningJobs": "tuning job",
    "batchPredictionJobs": "batch prediction",
    "trainingPipelines": "training pipeline",
    "pipelineJobs": "pipeline",
}


@dataclass(frozen=True)
class Running:
    """One thing: `name` is its full resource name, `title` what a person called it, `ours` whether it is labelled so.

    `end(session)` ends it, and is no error where it has ended meanwhile; it raises Refused.
    """

    kind: str
    name: str
    title: str
    ours: bool
    end: Callable[[Session], None] = field(compare=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.title or '(no name)'} ({self.name.partition('/locations/')[2] or self.name})"


def find(session: Session, project: str, regions: Sequence[str]) -> tuple[list[Running], list[str]]:
    """All that runs in these regions, and what could not be looked at, each with the reason: it hides nothing else."""
    found, unseen = [], []
    for region in regions:
        for look in (_vertex, _endpoints, _run):
            try:
                found += look(session, project, region)
            except (Refused, OSError) as error:
                unseen.append(f"{look.__name__.strip('_')} in {region}: {error}")
    return found, unseen


def is_ours(labels: Mapping[str, str] | None) -> bool:
    """Whether labels say that Cloudkite made it."""
    return (labels or {}).get(OURS[0]) == OURS[1]


def _vertex(session: Session, project: str, region: str) -> Iterator[Running]:
    base = _VERTEX.format(region=region)
    for collection, kind in _JOBS.items():
        url = base + _PLACE.format(project=project, region=region) + collection
        for one in pages(session, url, collection, pageSize=100):
            if _state(one) in _GOING:
                yield Running(
                    kind, one["name"], one.get("displayName", ""), is_ours(one.get("labels")), _cancel(base, one)
                )


def _state(one: Mapping[str, Any]) -> str:
    return str(one.get("state", "")).removeprefix("JOB_STATE_").removeprefix("PIPELINE_STATE_")


def _cancel(base: str, one: Mapping[str, Any]) -> Callable[[Session], None]:
    def end(session: Session) -> None:
        try:
            call(session, "POST", f"{base}{one['name']}:cancel", json={})
        except Refused:
            if _state(call(session, "GET", base + one["name"])) in _GOING:
                raise

    return end


def _endpoints(session: Session, project: str, region: str) -> Iterator[Running]:
    base = _VERTEX.format(region=region)
    url = base + _PLACE.format(project=project, region=region) + "endpoints"
    for one in pages(session, url, "endpoints", pageSize=100):
        if one.get("deployedModels"):
            ours = is_ours(one.get("labels"))
            yield Running("endpoint", one["name"], one.get("displayName", ""), ours, _undeploy(base, one["name"]))


def _undeploy(base: str, name: str) -> Callable[[Session], None]:
    """Takes one model after the other off: what is left gets the traffic until nothing is left."""

    def end(session: Session) -> None:
        while True:
            models = [model["id"] for model in call(session, "GET", base + name).get("deployedModels", [])]
            if not models:
                return
            body = {"deployedModelId": models[0], "trafficSplit": {models[-1]: 100} if len(models) > 1 else {}}
            _finish(session, base, call(session, "POST", f"{base}{name}:undeployModel", json=body))

    return end


def _finish(session: Session, base: str, operation: dict[str, Any]) -> None:
    until, pause = time.monotonic() + _LONGEST, 0.1
    while not operation.get("done"):
        if time.monotonic() > until:
            raise Refused(504, f"{operation['name']} takes longer than {_LONGEST:.0f} seconds")
        time.sleep(pause)
        pause = min(pause * 2, 5.0)
        operation = call(session, "GET", base + operation["name"])
    if error := operation.get("error"):
        raise Refused(400, str(error.get("message", error)))


def _run(session: Session, project: str, region: str) -> Iterator[Running]:
    """Executions of Cloud Run jobs: they carry their own labels, or their job does."""
    place = _RUN + _PLACE.format(project=project, region=region)
    try:
        jobs = {one["name"]: one for one in pages(session, place + "jobs", "jobs", pageSize=100)}
    except Refused as refused:
        if refused.code in (400, 404):  # Cloud Run isn't in every region in which Vertex AI is
            return
        raise
    for one in pages(session, place + "jobs/-/executions", "executions", pageSize=100) if jobs else ():
        if one.get("completionTime"):
            continue
        job = jobs.get(one["name"].partition("/executions/")[0], {})
        ours = is_ours(one.get("labels")) or is_ours(job.get("labels"))
        title = str(job.get("name", "")).rpartition("/")[2]
        yield Running("Cloud Run execution", one["name"], title, ours, _cancel_execution(one["name"]))


def _cancel_execution(name: str) -> Callable[[Session], None]:
    def end(session: Session) -> None:
        try:
            call(session, "POST", f"{_RUN}{name}:cancel", json={})
        except Refused:
            if not call(session, "GET", _RUN + name).get("completionTime"):
                raise

    return end
