"""The filters that the program puts into an account's logging, on entries as Vertex AI and Cloud Run write them."""

import pytest

from infra.logs import JOB_FAILED, NOISE
from localcloud.core.filters import parse
from localcloud.logging.filtering.matching import matcher

PROJECT = "my-project"


def entry(task, severity="", log="ml.googleapis.com%2F123"):
    labels = {"project_id": PROJECT, "job_id": "123", "task_name": task}
    made = {"logName": f"projects/{PROJECT}/logs/{log}", "resource": {"type": "ml_job", "labels": labels}}
    return made | ({"severity": severity} if severity else {}) | {"jsonPayload": {"message": "hello"}}


FAILED = entry("service", "ERROR")
PRINTED = entry("workerpool0-0", "INFO")
STDERR = entry("workerpool0-0", "ERROR")
PLAIN = entry("workerpool0-0")
DEBUG = entry("workerpool0-0", "DEBUG")
READ = entry("x", "INFO", "cloudaudit.googleapis.com%2Fdata_access") | {
    "resource": {"type": "gcs_bucket", "labels": {}}
}
LABELS = {"project_id": PROJECT, "location": "us-central1", "job_name": "penguins-1"}
EVENT = {
    "logName": f"projects/{PROJECT}/logs/cloudaudit.googleapis.com%2Fsystem_event",
    "resource": {"type": "cloud_run_job", "labels": LABELS},
}
ENTRIES = {
    "failed on Cloud Run": EVENT | {"severity": "ERROR"},
    "done on Cloud Run": EVENT | {"severity": "INFO"},
    "stderr on Cloud Run": EVENT
    | {"logName": f"projects/{PROJECT}/logs/run.googleapis.com%2Fstderr", "severity": "ERROR"},
    "failed": FAILED,
    "printed": PRINTED,
    "stderr": STDERR,
    "plain": PLAIN,
    "debug": DEBUG,
    "read": READ,
    "started": entry("service", "INFO"),
}


@pytest.mark.parametrize(
    ("text", "matching"),
    [
        (JOB_FAILED, {"failed", "failed on Cloud Run"}),
        (NOISE["debug-of-jobs"][1], {"debug"}),
        (NOISE["reads-of-data"][1], {"read"}),
    ],
)
def test_what_a_filter_matches(text, matching):
    matches = matcher(parse(text), text)
    assert {name for name, one in ENTRIES.items() if matches(one)} == matching
