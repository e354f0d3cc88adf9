"""Log entries as lines, progress out of lines, and how often a log is looked at."""

import datetime
import itertools
import re

import pytest

from cloudkite.jobs import logs, service
from tests.jobs import NOW, answer

JOB = service.parse(answer(), NOW)  # runs for 30 minutes


def entry(**changes):
    labels = {"job_id": "1", "project_id": "p", "task_name": "workerpool0-0"}
    return {
        "insertId": "abc",
        "timestamp": "2026-11-24T14:40:00.123456789Z",
        "severity": "INFO",
        "resource": {"type": "ml_job", "labels": labels},
        **changes,
    }


@pytest.mark.parametrize(
    "raw, text, severity, task",
    [
        (entry(textPayload="hello\n"), "hello", "INFO", "workerpool0-0"),
        (entry(jsonPayload={"message": "epoch 1/2", "epoch": 1}), "epoch 1/2", "INFO", "workerpool0-0"),
        (entry(jsonPayload={"epoch": 1}), "", "INFO", "workerpool0-0"),
        (entry(jsonPayload={"message": 5}), "5", "INFO", "workerpool0-0"),
        (entry(severity="ERROR", textPayload="한국어 ünï"), "한국어 ünï", "ERROR", "workerpool0-0"),
        ({"textPayload": "bare"}, "bare", "DEFAULT", ""),
        ({}, "", "DEFAULT", ""),
    ],
)
def test_an_entry_is_a_line(raw, text, severity, task):
    line = logs.parse(raw)
    assert (line.text, line.severity, line.task) == (text, severity, task)


def line(**fields):
    return logs.parse(entry(jsonPayload={"message": "x", **fields}))


def test_progress_with_time_left_and_cost():
    found = logs.progress_of(line(epoch=3, epochs=12), JOB)
    # 8 minutes after the start a quarter is done
    assert (found.epoch, found.epochs, round(found.seconds_left)) == (3, 12, 1440)
    assert f"{found.cost:.4f} {found.currency}" == "0.0905 USD"


@pytest.mark.parametrize(
    "fields",
    [{}, {"epoch": 1}, {"epochs": 2}, {"epoch": 0, "epochs": 2}, {"epoch": 3, "epochs": 2}, {"epoch": "1", "epochs": 2},
     {"epoch": None, "epochs": None}, {"epoch": float("nan"), "epochs": 3}],
)  # fmt: skip
def test_other_lines_tell_no_progress(fields):
    assert logs.progress_of(line(**fields), JOB) is None


def test_the_status_line():
    assert logs.status(JOB, None) == "running 30m 00s, 0.0905 USD"
    assert logs.status(JOB, logs.progress_of(line(epoch=3, epochs=12), JOB)) == (
        "running 30m 00s, epoch 3/12, about 24m 00s left, 0.0905 USD"
    )
    waiting = service.parse(answer(state="JOB_STATE_PENDING", startTime=None, createTime=_ago(90)))
    assert re.fullmatch(r"waiting for a machine 1m 3\ds", logs.status(waiting, None))


def _ago(seconds):
    return f"{datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def test_looking_at_the_log_stays_within_the_projects_quota():
    """60 reads a minute; a status poll and a log read are one look each."""
    looks, now = [], 0.0
    while now < 600:
        looks.append(now)
        now += logs.pause(now)
    busiest = max(sum(1 for other in looks if start <= other < start + 60) for start in looks)
    assert busiest <= 50
    assert looks[1] - looks[0] <= 0.3
    assert max(b - a for a, b in itertools.pairwise(looks)) <= 5
