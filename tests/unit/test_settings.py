"""Settings of an account: what is read, and what each mistake is told as."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from catalog.regions import regions
from infra import settings as model
from infra.mistakes import SettingsError
from infra.settings import Budget, Quota, Settings

INFRA = Path(__file__).resolve().parents[2] / "infra"
T4 = "CustomModelTrainingT4GPUsPerProjectPerRegion"
CPUS = "aiplatform.googleapis.com/custom_model_training_cpus"
GOOD = {"gcp:project": "my-project", "gcp:region": "us-central1", "cloudkite:tier": "paid"}
BUDGET = {"billingAccount": "012345-6789AB-CDEF01", "amount": 10, "currency": "USD", "emails": ["me@example.com"]}
QUOTA = {"quotaId": T4, "value": 1}

PROJECT = "a project id is needed: 6 to 30 lower-case letters, digits and hyphens, starting with a letter"
ACCOUNT = "an id like 012345-6789AB-CDEF01 is needed (Billing shows it)"
AMOUNT = "a number above 0 is needed: the budget of a month"
FRACTIONS = "fractions of the amount are needed, like [0.5, 0.9, 1.0], each up to 2"
EMAILS = "a list of at most five different e-mail addresses is needed"
MEMBERS = "a list of different members is needed, each user:E-MAIL, group:E-MAIL or serviceAccount:E-MAIL"
REPOSITORY = "OWNER/NAME of a repository on GitHub is needed"
DAY = "a day like '2026-11-29' is needed"
SHARED = {"cloudkite:state": "bucket"}
MEMBER = "user:E-MAIL or serviceAccount:E-MAIL is needed"


def budget(**changes):
    return {"cloudkite:budget": {**BUDGET, **changes}}


def ci(**changes):
    return {**SHARED, "cloudkite:ci": {"repository": "kim/grades", **changes}}


def stops(**given):
    return {**budget(), "cloudkite:stops": given}


def quotas(*given):
    return {"cloudkite:quotas": list(given)}


CAP = "true, false, or a number above 0 is needed: what Vertex AI may cost in a month"
BAD = [
    ({"gcp:project": "My Project"}, f"gcp:project is 'My Project'; {PROJECT}"),
    ({"gcp:project": "short"}, f"gcp:project is 'short'; {PROJECT}"),
    ({"gcp:project": 123456789}, f"gcp:project is 123456789; {PROJECT}"),
    ({"gcp:project": None}, f"gcp:project is missing; {PROJECT}"),
    (
        {"gcp:region": "us-centrl1"},
        "gcp:region is 'us-centrl1'; a region with custom training is needed, did you mean us-central1?",
    ),
    ({"gcp:region": "mars"}, "gcp:region is 'mars'; a region with custom training is needed, like us-central1"),
    ({"gcp:region": ["us"]}, "gcp:region is ['us']; a region with custom training is needed, like us-central1"),
    ({"cloudkite:target": "aws"}, "cloudkite:target is 'aws'; allowed are google and local"),
    ({"cloudkite:tier": "free"}, "cloudkite:tier is 'free'; allowed are trial and paid"),
    ({"cloudkite:trialStarted": "soon"}, f"cloudkite:trialStarted is 'soon'; {DAY}"),
    ({"cloudkite:trialStarted": 20261129}, f"cloudkite:trialStarted is 20261129; {DAY}"),
    ({"cloudkite:trialStarted": "2026-02-30"}, f"cloudkite:trialStarted is '2026-02-30'; {DAY}"),
    ({"cloudkite:trialStarted": "1999-01-01"}, f"cloudkite:trialStarted is '1999-01-01'; {DAY}"),
    (budget(period="week"), "cloudkite:budget.period is 'week'; allowed are month and trial"),
    (
        budget(period="trial"),
        "cloudkite:budget.period is trial; cloudkite:trialStarted must say on which day the trial began, like "
        "'2026-11-29'",
    ),
    ({"cloudkite:owner": "me@example.com"}, f"cloudkite:owner is 'me@example.com'; {MEMBER}"),
    ({"cloudkite:owner": "group:us@example.com"}, f"cloudkite:owner is 'group:us@example.com'; {MEMBER}"),
    ({"cloudkite:owner": "user:me"}, f"cloudkite:owner is 'user:me'; {MEMBER}"),
    ({"cloudkite:members": "user:a@example.com"}, f"cloudkite:members is 'user:a@example.com'; {MEMBERS}"),
    ({"cloudkite:members": ["a@example.com"]}, f"cloudkite:members is ['a@example.com']; {MEMBERS}"),
    (
        {"cloudkite:members": ["user:a@example.com"] * 2},
        f"cloudkite:members is ['user:a@example.com', 'user:a@example.com']; {MEMBERS}",
    ),
    ({"cloudkite:state": "gs://mine"}, "cloudkite:state is 'gs://mine'; allowed are folder and bucket"),
    ({**SHARED, "cloudkite:ci": "kim/grades"}, "cloudkite:ci is 'kim/grades'; a mapping is needed"),
    (ci(repository="grades"), f"cloudkite:ci.repository is 'grades'; {REPOSITORY}"),
    (
        ci(repository="https://github.com/kim/grades"),
        f"cloudkite:ci.repository is 'https://github.com/kim/grades'; {REPOSITORY}",
    ),
    (
        ci(repository="kim/grades' || true || '"),
        f"""cloudkite:ci.repository is "kim/grades' || true || '"; {REPOSITORY}""",
    ),
    (ci(repository="kim/.."), f"cloudkite:ci.repository is 'kim/..'; {REPOSITORY}"),
    (ci(repository=None), f"cloudkite:ci.repository is missing; {REPOSITORY}"),
    (ci(branch="main:x"), "cloudkite:ci.branch is 'main:x'; the name of a branch is needed, like main"),
    (ci(brnach="main"), "cloudkite:ci.brnach isn't a setting; did you mean branch?"),
    (
        {**ci(), "cloudkite:state": "folder"},
        "cloudkite:ci needs cloudkite:state to be bucket: a runner on GitHub finds there what `up` made; "
        "set cloudkite:state to bucket, or leave ci out",
    ),
    (
        {"cloudkite:alsoIn": "us-west1"},
        "cloudkite:alsoIn is 'us-west1'; a list of different regions with custom training is needed, like [us-west1]",
    ),
    (
        {"cloudkite:alsoIn": ["us-west1", "us-west1"]},
        "cloudkite:alsoIn is ['us-west1', 'us-west1']; a list of different regions with custom training is needed, "
        "like [us-west1]",
    ),
    (
        {"cloudkite:alsoIn": ["us-west1", "us-central1"]},
        "cloudkite:alsoIn names us-central1, the account's own region; name others, or leave it out",
    ),
    ({"cloudkite:stops": True}, "cloudkite:stops is True; a mapping is needed"),
    (stops(cap="10"), f"cloudkite:stops.cap is '10'; {CAP}"),
    (stops(cap=0), f"cloudkite:stops.cap is 0; {CAP}"),
    (stops(cap=-1.5), f"cloudkite:stops.cap is -1.5; {CAP}"),
    (stops(jobs="yes"), "cloudkite:stops.jobs is 'yes'; true or false is needed"),
    (stops(bill=True), "cloudkite:stops.bill isn't a setting; did you mean billing?"),
    (
        {**stops(jobs=True), "cloudkite:budget": None},
        "cloudkite:stops needs cloudkite:budget: stops are parts of its amount; set a budget, or leave stops out",
    ),
    (
        stops(billing=True),
        "cloudkite:stops.billing is True without jobs; what runs is stopped first: set cloudkite:stops.jobs to true, "
        "or leave billing out",
    ),
    ({"cloudkite:budget": 10}, "cloudkite:budget is 10; a mapping is needed"),
    (budget(amount=-1), f"cloudkite:budget.amount is -1; {AMOUNT}"),
    (budget(amount=0), f"cloudkite:budget.amount is 0; {AMOUNT}"),
    (budget(amount="10"), f"cloudkite:budget.amount is '10'; {AMOUNT}"),
    (budget(amount=True), f"cloudkite:budget.amount is True; {AMOUNT}"),
    (budget(amount=float("inf")), f"cloudkite:budget.amount is inf; {AMOUNT}"),
    (budget(amount=None), f"cloudkite:budget.amount is missing; {AMOUNT}"),
    (budget(billingAccount="12345"), f"cloudkite:budget.billingAccount is '12345'; {ACCOUNT}"),
    (
        budget(billingAccount="012345-6789ab-cdef01"),
        f"cloudkite:budget.billingAccount is '012345-6789ab-cdef01'; {ACCOUNT}",
    ),
    (budget(currency="usd"), "cloudkite:budget.currency is 'usd'; three capital letters are needed, like USD or KRW"),
    (budget(thresholds=[50, 100]), f"cloudkite:budget.thresholds is [50, 100]; {FRACTIONS}"),
    (budget(thresholds=[0]), f"cloudkite:budget.thresholds is [0]; {FRACTIONS}"),
    (budget(thresholds=[]), f"cloudkite:budget.thresholds is []; {FRACTIONS}"),
    (budget(thresholds=0.5), f"cloudkite:budget.thresholds is 0.5; {FRACTIONS}"),
    (budget(emails=["me"]), f"cloudkite:budget.emails is ['me']; {EMAILS}"),
    (budget(emails="me@example.com"), f"cloudkite:budget.emails is 'me@example.com'; {EMAILS}"),
    (
        budget(emails=["a@example.com"] * 2),
        f"cloudkite:budget.emails is ['a@example.com', 'a@example.com']; {EMAILS}",
    ),
    (budget(amuont=1), "cloudkite:budget.amuont isn't a setting; did you mean amount?"),
    (quotas(3), "cloudkite:quotas[0] is 3; a mapping is needed"),
    ({"cloudkite:quotas": QUOTA}, f"cloudkite:quotas is {QUOTA!r}"[:-3]),
    (quotas({"value": 1}), "cloudkite:quotas[0] must name one of accelerator, cpus, quotaId, metric"),
    (quotas({**QUOTA, "metric": CPUS}), "cloudkite:quotas[0] must name one of accelerator, cpus, quotaId, metric"),
    (quotas({"quotaId": T4}), "cloudkite:quotas[0].value is missing; a whole number from 0 is needed"),
    (quotas({**QUOTA, "value": -1}), "cloudkite:quotas[0].value is -1; a whole number from 0 is needed"),
    (quotas({**QUOTA, "value": 1.5}), "cloudkite:quotas[0].value is 1.5; a whole number from 0 is needed"),
    (quotas({**QUOTA, "request": "yes"}), "cloudkite:quotas[0].request is 'yes'; true or false is needed"),
    (
        quotas({**QUOTA, "region": "us-central-1"}),
        "cloudkite:quotas[0].region is 'us-central-1'; "
        "a region with custom training is needed, did you mean us-central1?",
    ),
    (quotas(QUOTA, QUOTA), f"cloudkite:quotas names {T4} in us-central1 twice; one value is needed"),
    (
        {"cloudkite:tier": "trial", **quotas({**QUOTA, "request": True})},
        f"cloudkite:quotas[0].request is True for {T4}; a trial account can't ask for more quota: "
        "leave request out, or upgrade and set cloudkite:tier to paid",
    ),
    (
        quotas({**QUOTA, "request": True}),
        "cloudkite:quotas has a request; cloudkite:budget.emails must name whom Google answers",
    ),
    (
        {"cloudkite:logRetentionDays": 0},
        "cloudkite:logRetentionDays is 0; a whole number from 1 to 3650 is needed",
    ),
    (
        {"cloudkite:logRetentionDays": "long"},
        "cloudkite:logRetentionDays is 'long'; a whole number from 1 to 3650 is needed",
    ),
    ({"cloudkite:stagingDays": 366}, "cloudkite:stagingDays is 366; a whole number from 1 to 365 is needed"),
    ({"cloudkite:budgett": {}}, "cloudkite:budgett isn't a setting; did you mean cloudkite:budget?"),
    ({"gcp:zone": "us-central1-a"}, "gcp:zone isn't a setting; "),
]


@pytest.mark.parametrize(("changes", "told"), BAD, ids=[told[:50] for _, told in BAD])
def test_a_mistake_is_told_with_key_value_and_what_is_allowed(changes, told):
    with pytest.raises(SettingsError) as caught:
        Settings.parse({**GOOD, **changes}, "mine")
    [mistake] = caught.value.mistakes
    assert mistake == told or mistake.startswith(told)
    assert str(caught.value) == f"Pulumi.mine.yaml: {mistake}"


def test_all_mistakes_are_told_at_once():
    wrong = {**GOOD, "gcp:project": "A", "cloudkite:tier": "gold", **budget(amount=-1, emails=["x"])}
    with pytest.raises(SettingsError) as caught:
        Settings.parse(wrong, "mine")
    keys = [mistake.partition(" is ")[0] for mistake in caught.value.mistakes]
    assert keys == ["gcp:project", "cloudkite:tier", "cloudkite:budget.amount", "cloudkite:budget.emails"]
    assert len(str(caught.value).splitlines()) == 4


def test_defaults():
    settings = Settings.parse({"gcp:project": "my-project"}, "mine")
    assert settings == Settings(
        stack="mine", project="my-project", region="us-central1", target="google", tier="trial", budget=None,
        quotas=(), log_retention_days=30, staging_days=14,
    )  # fmt: skip
    assert settings.labels == {"managed-by": "cloudkite", "account": "mine"}


def test_everything_that_can_be_said():
    given = {
        **GOOD,
        **budget(amount=12.5, thresholds=[1, 0.5, 0.5]),
        **quotas({**QUOTA, "request": True}, {"metric": CPUS, "value": 16, "region": "europe-west4"}),
        "cloudkite:owner": "user:me@example.com",
        "cloudkite:logRetentionDays": 10,
        "cloudkite:stagingDays": 3,
    }
    settings = Settings.parse(given, "mine", "the token")
    assert settings.budget == Budget(
        billing_account="012345-6789AB-CDEF01", amount=Decimal("12.5"), currency="USD", thresholds=(0.5, 1.0),
        emails=("me@example.com",),
    )  # fmt: skip
    service = "aiplatform.googleapis.com"
    assert settings.quotas == (
        Quota(value=1, quota_id=T4, metric=None, region="us-central1", service=service, request=True),
        Quota(value=16, quota_id=None, metric=CPUS, region="europe-west4", service=service, request=False),
    )
    assert (settings.log_retention_days, settings.staging_days) == (10, 3)
    assert settings.access_token == "the token"


def test_a_request_needs_somebody_whom_google_answers():
    wish = quotas({**QUOTA, "request": True})
    assert Settings.parse({**GOOD, **wish, "cloudkite:owner": "user:me@example.com"}, "x").contact == "me@example.com"
    assert Settings.parse({**GOOD, **wish, **budget()}, "x").contact == "me@example.com"
    robot = {"cloudkite:owner": "serviceAccount:robot@my-project.iam.gserviceaccount.com"}
    with pytest.raises(SettingsError, match="must name whom Google answers"):
        Settings.parse({**GOOD, **wish, **robot}, "x")


def test_a_guard_rail_is_for_trials_too():
    assert Settings.parse({**GOOD, "cloudkite:tier": "trial", **quotas(QUOTA)}, "x").quotas[0].request is False


def test_settings_of_other_programs_are_left_alone():
    Settings.parse({**GOOD, "pulumi:disable-default-providers": ["aws"], "other:key": 1}, "x")


def test_the_token_is_never_shown():
    settings = Settings.parse(GOOD, "x", "a very secret token")
    assert "a very secret token" not in repr(settings)
    assert "a very secret token" not in str(settings)
    assert settings.model_copy(update={"access_token": None}) != settings


@pytest.mark.parametrize(
    "path", [INFRA / "Pulumi.local.yaml", *sorted((INFRA / "examples").glob("Pulumi.*.yaml"))], ids=lambda p: p.name
)
def test_the_files_that_come_with_it_are_right(path):
    config = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
    settings = Settings.parse(config, path.name.split(".")[1])
    assert settings.target == ("local" if path.name == "Pulumi.local.yaml" else "google")
    assert settings.tier == ("trial" if path.name == "Pulumi.trial.yaml" else "paid")


def test_the_schema_for_editors_is_the_models():
    """Written by `python -m infra.settings`."""
    assert json.loads(model.SCHEMA.read_text(encoding="utf-8")) == model.schema()


def test_the_schema_tells_what_there_is():
    config = model.schema()["properties"]["config"]
    assert config["properties"]["gcp:region"]["enum"] == sorted(regions())
    assert config["required"] == ["gcp:project"]
    assert all(said.get("description") for said in config["properties"].values())


@pytest.mark.parametrize("text", ["'2026-11-29'", "2026-11-29", '"2026-11-29"', "'2026-11-29T00:00:00Z'"])
def test_the_start_of_a_trial_with_and_without_quotes(text):
    config = yaml.safe_load(f"gcp:project: my-project\ncloudkite:trialStarted: {text}\n")
    found = Settings.parse(config, "x")
    assert found.model_dump(mode="json")["trial_started"] == "2026-11-29"
    assert found.budget is None


def test_a_settings_file_of_before_has_a_budget_by_the_month():
    found = Settings.parse(GOOD | budget(), "x")
    assert (found.budget.period, found.trial_started) == ("month", None)
