"""A class-room's term in seconds: a student on a free trial, a team with a budget of 5 USD, and what Google says.

Jobs are refused, queued, preempted, resumed, stopped because of the budget; then the trial ends. Each account is used
by its own owner alone, over the APIs that Google's clients use.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.auth.transport.requests import AuthorizedSession

from clouds import LocalCloud, opened
from localcloud import launch

pytestmark = pytest.mark.slow

REGION = "us-central1"
IMAGE = "class/python:1"
VERTEX = f"https://{REGION}-aiplatform.googleapis.com/v1"
STORAGE = "https://storage.googleapis.com"
PUBSUB = "https://pubsub.googleapis.com/v1"
BUDGETS = "https://billingbudgets.googleapis.com/v1/billingAccounts/012345-6789AB-CDEF01/budgets"
PAYER = "billingAccounts/012345-6789AB-CDEF01"
APIS = (
    "aiplatform cloudbilling billingbudgets pubsub cloudquotas iam iamcredentials cloudresourcemanager storage logging"
).split()
HOUR, DAY = 3600, 24 * 3600
ENDED = {"SUCCEEDED", "FAILED", "CANCELLED"}

# What a trainer does: goes on where the last attempt stopped, and keeps where it is.
RESUMES = """
import sys, time
from google.cloud import storage
blob = storage.Client(project="{project}").bucket("{bucket}").blob("checkpoint")
step = int(blob.download_as_text()) if blob.exists() else 0
print(f"begins at step {{step}}", flush=True)
while step < 60:
    step += 1
    blob.upload_from_string(str(step))
    time.sleep(0.1)
