"""A project as it is on its first day on Google: APIs are off, and what is turned on takes a while."""

import json
import re

import pytest
import yaml

from cloudkite.accounts import patience
from cloudkite.journey import outlook

pytestmark = pytest.mark.slow

T4 = "CustomModelTrainingT4GPUsPerProjectPerRegion"
STORAGE, USAGE = "https://storage.googleapis.com/storage/v1", "https://serviceusage.googleapis.com/v1"


@pytest.fixture
def fresh(space, pulumi, describe):
    """An account on a project that was made a moment ago."""
    return describe(space, fresh=True)


def ask(place, method, url, body=None):
    answer = place.target.session().request(method, url, json=body)
    assert answer.ok, answer.text
    return answer.json() if answer.content else {}


def preferences(place):
    url = f"https://cloudquotas.googleapis.com/v1/projects/{place.account.project}/locations/global/quotaPreferences"
    return {
        (one["quotaId"], one["dimensions"]["region"]): (one["name"].rpartition("/")[2], one["quotaConfig"])
        for one in ask(place, "GET", url).get("quotaPreferences", ())
    }


def wish(place, wanted):
    """The same account with these quotas in its settings; None takes the setting out."""

    def change(text):
        config = yaml.safe_load(text)["config"]
        config.pop("cloudkite:quotas", None)
        return yaml.safe_dump({"config": config | ({"cloudkite:quotas": wanted} if wanted else {})})

    return place.settings(change)


def test_one_up_sets_a_new_project_up(fresh, monkeypatch):
    monkeypatch.setattr(patience, "PAUSES", (0.1,) * 20)  # the local cloud's clock goes on by itself
    told = []
    made = fresh.up(progress=told.append)
    assert made.failures == ()
    assert any(line.startswith("Google isn't ready yet with ") for line in told)
    assert preferences(fresh)[T4, "us-central1"][1]["grantedValue"] == "1"
    assert fresh.account.outputs().project_number.isdecimal()
    looked = fresh.preview()
    assert (looked.changes, looked.drift) == ((), ())


def test_how_an_account_stands_with_its_quotas(place, capsys):
    place.up()
    outlook.show_quotas(place.space, place.account.name, as_json=True)
    told = json.loads(capsys.readouterr().out)
    t4 = next(row for row in told["quotas"] if row["title"] == "T4")
    assert (t4["asked"], t4["granted"], t4["reset"], t4["used"], t4["pending"]) == (1, 1, 12, 0, None)
    with_gpu, without = told["fits"]
    assert with_gpu["accelerator"] and not without["accelerator"]
    assert 0 < without["hourly"] < with_gpu["hourly"]
    outlook.show_quotas(place.space, place.account.name)
    said = capsys.readouterr().out
    assert "--all shows them" in said and said.count("fits now: ") == 2

    # More than four times what Google gives by itself is reviewed, and granted in part.
    more = wish(place, [{"accelerator": "T4", "value": 100, "request": True}, {"cpus": "n1", "value": 2}])
    more.up()
    outlook.show_quotas(more.space, more.account.name, as_json=True)
    rows = {row["title"]: row for row in json.loads(capsys.readouterr().out)["quotas"]}
    assert (rows["T4"]["asked"], rows["T4"]["granted"]) == (100, 48)
    assert (rows["N1 and E2 vCPUs"]["asked"], rows["N1 and E2 vCPUs"]["granted"]) == (2, 2)
    assert more.up().changes == {}


def test_the_first_api_that_was_turned_off_is_turned_on_before_all_else(fresh, monkeypatch):
    monkeypatch.setattr(patience, "PAUSES", (0.1,) * 20)
    fresh.up()
    manager = f"{USAGE}/projects/{fresh.account.project}/services/cloudresourcemanager.googleapis.com"
    storage = f"{USAGE}/projects/{fresh.account.project}/services/storage.googleapis.com"
    for url in (manager, storage):
        ask(fresh, "POST", f"{url}:disable", {"disableDependentServices": True})
    [change] = fresh.preview().changes
    assert (change.op, change.kind, change.name) == ("create", "Service", "api-cloudresourcemanager")
    fresh.up()
    assert [ask(fresh, "GET", url)["state"] for url in (manager, storage)] == ["ENABLED", "ENABLED"]
    looked = fresh.preview()
    assert (looked.changes, looked.drift) == ((), ())


@pytest.mark.parametrize("tier", ["paid", "trial"])
def test_a_guard_rail_goes_up_and_down_and_away(space, describe, pulumi, tier):
    cpus = "CustomModelTrainingCPUsPerProjectPerRegion"
    # A trial has a billing account of its own, not the settings'.
    place = describe(space, tier=tier).settings(lambda text: re.sub(r"  cloudkite:budget:\n(    .*\n)+", "", text))
    for value in (1, 4):
        place = wish(place, [{"cpus": "n1", "value": value}])
        place.up()
        _name, config = preferences(place)[cpus, "us-central1"]
        assert (config["preferredValue"], config["grantedValue"]) == (str(value), str(value))
        assert place.up().changes == {}
    place = wish(place, None)
    [change] = place.preview().changes
    assert (change.op, change.kind) == ("update", "SQuotaPreference")
    place.up()
    assert preferences(place)[cpus, "us-central1"][1]["grantedValue"] == "2200"
    place.down()
    place.up()
    assert place.up().changes == {}
    assert list(preferences(place)) == [(cpus, "us-central1")]


def test_a_preference_of_another_name_is_taken_over(place):
    url = f"https://cloudquotas.googleapis.com/v1/projects/{place.account.project}/locations/global/quotaPreferences"
    place.target.session().post(
        f"{USAGE}/projects/{place.account.project}/services/cloudquotas.googleapis.com:enable", json={}
    )
    by_hand = {
        "service": "aiplatform.googleapis.com",
        "quotaId": T4,
        "dimensions": {"region": "us-central1"},
        "quotaConfig": {"preferredValue": "3"},
    }
    ask(
        place, "POST", f"{url}?quotaPreferenceId=by-hand&ignoreSafetyChecks=QUOTA_DECREASE_PERCENTAGE_TOO_HIGH", by_hand
    )
    place.up()
    assert preferences(place)[T4, "us-central1"][0] == "by-hand"
    assert preferences(place)[T4, "us-central1"][1]["grantedValue"] == "1"
    assert place.up().changes == {}


def test_a_bucket_of_ours_is_taken_over_and_closed(place):
    name = f"{place.account.project}-data"
    body = {"name": name, "location": "us-central1", "iamConfiguration": {"publicAccessPrevention": "inherited"}}
    ask(place, "POST", f"{STORAGE}/b?project={place.account.project}", body)
    place.target.storage().bucket(name).blob("rows.csv").upload_from_string("a\n1\n")
    place.up()
    found = ask(place, "GET", f"{STORAGE}/b/{name}")["iamConfiguration"]
    assert found["publicAccessPrevention"] == "enforced"
    assert found["uniformBucketLevelAccess"]["enabled"] is True
    assert place.target.storage().bucket(name).blob("rows.csv").exists()
    assert place.up().changes == {}
