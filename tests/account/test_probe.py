"""What an account can run today: before `up`, on a trial, with quota 0, with a GPU, unpaid, signed out."""

from __future__ import annotations

import json

import pytest

from catalog import quotas
from cloudkite.accounts import registry, settings
from cloudkite.journey import probe
from cloudkite.workspace import CLONE

pytestmark = pytest.mark.slow
QUOTAS = "https://cloudquotas.googleapis.com/v1/projects/{project}/locations/global/quotaPreferences"
USAGE = "https://serviceusage.googleapis.com/v1/projects/{project}/services"


def places(place, capsys):
    capsys.readouterr()
    probe.probe(place.space, place.account.name, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["project"] == place.account.project
    return {one["kind"]: one for one in found["places"]}


def words(place, capsys):
    capsys.readouterr()
    probe.probe(place.space, place.account.name)
    return capsys.readouterr().out.splitlines()[0]


def turn_on(place, *names):
    url = USAGE.format(project=place.account.project)
    for name in names:
        assert place.target.session().post(f"{url}/{name}.googleapis.com:enable").ok


def on(place):
    answer = place.target.session().get(USAGE.format(project=place.account.project), params={"filter": "state:ENABLED"})
    return [one["config"]["name"] for one in answer.json()["services"]]


def limit(place, quota_id, value):
    body = {
        "service": quotas.SERVICE, "quotaId": quota_id, "dimensions": {"region": place.account.region},
        "quotaConfig": {"preferredValue": str(value)},
    }  # fmt: skip
    url = QUOTAS.format(project=place.account.project)
    checks = "?ignoreSafetyChecks=QUOTA_DECREASE_PERCENTAGE_TOO_HIGH"
    answer = place.target.session().post(f"{url}{checks}&quotaPreferenceId=test-{quota_id[-30:].lower()}", json=body)
    assert answer.ok, answer.text


def no_cpus(place):
    for family in ("e2", "n2", "n4", "c2", "m1"):
        if meter := quotas.vcpus(family, False):
            limit(place, meter.id, 0)


def test_before_up_it_says_what_cannot_be_known_and_turns_nothing_on(describe, space, capsys):
    place = describe(space, tier="trial")
    before = on(place)
    found = places(place, capsys)
    why = "not known yet: the API that tells quotas is off until `up` has run"
    name = place.account.name
    assert (found["cpu"]["can"], found["cpu"]["why"]) == (None, why)
    assert found["cpu"]["way"] == f"uv run invoke up --account {name}"
    assert (found["gpu"]["can"], found["gpu"]["why"]) == (False, "trial")
    assert found["laptop"]["can"] is True
    assert found["laptop"]["way"] == "uv run invoke train NAME --account local"
    assert words(place, capsys) == (
        "laptop yes · cloud CPU unknown · GPU no (trial) · TPU unknown · Cloud Run jobs unknown"
    )
    assert on(place) == before
    assert list(place.target.storage().list_buckets()) == []


def test_a_trial_without_cpus(describe, space, capsys):
    place = describe(space, tier="trial")
    turn_on(place, "cloudquotas", "cloudbilling")
    no_cpus(place)
    found = places(place, capsys)
    assert (found["cpu"]["can"], found["cpu"]["why"]) == (False, "0, needs 4")
    assert found["cpu"]["quota"] == "CustomModelTrainingCPUsPerProjectPerRegion"
    page = (CLONE / "docs" / "start.md").read_text(encoding="utf-8").split("<!-- probe -->")[1]
    assert words(place, capsys) == page.split("```")[1].strip()
    if probe._has_run():
        assert found["cpu"]["way"] == f"uv run invoke train NAME --on run --account {place.account.name}"
    else:
        assert found["cpu"]["way"].startswith("upgrade: https://console.cloud.google.com/billing")


def test_a_paid_account_says_what_fits_with_its_price(place, capsys):
    turn_on(place, "cloudquotas", "cloudbilling")
    found = places(place, capsys)
    option = f" --account {place.account.name}"
    assert found["cpu"]["machine"] == "e2-standard-4"
    assert found["cpu"]["way"] == f"uv run invoke train NAME{option} --max-cost 1"
    assert (found["gpu"]["can"], found["gpu"]["machine"]) == (True, "n1-standard-4 + 1 T4")
    assert found["gpu"]["way"] == f"uv run invoke train NAME --gpu t4{option} --max-cost 1"
    assert found["gpu"]["currency"] == "USD" and found["gpu"]["hourly"] > 0.5 and found["gpu"]["as_of"]
    assert (found["tpu"]["can"], found["tpu"]["why"]) == (False, "0 in us-central1")
    assert found["tpu"]["way"].startswith("ask: {quotaId: CustomModelTraining")
    # Without the usual machine's vCPUs, another family's cheapest.
    limit(place, "CustomModelTrainingCPUsPerProjectPerRegion", 2)
    found = places(place, capsys)
    assert found["cpu"]["machine"] in ("n1-highmem-2", "e2-highmem-2")
    assert f" --machine {found['cpu']['machine']} " in found["cpu"]["way"]
    assert found["gpu"]["can"] is True and "g2" not in found["gpu"]["machine"]


def test_a_project_that_nobody_pays_for(place, capsys):
    turn_on(place, "cloudquotas", "cloudbilling")
    url = f"https://cloudbilling.googleapis.com/v1/projects/{place.account.project}/billingInfo"
    assert place.target.session().put(url, json={"billingAccountName": ""}).ok
    found = places(place, capsys)
    for kind in ("cpu", "gpu", "tpu", "run"):
        assert (found[kind]["can"], found[kind]["why"]) == (False, "no billing account is linked")
        assert found[kind]["way"] == f"uv run invoke doctor --account {place.account.name}"


def test_signed_out_the_cloud_is_unknown_and_this_machine_is_not(space, capsys, monkeypatch, tmp_path):
    for name in ("HOME", "APPDATA", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    registry.add(space, "far", settings.describe("far-away-project"))
    try:
        probe.probe(space, "far", as_json=True)
    finally:
        (space.accounts / "Pulumi.far.yaml").unlink()
    found = {one["kind"]: one for one in json.loads(capsys.readouterr().out)["places"]}
    assert found["laptop"]["can"] is True
    assert found["cpu"]["why"] == "not signed in to Google for account far"
    assert found["cpu"]["way"] == "gcloud auth application-default login"
