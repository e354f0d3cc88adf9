"""How executions and tasks are told: their conditions, counts and results, and their entries in the log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from localcloud.containers.spool import Line
from localcloud.core import strict_json
from localcloud.logging.entries import SEVERITIES, Entry, timestamp
from localcloud.run.executions.records import CANCELLED, FAILED, OVER, RUNNING, SUCCEEDED, WAITING, Execution, Task
from localcloud.run.place import SERVICE

Body = dict[str, Any]
TIMED_OUT = "The configured timeout was reached."
_EXITED = "The container exited with an error."


def condition(kind: str, state: str, stamp: str, message: str = "", **more: str) -> Body:
    """A Condition; `state` is "PENDING", "RECONCILING", "FAILED" or "SUCCEEDED"."""
    made = {"type": kind, "state": f"CONDITION_{state}", "lastTransitionTime": stamp, **more}
    return made | ({"message": message} if message else {})


def refresh(one: Execution, stamp: str) -> None:
    """Let the body of an execution say how its tasks are, and, where all have ended, how it ended."""
    states = [task.state for task in one.tasks]
    body = one.body
    counts = {
        "runningCount": states.count(RUNNING),
        "succeededCount": states.count(SUCCEEDED),
        "failedCount": states.count(FAILED),
        "cancelledCount": states.count(CANCELLED),
        "retriedCount": sum(task.attempt > 0 for task in one.tasks),
    }
    for name, count in counts.items():
        body.pop(name, None)
        if count:
            body[name] = count
    begun = [task.started for task in one.tasks if task.started]
    if begun:
        body.setdefault("startTime", min(begun))
    body["updateTime"] = stamp
    ready = condition("ResourcesAvailable", "SUCCEEDED" if begun else "PENDING", stamp)
    started = condition("Started", "SUCCEEDED" if begun else "PENDING", stamp)
    if not all(state in OVER for state in states):
        message = "" if begun else "Waiting for execution to be started."
        reason = {"executionReason": "CANCELLING"} if one.ending == "cancelled" else {}
        body["conditions"] = [condition("Completed", "RECONCILING", stamp, message, **reason), ready, started]
        body["reconciling"] = True
        return
    body.pop("reconciling", None)
    body["completionTime"] = stamp
    body["observedGeneration"] = body["generation"]
    state, message, reason = outcome(one)
    more = {"executionReason": reason} if reason else {}
    body["conditions"] = [condition("Completed", state, stamp, message, **more), ready, started]


def outcome(one: Execution) -> tuple[str, str, str]:
    """(state, message, executionReason) of an execution all of whose tasks have ended.

    Words: reports such as https://github.com/planqtn/planqtn and audit logs of failed jobs.
    """
    done = sum(task.state == SUCCEEDED for task in one.tasks)
    if done == len(one.tasks):
        return "SUCCEEDED", "Execution completed successfully.", ""
    if one.ending == "cancelled":
        return "FAILED", f"Execution {one.id} was cancelled.", "CANCELLED"
    if one.ending:
        return "FAILED", one.ending, ""
    failed = [task for task in one.tasks if task.state == FAILED]
    reason = "NON_ZERO_EXIT_CODE" if failed and failed[0].message == _EXITED else ""
    if len(one.tasks) == 1 and failed:
        return "FAILED", failure(one, failed[0]), reason
    return "FAILED", summary(one), reason


def failure(one: Execution, task: Task) -> str:
    """What is said of a task that failed."""
    return f"Task {one.id}-task{task.index} failed with exit code: {task.exit_code} and message: {task.message}"


def summary(one: Execution) -> str:
    """What the log says of an execution that has ended."""
    done = sum(task.state == SUCCEEDED for task in one.tasks)
    if done == len(one.tasks):
        return f"Execution {one.id} has completed successfully."
    return f"Execution {one.id} has failed to complete, {done}/{len(one.tasks)} tasks were a success."


def exit_message(code: int) -> str:
    """What an attempt that ended by itself says."""
    return "" if code == 0 else _EXITED


def completion(one: Execution) -> str:
    """The CompletionStatus of an execution."""
    if not one.over:
        return "EXECUTION_RUNNING" if "startTime" in one.body else "EXECUTION_PENDING"
    state, _message, reason = outcome(one)
    if state == "SUCCEEDED":
        return "EXECUTION_SUCCEEDED"
    return "EXECUTION_CANCELLED" if reason == "CANCELLED" else "EXECUTION_FAILED"


def reference(one: Execution) -> Body:
    """What a job tells of its newest execution."""
    made = {"name": one.id, "createTime": one.body["createTime"], "completionStatus": completion(one)}
    return made | ({"completionTime": one.body["completionTime"]} if one.over else {})


def task(one: Execution, part: Task) -> Body:
    """A Task in Google's JSON."""
    body, template = one.body, one.body["template"]
    stamp = part.ended or part.began or body["createTime"]
    made: Body = {
        "name": f"{one.name}/tasks/{one.id}-task{part.index}",
        "uid": part.uid,
        "generation": "1",
        "labels": body.get("labels", {}),
        "createTime": body["createTime"],
        "scheduledTime": body["createTime"],
        "updateTime": stamp,
        "job": one.job,
        "execution": one.id,
        "containers": template["containers"],
        "maxRetries": template["maxRetries"],
        "timeout": template["timeout"],
        "serviceAccount": template["serviceAccount"],
        "executionEnvironment": template["executionEnvironment"],
        "index": part.index,
        "retried": max(part.attempt, 0),
        "logUri": log_uri(one, part),
        "observedGeneration": "1",
    }
    if part.started:
        made["startTime"] = part.started
    if part.state in OVER:
        made["completionTime"] = part.ended or stamp
        state = "SUCCEEDED" if part.state == SUCCEEDED else "FAILED"
        words = "" if part.state != FAILED else failure(one, part)
        made["conditions"] = [condition("Completed", state, stamp, words)]
    else:
        made["reconciling"] = True
        made["conditions"] = [condition("Completed", "RECONCILING" if part.state != WAITING else "PENDING", stamp)]
    if part.attempt >= 0 and (part.state in OVER or part.attempt > 0):
        result: Body = {"status": {"code": 0 if part.state == SUCCEEDED else 2, "message": part.message}}
        if part.term_signal:
            result["termSignal"] = part.term_signal
        elif part.exit_code:
            result["exitCode"] = part.exit_code
        made["lastAttemptResult"] = result
    return made


