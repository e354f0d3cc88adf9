"""Money on the local cloud: what runs and lies there is charged, trials end, nobody pays for an unlinked project."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from clouds.charged import (
    BILLING,
    DAY,
    MINE,
    NO_BILLING,
    REGION,
    SLEEP,
    STORAGE,
    VERTEX,
    Place,
    command,
    refusal,
)
from localcloud import launch

pytestmark = pytest.mark.slow


def test_a_job_is_charged_by_the_clock_and_stays_on_the_bill(place: Place) -> None:
    job = place.run(SLEEP, team="blue")
    place.forward(3600)
    lines = place.bill()["lines"]
    assert {(line["service"], line["resource"]) for line in lines} == {("Vertex AI", job["name"].split("/", 2)[2])}
    assert {line["sku"] for line in lines} == {
        f"Vertex AI: Training/Pipelines on n1-standard-4 in {REGION}",
        f"Vertex AI: Training/Pipelines on pd-ssd of 100 GB in {REGION}",
    }
    hour = Decimal(place.bill()["cost"])
    assert Decimal("0.244") < hour < Decimal("0.26")  # 0.2185 for the machine, 0.0268 for its disk, and half minutes
    assert place.session.post(f"{VERTEX}/{job['name']}:cancel").ok
    place.wait(job["name"], "CANCELLED")
    ended = place.bill()["cost"]
    assert place.session.delete(f"{VERTEX}/{job['name']}").ok
    place.forward(40 * DAY)
    assert place.bill()["cost"] == ended
    assert launch.stop(place.cloud.root)
    launch.start(place.cloud.root, place.cloud.root / "envs")
    assert place.bill("test-project")["cost"] == ended
    shown = command(place.cloud, "bill")
    assert "n1-standard-4" in shown and f"total {Decimal(ended):.4f} USD" in shown


def test_the_clock_and_the_bill_on_the_command_line(place: Place) -> None:
    assert "the real time" in command(place.cloud, "clock")
    assert "3 days, 12:00:00 ahead" in command(place.cloud, "clock", "--forward", "3d12h")
    assert json.loads(command(place.cloud, "clock", "--json"))["ahead_seconds"] == 3.5 * DAY
    assert "hint: a whole number and s, m, h, d or w" in command(place.cloud, "clock", "--forward", "soon", code=2)
    assert command(place.cloud, "bill").startswith("nothing was charged\n")
    assert "0.0000 USD" not in command(place.cloud, "bill")
    assert "no project is called nobody" in command(place.cloud, "bill", "--project", "nobody", code=2)
    assert "2026-13 isn't a month" in command(place.cloud, "bill", "--month", "2026-13", code=2)
    assert "is on no free trial" in command(place.cloud, "upgrade", "test-project", code=2)


def test_what_is_stored_is_charged_by_day_also_when_it_is_soft_deleted(place: Place) -> None:
    made = place.session.post(
        f"{STORAGE}/storage/v1/b", params={"project": "test-project"}, json={"name": "charged-bytes", "location": "EU"}
    )
    assert made.ok, made.text
    url = f"{STORAGE}/upload/storage/v1/b/charged-bytes/o"
    put = place.session.post(url, params={"uploadType": "media", "name": "x"}, data=b"x" * (1 << 20))
    assert put.ok, put.text
    media = f"{STORAGE}/storage/v1/b/charged-bytes/o/x"
    assert place.session.get(media, params={"alt": "media"}).ok
    assert place.session.get(f"{STORAGE}/charged-bytes/x").ok
    assert place.session.get(f"{STORAGE}/storage/v1/b/charged-bytes/o").ok
    assert place.session.get(f"{STORAGE}/charged-bytes/y").status_code == 404  # a refusal costs nothing
    place.forward(2 * DAY)

    def found() -> dict[str, tuple[Decimal, Decimal]]:
        amounts: dict[str, tuple[Decimal, Decimal]] = {}
        for line in place.bill()["lines"]:
            amount, cost = amounts.get(line["sku"], (Decimal(), Decimal()))
            amounts[line["sku"]] = amount + Decimal(line["amount"]), cost + Decimal(line["cost"])
        return amounts

    first = found()
    month = Decimal("0.026") / 1024
    assert month * 2 / 32 < first["Standard Storage in eu"][1] < month * 2 / 27
    assert first["Standard Class A Operations in eu"] == (2, Decimal("0.00002"))
    assert first["Standard Class B Operations in eu"] == (2, Decimal("0.0000008"))
    assert place.session.delete(media).status_code == 204  # free, and the object is kept for a week
    place.forward(DAY)
    again = found()
    assert again.pop("Standard Storage in eu")[1] > first.pop("Standard Storage in eu")[1] * Decimal("1.4")
    assert again == first


def test_an_unlinked_project_is_refused_everywhere_and_its_jobs_end(place: Place) -> None:
    bucket = {"name": "nobody-pays", "location": "us-central1"}
    place.session.post(f"{STORAGE}/storage/v1/b", params={"project": "test-project"}, json=bucket)
    job = place.run(SLEEP)
    info = place.session.get(f"{BILLING}/projects/test-project/billingInfo").json()
    assert (info["billingEnabled"], info["billingAccountName"]) == (True, "billingAccounts/10CA1C-10D000-000001")
    assert place.link("").json()["billingEnabled"] is False
    answer = place.session.get(f"{VERTEX}/{job['name']}")
    code, status, message = refusal(answer)
    assert (code, status) == (403, "PERMISSION_DENIED")
    assert message.startswith(NO_BILLING)
    details = {detail.get("reason", ""): detail for detail in answer.json()["error"]["details"]}
    assert details["BILLING_DISABLED"]["domain"] == "googleapis.com"
    assert refusal(place.session.get(f"{STORAGE}/storage/v1/b/nobody-pays/o")) == (
        403, "accountDisabled", "The billing account for the owning project is disabled in state absent"
    )  # fmt: skip
    assert "disabled in state absent" in place.session.get(f"{STORAGE}/nobody-pays/x").text
    code, status, message = refusal(place.enable("compute", "logging"))
    assert (code, status) == (400, "FAILED_PRECONDITION")
    assert message.startswith("Billing account for project '")
    assert "activation of service(s) 'compute.googleapis.com' to proceed." in message
    assert place.link("billingAccounts/012345-6789AB-CDEF01").json()["billingEnabled"] is True
    ended = place.wait(job["name"], "FAILED")
    assert ended["error"]["message"] == "The billing account of the project was unlinked."
    assert place.session.get(f"{STORAGE}/storage/v1/b/nobody-pays/o").ok
    cost = place.bill()["cost"]
    place.forward(DAY)
    assert place.bill()["cost"] == cost


def test_a_project_made_through_the_api_has_no_billing(place: Place) -> None:
    answer = place.session.post(
        "https://cloudresourcemanager.googleapis.com/v1/projects", json={"projectId": "made-by-api"}
    )
    assert answer.ok, answer.text
    info = f"{BILLING}/projects/made-by-api/billingInfo"  # Cloud Billing is off there, and need not be on
    assert place.session.put(info, json={"billingAccountName": MINE}).json()["billingEnabled"] is True
    assert place.session.put(info, json={"billingAccountName": ""}).json()["billingEnabled"] is False
    unknown = place.session.get(info.replace("made-by-api", "nobody-made-it"))
    assert refusal(unknown)[2] == "The caller does not have permission"
    url = "https://serviceusage.googleapis.com/v1/projects/made-by-api/services/aiplatform.googleapis.com:enable"
    key = json.loads((place.cloud.root / "projects" / "made-by-api" / "key.json").read_text(encoding="utf-8"))
    owner = place.cloud.session(key)
    assert "Billing must be enabled for activation" in refusal(owner.post(url, json={}))[2]
    owner.close()


QUOTAS = "https://cloudquotas.googleapis.com/v1/projects/test-project/locations/global"


def _gpu_job() -> dict[str, Any]:
    machine = {"machineType": "n1-standard-4", "acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 1}
    pool = {"machineSpec": machine, "replicaCount": 1, "containerSpec": {"imageUri": "local/plain:1"}}
    return {"displayName": "gpu", "jobSpec": {"workerPoolSpecs": [pool]}}


def test_a_trial_has_no_accelerators_eats_its_credit_and_ends(trial: Place) -> None:
    session = trial.session
    quota = "CustomModelTrainingT4GPUsPerProjectPerRegion"
    info = session.get(f"{QUOTAS}/services/aiplatform.googleapis.com/quotaInfos/{quota}").json()
    assert {one["details"]["value"] for one in info["dimensionsInfos"]} == {"0"}
    assert info["quotaIncreaseEligibility"] == {"isEligible": False, "ineligibilityReason": "NOT_ENOUGH_USAGE_HISTORY"}
    code, status, message = refusal(session.post(trial.jobs, json=_gpu_job()))
    assert (code, "custom_model_training_nvidia_t4_gpus" in message) == (429, True)
    wish = {
        "service": "aiplatform.googleapis.com", "quotaId": quota, "dimensions": {"region": REGION},
        "quotaConfig": {"preferredValue": "1"}, "contactEmail": "me@example.com",
    }  # fmt: skip
    code, status, message = refusal(session.post(f"{QUOTAS}/quotaPreferences?quotaPreferenceId=more", json=wish))
    assert (code, status, "NOT_ENOUGH_USAGE_HISTORY" in message) == (400, "FAILED_PRECONDITION", True)
    job = trial.run(SLEEP, "n1-standard-96")
    trial.forward(10 * 3600)
    bill = trial.bill()
    assert Decimal(bill["total"]) == 0
    assert Decimal(bill["credit"]) == -Decimal(bill["cost"]) < -50
    found = bill["trials"]["test-project"]
    assert (found["days_left"], found["state"]) == (90, "open")
    assert Decimal(found["credit_left"]) == 300 - Decimal(bill["cost"])
    trial.forward(3 * DAY)  # the credit is used up
    bill = trial.bill()
    assert (bill["trials"]["test-project"]["state"], bill["trials"]["test-project"]["credit_left"]) == (
        "closed", "0.000000000"
    )  # fmt: skip
    assert Decimal(bill["cost"]) > 300
    assert Decimal(bill["total"]) == 0  # a trial is never billed
    assert refusal(session.get(f"{VERTEX}/{job['name']}"))[2].startswith(NO_BILLING)
    billing = session.get(f"{BILLING}/projects/test-project/billingInfo").json()
    assert (billing["billingEnabled"], bool(billing["billingAccountName"])) == (False, True)
    assert session.get(f"{BILLING}/{billing['billingAccountName']}").json()["open"] is False
    assert "trial upgraded" in command(trial.cloud, "upgrade", "test-project")
    trial.wait(job["name"], "FAILED")
    assert Decimal(trial.bill()["total"]) < 1  # the end of the job may be after the upgrade
    wish["quotaConfig"] = {"preferredValue": "13"}
    assert session.post(f"{QUOTAS}/quotaPreferences?quotaPreferenceId=more", json=wish).ok


def test_a_trial_ends_after_its_90_days(trial: Place) -> None:
    trial.session.post(
        f"{STORAGE}/storage/v1/b", params={"project": "test-project"}, json={"name": "tried", "location": REGION}
    )
    trial.forward(89 * DAY)
    assert trial.session.get(f"{STORAGE}/storage/v1/b/tried").ok
    assert "1 days left" in command(trial.cloud, "status")
    trial.forward(DAY + 60)
    assert refusal(trial.session.get(f"{STORAGE}/storage/v1/b/tried")) == (
        403, "accountDisabled", "The billing account for the owning project is disabled in state closed"
    )  # fmt: skip
    account = trial.bill()["trials"]["test-project"]["account"]
    assert refusal(trial.link(account))[1:] == ("FAILED_PRECONDITION", "Precondition check failed.")
    trial.forward(31 * DAY)
    assert "ended more than 30 days ago" in command(trial.cloud, "upgrade", "test-project", code=2)


def test_who_may_not_link_is_refused(place: Place) -> None:
    stranger = place.cloud.session(place.cloud.key(place.cloud.account("stranger")))
    url = f"{BILLING}/projects/test-project/billingInfo"
    for account, permission in (("", "deleteBillingAssignment"), (MINE, "createBillingAssignment")):
        answer = stranger.put(url, json={"billingAccountName": account})
        assert (answer.status_code, permission in answer.text) == (403, True), answer.text
    stranger.close()
