"""Training jobs as Cloud Run jobs: create, look up, list, cancel, forget.

Each is a job of its own with one execution, because a job's configuration, and so what runs and as whom, is its own
alone. What is told of it is told by the execution, which has its labels; it is kept as the ledger of what was spent.
https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs
"""

from __future__ import annotations

import datetime
import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

from catalog import run
from catalog.book import UnknownName
from catalog.prices import Price
from cloudkite.accounts.api import Passing, call, pages, send, table
from cloudkite.accounts.target import Target
from cloudkite.jobs import body as request
from cloudkite.jobs.body import MANAGED, JobSpec
from cloudkite.jobs.job import ENDED, RUN, Job, Unsure, Wanted, arguments_of, in_console, maybe
from cloudkite.money import limits
from cloudkite.show.errors import UserError, from_google, is_off
from cloudkite.show.text import _

_BASE = "https://run.googleapis.com/v2"
NAME, OUTPUT = "cloudkite/name", "cloudkite/output"  # annotations: what labels can't hold
_LONGEST_ID = 49  # an execution's name is that of its job and six letters, and has 63 at most
_UNIQUE = 21  # letters at the end of a unique name that tell it from others: see body.new_name
_PATIENCE = 120.0  # seconds for a job to be ready, which takes Google a few
_PAUSE = 1.0
_REGISTRY = re.compile(r"[^/]*[.:][^/]*/.*")
_GIB = 1 << 30
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def body(spec: JobSpec) -> dict[str, Any]:
    """The Job to POST: the same wheel and start as on Vertex AI, and the variables that Vertex AI gives by itself.

    No retries: Cloud Run would also run a trainer again that fails by a mistake of its own, each time paid. Who wants
    to go on does so from the checkpoint, by `--continue`. Raises BadValue for labels that Google refuses.
    """
    shape = run.shape(spec.machine)
    labels = request.labels(spec)
    annotations = {NAME: spec.name, OUTPUT: spec.output}
    output = spec.output.rstrip("/")
    variables = {
        **request.environment(spec),
        "AIP_MODEL_DIR": f"{output}/model/",
        "AIP_CHECKPOINT_DIR": f"{output}/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR": f"{output}/logs/",
        "CLOUD_ML_JOB_ID": job_id(spec),  # by which a trainer knows that it is in the cloud
        **spec.environment,
    }
    container = {
        "image": image(spec.image),
        "command": ["python", "-c", request.bootstrap()],
        "args": [spec.wheel, spec.sha256, json.dumps(list(spec.pins)), "--", *spec.arguments],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "resources": {"limits": {"cpu": str(shape.cpus), "memory": shape.memory}},
    }
    return {
        "labels": labels,
        "annotations": annotations,
        "template": {
            "labels": labels,
            "annotations": annotations,
            "taskCount": 1,
            "template": {
                "containers": [container],
                "maxRetries": 0,
                "timeout": f"{spec.limit_seconds}s",
                "serviceAccount": spec.service_account,
                "executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2",
            },
        },
    }


def job_id(spec: JobSpec) -> str:
    """The job's id: the last part of its output folder, which no other job has."""
    unique = re.sub(r"[^a-z0-9]+", "-", spec.output.rstrip("/").rpartition("/")[2].lower()).strip("-")
    head, tail = unique[:-_UNIQUE], unique[-_UNIQUE:]
    head = f"job-{head}" if not head[:1].isalpha() else head
    return f"{head[: _LONGEST_ID - len(tail)].rstrip('-')}-{tail.lstrip('-')}"


def image(uri: str) -> str:
    """An image as Cloud Run takes it: one without a registry is Docker Hub's."""
    if _REGISTRY.fullmatch(uri):
        return uri
    return f"docker.io/{uri}" if "/" in uri else f"docker.io/library/{uri}"


def create(target: Target, spec: JobSpec) -> Job:
    """Submit a job, once: its id is chosen here, so what was sent twice is there once.

    An execution is begun only where there is none yet. Raises Unsure where it can't be told whether one was.
    """
    name = job_id(spec)
    doing = _("submit the job")
    made = send(target, "POST", _url(target), doing, again=True, params={"jobId": name}, json=body(spec))
    if not made.ok and made.status_code != 409:  # 409: the answer to the first try was lost
        raise from_google(made, doing, target.unpaid)
    if made.ok:
        _ready(target, table(made, doing), name)
    try:
        told = call(target, "POST", f"{_url(target)}/{name}:run", doing, body={})
        return _told(target, told["metadata"])
    except Passing as failed:
        return _begun(target, name, failed)


