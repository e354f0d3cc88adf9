"""Quotas: the effective value of a region, and what is said when it is too small."""

import pytest

from catalog import quotas
from cloudkite.money import quota
from cloudkite.money.quota import Reading


def info(*entries):
    return {"quotaId": "X", "dimensionsInfos": list(entries)}


OWN = {"dimensions": {"region": "us-central1"}, "details": {"value": "7"}, "applicableLocations": ["us-central1"]}
MANY = {"details": {"value": "3"}, "applicableLocations": ["us-central1", "us-east1"]}
OTHER = {"dimensions": {"region": "us-east1"}, "details": {"value": "9"}, "applicableLocations": ["us-east1"]}
GLOBAL = {"details": {"value": "1"}, "applicableLocations": ["global"]}
NO_VALUE = {"details": {}, "applicableLocations": ["us-central1"]}


@pytest.mark.parametrize(
    "entries, expected",
    [
        ((OWN,), 7), ((MANY,), 3), ((OTHER, MANY), 3), ((OTHER,), None), ((GLOBAL,), 1), ((GLOBAL, OWN), 7), ((), None),
        ((NO_VALUE,), None), (({"details": {"value": "-1"}, "applicableLocations": ["us-central1"]},), -1),
        ((MANY, OWN), 7),
    ],
)  # fmt: skip
def test_the_effective_value(entries, expected):
    assert quota.effective(info(*entries), "us-central1") == expected


def reading(limit, needed=4, title="N1 and E2 vCPUs", quota_id="CPUs"):
    return Reading(title, quota_id, "metric", needed, limit)


@pytest.mark.parametrize("limit", [4, 5, -1, None])
def test_what_is_enough_or_not_known_does_not_block(limit):
    assert quota.refuse([reading(limit)], "paid", "us-central1") is None


@pytest.mark.parametrize(
    "tier, hint",
    [
        ("trial", "a trial can't ask for quota: take a smaller machine or no GPU, or upgrade to a paid account"),
        (
            "paid",
            "ask for it: add {quotaId: CPUs, value: 4, request: true} to cloudkite:quotas and run `uv run invoke up`",
        ),
    ],
)
def test_too_little_is_refused_with_what_to_do(tier, hint):
    refusal = quota.refuse([reading(0), reading(1, title="T4", needed=1), reading(0, 2, "L4")], tier, "us-central1")
    assert refusal.message == (
        "the quota in us-central1 is too small (N1 and E2 vCPUs: needs 4, has 0, L4: needs 2, has 0)"
    )
    assert refusal.hint == hint


def test_what_could_not_be_read_is_told_once_a_reason():
    lost = [Reading(t, "", "", 1, None, "read the quotas: no network") for t in ("T4", "N2 vCPUs")]
    assert quota.unread([*lost, reading(3), Reading("L4", "", "", 1, None, "the service does not list it")]) == [
        "quota of T4, N2 vCPUs could not be read: read the quotas: no network",
        "quota of L4 could not be read: the service does not list it",
    ]


def test_spot_reads_the_preemptible_quotas_of_vcpus_and_gpus():
    metrics = [n.meter.metric for n in quotas.needs("n1-standard-4", "NVIDIA_TESLA_T4", 1, 1, True)]
    assert len(metrics) == 2
    assert all("preemptible" in m for m in metrics)
