"""A trial's phases by its days, and by what the cloud says of its billing account."""

import datetime

import pytest

from cloudkite.accounts.trial import Phase, Trial, parse_day
from cloudkite.show.errors import BadValue

BEGAN = datetime.date(2026, 11, 29)


def on(day, is_open=None, seen=None):
    after = datetime.timedelta(days=1)
    return Trial(BEGAN, BEGAN + day * after, is_open, None if seen is None else BEGAN + seen * after)


@pytest.mark.parametrize(
    "trial, phase, left",
    [
        (on(0), Phase.RUNNING, 90), (on(75, True), Phase.RUNNING, 15), (on(76), Phase.LAST, 14),
        (on(89, True), Phase.LAST, 1), (on(90), Phase.CLOSED, 0), (on(90, False, 90), Phase.CLOSED, 0),
        (on(90, True), Phase.LAST, 0),  # its last hours
        (on(91, True), Phase.UPGRADED, 0), (on(119), Phase.CLOSED, 0), (on(120), Phase.DELETED, 0),
        (on(40, False, 40), Phase.CLOSED, 50), (on(69, False, 40), Phase.CLOSED, 21),
        (on(70, False, 40), Phase.DELETED, 20),
        (on(130, False, 129), Phase.DELETED, 0),  # seen late: its days say when it closed
    ],
)  # fmt: skip
def test_phases(trial, phase, left):
    assert (trial.phase, trial.left) == (phase, left)


def test_when_it_closed_and_what_follows():
    early = on(45, False, 40)
    assert (early.early, early.closing, early.deletes) == (True, datetime.date(2027, 1, 8), datetime.date(2027, 2, 7))
    late = on(100, False, 95)
    assert (late.early, late.closing, late.deletes) == (False, datetime.date(2027, 2, 27), datetime.date(2027, 3, 29))


def test_of_a_trial_whose_start_nobody_said_only_the_closing_is_known():
    day = datetime.date(2026, 12, 31)
    assert Trial(None, day, True).phase is Phase.RUNNING
    closed = Trial(None, day, False, datetime.date(2026, 12, 20))
    assert (closed.phase, closed.early, closed.deletes) == (Phase.CLOSED, True, datetime.date(2027, 1, 19))


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "29.11.2026", "2026-11-30", "2008-04-06"])
def test_no_day_on_which_a_trial_began(text):
    with pytest.raises(BadValue) as refused:
        parse_day(text, BEGAN)
    assert refused.value.message == f"{text!r} isn't a day on which the trial may have begun"
    assert refused.value.hint == "a day until today, such as 2026-11-29"


def test_a_day_on_which_a_trial_began():
    assert parse_day(" 2026-11-29 ", BEGAN) == BEGAN
