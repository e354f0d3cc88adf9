"""The older API by namespaces, REGION-run.googleapis.com/apis/run.googleapis.com/v1: what `gcloud run jobs` calls.

The same jobs as those of v2; only their shape is another.
"""

from __future__ import annotations

import re
from typing import Any

from localcloud.core.errors import ApiError, NotEmulated
from localcloud.run import knative, messages
from localcloud.run.place import Call as Placed
from localcloud.run.place import enter
from localcloud.run.store import RunJobs
from localcloud.transport import shapes, typed
from localcloud.transport.rest import Call, Router

Body = dict[str, Any]
_BASE = "/apis/run.googleapis.com/v1/namespaces/{project}"
_OPEN = "each method asks for its own permission"
_HOST = re.compile(r"([a-z0-9-]+)-run\.googleapis\.com")


def add(router: Router) -> None:
    """Register the routes."""
    for verb, pattern, handler in (
        ("GET", "/jobs", _list_jobs),
        ("POST", "/jobs", _create_job),
        ("GET", "/jobs/{job}", _get_job),
        ("PUT", "/jobs/{job}", _replace_job),
        ("DELETE", "/jobs/{job}", _delete_job),
        ("POST", "/jobs/{job}:run", _run_job),
        ("GET", "/executions", _list_executions),
        ("GET", "/executions/{execution}", _get_execution),
        ("DELETE", "/executions/{execution}", _delete_execution),
        ("POST", "/executions/{execution}:cancel", _cancel_execution),
        ("GET", "/tasks", _list_tasks),
        ("GET", "/tasks/{task}", _get_task),
    ):
        router.route(verb, _BASE + pattern, open=_OPEN)(handler)


def _enter(call: Call, permission: str, rest: str) -> tuple[Placed, RunJobs]:
    """The call by names of v2, in the region that its host says. Raises 400, 403, 501."""
    region = _HOST.fullmatch(call.host)
    if region is None:
        raise NotEmulated("namespaces of all regions at once: name a region")
    name = f"projects/{call.params['project']}/locations/{region[1]}" + (f"/{rest}" if rest else "")
    placed = enter(call.cloud, call.caller, "name", name, permission, call.consumer)
    return placed, call.cloud.of(RunJobs)


def _number(placed: Placed) -> str:
    return placed.project["projectNumber"]


def _list(kind: str, items: list[Body]) -> Body:
    return {"apiVersion": knative.API, "kind": f"{kind}List", "metadata": {}, "items": items}


def _selected(call: Call, label: str) -> str:
    """What a labelSelector asks of one label ("a=b,c=d"), "" for nothing."""
    for term in call.query.get("labelSelector", "").split(","):
        key, _, value = term.partition("=")
        if key.strip() == label:
            return value.strip().lstrip("=").strip()
    return ""


def _asked(call: Call) -> Body:
    """The job of v2 that a request asks for, as strict as v2 is about it. Raises 400."""
    made = knative.job_of(call.body)
    if wrong := [*shapes.wrong(messages.message("Job").DESCRIPTOR, made)]:
        raise typed.invalid(wrong)
    return made


async def _list_jobs(call: Call) -> Body:
    placed, jobs = _enter(call, "run.jobs.list", "")
    found = jobs.list(placed, {"pageSize": 1000})["jobs"]
    return _list("Job", [knative.shown_job(one, _number(placed)) for one in found])


async def _create_job(call: Call) -> Body:
    placed, jobs = _enter(call, "run.jobs.create", "")
    name = str((call.body.get("metadata") or {}).get("name", ""))
    jobs.create(placed, {"job": _asked(call), "jobId": name})
    found, _ = _enter(call, "", f"jobs/{name}")
    return knative.shown_job(jobs.get(found, {}), _number(placed))


async def _get_job(call: Call) -> Body:
    placed, jobs = _enter(call, "run.jobs.get", f"jobs/{call.params['job']}")
    return knative.shown_job(jobs.get(placed, {}), _number(placed))


async def _replace_job(call: Call) -> Body:
    placed, jobs = _enter(call, "run.jobs.update", f"jobs/{call.params['job']}")
    jobs.update(placed, {"job": _asked(call)})
    return knative.shown_job(jobs.get(placed, {}), _number(placed))


async def _delete_job(call: Call) -> Body:
    placed, jobs = _enter(call, "run.jobs.delete", f"jobs/{call.params['job']}")
    jobs.delete(placed, {})
    return {"apiVersion": "v1", "kind": "Status", "status": "Success"}


async def _run_job(call: Call) -> Body:
    placed, jobs = _enter(call, "run.jobs.run", f"jobs/{call.params['job']}")
    begun = jobs.run(placed, knative.overrides_of(call.body))["metadata"]
    return knative.shown_execution(begun, _number(placed))


async def _list_executions(call: Call) -> Body:
    job = _selected(call, "run.googleapis.com/job")
    placed, jobs = _enter(call, "run.executions.list", f"jobs/{job or '-'}")
    found = jobs.list_executions(placed, {"pageSize": 1000})["executions"]
    return _list("Execution", [knative.shown_execution(one, _number(placed)) for one in found])


def _execution(call: Call, permission: str) -> tuple[Placed, RunJobs]:
    name = call.params["execution"]
    return _enter(call, permission, f"jobs/{name.rpartition('-')[0] or '-'}/executions/{name}")


async def _get_execution(call: Call) -> Body:
    placed, jobs = _execution(call, "run.executions.get")
    return knative.shown_execution(jobs.get_execution(placed, {}), _number(placed))


async def _cancel_execution(call: Call) -> Body:
    placed, jobs = _execution(call, "run.executions.cancel")
    return knative.shown_execution(
        {key: value for key, value in jobs.cancel_execution(placed, {})["metadata"].items() if key != "@type"},
        _number(placed),
    )


async def _delete_execution(call: Call) -> Body:
    placed, jobs = _execution(call, "run.executions.delete")
    jobs.delete_execution(placed, {})
    return {"apiVersion": "v1", "kind": "Status", "status": "Success"}


async def _list_tasks(call: Call) -> Body:
    name = _selected(call, "run.googleapis.com/execution")
    of = f"jobs/{name.rpartition('-')[0]}/executions/{name}" if name else "jobs/-/executions/-"
    placed, jobs = _enter(call, "run.tasks.list", of)
    if not name:
        raise ApiError(400, "labelSelector: run.googleapis.com/execution must be given.")
    found = jobs.list_tasks(placed, {"pageSize": 1000})["tasks"]
    return _list("Task", [knative.shown_task(one, _number(placed)) for one in found])


async def _get_task(call: Call) -> Body:
    name = call.params["task"]
    execution = name.rpartition("-task")[0]
    rest = f"jobs/{execution.rpartition('-')[0]}/executions/{execution}/tasks/{name}"
    placed, jobs = _enter(call, "run.tasks.get", rest)
    return knative.shown_task(jobs.get_task(placed, {}), _number(placed))
