"""What is told before anything is made: all that stands in the way, each with the way on."""

import pytest
import yaml

from cloudkite import engine
from cloudkite.accounts import local, settings
from cloudkite.accounts.asked import preflight, services
from cloudkite.accounts.asked.preflight import Finding
from cloudkite.journey import setup
from cloudkite.show.errors import UserError

pytestmark = pytest.mark.slow

PAYER = "012345-6789AB-CDEF01"
STORAGE = "https://storage.googleapis.com/storage/v1"


def look(place):
    """What is found once the APIs are on that have to be asked."""
    services.turn_on_first(place.target, services.read(place.target), print)
    wanted = settings.check(settings.read(place.account.settings), place.account.name)
    report = preflight.look(place.target, wanted, engine.made(place.account))
    assert report.complete or not report.services
    return list(report.findings)


def change(place, **values):
    def write(text):
        config = yaml.safe_load(text)["config"] | {key.replace("_", ":"): value for key, value in values.items()}
        return yaml.safe_dump({"config": {key: value for key, value in config.items() if value is not None}})

    return place.settings(write)


def post(place, url, body):
    answer = place.target.session().post(url, json=body)
    assert answer.ok, answer.text


def budget(**values):
    return {"billingAccount": PAYER, "amount": 10, "emails": ["owner@example.com"], **values}


def test_nothing_stands_in_the_way_of_a_new_account(place):
    assert look(place) == []


def test_another_currency_than_the_payers(place):
    [found] = look(change(place, cloudkite_budget=budget(currency="KRW")))
    assert found == Finding(
        f"cloudkite:budget is in KRW, and billing account {PAYER} is in USD",
        "give the amount in USD and set currency: USD, or leave currency out",
    )
    assert look(change(place, cloudkite_budget=budget())) == []


def test_what_can_not_be_asked_at_first_is_asked_before_anything_is_made(place):
    """In a new project the API is off that tells the currency."""
    wrong = change(place, cloudkite_budget=budget(currency="KRW"))
    with pytest.raises(UserError, match="cloudkite:budget is in KRW"):
        setup.set_up(place.space, wrong.account, place.target, yes=True)
    assert engine.left(place.account) == []
    assert list(place.target.storage().list_buckets()) == []


def test_a_budget_of_an_account_that_does_not_pay(place):
    [found] = look(change(place, cloudkite_budget=budget(billingAccount="ABCDEF-6789AB-CDEF01")))
    assert found == Finding(
        f"cloudkite:budget is of billing account ABCDEF-6789AB-CDEF01, and {PAYER} pays for project "
        f"{place.account.project}",
        f"set billingAccount: {PAYER} in cloudkite:budget",
    )


def test_a_project_that_nobody_pays_for(place):
    assert look(place) == []
    url = f"https://cloudbilling.googleapis.com/v1/projects/{place.account.project}/billingInfo"
    answer = place.target.session().put(url, json={"billingAccountName": ""})
    assert answer.ok, answer.text
    found = look(change(place, cloudkite_budget=None))
    assert [one.message for one in found] == [f"no open billing account pays for project {place.account.project}"]
    assert found[0].hint.startswith("https://console.cloud.google.com/billing/linkedaccount")


def test_bucket_names_of_another_project_and_the_way_on(place, describe):
    other = describe(place.space)
    name = f"{place.account.project}-staging"
    post(other, f"{STORAGE}/b?project={other.account.project}", {"name": name, "location": "us-central1"})
    [found] = look(place)
    assert found == Finding(
        f"the bucket name {name} is taken by another project",
        "give this account's buckets other names: set cloudkite:bucketSuffix, e.g. to '2'",
    )
    place = change(place, cloudkite_bucketSuffix="2")
    assert look(place) == []
    place.up()
    assert place.account.outputs().buckets["staging"] == f"gs://{name}-2"
    [moved] = {one.hint for one in look(change(place, cloudkite_bucketSuffix=None))}
    assert moved == "put cloudkite:bucketSuffix back"


def test_a_bucket_of_ours_elsewhere_and_one_that_is_taken_over(place):
    project = place.account.project
    for purpose, region in (("data", "europe-west4"), ("models", "us-central1")):
        body = {"name": f"{project}-{purpose}", "location": region}
        post(place, f"{STORAGE}/b?project={project}", body)
    elsewhere, taken = look(place)
    assert elsewhere.message == f"bucket {project}-data is in europe-west4, and gcp:region is us-central1"
    assert elsewhere.stops and not taken.stops
    assert taken.message.startswith(f"bucket {project}-models exists already: it is taken over")


def test_a_change_of_region_is_told_in_our_words_and_nothing_happens(place, capsys):
    place.up()
    moved = place.settings(lambda text: text.replace("gcp:region: us-central1", "gcp:region: europe-west4"))
    with pytest.raises(UserError) as told:
        setup.set_up(place.space, moved.account, place.target, yes=True)
    assert told.value.message == (
        "gcp:region is europe-west4, and the account's buckets are in us-central1: they can't be moved"
    )
    assert told.value.hint.startswith("put gcp:region back to us-central1")
    place.settings(lambda text: text.replace("gcp:region: europe-west4", "gcp:region: us-central1"))
    assert place.preview().changes == ()


def test_all_that_stands_in_the_way_is_told_at_once(place):
    quotas = [{"quotaId": "CustomModelTrainingT5GPUsPerProjectPerRegion", "value": 1}]
    assert look(place) == []
    wrong = change(place, cloudkite_budget=budget(currency="KRW"), cloudkite_quotas=quotas)
    with pytest.raises(UserError) as told:
        setup.set_up(place.space, wrong.account, place.target, yes=True)
    head, *lines = told.value.message.splitlines()
    assert head == f"2 things stand in the way of account {place.account.name}:"
    assert [line.split(":")[0].strip() for line in lines] == ["cloudkite", "cloudkite"]
    assert "is in KRW" in told.value.message and "has no such quota" in told.value.message
    assert engine.left(place.account) == []


def test_more_quota_than_google_grants(space, describe, pulumi):
    place = describe(space, tier="trial")
    # The trial is over on paper only: Google still knows.
    place = change(place, cloudkite_tier="paid", cloudkite_budget=None, cloudkite_owner="user:me@example.com",
                   cloudkite_quotas=[{"accelerator": "T4", "value": 2, "request": True}])  # fmt: skip
    [found] = look(place)
    assert found.message.startswith("cloudkite:quotas asks for 2 of CustomModelTrainingT4GPUsPerProjectPerRegion")
    assert "NOT_ENOUGH_USAGE_HISTORY" in found.message


def test_drift_is_told_before_the_changes(place, capsys):
    place.up()
    answer = place.target.session().delete(f"{STORAGE}/b/{place.account.project}-staging")
    assert answer.ok, answer.text
    setup.set_up(place.space, place.account, place.target, yes=True)
    said = capsys.readouterr().out
    assert "changed by others since the last run" in said
    assert "staging" in said and "deleted" in said
    assert local.run(place.space, "status")
    assert place.preview().changes == ()
