"""`up` looks before it says that all is well: what others changed is found, told and repaired."""

import json

import pytest

from cloudkite import engine
from cloudkite.accounts import local, registry
from cloudkite.engine import Failed, run

pytestmark = pytest.mark.slow

STORAGE, MANAGER = "https://storage.googleapis.com/storage/v1", "https://cloudresourcemanager.googleapis.com/v3"


def ask(place, method, url, body=None):
    answer = place.target.session().request(method, url, json=body)
    assert answer.ok, answer.text
    return answer.json() if answer.content else {}


def policy(place):
    return ask(place, "POST", f"{MANAGER}/projects/{place.account.project}:getIamPolicy", {})


def test_what_others_deleted_or_changed_is_found_told_and_repaired(place):
    made = place.up().changes["create"]
    project = place.account.project
    whole = policy(place)
    ask(place, "DELETE", f"{STORAGE}/b/{project}-staging")
    open_it = {"iamConfiguration": {"publicAccessPrevention": "inherited"}}
    ask(place, "PATCH", f"{STORAGE}/b/{project}-data", open_it)
    less = [row for row in whole["bindings"] if row["role"] != "roles/logging.logWriter"]
    ask(place, "POST", f"{MANAGER}/projects/{project}:setIamPolicy", {"policy": {**whole, "bindings": less}})
    switch = f"https://serviceusage.googleapis.com/v1/projects/{project}/services/artifactregistry.googleapis.com"
    ask(place, "POST", f"{switch}:disable", {})

    seen = place.preview()
    drift = {(found.kind, found.name, found.gone, found.details) for found in seen.drift}
    assert drift >= {
        ("Bucket", "staging", True, ()),
        ("Bucket", "data", False, ("publicAccessPrevention",)),
        ("IAMMember", "trainer-logging-logWriter", True, ()),
        ("Service", "api-artifactregistry", True, ()),
    }
    # With a bucket go the permissions on it.
    assert {name for _kind, name, gone, _details in drift if gone and name.startswith("staging-")}
    assert {found.urn for found in seen.drift} == {change.urn for change in seen.changes}

    place.up()
    assert ask(place, "GET", f"{STORAGE}/b/{project}-staging")["location"] == "US-CENTRAL1"
    data = ask(place, "GET", f"{STORAGE}/b/{project}-data")
    assert data["iamConfiguration"]["publicAccessPrevention"] == "enforced"
    again = policy(place)
    assert sorted(map(json.dumps, again["bindings"])) == sorted(map(json.dumps, whole["bindings"]))
    assert ask(place, "GET", switch)["state"] == "ENABLED"
    looked = place.preview()
    assert (looked.changes, looked.drift, looked.same) == ((), (), made)


def test_a_change_of_settings_is_no_drift(place):
    place.up()
    changed = place.settings(lambda text: text.replace("logRetentionDays: 30", "logRetentionDays: 31"))
    seen = changed.preview()
    assert [change.kind for change in seen.changes] == ["ProjectBucketConfig"]
    assert seen.drift == ()


def test_a_budget_that_is_refused_leaves_all_else_to_be_used(place):
    try:
        local.run(place.space, "fault", "pulumi.billing.Budget.create", "--code", "403")
        with pytest.raises(Failed) as refused:
            place.up()
    finally:
        local.run(place.space, "fault", "--clear")
    first, missing = refused.value.message.split("\n  ", 1)
    assert first == f"account {place.account.name} can be used, but isn't complete:"
    assert missing.startswith("create Budget monthly-budget: 403 Permission 'billingbudgets.budgets.create' denied")
    assert refused.value.code == 1
    account = registry.load(place.space, place.account.name)
    assert account.outputs().budget is None
    assert set(account.outputs().buckets) == {"data", "staging", "models"}
    assert place.folder.last_good.read_bytes() == place.folder.checkpoint.read_bytes()
    assert place.up().changes == {"create": 1}
    made = registry.load(place.space, place.account.name).outputs().budget
    assert made and made.currency == "USD"


def test_a_bucket_that_is_refused_is_no_account_to_be_used(place):
    try:
        local.run(place.space, "fault", "pulumi.storage.Bucket.create", "--code", "403")
        with pytest.raises(Failed, match=r"^create Bucket"):
            place.up()
    finally:
        local.run(place.space, "fault", "--clear")
    assert not place.account.outputs_file.exists()
    assert engine.status(place.account).resources


def test_who_looks_is_who_runs_it_now_and_not_whose_token_the_state_keeps(place, monkeypatch):
    """The token of the last run is over half an hour later, and may have been another person's."""
    place.up()
    with run.opened(place.account, place.target, print) as (_folder, stack):
        monkeypatch.setattr(stack, "_token", lambda: "over.and.done")
        stack.sign_in()
    assert place.preview().changes == ()
    assert place.up().changes == {}
