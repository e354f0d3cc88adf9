"""Money on the local cloud: what runs is charged, trials end, nobody pays for an unlinked project, budgets notify."""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google.auth.transport.requests import AuthorizedSession

from localcloud import launch
from tests.local.conftest import LocalCloud, Start

pytestmark = pytest.mark.slow

REGION = "us-central1"
VERTEX = f"https://{REGION}-aiplatform.googleapis.com/v1"
BILLING = "https://cloudbilling.googleapis.com/v1"
STORAGE = "https://storage.googleapis.com"
PUBSUB = "https://pubsub.googleapis.com/v1"
DAY = 86_400
MINE = "billingAccounts/012345-6789AB-CDEF01"
NO_BILLING = "This API method requires billing to be enabled. Please enable billing on project #"


@dataclass(frozen=True)
class Place:
    """A cloud of one's own with the APIs on, and its owner's session."""

    cloud: LocalCloud
    session: AuthorizedSession

    @property
    def jobs(self) -> str:
        return f"{VERTEX}/projects/{self.cloud.project}/locations/{REGION}/customJobs"

    def run(
        self, script: str, machine: str = "n1-standard-4", timeout: str = "604800s", **labels: str
    ) -> dict[str, Any]:
        """Submit a job and wait until it runs."""
        spec = {
            "machineSpec": {"machineType": machine},
            "replicaCount": 1,
            "containerSpec": {"imageUri": "local/plain:1", "command": ["python", "-c", script]},
        }
        body = {"displayName": "charged", "labels": labels, "jobSpec": {"workerPoolSpecs": [spec]}}
        body["jobSpec"] |= {"scheduling": {"timeout": timeout}}
        answer = self.session.post(self.jobs, json=body)
        assert answer.ok, answer.text
        return self.wait(answer.json()["name"], "RUNNING", "SUCCEEDED")

    def wait(self, name: str, *states: str) -> dict[str, Any]:
        while True:
            found = self.session.get(f"{VERTEX}/{name}").json()
            if found["state"].removeprefix("JOB_STATE_") in states:
                return found
            assert found["state"] not in ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED"), found.get("error")
            time.sleep(0.05)

    def bill(self, project: str = "") -> dict[str, Any]:
        return launch.control(self.cloud.root, "GET", f"/bill?project={project}")

    def forward(self, seconds: float) -> None:
        launch.forward(self.cloud.root, seconds)

    def link(self, account: str) -> Any:
        return self.session.put(
            f"{BILLING}/projects/{self.cloud.project}/billingInfo", json={"billingAccountName": account}
        )

    def enable(self, *services: str) -> Any:
        url = f"https://serviceusage.googleapis.com/v1/projects/{self.cloud.project}/services:batchEnable"
        return self.session.post(url, json={"serviceIds": [f"{service}.googleapis.com" for service in services]})


def _place(cloud: LocalCloud) -> Place:
    (cloud.root / "images.json").write_text(json.dumps({"local/plain:1": {}}), encoding="utf-8")
    place = Place(cloud, cloud.session())
    apis = ("aiplatform", "cloudbilling", "billingbudgets", "pubsub", "cloudquotas")
    assert place.enable(*apis).ok
    return place


@pytest.fixture
def place(new_cloud: Start) -> Iterator[Place]:
    made = _place(new_cloud())
    yield made
    made.session.close()


@pytest.fixture
def trial(tmp_path: Path, make_cloud: Start) -> Iterator[Place]:
    """The same, on a free trial."""
    root = tmp_path / "trial"
    launch.start(root, root / "envs", (), ["test-project"])
    made = _place(make_cloud(root))  # which asks for a paid project of the same name: the trial's stays as it is
    yield made
    made.session.close()


def _error(answer: Any) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error.get("status", error.get("errors", [{}])[0].get("reason", "")), error["message"]


SLEEP = "import time; time.sleep(600)"


@pytest.mark.slow
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
    shown = _command(place.cloud, "bill")
    assert "n1-standard-4" in shown and f"total {Decimal(ended):.4f} USD" in shown


def _command(cloud: LocalCloud, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "localcloud", arguments[0], "--root", str(cloud.root), *arguments[1:]]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_the_clock_and_the_bill_on_the_command_line(place: Place) -> None:
    assert "the real time" in _command(place.cloud, "clock")
    assert "3 days, 12:00:00 ahead" in _command(place.cloud, "clock", "--forward", "3d12h")
    assert json.loads(_command(place.cloud, "clock", "--json"))["ahead_seconds"] == 3.5 * DAY
    assert "hint: a whole number and s, m, h, d or w" in _command(place.cloud, "clock", "--forward", "soon", code=2)
    assert "nothing was charged" in _command(place.cloud, "bill")
    assert "there is no project nobody" in _command(place.cloud, "bill", "--project", "nobody", code=2)
    assert "2026-13 is no month" in _command(place.cloud, "bill", "--month", "2026-13", code=2)
    assert "is on no free trial" in _command(place.cloud, "upgrade", "test-project", code=2)


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


