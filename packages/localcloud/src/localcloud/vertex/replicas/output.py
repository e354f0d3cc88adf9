"""Turns what jobs say into log entries.

A line that is a JSON object becomes the entry's jsonPayload, and its `severity` the entry's; another line becomes
{"message": line}, INFO from standard output and ERROR from standard error.
https://cloud.google.com/vertex-ai/docs/training/code-requirements#logs
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from localcloud.containers.spool import Line
from localcloud.core import strict_json
from localcloud.logging.entries import SEVERITIES, Entry, timestamp
from localcloud.vertex.jobs.records import Job

SERVICE = "service"  # task_name of what Vertex AI itself says
_PLAIN = {"stdout": "INFO", "stderr": "ERROR"}


def entries(lines: Iterable[Line], job: Job, task: str, start: str, ahead: int) -> list[Entry]:
    """Entries of a replica's lines; the same line gives the same insertId, so that writing it twice keeps it once.

    `start` tells the replica's starts apart ("" for the first); `ahead`: nanoseconds by which the cloud's clock is.
    """
    made = []
    for line in lines:
        if not line.text.strip():
            continue
        found, severity = payload(line)
        made.append(
            _entry(job, task, timestamp(line.at + ahead), severity)
            | {"insertId": f"{job.id}-{task}{start}-{line.offset:012d}", "jsonPayload": found}
        )
    return made


def service_entry(job: Job, text: str, severity: str, at: int) -> Entry:
    """An entry of the service itself, at nanoseconds since the epoch."""
    return _entry(job, SERVICE, timestamp(at), severity) | {"textPayload": text}


def _entry(job: Job, task: str, stamp: str, severity: str) -> Entry:
    """A trial's entries are those of its tuning job, and say which trial's they are."""
    tuned = job.tuned
    job_id = tuned.job if tuned else job.id
    log = f"ml.googleapis.com%2F{job_id}" if task == SERVICE else task
    labels = {"ml.googleapis.com/job_id": job_id, "ml.googleapis.com/task_name": task}
    return {
        "logName": f"projects/{job.project}/logs/{log}",
        "resource": {
            "type": "ml_job",
            "labels": {"project_id": job.project, "job_id": job_id, "task_name": task},
        },
        "labels": labels | ({"ml.googleapis.com/trial_id": tuned.trial} if tuned else {}),
        "timestamp": stamp,
        "severity": severity,
    }


def payload(line: Line) -> tuple[dict[str, Any], str]:
    """What a line says as a jsonPayload, and its severity."""
    plain = _PLAIN[line.stream]
    if line.text.lstrip().startswith("{"):
        try:
            said = strict_json.loads(line.text)
        except ValueError:
            said = None
        if isinstance(said, dict):
            given = str(said.get("severity", "")).upper()
            severity = given if given in SEVERITIES else plain
            return {name: value for name, value in said.items() if name != "severity"}, severity
    return {"message": line.text}, plain
