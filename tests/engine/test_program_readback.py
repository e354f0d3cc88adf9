"""After `up`, Google's own clients find every resource as it was declared."""

import json
import subprocess
import sys

import pytest
import yaml

from cloudkite import engine
from cloudkite.accounts import registry, target
from cloudkite.workspace import CLONE
from tests.engine.conftest import Place

pytestmark = pytest.mark.slow

T4 = "CustomModelTrainingT4GPUsPerProjectPerRegion"
BILLING = "012345-6789AB-CDEF01"

# Compared for each of these kinds; test_nothing_is_left_out checks that none is missing.
READ_BACK = {
    "Account",
    "AlertPolicy",
    "Bucket",
    "BucketIAMMember",
    "Budget",
    "IAMMember",
    "NotificationChannel",
    "ProjectBucketConfig",
    "ProjectExclusion",
    "Repository",
    "SQuotaPreference",
    "Service",
    "ServiceIdentity",
}
# What the resources above are given that has no effect here, by property: kept and told, no more.
DECLARED_ONLY = {
    "AlertPolicy": "nobody is told of a job that fails",
    "Budget": "nothing is billed, so no threshold is ever reached",
    "NotificationChannel": "no e-mail is sent",
    "Repository": "images can't be pushed, so no clean-up runs",
}


@pytest.fixture(scope="module")
def place(space, pulumi):
    """One account with everything in it, set up once for all tests here."""
    settings = yaml.safe_load((CLONE / "infra" / "Pulumi.local.yaml").read_text(encoding="utf-8"))
    text = json.dumps(settings).replace("cloudkite-local", "cloudkite-seen")
    (space.accounts / "Pulumi.seen.yaml").write_text(text, encoding="utf-8")
    account = registry.load(space, "seen")
    made = Place(space, account, target.connect(space, account))
    engine.up(account, made.target)
    return made


@pytest.fixture(scope="module")
def seen(place):
    """What Google's clients see."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.read_back", place.account.project, place.account.region, BILLING],
        env=place.target.child_environment(),
        cwd=CLONE,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def declared(place):
    """The inputs of the account's resources, by kind and name."""
    found = {}
    for resource in place.left():
        found.setdefault(resource.kind, {})[resource.name] = resource.inputs
    return found


def policy(bindings):
    """{(role, member)} of a policy as JSON."""
    return {(binding["role"], member) for binding in bindings for member in binding["members"]}


def test_nothing_is_left_out(declared):
    assert set(declared) == READ_BACK
    assert set(DECLARED_ONLY) < READ_BACK


def test_apis(seen, declared):
    assert {inputs["service"] for inputs in declared["Service"].values()} <= set(seen["services"])
    assert "compute.googleapis.com" not in seen["services"]


def test_buckets(seen, declared, place):
    project = place.account.project
    assert set(seen["buckets"]) == {f"{project}-{purpose}" for purpose in ("data", "staging", "models")}
    for purpose, inputs in declared["Bucket"].items():
        found = seen["buckets"][f"{project}-{purpose}"]["resource"]
        assert found["location"] == "US-CENTRAL1"
        assert found["locationType"] == "region"
        assert found["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"]
        assert found["iamConfiguration"]["publicAccessPrevention"] == "enforced"
        assert found["labels"] == {"managed-by": "cloudkite", "account": "seen"}
        assert int(found["softDeletePolicy"]["retentionDurationSeconds"]) == (0 if purpose == "staging" else 604800)
        rules = {rule["action"]["type"]: rule["condition"]["age"] for rule in found["lifecycle"]["rule"]}
        broken_off = {"AbortIncompleteMultipartUpload": 1}
        assert rules == (broken_off | {"Delete": 14} if purpose == "staging" else broken_off)
        assert len(inputs["lifecycleRules"]) == len(rules)


