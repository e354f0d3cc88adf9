"""Each answer that `up` meets is refused once and fails once in turn: it comes through, or says what is missing."""

import json
from urllib.parse import urlsplit

import pytest

from cloudkite import engine
from cloudkite.accounts import local
from cloudkite.journey import setup
from cloudkite.money import inventory
from cloudkite.show.errors import UserError
from localcloud import launch
from localcloud.faults.names import method_id
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


# --- what is asked beside the engine: before it starts, and when it is done


@pytest.fixture
def asked():
    """What Cloudkite itself asks Google for while a function runs with an account: the methods, in their order."""

    def walk(place, function):
        seen: dict[str, None] = {}

        def note(response, *_arguments, **_options):
            url = urlsplit(response.request.url)
            if response.status_code != 501:  # else the local cloud doesn't have it
                seen[method_id(response.request.method, url.hostname, url.path)] = None

        hooks = place.target.session().hooks["response"]
        hooks.append(note)
        try:
            function(place)
        finally:
            hooks.remove(note)
        assert len(seen) > 5 and "" not in seen  # a call that no fault could be aimed at would not be drilled
        return [*seen]

    return walk


@pytest.fixture
def broken():
    """Faults that are still to come on an account's local cloud: made for each of some methods, and counted."""
    root = None

    def break_(place, *wanted, **how):
        nonlocal root
        root = place.space.localcloud
        for method in wanted:
            launch.control(root, "POST", "/faults", {"method": method, **how})

        def left():
            return [one["method"] for one in launch.control(root, "GET", "/faults")["faults"]]

        return left

    yield break_
    if root is not None:
        launch.control(root, "DELETE", "/faults")


GATE = name_of("gcp:projects/service:Service", "create")  # the first thing that the engine makes


def set_up(place):
    setup.set_up(place.space, place.account, place.target, yes=True, quiet=True)


def test_each_call_beside_the_engine_is_late_fails_once_and_is_refused_once(describe, space, pulumi, asked, broken):
    calls = asked(describe(space), set_up)
    place = describe(space)
    left = broken(place, *calls, code=503, delay=0.1)
    set_up(place)
    assert left() == [] and place.preview().changes == ()

    refusals, passed = {}, []
    for call in calls:
        place = describe(space)
        left = broken(place, GATE, code=403, times=0)
        broken(place, call, code=403)
        with pytest.raises(UserError) as told:
            set_up(place)
        if isinstance(told.value, engine.Failed):  # it came to the engine all the same, where it was to end
            passed.append(call)
        else:
            refusals[call] = f"{told.value.message}\n{told.value.hint}"
            assert left() == [GATE], call
        launch.control(space.localcloud, "DELETE", "/faults")
    # Without those answers it goes on, and comes to its end.
    place = describe(space)
    left = broken(place, *passed, code=403)
    set_up(place)
    assert left() == []
    # Each of the others says what is missing: the permission, or what the refusal stands for.
    assert passed and refusals
    for call, told in refusals.items():
        missing = {
            "storage.buckets.get": "is taken by another project",
            "cloudbilling.billingAccounts.testIamPermissions": "may not make a budget: billing.budgets.create",
        }.get(call, "Permission '")
        assert missing in told and "Traceback" not in told, (call, told)


def test_each_call_of_the_inventory_fails_once_and_is_refused_once(standing, asked, broken):
    def look(place):
        return inventory.take(place.target, everywhere=False)

    calls = asked(standing, look)
    whole = look(standing)
    assert whole.unseen == ()
    left = broken(standing, *calls, code=503, delay=0.1)
    assert look(standing).found == whole.found and left() == []
    for call in calls:
        left = broken(standing, call, code=403)
        seen = look(standing)
        assert left() == [], call
        if call == "serviceusage.projects.services.list":  # which APIs are on: without an answer it asks them all
            assert seen.found == whole.found
            continue
        untold = [problem for problem in (*seen.unseen, *(one.why for one in seen.found)) if "ermission" in problem]
        assert untold, call
        if not seen.unseen:  # a bucket is there, and what is in it may cost
            assert any(one.monthly is None for one in seen.bills), call


def test_each_read_fails_once_and_is_refused_once(standing, broken):
    """What the engine looks at before it says that all is well."""
    reads = sorted({name_of(resource.type, "read") for resource in standing.left()})
    left = broken(standing, *reads, code=503)
    assert standing.up().changes == {} and left() == []
    left = broken(standing, *reads, code=403)
    told: set[str] = set()
    while before := len(left()):
        with pytest.raises(engine.Failed) as caught:
            standing.up()
        told |= {failure.kind for failure in caught.value.outcome.failures}
        assert "403" in caught.value.message and len(left()) < before
    assert told == {read.split(".")[-2] for read in reads}
    assert standing.up().changes == {}
