"""Alert policies with a condition on logs: an e-mail when an entry matches, not more often than the policy wants."""

from __future__ import annotations

import time
from typing import Any

import pytest

from localcloud import launch
from localcloud.logging.alerts import _extracted

MONITORING = "https://monitoring.googleapis.com/v3/projects"
WRITE = "https://logging.googleapis.com/v2/entries:write"
ME = "me@example.com"


@pytest.fixture(scope="module")
def project(local_cloud, session) -> str:
    apis = ("logging", "monitoring")
    for api in apis:
        url = f"https://serviceusage.googleapis.com/v1/projects/{local_cloud.project}/services"
        assert session.post(f"{url}/{api}.googleapis.com:enable", json={}).ok
    return local_cloud.project


def made(session, project: str, log: str, **changes: Any) -> dict[str, Any]:
    channel = {"type": "email", "displayName": ME, "labels": {"email_address": ME}}
    named = session.post(f"{MONITORING}/{project}/notificationChannels", json=channel).json()["name"]
    condition = {
        "filter": f'logName:"{log}" AND severity>=ERROR',
        "labelExtractors": {"job": "EXTRACT(labels.job)", "kind": 'REGEXP_EXTRACT(textPayload, "(\\\\w+) error")'},
    }
    policy = {
        "displayName": f"policy of {log}",
        "combiner": "OR",
        "conditions": [{"displayName": "it failed", "conditionMatchedLog": condition}],
        "alertStrategy": {"notificationRateLimit": {"period": "300s"}},
        "notificationChannels": [named],
        "documentation": {"subject": f"{log}: ${{log.extracted_label.job}} had a ${{log.extracted_label.kind}} error"},
        **changes,
    }
    answer = session.post(f"{MONITORING}/{project}/alertPolicies", json=policy)
    assert answer.ok, answer.text
    return answer.json()


def write(session, project: str, log: str, *entries: dict[str, Any]) -> None:
    common = {"logName": f"projects/{project}/logs/{log}", "resource": {"type": "global"}}
    assert session.post(WRITE, json={**common, "entries": list(entries)}).ok


def failed(job: str, kind: str = "disk") -> dict[str, Any]:
    return {"severity": "ERROR", "labels": {"job": job}, "textPayload": f"a {kind} error"}


def mail(local_cloud, about: str) -> list[tuple[str, str]]:
    found = launch.control(local_cloud.root, "GET", "/bill")["mail"]
    return [(one["to"], one["subject"]) for one in found if one["budget"] == about]


def test_an_entry_that_matches_is_told_once_in_the_policys_time(local_cloud, session, project):
    policy = made(session, project, "trains")
    write(session, project, "trains", {"severity": "INFO", "labels": {"job": "a"}, "textPayload": "all is well"})
    assert mail(local_cloud, policy["name"]) == []
    write(session, project, "trains", failed("a"), failed("a"), failed("b", "net"))
    write(session, project, "trains", failed("a"))
    told = [(ME, "trains: a had a disk error"), (ME, "trains: b had a net error")]
    assert mail(local_cloud, policy["name"]) == told
    write(session, project, "buses", failed("a"))
    assert mail(local_cloud, policy["name"]) == told


@pytest.mark.parametrize(
    "log, changes",
    [
        ("off", {"enabled": False}),
        ("nobody", {"notificationChannels": []}),
    ],
)
def test_who_is_not_to_be_told_is_not(local_cloud, session, project, log, changes):
    policy = made(session, project, log, **changes)
    write(session, project, log, failed("a"))
    assert mail(local_cloud, policy["name"]) == []


def test_without_a_subject_the_policy_is_named(local_cloud, session, project):
    policy = made(session, project, "plain", documentation={})
    write(session, project, "plain", failed("a"))
    assert mail(local_cloud, policy["name"]) == [(ME, "[ALERT] policy of plain")]


def test_what_an_exclusion_keeps_out_is_told_to_nobody(local_cloud, session, project):
    policy = made(session, project, "noise")
    url = f"https://logging.googleapis.com/v2/projects/{project}/exclusions"
    assert session.post(url, json={"name": "no-noise", "filter": 'logName:"noise"'}).ok
    write(session, project, "noise", failed("a"))
    time.sleep(0.1)
    assert mail(local_cloud, policy["name"]) == []
    assert session.delete(f"{url}/no-noise").ok


@pytest.mark.parametrize(
    "how, found",
    [
        ("EXTRACT(labels.job)", "penguins-7"),
        ("EXTRACT(labels.none)", ""),
        ("EXTRACT(nonsense)", ""),
        ('REGEXP_EXTRACT(labels.job, "([0-9]+)")', "7"),
        ('REGEXP_EXTRACT(labels.job, "[a-z]+")', "penguins"),
        ('REGEXP_EXTRACT(labels.job, "(")', ""),
        ("labels.job", ""),
    ],
)
def test_labels_are_extracted(how, found):
    assert _extracted(how, {"labels": {"job": "penguins-7"}}) == found
