"""What the program declares for an account, and what a change of its settings changes."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from cloudkite import engine
from cloudkite.accounts import local, registry, target
from cloudkite.accounts.asked import preferences
from cloudkite.children import safe_environment
from cloudkite.show.errors import UserError
from cloudkite.workspace import CLONE
from localcloud.provider.resources.registry import KINDS
from tests.engine import language_host
from tests.engine.conftest import Place

pytestmark = pytest.mark.slow

T4 = "CustomModelTrainingT4GPUsPerProjectPerRegion"
CPUS = "aiplatform.googleapis.com/custom_model_training_cpus"


@pytest.fixture(scope="module")
def made(space, pulumi):
    """An account with the default settings, set up once; tests only look at it, or put back what they change."""
    text = (CLONE / "infra" / "Pulumi.local.yaml").read_text(encoding="utf-8")
    (space.accounts / "Pulumi.made.yaml").write_text(
        text.replace("cloudkite-local", "cloudkite-made"), encoding="utf-8"
    )
    account = registry.load(space, "made")
    found = Place(space, account, target.connect(space, account))
    engine.up(account, found.target)
    return found


@pytest.fixture
def change(made):
    """Change settings of `made` for one test: `change(key=value)`; None takes a key away."""
    path = made.account.settings
    before = path.read_text(encoding="utf-8")

    def change(**settings):
        config = yaml.safe_load(before)["config"]
        config |= {f"cloudkite:{key}": value for key, value in settings.items()}
        kept = {key: value for key, value in config.items() if value is not None}
        return made.settings(lambda _: yaml.safe_dump({"config": kept}))

    yield change
    path.write_text(before, encoding="utf-8")


def rows(place):
    """The state's rows of the cloud's resources, by name."""
    latest = json.loads(place.folder.checkpoint.read_text(encoding="utf-8"))["checkpoint"]["latest"]
    return {row["urn"].rpartition("::")[2]: row for row in latest["resources"] if row["type"].startswith("gcp:")}


def test_each_resource_waits_for_the_apis_that_it_needs_and_for_no_other(made):
    found = rows(made)
    apis = {row["urn"]: name.removeprefix("api-") for name, row in found.items() if name.startswith("api-")}
    for name, row in found.items():
        waits = {apis[urn] for urn in row.get("dependencies") or () if urn in apis}
        api = KINDS[row["type"]].api
        needed = {api} if api else set()
        if row["type"].endswith(":AlertPolicy"):
            needed.add("logging")
        if row["type"].endswith(":Budget"):
            needed.add("billingbudgets")
        if row["type"].endswith(":SQuotaPreference"):
            needed.add("aiplatform")  # whose quota it is
        if row["type"].endswith(":ServiceIdentity"):
            needed.add("aiplatform")  # whose own account it is
        if waits != needed:
            assert (name, waits - {"cloudresourcemanager", "aiplatform"}) == (name, needed - {"aiplatform"})


def test_every_resource_says_whose_it_is(made):
    """By labels of its own; test_program_readback.py sees those that the provider adds (secret in the state)."""
    ours = {"managed-by": "cloudkite", "account": "made"}
    labelled = {name: row["inputs"]["userLabels"] for name, row in rows(made).items() if "userLabels" in row["inputs"]}
    assert labelled == {"mail-owner@example.com": ours, "job-failed": ours}
    state = json.loads(made.folder.checkpoint.read_text(encoding="utf-8"))["checkpoint"]["latest"]["resources"]
    [provider] = [row for row in state if row["type"] == "pulumi:providers:gcp"]
    assert json.loads(provider["inputs"]["defaultLabels"]) == ours


def test_what_can_not_be_made_again_is_kept(made):
    found = rows(made)
    assert {name for name, row in found.items() if row.get("protect")} == {"data", "models"}
    assert {name for name, row in found.items() if row.get("retainOnDelete")} == {
        "custom-model-training-t4-gpus-us-central1"
    }
    for name, row in found.items():
        if name.startswith("api-"):
            assert row["inputs"]["disableOnDestroy"] is False


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({"stagingDays": 3}, {("update", "Bucket", "staging")}),
        ({"logRetentionDays": 7}, {("update", "ProjectBucketConfig", "default-log-bucket")}),
        (
            {"budget": {"billingAccount": "012345-6789AB-CDEF01", "amount": 12.5, "emails": ["owner@example.com"]}},
            {("update", "Budget", "monthly-budget")},
        ),
        (
            {"budget": {"billingAccount": "ABCDEF-6789AB-CDEF01", "amount": 10, "emails": ["owner@example.com"]}},
            {("replace", "Budget", "monthly-budget")},
        ),
        (
            {"budget": {"billingAccount": "012345-6789AB-CDEF01", "amount": 10, "currency": "USD"}},
            {
                ("update", "Budget", "monthly-budget"),
                ("delete", "AlertPolicy", "job-failed"),
                ("delete", "NotificationChannel", "mail-owner@example.com"),
            },
        ),
        (
            {"owner": None},
            {
                *(("delete", "IAMMember", f"submitter-{role}") for role in (
                    "acts-as-trainer", "aiplatform-user", "cloudquotas-viewer", "logging-viewer",
                    "run-developer", "serviceusage-serviceUsageConsumer",
                )),
                *(("delete", "BucketIAMMember", f"{grant}") for grant in (
                    "staging-submitter-legacyBucketReader", "staging-submitter-objectUser",
                    "models-submitter-legacyBucketReader", "models-submitter-objectViewer",
                )),
            },
        ),
        (
            {"members": ["group:lab@example.com"]},
            {
                *(("create", "IAMMember", f"submitter-group-lab@example.com-{role}") for role in (
                    "acts-as-trainer", "aiplatform-user", "cloudquotas-viewer", "logging-viewer",
                    "run-developer", "serviceusage-serviceUsageConsumer",
                )),
                *(("create", "BucketIAMMember", f"{to}-submitter-group-lab@example.com-{role}") for to, role in (
                    ("staging", "legacyBucketReader"), ("staging", "objectUser"),
                    ("models", "legacyBucketReader"), ("models", "objectViewer"),
                )),
            },
        ),
        (
            {"alsoIn": ["us-west1"]},
            {
                ("create", "Bucket", "models-us-west1"),
                *(("create", "BucketIAMMember", f"models-us-west1-{grant}") for grant in (
                    "trainer-legacyBucketReader", "trainer-objectUser",
                    "submitter-legacyBucketReader", "submitter-objectViewer",
                )),
            },
        ),
        # It goes back to what it is by itself.
        ({"quotas": None}, {("update", "SQuotaPreference", "custom-model-training-t4-gpus-us-central1")}),
    ],
    ids=[
        "staging", "logs", "amount", "billing account", "no e-mail", "no owner", "a member", "another region",
        "no quotas",
    ],
)  # fmt: skip
def test_a_setting_changes_what_it_is_about(change, settings, changes):
    seen = change(**settings).preview()
    assert {(found.op, found.kind, found.name) for found in seen.changes} == changes


def test_data_is_not_moved_to_another_region_by_a_change_of_settings(made):
    path = made.account.settings
    before = path.read_text(encoding="utf-8")
    try:
        moved = made.settings(lambda text: text.replace("gcp:region: us-central1", "gcp:region: europe-west4"))
        with pytest.raises(UserError) as caught:
            moved.preview()
        assert "protect" in caught.value.message
        assert made.target.storage().get_bucket("cloudkite-made-data").location == "US-CENTRAL1"
    finally:
        path.write_text(before, encoding="utf-8")


def test_quotas_by_metric_and_guard_rails_that_can_not_raise(change):
    asked = [
        {"metric": CPUS, "value": 16},
        {"accelerator": "T4", "value": 50},
        {"quotaId": T4, "region": "us-west1", "value": 4, "request": True},
        {"quotaId": T4, "region": "europe-west4", "value": 1, "request": True},
    ]
    place = change(quotas=asked)
    seen = place.preview()
    assert set(seen.warnings) == {
        f"quota {T4} in us-central1 is 12 by itself: a guard-rail of 50 can't raise it (`request: true` asks Google "
        "for more)",
        f"quota {T4} in europe-west4 is 2 by itself: you don't have to ask for 1 (without `request: true` it would be "
        "lowered)",
    }
    wished = {resource.name: resource.inputs for resource in seen.resources if resource.kind == "SQuotaPreference"}
    assert {name: inputs["quotaConfig"]["preferredValue"] for name, inputs in wished.items()} == {
        "custom-model-training-cpus-us-central1": "16",
        "custom-model-training-t4-gpus-us-central1": "12",
        "custom-model-training-t4-gpus-us-west1": "4",
    }
    cpus = wished["custom-model-training-cpus-us-central1"]
    assert cpus["quotaId"] == "CustomModelTrainingCPUsPerProjectPerRegion"
    assert cpus["ignoreSafetyChecks"] == "QUOTA_DECREASE_PERCENTAGE_TOO_HIGH"
    request = wished["custom-model-training-t4-gpus-us-west1"]
    assert (request["contactEmail"], request["justification"]) == ("owner@example.com", "TensorFlow training")


def test_where_cloud_quotas_leave_out_what_a_quota_is_by_itself_service_usage_tells_it(standing):
    """Whether Google's answers have it isn't documented (docs/google.md): here it is taken out of them on the way."""

    def without(response, *_arguments, **_options):
        if "quotaInfos" in response.request.url and response.ok:
            response._content = re.sub(rb',\s*"resetValue":\s*"[^"]*"', b"", response.content)

    def default(region="us-central1"):
        book = preferences.read(standing.target, {"aiplatform.googleapis.com"})
        info = book.info("aiplatform.googleapis.com", T4)
        assert preferences.effective(info, region) == 1
        return preferences.reset(info, region, book.preference("aiplatform.googleapis.com", T4, region))

    assert default() == 12
    hooks = standing.target.session().hooks["response"]
    hooks.append(without)
    try:
        assert default() == 12
        metrics = "serviceusage.projects.services.consumerQuotaMetrics.list"
        local.run(standing.space, "fault", metrics, "--code", "403")
        assert default() is None  # nobody says: `up` leaves it as it is, and warns
        assert default() == 12
    finally:
        hooks.remove(without)


@pytest.mark.parametrize(
    ("quota", "advice"),
    [
        ({"quotaId": T4.replace("T4", "T5")}, f"did you mean {T4}?"),
        ({"quotaId": "Bananas"}, "no quota has a name like it"),
    ],
)
def test_a_quota_that_is_not_there_is_named(change, quota, advice):
    with pytest.raises(UserError) as caught:
        change(quotas=[{**quota, "value": 1}]).preview()
    [name] = quota.values()
    told = f"Pulumi.made.yaml: cloudkite:quotas names {name}; cloudkite-made has no such quota; {advice}"
    assert told in caught.value.message
    assert "Traceback" not in caught.value.message


def test_another_currency_than_the_billing_accounts_is_refused(change):
    place = change(budget={"billingAccount": "012345-6789AB-CDEF01", "amount": 10, "currency": "KRW"})
    with pytest.raises(UserError, match="currency_code KRW must match the billing account's currency, USD"):
        place.up()
    assert change().up().failures == ()


def test_without_a_currency_the_budget_is_in_the_billing_accounts_own(place):
    payer = "DDDDDD-000000-000004"
    place = place.settings(lambda text: text.replace("012345-6789AB-CDEF01", payer).replace("USD", "KRW")).opened()
    place.up()
    place.account.outputs_file.unlink()
    place = place.settings(lambda text: text.replace("    currency: KRW\n", ""))
    assert place.account.currency is None
    place.up()
    assert registry.load(place.space, place.account.name).currency == "KRW"


def test_the_least_that_an_account_can_be(place):
    """No owner, no budget, no quotas, on a trial."""
    least = {"gcp:project": place.account.project, "cloudkite:target": "local"}
    place.settings(lambda _: yaml.safe_dump({"config": least}))
    place.up()
    outputs = json.loads(place.account.outputs_file.read_text(encoding="utf-8"))
    assert (outputs["submitter"], outputs["quotas"]) == ("", {})
    assert "budget" not in outputs  # Pulumi leaves out what is None
    kinds = {resource.kind for resource in place.left()}
    assert not kinds & {"Budget", "NotificationChannel", "AlertPolicy", "SQuotaPreference"}
    assert "billingbudgets.googleapis.com" not in {r.inputs.get("service") for r in place.left()}


def test_a_quota_that_was_left_is_taken_up_again(place):
    place.up()
    place.down()
    assert "SQuotaPreference" not in {resource.kind for resource in place.left()}
    url = f"https://cloudquotas.googleapis.com/v1/projects/{place.account.project}/locations/global/quotaPreferences"
    [kept] = place.target.session().get(url).json()["quotaPreferences"]
    assert kept["quotaConfig"]["grantedValue"] == "1"
    assert place.up().failures == ()
    assert place.preview().changes == ()
    assert "SQuotaPreference" in {resource.kind for resource in place.left()}


@pytest.mark.parametrize("name", ["trial", "paid"])
def test_the_examples_work(place, name):
    example = (CLONE / "infra" / "examples" / f"Pulumi.{name}.yaml").read_text(encoding="utf-8")
    project = re.search(r"gcp:project: (\S+)", example)
    assert project
    text = example.replace(project[1], place.account.project).replace("target: google", "target: local")
    # Each example names a currency of its own; the account is one that no other test has a budget with.
    place = place.settings(
        lambda _: text.replace("012345-6789AB-CDEF01", f"0000{name[:2].encode().hex().upper()[:2]}-000000-000000")
    ).opened()
    assert place.up().failures == ()


@pytest.mark.skipif(
    sys.platform == "win32", reason="the stand-in for Pulumi's language host is a script with a shebang"
)
def test_the_plain_command_line_runs_it_too(made, pulumi, tmp_path):
    """`pulumi preview` in infra/: the language host is a stand-in over the SDK's, because no registry carries it."""
    host = language_host.install(tmp_path / "bin")
    shutil.copytree(CLONE / "infra", tmp_path / "infra", ignore=shutil.ignore_patterns("__pycache__", "cli"))
    settings = tmp_path / "infra" / "Pulumi.local.yaml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("cloudkite-local", made.account.project), encoding="utf-8")
    (tmp_path / "state").mkdir()
    environment = safe_environment({
        **made.target.pulumi_environment,
        "GOOGLE_OAUTH_ACCESS_TOKEN": made.target.token(),
        "PATH": f"{host.parent}:{pulumi.path.parent}",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": (tmp_path / "state").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "only for tests",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
    })  # fmt: skip

    def run(*words):
        return subprocess.run(
            [str(pulumi.path), "--non-interactive", *words, "--color", "never"],
            cwd=tmp_path / "infra", env=environment, capture_output=True, encoding="utf-8", timeout=120,
        )  # fmt: skip

    assert run("stack", "init", "local").returncode == 0
    shown = run("preview", "--stack", "local")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "Bucket  " in shown.stdout or "gcp:storage:Bucket" in shown.stdout
    settings.write_text(text.replace("tier: paid", "tier: gold"), encoding="utf-8")
    refused = run("preview", "--stack", "local")
    assert "Pulumi.local.yaml: cloudkite:tier is 'gold'; allowed are trial and paid" in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr
