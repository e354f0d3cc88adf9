"""Two who start jobs at the same moment can't overrun the budget that they share."""

import dataclasses
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cloudkite.jobs import service, submit
from cloudkite.money import costs, gate, reservations
from cloudkite.show.errors import UserError

pytestmark = pytest.mark.slow


@pytest.fixture
def tight(place):
    """Makes plans on a budget that has room for so many of them besides what was spent."""

    def tight(times):
        plan = place.plan("--epochs", "1")
        month = costs.spent(place.target)
        used = month.spent.amount + month.committed.amount
        budget = float(used) + float(plan.worst_case) * (times + 0.5)
        return dataclasses.replace(plan, account=dataclasses.replace(place.account, budget=budget))

    return tight


@pytest.fixture(autouse=True)
def nothing_reserved(place):
    """Others of this cloud may have reserved something for a job that is gone since."""
    if listed(place).exists():
        listed(place).delete()
    yield
    listed(place).delete()


def listed(place):
    bucket = place.target.storage().bucket(place.account.outputs().buckets["staging"].removeprefix("gs://"))
    return bucket.blob(reservations.NAME)


def test_of_jobs_that_are_started_at_once_as_many_start_as_the_budget_holds(place, tight):
    plan = tight(2)
    [*verdicts] = [gate.judge(place.target, plan) for _ in range(4)]
    assert all(verdict.left and verdict.left > 0 for verdict in verdicts)  # each alone would fit
    together = threading.Barrier(4)

    def hold(number):
        together.wait()
        try:
            with reservations.reserved(place.target, plan, f"tiny-{number}"):
                together.wait()  # nobody has submitted yet
        except UserError as refused:
            together.wait()
            return refused.message
        return ""

    with ThreadPoolExecutor(4) as pool:
        told = sorted(pool.map(hold, range(4)))
    assert told[:2] == ["", ""]
    assert all("only" in each and f"that {place.target.identity} is submitting now" in each for each in told[2:])


def test_a_job_is_refused_while_another_is_being_submitted_and_counted_once_when_it_is_listed(place, tight):
    plan = tight(1)
    with reservations.reserved(place.target, plan, "tiny-other"), pytest.raises(UserError, match="submitting now"):
        submit.submit(place.workspace, place.target, plan)
    assert [one["job"] for one in json.loads(listed(place).download_as_text())] == ["tiny-other"]
    listed(place).delete()
    job = submit.submit(place.workspace, place.target, plan)
    assert job.started_by and place.target.identity.startswith(job.started_by[:3])
    two = dataclasses.replace(plan, account=dataclasses.replace(plan.account, budget=plan.account.budget * 2))
    with reservations.reserved(place.target, two, "tiny-next"):  # the job above is no longer among them
        assert [one["job"] for one in json.loads(listed(place).download_as_text())] == ["tiny-next"]
    service.cancel(place.target, job.id)
    while service.get(place.target, job.id).active:  # else what it may cost is set free in the midst of the next test
        time.sleep(0.1)


def test_what_was_refused_is_given_back_and_what_may_have_been_taken_is_not(place, tight):
    plan = tight(1)
    with pytest.raises(UserError, match="no such"), reservations.reserved(place.target, plan, "tiny-refused"):
        raise UserError("no such image")
    assert json.loads(listed(place).download_as_text()) == []
    with pytest.raises(service.Unsure), reservations.reserved(place.target, plan, "tiny-unsure"):
        raise service.Unsure("no answer")
    with pytest.raises(UserError, match="submitting now"), reservations.reserved(place.target, plan, "tiny-after"):
        pytest.fail("there was no room for it")


@pytest.mark.parametrize("left, counts", [(-5, False), (3600, True)])
def test_a_reservation_expires(place, tight, left, counts):
    until = time.time() + left
    plan = tight(1)
    row = {"job": "tiny-of-a-killed-one", "who": "me@example.com", "amount": str(plan.worst_case), "currency": "USD"}
    listed(place).upload_from_string(json.dumps([{**row, "until": until}]))
    if counts:
        with pytest.raises(UserError, match=r"me@example\.com is submitting now"):
            submit.submit(place.workspace, place.target, plan)
    else:
        with reservations.reserved(place.target, plan, "tiny-after"):
            pass


LESS = {"job": "tiny-x", "who": "me@example.com", "amount": "-5", "currency": "USD", "until": 9e9}


@pytest.mark.parametrize("text", ["[", "{}", '[1, {"job": "x"}]', "[" * 100_000, json.dumps([LESS])])
def test_a_list_that_somebody_spoilt_holds_nothing(place, tight, text):
    listed(place).upload_from_string(text)
    with reservations.reserved(place.target, tight(1), "tiny-after"):
        assert [one["job"] for one in json.loads(listed(place).download_as_text())] == ["tiny-after"]