print("done", flush=True)
"""
WAITS = "import time; time.sleep(600)"
QUICK = "print('trained')"


@dataclass(frozen=True)
class Account:
    """One account's project, used by its owner."""

    cloud: LocalCloud
    session: AuthorizedSession

    @property
    def project(self) -> str:
        return self.cloud.project

    @property
    def owner(self) -> str:
        return f"owner@{self.project}.iam.gserviceaccount.com"

    def submit(self, script: str, gpu: bool = False, spot: bool = False) -> Any:
        """The answer to a new job."""
        machine: dict[str, Any] = {"machineType": "n1-standard-4"}
        if gpu:
            machine |= {"acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 1}
        container = {"imageUri": IMAGE, "command": ["python", "-c", script]}
        scheduling = {"strategy": "SPOT"} if spot else {}
        spec = {
            "workerPoolSpecs": [{"machineSpec": machine, "containerSpec": container}],
            "scheduling": {"timeout": f"{7 * DAY}s", **scheduling},
            "serviceAccount": f"trainer@{self.project}.iam.gserviceaccount.com",
        }
        url = f"{VERTEX}/projects/{self.project}/locations/{REGION}/customJobs"
        return self.session.post(url, json={"displayName": "lesson", "jobSpec": spec})

    def started(self, script: str, **wishes: bool) -> str:
        answer = self.submit(script, **wishes)
        assert answer.ok, answer.text
        return answer.json()["name"]

    def state(self, job: str) -> str:
        return self.job(job)["state"].removeprefix("JOB_STATE_")

    def job(self, job: str) -> dict[str, Any]:
        return self.session.get(f"{VERTEX}/{job}").json()

    def wait(self, job: str, *states: str) -> dict[str, Any]:
        while (state := self.state(job)) not in states:
            assert state not in ENDED, self.job(job)
            time.sleep(0.05)
        return self.job(job)

    def lines(self, job: str) -> list[str]:
        matching = f'resource.labels.job_id="{job.rpartition("/")[2]}" resource.labels.task_name="workerpool0-0"'
        request = {"resourceNames": [f"projects/{self.project}"], "filter": matching, "pageSize": 1000}
        found = self.session.post("https://logging.googleapis.com/v2/entries:list", json=request).json()
        return [entry["jsonPayload"]["message"] for entry in found.get("entries", ())]

    def wait_for_line(self, job: str, line: str) -> None:
        while not any(line in one for one in self.lines(job)):
            time.sleep(0.05)


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[tuple[Account, Account]]:
    """(the student on a free trial, the team with a budget), each set up as `invoke up` would."""
    root = tmp_path / "school"
    root.mkdir(mode=0o700)
    image = {IMAGE: {"requirements": ["google-cloud-storage==3.17.1"]}}
    (root / "images.json").write_text(json.dumps(image), encoding="utf-8")
    (root / "vertex.json").write_text(json.dumps({"graceSeconds": 1}), encoding="utf-8")
    launch.start(root, root / "envs", ["team-project"], ["student-project"])
    made = []
    for project in ("student-project", "team-project"):
        cloud = LocalCloud(root, project)
        account = Account(cloud, cloud.session())
        made.append(account)
        _set_up(account)
    opened(made[1].cloud, PAYER.removeprefix("billingAccounts/"))
    yield made[0], made[1]
    for account in made:
        account.session.close()
    launch.stop(root)


def _set_up(account: Account) -> None:
    services = f"https://serviceusage.googleapis.com/v1/projects/{account.project}/services:batchEnable"
    wanted = {"serviceIds": [f"{name}.googleapis.com" for name in APIS]}
    assert account.session.post(services, json=wanted).ok
    trainer = f"https://iam.googleapis.com/v1/projects/{account.project}/serviceAccounts"
    assert account.session.post(trainer, json={"accountId": "trainer"}).ok
    bucket = {"name": f"{account.project}-models", "location": REGION}
    made = account.session.post(f"{STORAGE}/storage/v1/b", params={"project": account.project}, json=bucket)
    assert made.ok, made.text
    policy = f"{STORAGE}/storage/v1/b/{account.project}-models/iam"
    present = account.session.get(policy).json()
    member = f"serviceAccount:trainer@{account.project}.iam.gserviceaccount.com"
    for role in ("objectUser", "legacyBucketReader"):
        present["bindings"].append({"role": f"roles/storage.{role}", "members": [member]})
    assert account.session.put(policy, json=present).ok


def message(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["message"]


def test_a_term(accounts: tuple[Account, Account]) -> None:
    student, team = accounts
    root = student.cloud.root

    # The student finds out today, not after three days of set-up: a trial has no GPU, and gets none.
    assert message(student.submit(QUICK, gpu=True)) == (
        429,
        "The following quota metrics exceed quota limits: "
        "aiplatform.googleapis.com/custom_model_training_nvidia_t4_gpus",
    )
    quotas = f"https://cloudquotas.googleapis.com/v1/projects/{student.project}/locations/global"
    info = f"{quotas}/services/aiplatform.googleapis.com/quotaInfos/CustomModelTrainingT4GPUsPerProjectPerRegion"
    assert student.session.get(info).json()["quotaIncreaseEligibility"].get("isEligible", False) is False
    preference = {
        "service": "aiplatform.googleapis.com",
        "quotaId": "CustomModelTrainingT4GPUsPerProjectPerRegion",
        "dimensions": {"region": REGION},
        "quotaConfig": {"preferredValue": "1"},
        "contactEmail": "student@example.com",
    }
    refused = student.session.post(f"{quotas}/quotaPreferences", params={"quotaPreferenceId": "t4"}, json=preference)
    assert refused.status_code == 400, refused.text
    # On CPUs the lesson works.
    lesson = student.started(QUICK)
    student.wait(lesson, "SUCCEEDED")
    assert "trained" in student.lines(lesson)
    # And the team's things are none of the student's business.
    theirs = f"{STORAGE}/storage/v1/b/{team.project}-models/o"
    assert message(student.session.get(theirs)) == (
        403,
        f"{student.owner} does not have storage.objects.list access to the Google Cloud Storage bucket. "
        "Permission 'storage.objects.list' denied on resource (or it may not exist).",
    )

    # The team guards itself: no more than one T4. The second job waits for it, and then runs.
    quotas = f"https://cloudquotas.googleapis.com/v1/projects/{team.project}/locations/global/quotaPreferences"
    lower = {"quotaPreferenceId": "t4", "ignoreSafetyChecks": "QUOTA_DECREASE_PERCENTAGE_TOO_HIGH"}
    assert team.session.post(quotas, params=lower, json=preference).ok
    first = team.started(WAITS, gpu=True)
    team.wait(first, "RUNNING")
    second = team.started(QUICK, gpu=True)
    assert team.state(second) == "QUEUED"
    assert team.session.post(f"{VERTEX}/{first}:cancel", json={}).ok
    team.wait(first, "CANCELLED")
    team.wait(second, "SUCCEEDED")

    # A Spot job loses its machine in the middle, starts again, and goes on from its checkpoint.
    spot = team.started(RESUMES.format(project=team.project, bucket=f"{team.project}-models"), gpu=True, spot=True)
    team.wait_for_line(spot, "begins at step 0")
    checkpoint = f"{STORAGE}/storage/v1/b/{team.project}-models/o/checkpoint?alt=media"
    while int(team.session.get(checkpoint).text or 0 if team.session.get(checkpoint).ok else 0) < 5:
        time.sleep(0.05)
    launch.control(root, "POST", f"/preempt/{spot.rpartition('/')[2]}")
    team.wait(spot, "SUCCEEDED")
    begun = [int(line.rpartition(" ")[2]) for line in team.lines(spot) if line.startswith("begins at step")]
    assert len(begun) == 2 and begun[0] == 0 and begun[1] >= 5
    assert "done" in team.lines(spot)

    # A budget of 5 USD, and the subscriber that Google documents for stopping at a limit.
    topic, subscription = (f"projects/{team.project}/{kind}/budget" for kind in ("topics", "subscriptions"))
    assert team.session.put(f"{PUBSUB}/{topic}", json={}).ok
    assert team.session.put(f"{PUBSUB}/{subscription}", json={"topic": topic}).ok
    link = f"https://cloudbilling.googleapis.com/v1/projects/{team.project}/billingInfo"
    assert team.session.put(link, json={"billingAccountName": PAYER}).ok
    number = team.session.get(f"https://cloudresourcemanager.googleapis.com/v1/projects/{team.project}").json()
    budget = {
        "displayName": "class",
        "budgetFilter": {
            "projects": [f"projects/{number['projectNumber']}"],
            "creditTypesTreatment": "EXCLUDE_ALL_CREDITS",
        },
        "amount": {"specifiedAmount": {"currencyCode": "USD", "units": "5"}},
        "thresholdRules": [{"thresholdPercent": 0.5}, {"thresholdPercent": 1.0}],
        "notificationsRule": {"pubsubTopic": topic, "schemaVersion": "1.0"},
    }
    made = team.session.post(BUDGETS, json=budget)
    assert made.ok, made.text
    # Whose billing account it is, is the student's business no more than the buckets are.
    paying = f"https://cloudbilling.googleapis.com/v1/{PAYER}"
    assert team.session.get(paying).json()["open"] is True
    assert message(student.session.get(paying)) == (
        403,
        f"Permission 'billing.accounts.get' denied on resource '//cloudbilling.googleapis.com/{PAYER}' "
        "(or it may not exist).",
    )
    assert student.session.post(BUDGETS, json=budget).status_code == 403
    assert (
        student.session.put(link.replace(team.project, student.project), json={"billingAccountName": PAYER}).json()[
            "error"
        ]["code"]
        == 403
    )
    listed = student.session.get("https://cloudbilling.googleapis.com/v1/billingAccounts").json()["billingAccounts"]
    assert [one["displayName"] for one in listed] == ["My Billing Account"]
    forgotten = team.started(WAITS, gpu=True)
    team.wait(forgotten, "RUNNING")
    reached: list[float] = []
    for _ in range(6):
        launch.forward(root, 2 * HOUR)
        for one in _pulled(team, subscription):
            if (share := one.get("alertThresholdExceeded")) and share not in reached:
                reached.append(share)
        assert team.state(forgotten) == "RUNNING"  # a budget alone stops nothing
        if 1.0 in reached:
            break
    assert reached == [0.5, 1.0]
    assert team.session.put(link, json={"billingAccountName": ""}).ok
    project_number = number["projectNumber"]
    assert message(team.submit(QUICK)) == (
        403,
        f"This API method requires billing to be enabled. Please enable billing on project #{project_number} by "
        f"visiting https://console.developers.google.com/billing/enable?project={project_number} then retry. If you "
        "enabled billing for this project recently, wait a few minutes for the action to propagate to our systems "
        "and retry.",
    )
    # Paid for again, the project tells that the forgotten job has ended, and what all of it had cost.
    assert team.session.put(link, json={"billingAccountName": PAYER}).ok
    stopped = team.wait(forgotten, *ENDED)
    assert stopped["state"] in ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED"), stopped
    assert "billing" in stopped["error"]["message"].lower()
    bill = launch.control(root, "GET", f"/bill?project={team.project}")
    assert 5 < float(bill["total"]) < 8

    # The term goes on, the trial does not: after 90 days its billing account is closed, and everything says so.
    assert student.submit(QUICK).ok
    launch.forward(root, 91 * DAY)
    closed = student.session.get(f"{STORAGE}/storage/v1/b/{student.project}-models/o")
    assert message(closed) == (403, "The billing account for the owning project is disabled in state closed")
    assert student.submit(QUICK).status_code == 403


def _pulled(account: Account, subscription: str) -> list[dict[str, Any]]:
    """What the budget told since the last look."""
    found: list[dict[str, Any]] = []
    ask = {"maxMessages": 100, "returnImmediately": True}
    while got := account.session.post(f"{PUBSUB}/{subscription}:pull", json=ask).json().get("receivedMessages"):
        account.session.post(
            f"{PUBSUB}/{subscription}:acknowledge", json={"ackIds": [one["ackId"] for one in got]}
        ).raise_for_status()
        found += [json.loads(base64.b64decode(one["message"]["data"])) for one in got]
    return found
