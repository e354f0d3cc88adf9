"""Durations and amounts as people type them, and the arithmetic of the worst case."""

from decimal import Decimal

import pytest

from cloudkite.money import limits
from cloudkite.show.errors import BadValue


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("1h", 3600), ("90m", 5400), ("2h30m", 9000), ("5m", 300), ("300s", 300), ("1d", 86400), ("7d", 604800),
        ("1H", 3600), (" 10m ", 600), ("1h0m", 3600), ("0h30m", 1800), ("1d12h", 129600), ("59m60s", 3600),
    ],
)  # fmt: skip
def test_durations(text, seconds):
    assert limits.parse_limit(text) == seconds


@pytest.mark.parametrize(
    "text, hint",
    [
        ("", "for example"), ("1", "for example"), ("60", "for example"), ("1.5h", "for example"), ("h", "for example"),
        ("1h 30m", "for example"), ("30m1h", "for example"), ("-1h", "for example"), ("one hour", "for example"),
        ("1w", "for example"), ("4m", "at least 5m"), ("0h", "at least 5m"), ("299s", "at least 5m"),
        ("8d", "at most 7d"), ("999999h", "at most 7d"), ("１h", "for example"),
    ],
)  # fmt: skip
def test_what_is_no_duration(text, hint):
    with pytest.raises(BadValue) as caught:
        limits.parse_limit(text)
    assert hint in caught.value.hint
    assert caught.value.code == 2


@pytest.mark.parametrize("seconds, text", [(300, "5m"), (3600, "1h"), (9000, "2h30m"), (86400, "24h"), (3660, "1h1m")])
def test_a_limit_is_written_as_it_is_typed(seconds, text):
    assert limits.written(seconds) == text
    assert limits.parse_limit(text) == seconds


@pytest.mark.parametrize("text", ["", "abc", "0", "-1", "nan", "inf", "1,50", "$1", "1 USD", "1e400000000"])
def test_what_is_no_amount(text):
    with pytest.raises(BadValue, match="isn't an amount"):
        limits.parse_amount(text)


@pytest.mark.parametrize(
    "text, split",
    [
        ("1", ("1", "")), ("0.50", ("0.50", "")), ("1400KRW", ("1400", "KRW")), ("1400 krw", ("1400", "KRW")),
        ("1.5USD", ("1.5", "USD")), ("KRW1400", ("KRW1400", "")), ("1400WON!", ("1400WON!", "")), ("", ("", "")),
        ("1e3KRW", ("1e3KRW", "")), ("-1KRW", ("-1KRW", "")),
    ],
)  # fmt: skip
def test_an_amount_may_name_its_currency(text, split):
    assert limits.split_currency(text) == split


@pytest.mark.parametrize(
    "hourly, seconds, restarts, expected",
    [
        ("1", 3600, 0, "1.0000"), ("0.2185", 3600, 0, "0.2185"), ("0.3", 1800, 6, "1.0500"),
        ("0.1", 1, 0, "0.0001"), ("12.3456", 300, 0, "1.0288"),
    ],
)  # fmt: skip
def test_the_worst_case_is_rounded_up(hourly, seconds, restarts, expected):
    assert str(limits.worst_case(Decimal(hourly), seconds, restarts)) == expected


def test_an_affordable_limit_never_costs_more_than_the_amount():
    for cents in range(1, 300):
        amount = Decimal(cents) / 100
        for hourly in (Decimal("0.1541"), Decimal("0.6478"), Decimal("12.65")):
            for restarts in (0, 6):
                seconds = limits.affordable(hourly, amount, restarts)
                assert seconds % 60 == 0
                assert seconds == 0 or seconds >= limits.SHORTEST
                if seconds:
                    assert limits.worst_case(hourly, seconds, restarts) <= amount + Decimal("0.0001")


@pytest.mark.parametrize(
    "limit, max_cost, expected",
    [
        ("", "", (3600, None)),
        ("30m", "", (1800, None)),
        ("", "1", (3600, Decimal(1))),
        ("", "0.1", (3600, Decimal("0.1"))),
        ("", "0.0999", (3540, Decimal("0.0999"))),
        ("", "0.05", (1800, Decimal("0.05"))),
        ("1h", "1", (3600, Decimal(1))),
        ("5m", "1", (300, Decimal(1))),
        ("", "100000", (3600, Decimal(100000))),
    ],
)
def test_limit_and_max_cost_together(limit, max_cost, expected):
    assert limits.limit_for(Decimal("0.1"), 0, limit, max_cost, "USD") == expected


@pytest.mark.parametrize(
    "limit, max_cost, restarts, message, hint",
    [
        ("", "0.01", 0, "--max-cost 0.01 USD pays for less than 5 minutes at 0.6210 USD an hour",
         "--max-cost 0.06 pays for 5 minutes; or take a smaller machine"),
        ("", "0.30", 6, "--max-cost 0.30 USD pays for less than 5 minutes at 4.3470 USD an hour",
         "--max-cost 0.37 pays for 5 minutes; or take a smaller machine"),
        ("2h", "1", 0, "--limit 2h may cost 1.24 USD, more than --max-cost 1", "--limit 1h36m fits"),
    ],
)  # fmt: skip
def test_a_max_cost_that_does_not_do(limit, max_cost, restarts, message, hint):
    with pytest.raises(BadValue) as caught:
        limits.limit_for(Decimal("0.6210"), restarts, limit, max_cost, "USD")
    assert (caught.value.message, caught.value.hint) == (message, hint)
