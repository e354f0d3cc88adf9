"""Jobs, executions and tasks as the older API by namespaces has them, which `gcloud run jobs` speaks.

https://cloud.google.com/run/docs/reference/rest/v1/namespaces.jobs
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.core.errors import ApiError

Body = dict[str, Any]
API = "run.googleapis.com/v1"
_SYSTEM = ("run.googleapis.com/", "client.knative.dev/", "cloud.googleapis.com/", "serving.knative.dev/")
_STATUS = {"CONDITION_SUCCEEDED": "True", "CONDITION_FAILED": "False"}


def job_of(given: Mapping[str, Any]) -> Body:
    """A Job of v2 that a request of v1 asks for. Raises 400 for a request that isn't one."""
    template = _table(_table(given, "spec"), "template")
    outer = _table(template, "spec")
    task = _table(_table(outer, "template"), "spec")
    containers = task.get("containers", [])
    if not isinstance(containers, list) or not all(isinstance(one, dict) for one in containers):
        raise ApiError(400, "spec.template.spec.template.spec.containers: Invalid value.")
    made: Body = {"containers": [_container(one) for one in containers]}
    if "maxRetries" in task:
        made["maxRetries"] = task["maxRetries"]
    if task.get("timeoutSeconds"):
        made["timeout"] = f"{task['timeoutSeconds']}s"
    if task.get("serviceAccountName"):
        made["serviceAccount"] = task["serviceAccountName"]
    for name in ("volumes", "nodeSelector"):
        if task.get(name):
            made[name] = task[name]
    execution: Body = {"template": made}
    for name in ("taskCount", "parallelism"):
        if outer.get(name):
            execution[name] = outer[name]
    return {"labels": _own(_table(given, "metadata").get("labels")), "template": execution}


def overrides_of(given: Mapping[str, Any]) -> Body:
    """The overrides of a run, as v2 has them."""
    asked = dict(_table(given, "overrides"))
    if seconds := asked.pop("timeoutSeconds", None):
        asked["timeout"] = f"{seconds}s"
    return {"overrides": asked} if asked else {}


def _table(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = given.get(name) or {}
    if not isinstance(found, dict):
        raise ApiError(400, f"Invalid value at '{name}'.")
    return found


def _container(given: Mapping[str, Any]) -> Body:
    made = {name: value for name, value in given.items() if value not in ("", None, [], {})}
    if isinstance(resources := made.get("resources"), dict):  # what is requested is what is the limit
        made["resources"] = {name: value for name, value in resources.items() if name != "requests"}
    made["env"] = [
        {"valueSource" if name == "valueFrom" else name: value for name, value in one.items()}
        for one in made.get("env", [])
    ]
    return made


def _own(labels: Any) -> dict[str, str]:
    """Labels that a person gave, without those of Google's tools."""
    return {key: value for key, value in (labels or {}).items() if not key.startswith(_SYSTEM)}


def shown_job(job: Mapping[str, Any], number: str) -> Body:
    """A Job of v2 in v1; `number` is the project's."""
    template = job["template"]
    status: Body = {
        "observedGeneration": int(job["observedGeneration"]),
        "conditions": [_condition(job["terminalCondition"])],
        "executionCount": int(job.get("executionCount", 0)),
    }
    if latest := job.get("latestCreatedExecution"):
        status["latestCreatedExecution"] = {
            "name": latest["name"],
            "creationTimestamp": latest["createTime"],
            **({"completionTimestamp": latest["completionTime"]} if "completionTime" in latest else {}),
            **({"completionStatus": latest["completionStatus"]} if "completionStatus" in latest else {}),
        }
    return {
        "apiVersion": API,
        "kind": "Job",
        "metadata": _metadata(job, number),
        "spec": {"template": {"metadata": {}, "spec": _spec(template)}},
        "status": status,
    }


def shown_execution(one: Mapping[str, Any], number: str) -> Body:
    """An Execution of v2 in v1."""
    counts = ("runningCount", "succeededCount", "failedCount", "cancelledCount", "retriedCount")
    status: Body = {name: one[name] for name in counts if name in one}
    for name in ("startTime", "completionTime", "logUri"):
        if name in one:
            status[name] = one[name]
    status |= {"observedGeneration": 1, "conditions": [_condition(each) for each in one["conditions"]]}
    made = {"metadata": _metadata(one, number, {"run.googleapis.com/job": one["job"]}), "status": status}
    return {"apiVersion": API, "kind": "Execution", **made, "spec": _spec(one)}


def shown_task(one: Mapping[str, Any], number: str) -> Body:
    """A Task of v2 in v1."""
    status: Body = {"observedGeneration": 1, "conditions": [_condition(each) for each in one["conditions"]]}
    for name in ("startTime", "completionTime", "index", "retried", "logUri", "lastAttemptResult"):
        if name in one:
            status[name] = one[name]
    labels = {"run.googleapis.com/job": one["job"], "run.googleapis.com/execution": one["execution"]}
    return {
        "apiVersion": API,
        "kind": "Task",
        "metadata": _metadata(one, number, labels),
        "spec": _task(one),
        "status": status,
    }


def _spec(template: Mapping[str, Any]) -> Body:
    made: Body = {"taskCount": int(template.get("taskCount", 1)), "template": {"spec": _task(template["template"])}}
    if template.get("parallelism"):
        made["parallelism"] = template["parallelism"]
    return made


def _task(task: Mapping[str, Any]) -> Body:
    return {
        "containers": task["containers"],
        "maxRetries": task["maxRetries"],
        "timeoutSeconds": str(task["timeout"]).removesuffix("s"),
        "serviceAccountName": task["serviceAccount"],
    }


def _metadata(one: Mapping[str, Any], number: str, labels: Mapping[str, str] | None = None) -> Body:
    parts = one["name"].split("/")
    return {
        "name": parts[-1],
        "namespace": number,
        "uid": one["uid"],
        "generation": int(one["generation"]),
        "resourceVersion": one.get("etag", one["uid"]).strip('"'),
        "creationTimestamp": one["createTime"],
        "labels": {"cloud.googleapis.com/location": parts[3], **one.get("labels", {}), **(labels or {})},
        "annotations": {"run.googleapis.com/creator": one["creator"]} if "creator" in one else {},
    }


def _condition(one: Mapping[str, Any]) -> Body:
    made = {
        "type": one["type"],
        "status": _STATUS.get(one["state"], "Unknown"),
        "lastTransitionTime": one["lastTransitionTime"],
    }
    if reason := one.get("executionReason", one.get("reason", "")):
        made["reason"] = "".join(word.capitalize() for word in reason.split("_"))
    return made | ({"message": one["message"]} if one.get("message") else {})
