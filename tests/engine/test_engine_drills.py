"""Each answer that `up` meets is refused once and fails once in turn: it comes through, or says what is missing."""

import json

import pytest

from cloudkite import engine
from cloudkite.accounts import local
from localcloud.provider.faults import name_of
from localcloud.provider.resources.registry import KINDS

pytestmark = pytest.mark.slow

# What the program of an account calls, by what waits for what: those of one row are refused in the same run, where each
# is told by itself. test_each_kind_is_drilled holds them against what an account has.
ROWS = (
    ("projects/service:Service",),
    (
        "artifactregistry/repository:Repository",
        "logging/projectBucketConfig:ProjectBucketConfig",
        "monitoring/notificationChannel:NotificationChannel",
        "projects/serviceIdentity:ServiceIdentity",
        "serviceaccount/account:Account",
        "storage/bucket:Bucket",
    ),
    (
        "billing/budget:Budget",
        "cloudquota/sQuotaPreference:SQuotaPreference",
        "logging/projectExclusion:ProjectExclusion",
        "monitoring/alertPolicy:AlertPolicy",
        "projects/iAMMember:IAMMember",
        "serviceaccount/iAMMember:IAMMember",
        "storage/bucketIAMMember:BucketIAMMember",
    ),
)


def methods(row):
    """What a drill calls them."""
    return [name_of(f"gcp:{token}", "create" if f"gcp:{token}" in KINDS else "") for token in row]


@pytest.fixture
def drill(place):
    """Makes faults on the account's local cloud, of calls for its project alone."""
    owner = f"owner@{place.account.project}.iam.gserviceaccount.com"

    def fault(*options):
        return local.run(place.space, "fault", *options)

    yield lambda method, *how: fault(method, "--principal", owner, *how)
    fault("--clear")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].rpartition(":")[2])
def test_what_is_refused_once_and_then_fails_once(place, drill, row):
    for method in methods(row):
        drill(method, "--code", "403")
    with pytest.raises(engine.Failed) as told:
        place.up()
    assert "Traceback" not in told.value.message and "403" in told.value.message
    if len(row) > 1:
        refused = {failure.kind for failure in told.value.outcome.failures if failure.code == 403}
        assert refused == {token.rpartition(":")[2] for token in row}
    else:
        assert row[0].rpartition(":")[2] in told.value.message
    assert json.loads(local.run(place.space, "fault", "--list", "--json")) == []
    for method in methods(row):
        drill(method, "--code", "503")  # which the provider tries again by itself
    assert place.up().failures == ()
    assert json.loads(local.run(place.space, "fault", "--list", "--json")) == []
    assert place.up().changes == {}


def test_each_kind_is_drilled(standing):
    made = {resource.type.removeprefix("gcp:") for resource in standing.left()}
    assert made == {token for row in ROWS for token in row if f"gcp:{token}" in KINDS}