def log_uri(one: Execution, part: Task | None = None) -> str:
    """The console's page of the log of an execution, or of a task of it."""
    query = (
        f'resource.type="cloud_run_job"\nresource.labels.job_name="{one.job}"\n'
        f'labels."run.googleapis.com/execution_name"="{one.id}"'
    )
    if part is not None:
        query += f'\nlabels."run.googleapis.com/task_index"="{part.index}"'
    return f"https://console.cloud.google.com/logs/viewer?project={one.project}&advancedFilter={quote(query, safe='')}"


# The log: https://docs.cloud.google.com/run/docs/logging


def entries(lines: Iterable[Line], one: Execution, part: Task, ahead: int) -> list[Entry]:
    """Entries of an attempt's lines; the same line gives the same insertId, so that writing it twice keeps it once.

    A line that is a JSON object becomes jsonPayload, its `severity` the entry's; other lines are text without a
    severity. `ahead`: nanoseconds by which the cloud's clock is.
    """
    made = []
    for line in lines:
        if not line.text.strip():
            continue
        entry = _entry(one, part, f"run.googleapis.com%2F{line.stream}", timestamp(line.at + ahead))
        entry["insertId"] = f"{part.uid[:8]}-{part.attempt}-{line.offset:012d}"
        made.append(entry | _payload(line.text))
    return made


def _payload(text: str) -> Entry:
    if text.lstrip().startswith("{"):
        try:
            said = strict_json.loads(text)
        except ValueError:
            said = None
        if isinstance(said, dict):
            severity = str(said.pop("severity", "")).upper()
            return {"jsonPayload": said} | ({"severity": severity} if severity in SEVERITIES else {})
    return {"textPayload": text}


def system_entry(one: Execution, part: Task, text: str, severity: str, at: int) -> Entry:
    """What the service says of an attempt, such as how its container ended."""
    entry = _entry(one, part, "run.googleapis.com%2Fvarlog%2Fsystem", timestamp(at))
    return entry | {"textPayload": text, "severity": severity}


def audit_entry(one: Execution, text: str, code: int, at: int) -> Entry:
    """What the service says of an execution as a whole: a system event of the audit log."""
    entry = _entry(one, None, "cloudaudit.googleapis.com%2Fsystem_event", timestamp(at))
    return entry | {
        "severity": "ERROR" if code else "INFO",
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "serviceName": SERVICE,
            "methodName": "/Jobs.RunJob",
            "resourceName": f"namespaces/{one.project}/executions/{one.id}",
            "status": {"code": code, "message": text} if code else {"message": text},
        },
    }


def _entry(one: Execution, part: Task | None, log: str, stamp: str) -> Entry:
    labels = {"run.googleapis.com/execution_name": one.id}
    if part is not None:
        labels |= {
            "run.googleapis.com/task_index": str(part.index),
            "run.googleapis.com/task_attempt": str(max(part.attempt, 0)),
            "instanceId": f"{part.uid.replace('-', '')}{max(part.attempt, 0):02d}",
        }
    return {
        "logName": f"projects/{one.project}/logs/{log}",
        "resource": {
            "type": "cloud_run_job",
            "labels": {"project_id": one.project, "location": one.region, "job_name": one.job},
        },
        "labels": labels,
        "timestamp": stamp,
    }