@pytest.mark.slow
def test_an_unlinked_project_is_refused_everywhere_and_its_jobs_end(place: Place) -> None:
    bucket = {"name": "nobody-pays", "location": "us-central1"}
    place.session.post(f"{STORAGE}/storage/v1/b", params={"project": "test-project"}, json=bucket)
    job = place.run(SLEEP)
    info = place.session.get(f"{BILLING}/projects/test-project/billingInfo").json()
    assert (info["billingEnabled"], info["billingAccountName"]) == (True, "billingAccounts/10CA1C-10D000-000001")
    assert place.link("").json()["billingEnabled"] is False
    answer = place.session.get(f"{VERTEX}/{job['name']}")
    code, status, message = _error(answer)
    assert (code, status) == (403, "PERMISSION_DENIED")
    assert message.startswith(NO_BILLING)
    details = {detail.get("reason", ""): detail for detail in answer.json()["error"]["details"]}
    assert details["BILLING_DISABLED"]["domain"] == "googleapis.com"
    assert _error(place.session.get(f"{STORAGE}/storage/v1/b/nobody-pays/o")) == (
        403, "accountDisabled", "The billing account for the owning project is disabled in state absent"
    )  # fmt: skip
    assert "disabled in state absent" in place.session.get(f"{STORAGE}/nobody-pays/x").text
    code, status, message = _error(place.enable("compute", "logging"))
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
    assert _error(unknown)[2] == "The caller does not have permission"
    url = "https://serviceusage.googleapis.com/v1/projects/made-by-api/services/aiplatform.googleapis.com:enable"
    key = json.loads((place.cloud.root / "projects" / "made-by-api" / "key.json").read_text(encoding="utf-8"))
    owner = place.cloud.session(key)
    assert "Billing must be enabled for activation" in _error(owner.post(url, json={}))[2]
    owner.close()


def _subscribed(place: Place) -> tuple[str, str]:
    topic, subscription = "projects/test-project/topics/budget", f"{PUBSUB}/projects/test-project/subscriptions/budget"
    assert place.session.put(f"{PUBSUB}/{topic}", json={}).ok
    assert place.session.put(subscription, json={"topic": topic}).ok
    return topic, subscription


def _messages(place: Place, subscription: str) -> list[dict[str, Any]]:
    """All that waits, acknowledged."""
    answer = place.session.post(f"{subscription}:pull", json={"maxMessages": 100, "returnImmediately": True})
    found = answer.json().get("receivedMessages", [])
    if found:
        place.session.post(f"{subscription}:acknowledge", json={"ackIds": [one["ackId"] for one in found]})
    return [one["message"] for one in found]


def _budget(place: Place, topic: str, units: str, **filters: Any) -> dict[str, Any]:
    body = {
        "displayName": "classroom",
        "amount": {"specifiedAmount": {"currencyCode": "USD", "units": units}},
        "budgetFilter": {
            "projects": ["projects/test-project"],
            "creditTypesTreatment": "EXCLUDE_ALL_CREDITS",
            "calendarPeriod": "YEAR",
            **filters,
        },
        "thresholdRules": [
            {"thresholdPercent": 0.5},
            {"thresholdPercent": 1.0},
            {"thresholdPercent": 1.0, "spendBasis": "FORECASTED_SPEND"},
        ],
        "notificationsRule": {"pubsubTopic": topic, "schemaVersion": "1.0"},
    }
    answer = place.session.post(f"https://billingbudgets.googleapis.com/v1/{MINE}/budgets", json=body)
    assert answer.ok, answer.text
    return answer.json()