def _ready(target: Target, operation: dict[str, Any], name: str) -> None:
    """Wait until a job may run. Raises UserError where it can't, and forgets it."""
    ends = time.monotonic() + _PATIENCE
    doing = _("submit the job")
    while not operation.get("done"):
        if time.monotonic() > ends:
            raise UserError(_("Cloud Run does not get job {name} ready").format(name=name), "uv run invoke jobs")
        time.sleep(_PAUSE)
        operation = call(target, "GET", f"{_BASE}/{operation['name']}", doing)
    if error := operation.get("error"):
        send(target, "DELETE", f"{_url(target)}/{name}", doing, again=True)
        raise UserError(f"{doing}: {error.get('message', '')}")


def _begun(target: Target, name: str, failed: Passing) -> Job:
    """The execution that was begun though the answer says that it may not be. Raises UserError."""
    try:
        found = next(_executions(target, name), None)
    except UserError:
        hint = _("it may have been submitted: look with `uv run invoke jobs` before you try again")
        raise Unsure(failed.message, hint) from None
    if found is not None:
        return found
    send(target, "DELETE", f"{_url(target)}/{name}", _("submit the job"), again=True)
    raise failed


def get(target: Target, job: str) -> Job:
    """The job with that id. Raises UserError."""
    found = next(_executions(target, job), None)
    if found is None:
        raise UserError(_("job {id} was never started").format(id=job), "uv run invoke jobs")
    return found


def _executions(target: Target, job: str) -> Iterator[Job]:
    doing = _("look up job {id}").format(id=job)
    found = pages(target, f"{_url(target)}/{quote(job, safe='-')}/executions", "executions", doing)
    return (_told(target, raw) for raw in found)


def cancel(target: Target, job: str) -> None:
    """Ask the service to stop a job; it ends a little later. A job that has ended already stays as it is."""
    found = get(target, job)
    if not found.active:
        return
    try:
        doing = _("cancel job {id}").format(id=job)
        call(target, "POST", f"{_BASE}/{found.resource}:cancel", doing, body={}, again=True)
    except UserError:  # a second try is refused when the first was heard, and only its answer was lost
        if get(target, job).state not in {*ENDED, "CANCELLING"}:
            raise


def search(target: Target, wanted: Wanted) -> list[Job]:
    """Jobs that are wanted, newest first; none where the API is off, or a region has none of it."""
    if target.account.region not in run.regions():
        return []
    url, params, now = f"{_url(target)}/-/executions", {"pageSize": 1000}, target.now()
    rows = pages(target, url, "executions", _("list the jobs"), params, _absent)
    found = (_told(target, raw, now) for raw in rows)
    kept = [job for job in found if wanted.fits(job, MANAGED)]
    return sorted(kept, key=lambda job: job.created, reverse=True)


def forget(target: Target) -> int:
    """Delete Cloudkite's jobs with their executions; those that run end. Gives how many there were."""
    doing = _("delete what is kept of Cloud Run jobs")
    rows = pages(
        target, _url(target), "jobs", doing, {"pageSize": 1000}, lambda one: _absent(one) or one.status_code == 404
    )
    names = [one["name"] for one in rows if _is_ours(one.get("labels", {}))]
    for name in names:
        gone = send(target, "DELETE", f"{_BASE}/{name}", doing, again=True)
        if not gone.ok and gone.status_code != 404:
            raise from_google(gone, doing)
    return len(names)


def _absent(answer: Any) -> bool:
    """Whether there is no Cloud Run: its API is off, or a local cloud has none of it."""
    return is_off(answer) or answer.status_code == 501


def _is_ours(labels: Mapping[str, str]) -> bool:
    return labels.get("managed-by") == MANAGED


def _told(target: Target, raw: dict[str, Any], now: datetime.datetime | None = None) -> Job:
    """A job as the service told it, as in vertex.py."""
    job = parse(raw, now or target.now())
    if not target.account.costs_money:
        return job
    page = f"run/jobs/executions/details/{job.region}/{job.resource.rpartition('/')[2]}/tasks"
    query = f'resource.type="cloud_run_job" resource.labels.job_name="{job.id}"'
    return in_console(job, target.account.project, page, query)