def test_who_may_do_what(seen, declared, place):
    """Exactly this: no Editor, no Owner beyond the project's own, nothing on the project that a bucket can have."""
    project = place.account.project
    trainer, submitter = (
        f"serviceAccount:{name}@{project}.iam.gserviceaccount.com" for name in ("trainer", "owner")
    )  # fmt: skip
    vertex = f"serviceAccount:service-{seen['number']}@gcp-sa-aiplatform.iam.gserviceaccount.com"
    assert policy(seen["project_policy"]) == {
        ("roles/aiplatform.serviceAgent", vertex),  # Google's own account, made early; Google grants it this itself
        ("roles/owner", submitter),  # whose project it is; not granted by the program
        ("roles/logging.logWriter", trainer),
        ("roles/aiplatform.user", submitter),
        ("roles/cloudquotas.viewer", submitter),
        ("roles/run.developer", submitter),
        ("roles/logging.viewer", submitter),
        ("roles/serviceusage.serviceUsageConsumer", submitter),
    }
    account = seen["accounts"][f"trainer@{project}.iam.gserviceaccount.com"]
    assert policy(account["policy"]) == {("roles/iam.serviceAccountUser", submitter)}
    assert [key for key in account.get("keys", []) if key.get("keyType") == "USER_MANAGED"] == []
    assert account["displayName"] == "Training jobs"
    bucket, viewer, user = (
        "roles/storage.legacyBucketReader",
        "roles/storage.objectViewer",
        "roles/storage.objectUser",
    )
    wanted = {
        "data": {(bucket, trainer), (viewer, trainer)},
        "staging": {(bucket, trainer), (user, trainer), (bucket, submitter), (user, submitter)},
        "models": {(bucket, trainer), (user, trainer), (bucket, submitter), (viewer, submitter)},
    }
    for purpose, pairs in wanted.items():
        found = policy(seen["buckets"][f"{project}-{purpose}"]["policy"])
        assert {pair for pair in found if not pair[1].startswith("project")} == pairs
    granted = len(declared["IAMMember"]) + len(declared["BucketIAMMember"])
    assert granted == 7 + sum(map(len, wanted.values()))


def test_logs(seen, declared):
    assert seen["logs"]["default"]["retentionDays"] == 30
    for inputs in declared["ProjectExclusion"].values():
        found = seen["logs"]["exclusions"][inputs["name"]]
        assert (found["filter"], found["description"]) == (inputs["filter"], inputs["description"])
        assert not found.get("disabled")


def test_an_alert_for_jobs_that_fail(seen, declared):
    [channel] = seen["alerts"]["channels"]
    assert channel["type"] == "email"
    assert channel["labels"] == {"email_address": "owner@example.com"}
    assert channel["userLabels"] == {"managed-by": "cloudkite", "account": "seen"}
    [alert] = seen["alerts"]["policies"]
    [inputs] = declared["AlertPolicy"].values()
    assert alert["displayName"] == inputs["displayName"]
    assert alert["conditions"][0]["conditionMatchedLog"] == inputs["conditions"][0]["conditionMatchedLog"]
    assert alert["alertStrategy"]["notificationRateLimit"] == {"period": "300s"}
    assert alert["notificationChannels"] == [channel["name"]]


def test_the_budget(seen):
    [budget] = [budget for budget in seen["budgets"] if "(cloudkite-seen)" in budget["displayName"]]
    assert budget["amount"]["specifiedAmount"] == {"currencyCode": "USD", "units": "10"}
    assert budget["budgetFilter"]["projects"] == [f"projects/{seen['number']}"]
    assert budget["budgetFilter"]["creditTypesTreatment"] == "EXCLUDE_ALL_CREDITS"
    assert budget["budgetFilter"]["calendarPeriod"] == "MONTH"
    rules = {(rule["thresholdPercent"], rule["spendBasis"]) for rule in budget["thresholdRules"]}
    assert rules == {(p, "CURRENT_SPEND") for p in (0.5, 0.9, 1.0)} | {(1.0, "FORECASTED_SPEND")}
    assert budget["notificationsRule"]["monitoringNotificationChannels"] == [
        channel["name"] for channel in seen["alerts"]["channels"]
    ]
    assert budget["notificationsRule"]["enableProjectLevelRecipients"]


def test_a_guard_rail_is_a_quota_that_holds(seen):
    [preference] = seen["quotas"]["preferences"]
    assert (preference["quotaId"], preference["dimensions"]) == (T4, {"region": "us-central1"})
    assert preference["quotaConfig"]["grantedValue"] == "1"
    rows = seen["quotas"]["infos"][T4]["dimensionsInfos"]
    here = [row["details"]["value"] for row in rows if "us-central1" in row["applicableLocations"]]
    there = [row["details"]["value"] for row in rows if "us-west1" in row["applicableLocations"]]
    assert (here, there) == (["1"], ["2"])


def test_images(seen, declared):
    [repository] = seen["images"]
    [inputs] = declared["Repository"].values()
    assert repository["name"].endswith("/locations/us-central1/repositories/cloudkite")
    assert repository["format"] == "DOCKER"
    assert repository["labels"] == {"managed-by": "cloudkite", "account": "seen"}
    assert repository["vulnerabilityScanningConfig"]["enablementConfig"] == "DISABLED"
    assert repository["cleanupPolicies"] == {
        "keep-the-newest": {
            "id": "keep-the-newest",
            "action": "KEEP",
            "mostRecentVersions": {"keepCount": 3},
        },
        "delete-the-old": {
            "id": "delete-the-old",
            "action": "DELETE",
            "condition": {"tagState": "ANY", "olderThan": "2592000s"},
        },
    }
    assert {policy["id"] for policy in inputs["cleanupPolicies"]} == set(repository["cleanupPolicies"])
    assert repository["policy"] == []
