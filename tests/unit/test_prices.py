"""Prices of whole jobs, the list of machines, the month's price of an account, and the month's spending."""

import ast
import datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from catalog.book import UnknownName, read
from catalog.prices import between
from cloudkite.jobs import body
from cloudkite.jobs.places import vertex
from cloudkite.money import costs, prices
from tests.jobs import SPEC, answer

CLONE = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "machine, accelerator, count, replicas, spot, expected",
    [
        ("n1-standard-4", "", 0, 1, False, "0.2453"),  # 0.2185 and a disk of 100 GB, 0.0268
        ("n1-standard-4", "", 0, 2, False, "0.4906"),
        ("n1-standard-4", "NVIDIA_TESLA_T4", 1, 1, True, "0.3268"),
    ],
)
def test_an_hour_of_a_job(machine, accelerator, count, replicas, spot, expected):
    price = prices.job_hour(machine, "us-central1", accelerator, count, replicas, spot)
    assert f"{price.amount:.4f}" == expected


def test_the_list_of_machines_is_sorted_and_known():
    rows = prices.listing("us-central1")
    amounts = [row.on_demand.amount for row in rows]
    assert amounts == sorted(amounts)
    assert rows[0].machine.startswith(("e2-", "n4-"))
    assert {"NVIDIA_TESLA_T4", "NVIDIA_L4", "NVIDIA_H100_80GB"} <= {row.accelerator for row in rows}
    assert "NVIDIA_L4" not in {row.accelerator for row in prices.listing("europe-west1")}
    with pytest.raises(UnknownName):
        prices.listing("moon-1")


def resources(*types):
    return [SimpleNamespace(type=t) for t in types]


def test_a_month_of_an_empty_account():
    rows = prices.monthly(
        resources(
            *["gcp:storage/bucket:Bucket"] * 3,
            "gcp:monitoring/alertPolicy:AlertPolicy",
            "gcp:projects/iAMMember:IAMMember",
            "gcp:storage/bucketIAMMember:BucketIAMMember",
            "gcp:future/thing:Thing",
        ),
        "us-central1",
    )
    assert [(r.name, r.amount) for r in rows] == [
        ("1 gcp:future/thing:Thing", None),
        ("1 alert", Decimal("0.10")),
        ("2 permissions", 0),
        ("3 buckets", 0),
    ]
    notes = {r.name: r.note for r in rows}
    assert notes["3 buckets"] == "empty; then 0.020 USD per GB-month; 5 GB a month free in this region"
    assert "free" not in prices.monthly(resources("gcp:storage/bucket:Bucket"), "asia-northeast3")[0].note
    assert {r.currency for r in rows} == {"USD"}
    assert all(r.as_of for r in rows)


def test_every_kind_that_the_program_makes_has_a_price():
    """`gcp.storage.Bucket(` in infra/ is gcp:storage/bucket:Bucket in the catalogue."""
    made = set()
    for path in (CLONE / "infra").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            words = ast.unparse(node.func).split(".") if isinstance(node, ast.Call) else []
            if len(words) == 3 and words[0] == "gcp" and words[2][:1].isupper() and not words[2].endswith("Args"):
                made.add(f"gcp:{words[1]}/{words[2][0].lower()}{words[2][1:]}:{words[2]}")
    assert len(made) > 5
    assert made <= set(read("resources.json")["kinds"])


START = datetime.datetime(2026, 11, 1, 7, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    "now, start",
    [
        ("2026-11-24T12:00:00+00:00", "2026-11-01T07:00:00+00:00"),  # summer time ends an hour after midnight
        ("2026-11-01T06:59:59+00:00", "2026-10-01T07:00:00+00:00"),
        ("2026-11-01T07:00:00+00:00", "2026-11-01T07:00:00+00:00"),
        ("2026-01-01T00:00:00+09:00", "2025-12-01T08:00:00+00:00"),
        ("2026-03-31T12:00:00+00:00", "2026-03-01T08:00:00+00:00"),
        ("2026-04-01T06:59:59+00:00", "2026-03-01T08:00:00+00:00"),
    ],
)
def test_billing_months_are_pacific(now, start):
    found = costs.month_start(datetime.datetime.fromisoformat(now))
    assert found == datetime.datetime.fromisoformat(start)


def job(start, end=None, state="SUCCEEDED", machine="n1-standard-4"):
    raw = answer(state=f"JOB_STATE_{state}", startTime=start, endTime=end)
    raw["jobSpec"]["workerPoolSpecs"][0]["machineSpec"]["machineType"] = machine
    return vertex.parse(raw, datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC))


def test_the_month_is_what_ended_and_what_may_still_come():
    found = [
        job("2026-11-10T10:00:00Z", "2026-11-10T11:00:00Z"),
        job("2026-11-24T11:30:00Z", state="RUNNING"),
        job("2026-11-10T10:00:00Z", "2026-11-10T11:00:00Z", machine="n9-new-1"),
        # from 06:30 to 07:30 on the first: half an hour is this month's
        job("2026-11-01T06:30:00Z", "2026-11-01T07:30:00Z"),
    ]
    month = costs.tally(found, START)
    assert f"{month.spent.amount:.4f}" == "0.3679"
    assert f"{month.committed.amount:.4f}" == "0.2453"
    assert (month.unknown, month.month, month.spent.currency) == (1, "2026-11", "USD")
    assert [f"{row.amount:.3f}" if row.amount is not None else None for row in month.rows] == [
        "0.245", "0.123", None, "0.123",
    ]  # fmt: skip


def test_no_jobs_no_costs():
    month = costs.tally([], START)
    assert (month.spent.amount, month.committed.amount, month.rows) == (0, 0, ())


def test_a_jobs_worst_case_is_the_plans():
    """What the gate allows and what a running job holds of the budget are the same number."""
    spec = SPEC
    hourly = prices.job_hour(spec.machine, "us-central1").amount
    raw = {**answer(state="JOB_STATE_RUNNING"), **body.body(spec)}
    assert vertex.parse(raw).worst_case == vertex.limits.worst_case(hourly, spec.limit_seconds, 0)


@pytest.mark.parametrize(
    "start, end, amount",
    [
        ("us-central1", "us-central1", "0"),
        ("us-central1", "northamerica-northeast1", "0.02"),
        ("europe-west4", "europe-west1", "0.02"),
        ("europe-west4", "us-east1", "0.05"),
        ("asia-northeast3", "us-central1", "0.08"),
        ("us-central1", "southamerica-east1", "0.14"),
        ("me-west1", "africa-south1", "0.14"),
    ],
)
def test_what_a_gib_costs_on_its_way_between_regions(start, end, amount):
    price = between(start, end)
    assert (price.amount, price.unit, price.sure) == (Decimal(amount), "GiB", "estimate")
    assert price == between(end, start) and price.as_of