def parse(raw: dict[str, Any], now: datetime.datetime | None = None) -> Job:
    """An Execution's JSON as a Job. `now` is when its cost is counted to, while it runs."""
    resource = raw.get("name", "")
    parts = resource.split("/")
    region, job = (parts[3], parts[5]) if len(parts) > 5 else ("", "")
    task = raw.get("template", {})
    container = (task.get("containers") or [{}])[0]
    asked = container.get("resources", {}).get("limits", {})
    annotations, tags = raw.get("annotations", {}), raw.get("labels", {})
    started, ended = maybe(raw.get("startTime")), maybe(raw.get("completionTime"))
    now = now or datetime.datetime.now(datetime.UTC)
    seconds = max(((ended or now) - started).total_seconds(), 0.0) if started else 0.0
    state, error = _state(raw)
    price = _hourly(asked, region, int(raw.get("taskCount", 1)))
    each = price.amount if price else None
    limit = int(float(str(task.get("timeout", f"{run.limits().timeout}s")).rstrip("s")))
    again = int(task.get("maxRetries", 0))
    cost = None if each is None else (each * billed(seconds) / 3600).quantize(Decimal("0.0001"))
    worst = None if each is None else limits.worst_case(each, max(limit, run.least_seconds()), again)
    return Job(
        id=job,
        name=annotations.get(NAME, job),
        resource=resource,
        trainer=tags.get("trainer", ""),
        state=state,
        region=region,
        machine=_machine(asked),
        accelerator="",
        count=0,
        replicas=int(raw.get("taskCount", 1)),
        spot=False,
        limit_seconds=limit,
        restarts=again,
        created=maybe(raw.get("createTime")) or now,
        started=started,
        ended=ended,
        error=error,
        output=annotations.get(OUTPUT, ""),
        seconds=seconds,
        hourly=each,
        cost=cost,
        worst_case=cost if state in ENDED else worst,
        currency=price.currency if price else "USD",
        price_date=price.as_of if price else "",
        labels=tags,
        place=RUN,
        arguments=arguments_of(container.get("args", [])),
    )


def billed(seconds: float) -> Decimal:
    """For how many seconds an instance that ran for so many is charged: at least a minute, then by 100 ms."""
    if not seconds:
        return Decimal(0)
    return max(Decimal(math.ceil(seconds * 10)) / 10, Decimal(run.least_seconds()))


def _state(raw: Mapping[str, Any]) -> tuple[str, str]:
    """(the state in the words of training jobs, why it failed)."""
    done = next((one for one in raw.get("conditions", []) if one.get("type") == "Completed"), {})
    reason = done.get("executionReason", "")
    if "completionTime" not in raw:
        if reason == "CANCELLING":
            return "CANCELLING", ""
        return ("RUNNING" if "startTime" in raw else "PENDING"), ""
    if done.get("state") == "CONDITION_SUCCEEDED":
        return "SUCCEEDED", ""
    if reason == "CANCELLED":
        return "CANCELLED", ""
    return "FAILED", done.get("message", "")


def hourly(template: Mapping[str, Any], region: str) -> Decimal | None:
    """USD for an hour of an execution by its ExecutionTemplate, None where no price is known."""
    container = (template.get("template", {}).get("containers") or [{}])[0]
    price = _hourly(container.get("resources", {}).get("limits", {}), region, int(template.get("taskCount", 1)))
    return price.amount if price else None


def _hourly(asked: Mapping[str, str], region: str, tasks: int) -> Price | None:
    """The price of an hour of all tasks, None where it is not known: other tools' jobs may have GPUs."""
    cpus, memory = _quantity(asked.get("cpu", "")), _quantity(asked.get("memory", ""))
    if cpus is None or memory is None or not set(asked) <= {"cpu", "memory"}:
        return None
    try:
        second = cpus * run.cpu_second(region) + memory / _GIB * run.gib_second(region)
        known = run.hourly(run.shape(run.DEFAULT), region)
    except UnknownName:
        return None
    return replace(known, amount=second * 3600 * tasks)


def _machine(asked: Mapping[str, str]) -> str:
    cpus, memory = _quantity(asked.get("cpu", "")), _quantity(asked.get("memory", ""))
    if cpus is None or memory is None:
        return ""
    return f"{cpus.normalize():f}cpu-{(memory / _GIB).normalize():f}gb"


def _quantity(text: str) -> Decimal | None:
    """A Kubernetes quantity such as "4", "4000m", "8Gi"; None for what is none."""
    match = re.fullmatch(r"([0-9.]+)(m|k|M|G|Ki|Mi|Gi)?", text)
    try:
        number = Decimal(match[1]) if match else None
    except InvalidOperation:
        return None
    if match is None or number is None:
        return None
    return number / 1000 if match[2] == "m" else number * _UNITS[match[2] or ""]


def _url(target: Target) -> str:
    account = target.account
    return f"{_BASE}/projects/{account.project}/locations/{account.region}/jobs"
