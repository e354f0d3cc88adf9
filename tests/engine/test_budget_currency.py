"""A budget in won, yen or euro, or of a trial: by the account's own price list, its clock, and the real engine."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal

import pytest
import yaml

from cloudkite import workspace
from cloudkite.accounts import local, registry, settings, target
from cloudkite.accounts.asked import preflight, unheard
from cloudkite.jobs.plans import Wishes
from cloudkite.jobs.submit import plan
from cloudkite.journey import refreshing, results, setup, training
from cloudkite.money import costs, currency, gate, reservations
from cloudkite.show.errors import UserError
from cloudkite.trainers import folders
from cloudkite.workspace import CLONE
from tests import trainer_folder
from tests.engine.conftest import Place

pytestmark = pytest.mark.slow

NAME, PAYER = "mine", "012345-6789AB-CDEF01"


@pytest.fixture
def made(pulumi, tmp_path):
    """Makes an account with a budget on a local cloud of its own: `made(currency="KRW", amount=7000)`."""
    space = workspace.throw_away(tmp_path / "own")

    def make(tier="paid", started="", **budget):
        text = (CLONE / "infra" / "Pulumi.local.yaml").read_text(encoding="utf-8")
        config = yaml.safe_load(text.replace("cloudkite-local", "cloudkite-mine"))["config"]
        config["cloudkite:tier"] = tier
        config["cloudkite:budget"] |= budget
        if started:
            config["cloudkite:trialStarted"] = started
        if tier == "trial":
            del config["cloudkite:quotas"]
        (space.accounts / f"Pulumi.{NAME}.yaml").write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
        account = registry.load(space, NAME)
        return Place(space, account, target.connect(space, account))

    yield make
    local.run(space, "stop")


@pytest.fixture
def in_won(made):
    """One in won that is set up, with a trainer."""
    found = made(currency="KRW", amount=300)
    setup.up(found.space, NAME)
    trainer_folder.make(found.space, "tiny")
    currency.look(found.target, "KRW")  # `up` turned its API on
    return found


def planned(place, **wishes):
    return plan(place.account, folders.find(place.space, "tiny"), Wishes(**wishes))


def forward(place, time):
    local.run(place.space, "clock", "--forward", time)


def today(place):
    return place.target.now().date()


def fault(place, code="503"):
    local.run(place.space, "fault", "cloudbilling.services.skus.list", "--code", code, "--times", "0")


def test_the_rate_is_read_once_a_day_and_kept_with_its_date(in_won):
    path = in_won.account.state / "rates.json"
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "KRW": {"per_dollar": "1335.266738", "date": today(in_won).isoformat()}
    }
    fault(in_won)  # nobody asks again today
    rate = currency.look(in_won.target, "KRW")
    assert (rate.per_dollar, rate.date, rate.note) == (Decimal("1335.266738"), today(in_won).isoformat(), "")


def test_prices_are_read_anew_with_the_rate_and_are_the_same(in_won, capsys):
    """On a local cloud the list is made from the bundled book: nothing changes but the date and the sureness."""
    before = planned(in_won).price
    forward(in_won, "1d")
    refreshing.refresh(in_won.space, NAME, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["changes"], told["unmapped"], told["refused"], told["left_out"]) == ([], [], [], [])
    assert told["used"] == told["skus"] > 1500
    assert told["rate"] == {"currency": "KRW", "per_dollar": "1335.266738", "date": today(in_won).isoformat()}
    fault(in_won)
    assert currency.look(in_won.target, "KRW").note == ""  # nobody asks again today
    after = planned(in_won).price
    assert (after.amount, after.currency) == (before.amount, before.currency)
    assert (after.as_of, after.sure) == (today(in_won).isoformat(), "confirmed")
    with pytest.raises(UserError, match="read the price list of"):
        refreshing.refresh(in_won.space, NAME)
    (in_won.account.state / "prices.json").write_text("{", encoding="utf-8")
    [note] = target.connect(in_won.space, in_won.account).notes
    assert "so the bundled prices are: uv run invoke prices --refresh --account mine" in note
    assert planned(in_won).price == before


def test_the_gate_compares_in_won(in_won):
    verdict = gate.judge(in_won.target, planned(in_won))
    assert verdict.left == Decimal(300) - Decimal("0.1810") * Decimal("1335.266738")
    with pytest.raises(UserError) as refused:
        gate.judge(in_won.target, planned(in_won, limit="2h"))
    assert refused.value.message == (
        "this job may cost 483 KRW, and of the month's budget of 300 KRW only 300 are free (0 spent, 0 held for "
        f"running jobs), at 1 USD = 1,335.27 KRW of {today(in_won)}"
    )
    assert refused.value.hint == "--limit 1h14m fits"
    assert gate.judge(in_won.target, planned(in_won, limit="1h14m")).left > 0


def test_two_who_start_jobs_at_once_can_not_overrun_a_budget_in_won(in_won):
    one = planned(in_won)
    with (
        reservations.reserved(in_won.target, one, "gs://models/one/"),
        pytest.raises(UserError) as refused,
        reservations.reserved(in_won.target, one, "gs://models/two/"),
    ):
        raise AssertionError
    said = "of the month's budget of 300 KRW only 58 are free (0 spent, 242 held for running jobs)"
    assert said in refused.value.message


def test_an_older_rate_is_used_for_a_week_and_told_then_max_cost_is_needed(in_won):
    day = today(in_won)
    fault(in_won)
    forward(in_won, "7d")
    verdict = gate.judge(in_won.target, planned(in_won))
    [note] = verdict.notes
    assert note.startswith(f"the rate of KRW is that of {day}: today's could not be read (read the rate of KRW: ")
    assert verdict.left > 0
    forward(in_won, "1d")
    with pytest.raises(UserError) as refused:
        gate.judge(in_won.target, planned(in_won))
    assert refused.value.message.startswith(
        "the budget of mine is in KRW, prices are in USD: they are not compared (read the rate of KRW: "
    )
    assert refused.value.hint == "say what this job may cost in USD: --max-cost 1"
    bounded = gate.judge(in_won.target, planned(in_won, max_cost="1"))
    assert bounded.left is None and bounded.rate is None
    assert "they are not compared" in bounded.notes[0]
    local.run(in_won.space, "fault", "--clear")
    assert gate.judge(in_won.target, planned(in_won)).left > 0


@pytest.mark.parametrize("text", ["{", "[]", '{"KRW": 3}', '{"KRW": {"per_dollar": "-1", "date": "2026-11-29"}}'])
def test_what_was_kept_and_is_damaged_is_read_anew(in_won, text):
    (in_won.account.state / "rates.json").write_text(text, encoding="utf-8")
    assert currency.look(in_won.target, "KRW").per_dollar == Decimal("1335.266738")


def test_a_currency_that_the_price_list_has_not(in_won):
    with pytest.raises(UserError) as refused:
        currency.look(in_won.target, "VND")
    assert refused.value.message == (
        "read the rate of VND: Request contains an invalid argument: the local cloud knows no rate of VND."
    )


@pytest.mark.parametrize(
    "max_cost, message, hint",
    [
        ("0.0001", "--max-cost 0.0001 USD pays for less than 5 minutes at 0.1809 USD an hour",
         "--max-cost 0.02 pays for 5 minutes; or take a smaller machine"),
        ("3KRW", "--max-cost 0.0022 USD pays for less than 5 minutes at 0.1809 USD an hour",
         "--max-cost 0.02 pays for 5 minutes; or take a smaller machine"),
        ("1.5.5KRW", "--max-cost '1.5.5' isn't an amount", "for example 0.50 or 2"),
        ("10VND", "--max-cost 10VND can't be converted: read the rate of VND: Request contains an invalid argument: "
         "the local cloud knows no rate of VND.", "give it in USD: --max-cost 1"),
        ("10WONS", "--max-cost '10WONS' isn't an amount", "for example 0.50 or 2"),
    ],
)  # fmt: skip
def test_max_cost_with_a_currency(in_won, capsys, max_cost, message, hint):
    capsys.readouterr()
    with pytest.raises(UserError) as refused:
        training.train(in_won.space, "tiny", NAME, Wishes(max_cost=max_cost))
    assert (refused.value.message, refused.value.hint, refused.value.code) == (message, hint, 2)
    if max_cost == "3KRW":
        note = f"--max-cost 3 KRW is 0.0022 USD, at 1 USD = 1,335.27 KRW of {today(in_won)}"
        assert capsys.readouterr().err.splitlines() == [note]


def test_amounts_are_shown_in_both_with_the_rate(in_won, capsys):
    told = f"1 USD = 1,335.27 KRW of {today(in_won)}, by Google's price list"
    (in_won.space.localcloud / "images.json").write_text(json.dumps({"local/plain:1": {}}), encoding="utf-8")
    container = {"imageUri": "local/plain:1", "command": ["python", "-c", "pass"]}
    pool = {"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": 1, "containerSpec": container}
    jobs = "https://us-central1-aiplatform.googleapis.com/v1/projects/cloudkite-mine/locations/us-central1/customJobs"
    body = {"displayName": "x", "labels": {"managed-by": "cloudkite"}, "jobSpec": {"workerPoolSpecs": [pool]}}
    answer = in_won.target.session().post(jobs, json=body)
    assert answer.ok, answer.text
    while not in_won.target.session().get(jobs).json()["customJobs"][0].get("endTime"):
        pass
    capsys.readouterr()
    results.list_jobs(in_won.space, NAME)
    out = capsys.readouterr().out
    assert told in out.splitlines()
    assert " KRW)" in out
    stays = setup.show_monthly
    from cloudkite.money.prices import MonthlyRow

    stays([MonthlyRow("1 alert", "", Decimal("0.10"), "USD", "2026-11-21", "sure")], in_won.account,
          currency.look(in_won.target, "KRW"))  # fmt: skip
    out = capsys.readouterr().out
    assert "0.10 USD (134 KRW)" in out
    assert out.splitlines()[-1] == told


# The period of a budget


def budget_of(place):
    base = f"https://billingbudgets.googleapis.com/v1/billingAccounts/{PAYER}/budgets"
    return place.target.session().get(base).json().get("budgets", [])


def test_a_budget_of_the_trial_counts_from_its_start_to_its_90th_day(made):
    found = made(tier="trial", started="2026-11-29", amount=20, period="trial")
    setup.up(found.space, NAME)
    [row] = budget_of(found)
    assert row["budgetFilter"]["customPeriod"] == {
        "startDate": {"year": 2026, "month": 11, "day": 28}, "endDate": {"year": 2027, "month": 2, "day": 27}
    }  # fmt: skip
    assert "calendarPeriod" not in row["budgetFilter"]
    assert {rule["spendBasis"] for rule in row["thresholdRules"]} == {"CURRENT_SPEND"}
    assert found.preview().changes == ()


def test_another_period_is_another_budget_and_the_way_back_too(made):
    setup.up(made(tier="trial", started="2026-11-29", amount=20).space, NAME)
    for period, name in (("trial", "trial-budget"), ("month", "monthly-budget")):
        found = made(tier="trial", started="2026-11-29", amount=20, period=period)
        changes = {(one.op, one.name) for one in found.preview().changes}
        assert changes == {("create", name), ("delete", {"trial": "monthly-budget", "month": "trial-budget"}[period])}
        found.up()
        assert len(budget_of(found)) == 1
        assert found.preview().changes == ()


def test_the_gate_counts_the_whole_trial_where_the_budget_does(made, capsys):
    """What was spent in an earlier month is in the trial's budget, and in no month's."""
    found = made(tier="trial", amount=2)
    setup.up(found.space, NAME)
    started = registry.load(found.space, NAME).trial_started
    trainer_folder.make(found.space, "tiny")
    (found.space.localcloud / "images.json").write_text(json.dumps({"local/plain:1": {}}), encoding="utf-8")
    container = {"imageUri": "local/plain:1", "command": ["python", "-c", "import time; time.sleep(600)"]}
    pool = {"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": 1, "containerSpec": container}
    session, base = found.target.session(), "https://us-central1-aiplatform.googleapis.com/v1"
    jobs = f"{base}/projects/cloudkite-mine/locations/us-central1/customJobs"
    body = {"displayName": "x", "labels": {"managed-by": "cloudkite"},
            "jobSpec": {"workerPoolSpecs": [pool], "scheduling": {"timeout": "25200s"}}}  # fmt: skip
    answer = session.post(jobs, json=body)
    assert answer.ok, answer.text
    while session.get(f"{base}/{answer.json()['name']}").json()["state"] != "JOB_STATE_RUNNING":
        pass
    forward(found, "8h")  # seven hours at 0.245 dollars
    forward(found, "40d")
    assert costs.spent(found.target).spent.amount == 0
    month = made(tier="trial", started=started.isoformat(), amount=2)
    assert gate.judge(month.target, planned(month)).left > Decimal("1.8")
    whole = made(tier="trial", started=started.isoformat(), amount=2, period="trial")
    spending = costs.spent(whole.target)
    assert spending.trial and Decimal("1.7") < spending.spent.amount < Decimal("1.73")
    assert gate.judge(whole.target, planned(whole)).left > 0
    with pytest.raises(UserError) as refused:
        gate.judge(whole.target, planned(whole, limit="2h"))
    assert refused.value.message.startswith(
        "this job may cost 0.36 USD, and of the trial's budget of 2.00 USD only 0.2"
    )
    capsys.readouterr()
    setup.up(whole.space, NAME, yes=True)
    assert "about 298.2" in capsys.readouterr().out


# Who hears of a threshold


def told(place):
    wanted = settings.check(settings.read(place.account.settings), NAME)
    return list(unheard.look(place.target, wanted))


def test_nobody_hears_where_no_address_is_named_and_no_person_administers_the_account(made, capsys):
    found = made(emails=[])
    setup.up(found.space, NAME)
    said = (
        "no one would hear of a threshold, as far as can be seen: cloudkite:budget names no e-mail address, and "
        f"billing account {PAYER} has no person as administrator or user. Add emails to cloudkite:budget"
    )
    assert told(found) == [said]
    capsys.readouterr()
    setup.up(found.space, NAME)
    assert said in capsys.readouterr().err.splitlines()
    account = f"https://cloudbilling.googleapis.com/v1/billingAccounts/{PAYER}"
    policy = found.target.session().get(f"{account}:getIamPolicy").json()
    policy["bindings"].append({"role": "roles/billing.user", "members": ["user:me@example.com"]})
    assert found.target.session().post(f"{account}:setIamPolicy", json={"policy": policy}).ok
    assert told(found) == []


def test_an_address_whose_channel_is_off_is_told(made):
    found = made()
    assert told(found) == []  # its API is off
    setup.up(found.space, NAME)
    assert told(found) == []
    url = "https://monitoring.googleapis.com/v3"
    session = found.target.session()
    [channel] = session.get(f"{url}/projects/cloudkite-mine/notificationChannels").json()["notificationChannels"]
    off = session.patch(f"{url}/{channel['name']}", params={"updateMask": "enabled"}, json={"enabled": False})
    assert off.ok, off.text
    assert told(found) == [
        "owner@example.com would not hear of a threshold: its notification channel is switched off. Cloud Monitoring > "
        "Alerting > Channels"
    ]


@pytest.mark.parametrize(
    "channel, problem",
    [
        ({"verificationStatus": "UNVERIFIED"}, "its notification channel isn't verified"),
        ({"verificationStatus": "VERIFIED"}, ""),
        ({"verificationStatus": "VERIFICATION_STATUS_UNSPECIFIED", "enabled": True}, ""),
        ({"enabled": False}, "its notification channel is switched off"),
        ({}, ""),
    ],
)
def test_what_google_says_of_a_channel(channel, problem):
    assert unheard.silent(channel) == problem


def test_a_trials_budget_is_over_with_the_trial(made):
    found = made(
        tier="paid", started=(datetime.date.today() - datetime.timedelta(days=100)).isoformat(), period="trial"
    )
    ended = datetime.date.today() - datetime.timedelta(days=10)
    assert told(found) == [
        f"no one would hear of a threshold: the trial that cloudkite:budget counts ended on {ended}. Set its period to "
        "month"
    ]
    wanted = settings.check(settings.read(found.account.settings), NAME)
    report = preflight.look(found.target, wanted, preflight.Made({}))
    assert [one.stops for one in report.findings if "no one would hear" in one.message] == [False]
