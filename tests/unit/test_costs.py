"""Costs by arithmetic alone: months of the bill, shares of them, what is free, what it comes to, what the bill says."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest

from cloudkite.jobs import body
from cloudkite.jobs.places import cloudrun, vertex
from cloudkite.money import prices
from cloudkite.money.inventory import Standing
from cloudkite.money.spent import account, bill, charge, look, months, rows
from cloudkite.money.spent.bill import Amount, Bill, Line
from cloudkite.money.spent.look import Kept, Machines, Seen
from cloudkite.show.errors import BadValue
from tests.jobs import answer

NOW = datetime.datetime(2026, 11, 16, 7, 30, tzinfo=datetime.UTC)
NOVEMBER = months.of(NOW)
HOUR = datetime.timedelta(hours=1)


def job(labels: dict[str, str] | None = None, **changes: Any) -> vertex.Job:
    raw = answer(**changes)
    raw["labels"] = raw["labels"] | (labels or {})
    return vertex.parse(raw, NOW)


def machines(kind: str = rows.ENDPOINTS, hourly: str | None = "0.5", hours: float = 2, **more: Any) -> Machines:
    times = ((NOW - hours * HOUR, NOW),)
    return Machines(kind, "thing", None if hourly is None else Decimal(hourly), times, **{"going": True, **more})


def seen(*found: Machines, kept: tuple[Kept, ...] = ()) -> Seen:
    return Seen(NOW, found, kept, (), (), ("us-central1",))


def kept(size: int, days: float, place: str = "us-central1", storage_class: str = "STANDARD") -> Kept:
    since = NOW - datetime.timedelta(days=days)
    return Kept("bucket", place, storage_class, {}, ((since, None, size),))


@pytest.mark.parametrize("text", ["2026", "2026-13", "november", "2026-1", ""])
def test_what_is_no_month_is_refused(text: str):
    with pytest.raises(BadValue, match="isn't a month"):
        months.parse(text, NOW)


def test_months_are_as_long_as_they_are():
    assert NOVEMBER.seconds == 30 * 86_400 + 3600  # summer time ends in it
    assert months.parse("2026-03", NOW).seconds == 31 * 86_400 - 3600
    assert [one.name for one in months.since(datetime.datetime(2026, 9, 30, tzinfo=datetime.UTC), NOW)] == [
        "2026-09", "2026-10", "2026-11",
    ]  # fmt: skip


def test_the_charged_seconds_are_half_minutes_and_never_beyond_the_limit():
    begin = datetime.datetime(2026, 11, 10, 10, 0, 0, 900_000, tzinfo=datetime.UTC)
    for seconds, billed in ((0, 30), (1, 30), (30, 30), (31, 60), (3601, 3600)):
        assert vertex.charged(begin, begin + datetime.timedelta(seconds=seconds), 3600) == billed
    assert cloudrun.billed(0.3) == 60 and cloudrun.billed(60.05) == Decimal("60.1")


def test_a_job_counts_by_the_month_that_its_hours_are_in():
    """An hour, half of it before the month: nothing is rounded but the half minutes."""
    found = look._of_job(job(startTime="2026-11-01T06:30:00Z", endTime="2026-11-01T07:30:00Z",
                             state="JOB_STATE_SUCCEEDED"), NOW)  # fmt: skip
    before, here = (charge.charge(seen(found), one)[0] for one in (months.parse("2026-10", NOW), NOVEMBER))
    assert found.hourly is not None and before.amount == here.amount == found.hourly / 2
    assert charge.charge(seen(found), NOVEMBER.after()) == []
    assert here.hourly == 0 and here.ours


def test_labels_say_what_the_gate_let_it_pass_for():
    found = job({"worst-case": body.amount_as_label(Decimal("0.1832")), "estimate": "0_05"})
    assert (found.gate, found.estimate) == (Decimal("0.1832"), Decimal("0.05"))
    strange = job({"worst-case": "1_2_3", "estimate": "nan"})
    assert (strange.gate, strange.estimate, job().gate) == (None, None, None)
    body.check_label("worst-case", body.amount_as_label(Decimal("1234.5000")))
    third = job({"worst-case": body.amount_as_label(Decimal(2) / 3), "estimate": body.amount_as_label(Decimal("7E+1"))})
    assert (third.gate, third.estimate) == (Decimal("0.666667"), Decimal(70))


def test_storage_counts_by_the_time_that_it_is_kept_and_five_gib_months_are_free():
    gib = 2**30
    whole = kept(100 * gib, 100)
    (row, free) = charge.charge(seen(kept=(whole,)), NOVEMBER)
    part = Decimal((NOW - NOVEMBER.begins) / datetime.timedelta(seconds=1)) / NOVEMBER.seconds
    assert row.amount is not None and abs(row.amount - Decimal("0.020") * 100 * part) < Decimal("1e-12")
    assert free.kind == rows.FREE and free.amount == Decimal("-0.100")
    (seoul,) = charge.charge(seen(kept=(kept(gib, 100, "asia-northeast3"),)), NOVEMBER)  # nothing is free there
    assert seoul.amount is not None and seoul.amount > 0
    (unknown,) = charge.charge(seen(kept=(kept(gib, 100, "nowhere-1"),)), NOVEMBER)
    assert unknown.amount is None and unknown.hourly is None
    moved = Kept("b", "us-east4", "STANDARD", {}, ((NOVEMBER.begins, NOVEMBER.begins + 24 * HOUR, gib),))
    assert charge.level(moved) == 0 and charge.gib_months(moved, NOVEMBER, NOW) == Decimal(86_400) / NOVEMBER.seconds


def test_the_forecast_is_what_runs_until_its_limit_what_is_stored_and_apart_from_them_the_pace():
    until = NOW + 3 * HOUR
    limited = machines(rows.JOBS, "2", 1, ends=until)
    endpoint = machines(rows.ENDPOINTS, "0.5", 2)
    stored = kept(100 * 2**30, 100)
    found = charge.charge(now := seen(limited, endpoint, machines(hourly=None), kept=(stored,)), NOVEMBER)
    ahead = account.forecast(now, NOVEMBER, found)
    left = Decimal((NOVEMBER.ends - NOW) / HOUR)
    assert abs(ahead.runs - (2 * 3 + left / 2)) < Decimal("0.001")
    part = left * 3600 / NOVEMBER.seconds
    assert abs(ahead.stored - Decimal("0.020") * 100 * part) < Decimal("0.0001")  # what was free is used up
    assert ahead.pace is not None and abs(ahead.pace - 2 * part / (1 - part)) < Decimal("0.0001")
    assert ahead.unknown == 1 and ahead.total == ahead.spent + ahead.runs + ahead.stored
    early = seen(limited)
    young = account.forecast(Seen(NOVEMBER.begins + HOUR, *list(vars(early).values())[1:]), NOVEMBER, [])
    assert young.pace is None


def test_small_serving_machines_cost_by_their_vcpus():
    large = prices.serving_hour({"machineType": "n1-standard-4"}, "us-central1").amount
    small = prices.serving_hour({"machineType": "n1-standard-2"}, "us-central1").amount
    assert large and small == large / 2
    assert prices.serving_hour({"machineType": "x9-mega"}, "us-central1").amount is None


def test_sums_tell_what_cloudkite_did_not_make():
    ours = {"managed-by": "cloudkite", "trainer": "penguins", "started-by": "me-example-com"}
    found = charge.charge(seen(machines(rows.JOBS, labels=ours), machines(rows.JOBS), machines(rows.TRIES)), NOVEMBER)
    told = [(one.kind, one.name, one.ours, one.amount) for one in rows.group(found, "trainer")]
    assert told == [("trainer", "penguins", True, 1), ("job", "", False, 1), ("tuning", "", False, 1)]
    assert [one.name for one in rows.group(found, "person")] == ["me-example-com", "", ""]


def line(cost: str, credit: str = "0", service: str = "Vertex AI", **labels: str) -> Line:
    return Line(service, "sku", NOVEMBER.begins, NOW, Decimal(cost), Decimal(credit), "USD", "regular", labels)


def test_the_bill_is_compared_by_labels_and_a_difference_of_a_tenth_is_told():
    labels = {"managed-by": "cloudkite", "trainer": "penguins", "job": "penguins-1"}
    found = charge.charge(seen(machines(rows.JOBS, labels=labels)), NOVEMBER)
    for cost, far in (("1.05", False), ("0.95", False), ("1.2", True), ("0.5", True)):
        whole = Bill("p.d.t", (line(cost, "-0.2", trainer="penguins", job="penguins-1"), line("7")))
        (one,) = bill.compare(whole, found, "job", Decimal(1))
        assert (one.name, one.bill, one.book, one.far) == (
            "penguins-1", Amount(Decimal(cost), Decimal("-0.2")), 1, far,
        )  # fmt: skip
    (unknown,) = bill.compare(whole, found, "trainer", None)
    assert unknown.book is None and not unknown.far and unknown.bill.gross == Decimal("0.5")
    assert whole.total() == Amount(Decimal("7.5"), Decimal("-0.2"))


def test_rows_of_the_export_are_read_by_its_schema_and_torn_ones_left_out():
    fields = [
        {"name": "service", "type": "RECORD", "mode": "NULLABLE", "fields": [{"name": "id"}, {"name": "description"}]},
        {"name": "usage_start_time", "type": "TIMESTAMP"},
        {"name": "usage_end_time", "type": "TIMESTAMP"},
        {"name": "project", "type": "RECORD", "fields": [{"name": "id"}]},
        {"name": "labels", "type": "RECORD", "mode": "REPEATED", "fields": [{"name": "key"}, {"name": "value"}]},
        {"name": "cost", "type": "FLOAT"},
        {"name": "credits", "type": "RECORD", "mode": "REPEATED", "fields": [{"name": "name"}, {"name": "amount"}]},
    ]
    start, end = (str(int(moment.timestamp()) * 10**6) for moment in (NOVEMBER.begins, NOW))

    def told(project: str = "mine", cost: Any = "1.25E-2", begin: Any = start) -> dict[str, Any]:
        pair = {"v": {"f": [{"v": "trainer"}, {"v": "penguins"}]}}
        credits = [{"v": {"f": [{"v": "Free"}, {"v": "-0.5"}]}}]
        cells = [{"f": [{"v": "1"}, {"v": "Vertex AI"}]}, begin, end, {"f": [{"v": project}]}, [pair], cost, credits]
        return bill._record({"f": [{"v": cell} for cell in cells]}, fields)

    found = bill._line(told(), "mine", NOVEMBER)
    assert found is not None
    assert (found.cost, found.credit, found.service) == (Decimal("0.0125"), Decimal("-0.5"), "Vertex AI")
    assert (found.start, found.labels) == (NOVEMBER.begins, {"trainer": "penguins"})
    late = str(int(NOVEMBER.ends.timestamp()) * 10**6)
    for other in (told("theirs"), told(cost=None), told(cost="much"), told(begin="soon"), told(begin=late), {}):
        assert bill._line(other, "mine", NOVEMBER) is None
    days = list(bill._days(months.parse("2026-10", NOW), NOW))
    assert (days[0], days[-1]) == (datetime.date(2026, 10, 1), datetime.date(2026, 11, 6))


def test_what_costs_by_being_there_counts_since_it_was_made_where_that_is_known():
    old, new, unknown = (
        Standing("alert", name, Decimal(3), "per condition", since=since)
        for name, since in (("old", NOVEMBER.begins - 9 * HOUR), ("new", NOW - HOUR), ("unknown", None))
    )
    found = charge.charge(Seen(NOW, (), (), (old, new, unknown), (), ()), NOVEMBER)
    whole = Decimal(3) * int((NOW - NOVEMBER.begins).total_seconds()) / NOVEMBER.seconds
    amounts = [row.amount or Decimal(0) for row in found]
    assert [round(amount, 9) for amount in amounts] == [
        round(amount, 9) for amount in (whole, Decimal(3) * 3600 / NOVEMBER.seconds, whole)
    ]
    assert [row.why.endswith("since the month began") for row in found] == [False, False, True]
