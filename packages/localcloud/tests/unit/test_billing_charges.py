"""The arithmetic of the bill: Pacific days, the free tier, credits, and sums without drift."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from localcloud.billing import charges, pacific, prices
from localcloud.billing.charges import Credit, dollars, lines
from localcloud.billing.ledger import Ledger
from localcloud.commands import money
from localcloud.core.asked.counts import CLASS_A, CLASS_B, EARLY, LOGS, MESSAGES, Thing
from localcloud.core.asked.usage import Pool, Span
from localcloud.launch import Failed

PAYER = "billingAccounts/012345-6789AB-CDEF01"


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def span(started: str, ended: str | None, *pools: Pool, kind: str = "training", **changes: object) -> Span:
    fields = {"resource": "job", "project": "p", "payer": PAYER, "region": "us-central1", "labels": {}} | changes
    return Span(kind=kind, pools=pools, started=at(started), ended=at(ended) if ended else None, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-01-01T07:59:59", date(2025, 12, 31)),
        ("2026-01-01T08:00:00", date(2026, 1, 1)),
        ("2026-07-01T06:59:59", date(2026, 6, 30)),
        ("2026-07-01T07:00:00", date(2026, 7, 1)),
        ("2026-03-08T09:59:59", date(2026, 3, 8)),  # the hour before summer time
        ("2026-11-01T08:59:59", date(2026, 11, 1)),  # its last hour
        ("2026-11-02T07:59:59", date(2026, 11, 1)),
    ],
)
def test_days_are_pacific(moment: str, day: date) -> None:
    assert pacific.day(at(moment)) == day
    assert pacific.begin(day) <= at(moment) < pacific.begin(date.fromordinal(day.toordinal() + 1))


def test_the_days_of_an_interval_add_up_over_the_change_of_the_hour() -> None:
    start, end = at("2026-10-31T12:00:00"), at("2026-11-03T12:00:00")
    parts = list(pacific.days(start, end))
    assert sum(seconds for _, seconds in parts) == end - start
    assert dict(parts)[date(2026, 11, 1)] == 25 * 3600
    assert pacific.month_seconds(date(2026, 11, 5)) == 30 * 86_400 + 3600
    assert pacific.period("QUARTER", date(2026, 11, 5)) == (date(2026, 10, 1), date(2027, 1, 1))
    assert pacific.before("MONTH", date(2026, 1, 1)) == (date(2025, 12, 1), date(2026, 1, 1))


def test_an_hour_of_the_confirmed_machine_costs_what_google_publishes() -> None:
    found = lines([span("2026-11-10T12:00:00", "2026-11-10T13:00:00", Pool("n1-standard-4", 1))], [], 0)
    assert [(line.amount, line.unit) for line in found] == [(Decimal(1), "hour")]
    assert found[0].nanos == pytest.approx(218_498_850, abs=50_000)


@pytest.mark.parametrize(("seconds", "charged"), [(1, 30), (30, 30), (31, 60), (3599, 3600)])
def test_each_half_minute_begun_is_charged(seconds: int, charged: int) -> None:
    start = at("2026-11-10T12:00:00")
    one = Span("job", "training", "p", PAYER, "us-central1", (Pool("n1-standard-4", 3),), {}, start, start + seconds)
    assert sum(line.amount for line in lines([one], [], 0)) == Decimal(charged * 3) / 3600


def test_a_running_job_is_charged_until_now_with_its_disk_on_each_day() -> None:
    pool = Pool("e2-standard-4", 1, disk="pd-ssd", disk_gb=100)
    found = lines([span("2026-11-10T00:00:00", None, pool)], [], at("2026-11-12T00:00:00"))
    assert sorted({line.day for line in found}) == [date(2026, 11, 9), date(2026, 11, 10), date(2026, 11, 11)]
    assert {line.sku.split(" on ")[1].split(" ")[0] for line in found} == {"e2-standard-4", "pd-ssd"}
    assert sum(line.amount for line in found if "pd-ssd" in line.sku) == 48


def test_spot_costs_less_and_an_unknown_price_is_never_zero() -> None:
    def cost(**pool: object) -> int | None:
        made = Pool(**{"machine": "n1-standard-4", "replicas": 1, **pool})  # type: ignore[arg-type]
        return lines([span("2026-11-10T12:00:00", "2026-11-10T13:00:00", made)], [], 0)[0].nanos

    on_demand, spot = cost(), cost(spot=True)
    assert on_demand is not None and spot is not None and spot < on_demand
    with_gpu = cost(accelerator="NVIDIA_TESLA_T4", count=1)
    assert with_gpu is not None and with_gpu > on_demand
    assert cost(machine="a4-highgpu-8g") is None


def test_a_small_serving_machine_costs_its_share_of_the_next_larger() -> None:
    def cost(machine: str) -> int:
        found = lines([span("2026-11-10T12:00:00", "2026-11-10T13:00:00", Pool(machine, 1), kind="serving")], [], 0)
        return found[0].nanos or 0

    assert cost("n1-standard-2") * 2 == pytest.approx(cost("n1-standard-4"), abs=2)


Levels = dict[Thing, int]


def level(amount: int, location: str = "US-CENTRAL1", storage_class: str = "STANDARD") -> Levels:
    return {Thing("b", storage_class, location, "p", PAYER, "{}"): amount}


def stored(folder: Path, levels: Levels) -> list[charges.Line]:
    """What a month of these levels costs."""
    ledger = Ledger(folder / "ledger.sqlite")
    ledger.sample(pacific.begin(date(2026, 6, 1)), levels)
    ledger.sample(pacific.begin(date(2026, 6, 11)), {replace(one, labels='{"n": "2"}'): levels[one] for one in levels})
    return lines([], ledger.counted(pacific.begin(date(2026, 7, 1))), 0)


def test_a_month_of_storage_costs_its_price_beyond_the_free_tier(tmp_path: Path) -> None:
    found = stored(tmp_path, level(100 << 30))
    assert sum(line.amount for line in found) == pytest.approx(Decimal(100))
    assert dollars(sum(line.nanos or 0 for line in found))[:5] == "1.900"  # 95 GB-months at 0.020
    assert sum(line.nanos or 0 for line in stored(tmp_path / "2", level(5 << 30))) == 0
    assert sum(line.nanos or 0 for line in stored(tmp_path / "3", level(5 << 30, "EUROPE-WEST4"))) == pytest.approx(
        10**8, abs=99
    )
    assert {line.nanos for line in stored(tmp_path / "4", level(5 << 30, "ME-WEST1"))} == {None}
    nearline = stored(tmp_path / "5", level(100 << 30, storage_class="NEARLINE"))
    assert sum(line.nanos or 0 for line in nearline) == pytest.approx(10**9, abs=99)


def thing(storage_class: str = "STANDARD", location: str = "US-CENTRAL1", project: str = "p") -> Thing:
    return Thing("b", storage_class, location, project, PAYER, "{}")


GIB, MONTH = 1 << 30, 30 * 86_400  # June has 30 days


@pytest.mark.parametrize(
    ("what", "of", "amount", "dollars_"),
    [
        (CLASS_A, thing(location="EUROPE-WEST4"), 10_000, "0.05"),  # Google's own example
        (CLASS_B, thing(location="EUROPE-WEST4"), 50_000, "0.02"),
        (CLASS_A, thing(), 15_000, "0.05"),  # 5,000 are free here
        (CLASS_B, thing(), 100_000, "0.02"),
        (CLASS_A, thing(location="EU"), 1000, "0.01"),
        (CLASS_B, thing("COLDLINE"), 1000, "0.01"),  # nothing is free of colder classes
        (CLASS_A, thing("ARCHIVE", "US"), 1000, "0.1"),
        (EARLY, thing("NEARLINE"), 1000 * GIB * MONTH // 2, "5"),  # Google's own example
        (LOGS, thing(), 60 * GIB, "5"),
        (LOGS, thing(), 50 * GIB, "0"),
        (MESSAGES, thing(), (10 + 1024) * GIB, "40"),
    ],
)
def test_what_is_charged_by_the_piece_and_the_byte(
    tmp_path: Path, what: str, of: Thing, amount: int, dollars_: str
) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for part in (amount // 4, amount - amount // 4):  # on one day
        ledger.count(date(2026, 6, 10), {(what, of): part})
    [line] = lines([], ledger.counted(0), 0)
    assert Decimal(line.nanos or 0) / 10**9 == Decimal(dollars_)


def test_what_is_free_is_so_for_each_month_and_account_or_project(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for day in (date(2026, 6, 10), date(2026, 6, 11), date(2026, 7, 1)):
        ledger.count(day, {(CLASS_A, thing()): 3000, (LOGS, thing()): 30 * GIB, (LOGS, thing(project="q")): 30 * GIB})
    found = lines([], ledger.counted(0), 0)
    assert [line.nanos for line in found if line.unit == "operation"] == [0, 1000 * 5000, 0]
    logs = {(line.project, line.day.isoformat()): line.nanos for line in found if line.unit == "gibibyte"}
    assert logs == {
        (project, day): nanos
        for project in "pq"
        for day, nanos in (("2026-06-10", 0), ("2026-06-11", 5 * 10**9), ("2026-07-01", 0))
    }


def test_machines_cost_what_the_price_lists_say_by_hand() -> None:
    def hour(pool: Pool, kind: str = "training") -> Decimal:
        found = lines([span("2026-06-10T12:00:00", "2026-06-10T13:00:00", pool, kind=kind)], [], 0)
        return sum((Decimal(line.nanos or 0) for line in found), Decimal()) / 10**9

    def about(dollars: str) -> object:
        return pytest.approx(Decimal(dollars), abs=Decimal("0.00001"))

    machine, disk = Decimal("0.189999"), Decimal("0.0002678")  # Compute Engine's n1-standard-4; a GB of pd-ssd
    gpu, gpu_spot, machine_spot = Decimal("0.35"), Decimal("0.175"), Decimal("0.04407")
    assert hour(Pool("n1-standard-4", 1)) == about(f"{machine * Decimal('1.15')}")
    assert hour(Pool("n1-standard-4", 2, disk="pd-ssd", disk_gb=100)) == about(
        f"{2 * (machine * Decimal('1.15') + 100 * disk)}"
    )
    with_gpu = Pool("n1-standard-4", 1, "NVIDIA_TESLA_T4", 2)
    assert hour(with_gpu) == about(f"{(machine + 2 * gpu) * Decimal('1.15')}")
    fee = (machine + 2 * gpu) * Decimal("0.15")  # Vertex AI's, of the price on demand
    assert hour(replace(with_gpu, spot=True)) == about(f"{machine_spot + 2 * gpu_spot + fee}")
    assert hour(Pool("n1-standard-4", 3), "serving") == about(f"{3 * machine * Decimal('1.15')}")


def test_a_ledger_of_an_older_version_is_taken_over(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.note(span("2026-06-10T12:00:00", None, Pool("n1-standard-4", 1), title="mine"))
    with sqlite3.connect(tmp_path / "ledger.sqlite") as old:
        old.execute("ALTER TABLE spans DROP COLUMN title")
    old.close()
    [kept] = Ledger(tmp_path / "ledger.sqlite").spans()
    assert (kept.title, kept.started) == ("", at("2026-06-10T12:00:00"))


def test_the_ledger_keeps_what_it_noted_first_and_over_a_restart(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.note(span("2026-11-10T12:00:00", None, Pool("n1-standard-4", 1)))
    ledger.note(span("2026-11-10T12:00:00", "2026-11-10T13:00:00", Pool("n1-standard-4", 1), payer="another"))
    ledger.note(span("2026-11-10T12:00:00", "2026-11-10T19:00:00", Pool("n1-standard-4", 1)))
    [kept] = Ledger(tmp_path / "ledger.sqlite").spans()
    assert (kept.payer, kept.ended, kept.pools) == (PAYER, at("2026-11-10T13:00:00"), (Pool("n1-standard-4", 1),))


def test_a_credit_pays_until_it_is_used_up_or_over() -> None:
    hours = span("2026-11-10T12:00:00", "2026-11-20T12:00:00", Pool("n1-standard-4", 1))
    whole = lines([hours], [], 0)
    cost = sum(line.nanos or 0 for line in whole)
    half = lines([hours], [], 0, [Credit(frozenset({PAYER}), cost // 2, date(2027, 1, 1))])
    assert sum(line.credit for line in half) == cost // 2
    assert [line.net for line in half][:3] == [0, 0, 0]
    ended = lines([hours], [], 0, [Credit(frozenset({PAYER}), cost, date(2026, 11, 12))])
    assert {line.day for line in ended if line.credit} == {date(2026, 11, 10), date(2026, 11, 11)}
    assert not any(
        line.credit for line in lines([hours], [], 0, [Credit(frozenset({"another"}), cost, date(2027, 1, 1))])
    )


def test_many_small_lines_add_up_exactly() -> None:
    many = [span("2026-11-10T12:00:00", "2026-11-10T12:00:30", Pool("n1-standard-4", 1), resource=str(i)) for i in range(1000)]  # fmt: skip # noqa: E501
    one = prices.machine("training", "n1-standard-4", "", 0, False, "us-central1").nanos(Decimal(30) / 3600)
    assert one is not None
    assert sum(line.nanos or 0 for line in lines(many, [], 0)) == 1000 * one
    assert dollars(-1_234_567_890) == "-1.234567890"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("12h", 43_200), ("3d", 259_200), ("2w", 1_209_600), ("1d12h", 129_600)],
)
def test_times_to_move_by(text: str, seconds: int) -> None:
    assert money.seconds(text) == seconds


@pytest.mark.parametrize("text", ["3", "d", "-3d", "3x", "3 d", "1.5h", "3d!", "tomorrow"])
def test_times_that_can_not_be(text: str) -> None:
    with pytest.raises(Failed, match="isn't a time to move by") as told:
        money.seconds(text)
    assert (told.value.code, "90s, 30m, 12h, 3d, 2w" in told.value.hint) == (2, True)