@pytest.mark.slow
def test_a_budget_notifies_a_topic_and_the_kill_switch_stops_all(place: Place) -> None:
    topic, subscription = _subscribed(place)
    budget = _budget(place, topic, "3")
    policy = place.session.get(f"{PUBSUB}/{topic}:getIamPolicy").json()
    assert policy["bindings"] == [
        {
            "role": "roles/pubsub.publisher",
            "members": ["serviceAccount:billing-budget-alert@system.gserviceaccount.com"],
        }
    ]
    place.forward(1)
    [quiet] = _messages(place, subscription)
    assert quiet["attributes"] == {
        "billingAccountId": "012345-6789AB-CDEF01",
        "budgetId": budget["name"].rpartition("/")[2],
        "schemaVersion": "1.0",
    }
    told = json.loads(base64.b64decode(quiet["data"]))
    assert set(told) == {
        "budgetDisplayName", "costAmount", "costIntervalStart", "budgetAmount", "budgetAmountType", "currencyCode"
    }  # fmt: skip
    assert (told["costAmount"], told["budgetAmount"], told["budgetAmountType"]) == (0, 3, "SPECIFIED_AMOUNT")
    assert told["costIntervalStart"].endswith("-01-01T08:00:00Z")
    job = place.run(SLEEP)
    place.forward(7 * 3600)  # 1.72 dollars
    messages = _messages(place, subscription)
    heard = [json.loads(base64.b64decode(one["data"])) for one in messages]
    half = next(one for one in heard if "alertThresholdExceeded" in one)
    assert half["alertThresholdExceeded"] == 0.5
    assert 1.5 < half["costAmount"] < 1.51
    assert next(one for one in heard if "forecastThresholdExceeded" in one)["costAmount"] < half["costAmount"]
    times = [datetime.fromisoformat(one["publishTime"]).timestamp() for one in messages]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert len(gaps) > 18 and max(gaps) < 20 * 60 + 90  # about every 20 minutes, whatever the thresholds
    assert place.bill()["mail"][0]["to"] == "billing administrators of 012345-6789AB-CDEF01"
    place.forward(7 * 3600)
    over = [json.loads(base64.b64decode(one["data"])) for one in _messages(place, subscription)][-1]
    assert over["alertThresholdExceeded"] == 1.0
    assert over["costAmount"] > over["budgetAmount"]
    # A budget alone stops nothing; this is what the documented subscriber does.
    assert place.session.get(f"{VERTEX}/{job['name']}").json()["state"] == "JOB_STATE_RUNNING"
    stop = """
    import json, os
    import google.auth
    from google.auth.transport.requests import AuthorizedSession
    session = AuthorizedSession(google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])[0])
    url = "https://cloudbilling.googleapis.com/v1/projects/test-project/billingInfo"
    assert session.put(url, json={"billingAccountName": ""}).json()["billingEnabled"] is False
    """
    place.cloud.run(stop)
    place.link(MINE)
    place.wait(job["name"], "FAILED")


KILL_SWITCH = """
import json
import google.auth
from google.auth.transport.requests import AuthorizedSession
from google.cloud import pubsub_v1

session = AuthorizedSession(google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])[0])
url = "https://cloudbilling.googleapis.com/v1/projects/test-project/billingInfo"

def hear(message):
    told = json.loads(message.data)
    if told["costAmount"] > told["budgetAmount"] and session.get(url).json()["billingEnabled"]:
        assert session.put(url, json={"billingAccountName": ""}).ok
    print(told["costAmount"], flush=True)
    message.ack()

pubsub_v1.SubscriberClient().subscribe("projects/test-project/subscriptions/budget", hear).result()
"""


def test_in_a_long_jump_a_kill_switch_acts_when_the_budget_is_reached(place: Place) -> None:
    topic, _ = _subscribed(place)
    _budget(place, topic, "3")
    listening = subprocess.Popen(
        [sys.executable, "-c", KILL_SWITCH],
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **place.cloud.environment},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert listening.stdout
    try:
        place.forward(1)
        assert float(listening.stdout.readline()) == 0  # it hears
        limited = place.run(SLEEP, timeout="14400s")
        job = place.run(SLEEP)
        place.forward(30 * DAY)
        last = next(cost for cost in map(float, listening.stdout) if cost > 3)
        assert last < 3.01
        assert place.link(MINE).ok
        ended = place.wait(limited["name"], "FAILED")
        assert (_hours(ended), ended["error"]["code"]) == (pytest.approx(4, abs=0.01), 4)
        ended = place.wait(job["name"], "FAILED")
        assert ended["error"]["message"] == "The billing account of the project was unlinked."
        assert _hours(ended) == pytest.approx(8.23, abs=0.05)  # 0.2453 dollars an hour, with the disk
        assert 3 < Decimal(place.bill()["cost"]) < Decimal("3.02")
    finally:
        listening.kill()
        listening.communicate()


def _hours(job: dict[str, Any]) -> float:
    return (datetime.fromisoformat(job["endTime"]) - datetime.fromisoformat(job["startTime"])).total_seconds() / 3600


@pytest.mark.slow
def test_a_budget_counts_what_its_filter_names(place: Place) -> None:
    topic, subscription = _subscribed(place)
    _budget(place, topic, "1", labels={"team": {"values": ["blue"]}})
    place.run(SLEEP, team="red")
    place.forward(24 * 3600)
    told = [json.loads(base64.b64decode(one["data"])) for one in _messages(place, subscription)]
    assert {one["costAmount"] for one in told} == {0}
    place.run(SLEEP, team="blue")
    place.forward(24 * 3600)
    told = [json.loads(base64.b64decode(one["data"])) for one in _messages(place, subscription)]
    assert told[-1]["alertThresholdExceeded"] == 1.0


@pytest.mark.slow
def test_the_real_clients_make_a_budget_and_hear_of_it(place: Place) -> None:
    script = f"""
    from google.api_core import exceptions
    from google.cloud import pubsub_v1
    from google.cloud.billing import budgets_v1
    topic = "projects/test-project/topics/real"
    subscription = "projects/test-project/subscriptions/real"
    pubsub_v1.PublisherClient().create_topic(name=topic)
    pubsub_v1.SubscriberClient().create_subscription(name=subscription, topic=topic)
    client = budgets_v1.BudgetServiceClient()
    budget = budgets_v1.Budget(
        display_name="real",
        amount={{"specified_amount": {{"currency_code": "USD", "units": 5}}}},
        threshold_rules=[{{"threshold_percent": 0.9}}],
        notifications_rule={{"pubsub_topic": topic, "schema_version": "1.0"}},
    )
    made = client.create_budget(parent="{MINE}", budget=budget)
    assert made.notifications_rule.pubsub_topic == topic
    budget.notifications_rule.pubsub_topic = topic + "-missing"
    try:
        client.create_budget(parent="{MINE}", budget=budget)
    except exceptions.InvalidArgument as error:
        assert "Resource not found (resource=real-missing)" in str(error)
    else:
        raise AssertionError
    """
    place.cloud.run(script)
    place.forward(1)
    hear = """
    import json
    from google.cloud import pubsub_v1
    subscriber = pubsub_v1.SubscriberClient()
    got = subscriber.pull(subscription="projects/test-project/subscriptions/real", max_messages=1).received_messages
    assert json.loads(got[0].message.data)["budgetDisplayName"] == "real"
    assert got[0].message.attributes["schemaVersion"] == "1.0"
    """
    place.cloud.run(hear)


QUOTAS = "https://cloudquotas.googleapis.com/v1/projects/test-project/locations/global"


def _gpu_job() -> dict[str, Any]:
    machine = {"machineType": "n1-standard-4", "acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 1}
    pool = {"machineSpec": machine, "replicaCount": 1, "containerSpec": {"imageUri": "local/plain:1"}}
    return {"displayName": "gpu", "jobSpec": {"workerPoolSpecs": [pool]}}


@pytest.mark.slow
def test_a_trial_has_no_accelerators_eats_its_credit_and_ends(trial: Place) -> None:
    session = trial.session
    quota = "CustomModelTrainingT4GPUsPerProjectPerRegion"
    info = session.get(f"{QUOTAS}/services/aiplatform.googleapis.com/quotaInfos/{quota}").json()
    assert {one["details"]["value"] for one in info["dimensionsInfos"]} == {"0"}
    assert info["quotaIncreaseEligibility"] == {"isEligible": False, "ineligibilityReason": "NOT_ENOUGH_USAGE_HISTORY"}
    code, status, message = _error(session.post(trial.jobs, json=_gpu_job()))
    assert (code, "custom_model_training_nvidia_t4_gpus" in message) == (429, True)
    wish = {
        "service": "aiplatform.googleapis.com", "quotaId": quota, "dimensions": {"region": REGION},
        "quotaConfig": {"preferredValue": "1"}, "contactEmail": "me@example.com",
    }  # fmt: skip
    code, status, message = _error(session.post(f"{QUOTAS}/quotaPreferences?quotaPreferenceId=more", json=wish))
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
    assert _error(session.get(f"{VERTEX}/{job['name']}"))[2].startswith(NO_BILLING)
    billing = session.get(f"{BILLING}/projects/test-project/billingInfo").json()
    assert (billing["billingEnabled"], bool(billing["billingAccountName"])) == (False, True)
    assert session.get(f"{BILLING}/{billing['billingAccountName']}").json()["open"] is False
    assert "trial upgraded" in _command(trial.cloud, "upgrade", "test-project")
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
    assert "1 days left" in _command(trial.cloud, "status")
    trial.forward(DAY + 60)
    assert _error(trial.session.get(f"{STORAGE}/storage/v1/b/tried")) == (
        403, "accountDisabled", "The billing account for the owning project is disabled in state closed"
    )  # fmt: skip
    account = trial.bill()["trials"]["test-project"]["account"]
    assert _error(trial.link(account))[1:] == ("FAILED_PRECONDITION", "Precondition check failed.")
    trial.forward(31 * DAY)
    assert "ended more than 30 days ago" in _command(trial.cloud, "upgrade", "test-project", code=2)


def test_who_may_not_link_is_refused(place: Place) -> None:
    stranger = place.cloud.session(place.cloud.key(place.cloud.account("stranger")))
    url = f"{BILLING}/projects/test-project/billingInfo"
    for account, permission in (("", "deleteBillingAssignment"), (MINE, "createBillingAssignment")):
        answer = stranger.put(url, json={"billingAccountName": account})
        assert (answer.status_code, permission in answer.text) == (403, True), answer.text
    stranger.close()
