"""A project as new on Google: what was just done there works after a while, and who is patient waits for nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clouds import LocalCloud, end
from localcloud import launch

pytestmark = pytest.mark.slow

FRESH, SETTLED = "fresh-project", "settled-project"
USAGE, MANAGER = "https://serviceusage.googleapis.com/v1", "https://cloudresourcemanager.googleapis.com/v3"
IAM, STORAGE = "https://iam.googleapis.com/v1", "https://storage.googleapis.com/storage/v1"
QUOTAS = "https://cloudquotas.googleapis.com/v1"
T4 = "CustomModelTrainingT4GPUsPerProjectPerRegion"
_TRIES = 6  # of a patient client


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("fresh") / "root"
    launch.start(folder, folder / "envs", [SETTLED], fresh=[FRESH], accounts=[f"{FRESH}=012345-6789AB-CDEF01:KRW"])
    yield folder
    end(folder)


@pytest.fixture(scope="module")
def fresh(root: Path) -> Iterator[Any]:
    made = LocalCloud(root, FRESH).session()
    yield made
    made.close()


@pytest.fixture(scope="module")
def settled(root: Path) -> Iterator[Any]:
    made = LocalCloud(root, SETTLED).session()
    yield made
    made.close()


def patient(ask: Callable[[], Any]) -> list[int]:
    """The answers until one is no refusal."""
    codes: list[int] = []
    while not codes or (codes[-1] >= 400 and len(codes) < _TRIES):
        codes.append(ask().status_code)
    return codes


def enable(session: Any, project: str, *services: str) -> None:
    names = [f"{name}.googleapis.com" for name in services]
    session.post(f"{USAGE}/projects/{project}/services:batchEnable", json={"serviceIds": names}).raise_for_status()


def test_an_api_says_for_a_while_that_it_is_off(fresh: Any, settled: Any) -> None:
    for session, project, early in ((fresh, FRESH, True), (settled, SETTLED, False)):
        enable(session, project, "cloudresourcemanager", "iam")
        first = session.get(f"{MANAGER}/projects/{project}")
        assert (first.status_code == 403) is early
        if early:
            assert first.json()["error"]["details"][0]["reason"] == "SERVICE_DISABLED"
        codes = patient(lambda session=session, project=project: session.get(f"{MANAGER}/projects/{project}"))
        assert codes[-1] == 200
        again = session.post(f"{USAGE}/projects/{project}/services/iam.googleapis.com:disable", json={})
        assert again.ok  # Service Usage itself is always there
        enable(session, project, "iam")


def test_the_billing_account_was_opened_with_the_project_and_pays_for_it(fresh: Any) -> None:
    enable(fresh, FRESH, "cloudbilling")
    base = "https://cloudbilling.googleapis.com/v1"
    assert patient(lambda: fresh.get(f"{base}/projects/{FRESH}/billingInfo"))[-1] == 200
    name = fresh.get(f"{base}/projects/{FRESH}/billingInfo").json()["billingAccountName"]
    assert name == "billingAccounts/012345-6789AB-CDEF01"
    assert fresh.get(f"{base}/{name}").json()["currencyCode"] == "KRW"


def test_a_grant_works_after_a_minute(root: Path, fresh: Any) -> None:
    url = f"{IAM}/projects/{FRESH}/serviceAccounts"
    enable(fresh, FRESH, "cloudresourcemanager", "iam")
    assert patient(lambda: fresh.get(url))[-1] == 200
    fresh.post(url, json={"accountId": "reader"}).raise_for_status()
    fresh.post(f"{STORAGE}/b?project={FRESH}", json={"name": "fresh-bucket", "location": "us-central1"})
    email = f"reader@{FRESH}.iam.gserviceaccount.com"
    reader = LocalCloud(root, FRESH).session(LocalCloud(root, FRESH).key(email))
    policy = fresh.get(f"{STORAGE}/b/fresh-bucket/iam").json()
    policy["bindings"].append({"role": "roles/storage.objectViewer", "members": [f"serviceAccount:{email}"]})
    fresh.put(f"{STORAGE}/b/fresh-bucket/iam", json=policy).raise_for_status()
    codes = patient(lambda: reader.get(f"{STORAGE}/b/fresh-bucket/o"))
    assert codes[0] == 403 and codes[-1] == 200
    reader.close()


def test_a_service_agent_appears_late(fresh: Any) -> None:
    enable(fresh, FRESH, "cloudresourcemanager", "pubsub")
    number = ""

    def read() -> Any:
        nonlocal number
        found = fresh.get(f"{MANAGER}/projects/{FRESH}")
        number = found.json().get("name", "").removeprefix("projects/")
        return found

    patient(read)
    enable(fresh, FRESH, "aiplatform")
    member = f"serviceAccount:service-{number}@gcp-sa-aiplatform.iam.gserviceaccount.com"

    def grant() -> Any:
        policy = fresh.post(f"{MANAGER}/projects/{FRESH}:getIamPolicy", json={}).json()
        policy["bindings"].append({"role": "roles/aiplatform.serviceAgent", "members": [member]})
        return fresh.post(f"{MANAGER}/projects/{FRESH}:setIamPolicy", json={"policy": policy})

    codes = patient(grant)
    assert codes[0] == 400 and codes[-1] == 200


def test_a_request_for_quota_is_reviewed(fresh: Any, settled: Any) -> None:
    place = f"{QUOTAS}/projects/{FRESH}/locations/global"
    enable(fresh, FRESH, "cloudquotas")
    info = f"{place}/services/aiplatform.googleapis.com/quotaInfos/{T4}"
    assert patient(lambda: fresh.get(info))[-1] == 200

    def ask(name: str, region: str, value: int, **more: Any) -> Any:
        body = {
            "service": "aiplatform.googleapis.com",
            "quotaId": T4,
            "dimensions": {"region": region},
            "quotaConfig": {"preferredValue": str(value)},
            **more,
        }
        params = {"allowMissing": "true", "ignoreSafetyChecks": "QUOTA_DECREASE_PERCENTAGE_TOO_HIGH"}
        return fresh.patch(f"{place}/quotaPreferences/{name}", params=params, json=body)

    def details(region: str) -> dict[str, str]:
        rows = fresh.get(info).json()["dimensionsInfos"]
        return next(row["details"] for row in rows if region in row["applicableLocations"])

    def usage(region: str) -> dict[str, Any]:
        """The same by Service Usage."""
        url = f"{USAGE}beta1/projects/{FRESH}/services/aiplatform.googleapis.com/consumerQuotaMetrics"
        metrics = {one["metric"]: one for one in fresh.get(url).json()["metrics"]}
        [limit] = metrics["aiplatform.googleapis.com/custom_model_training_nvidia_t4_gpus"]["consumerQuotaLimits"]
        assert limit["unit"] == "1/{project}/{region}"
        return next(one for one in limit["quotaBuckets"] if one["dimensions"] == {"region": region})

    # A guard-rail goes down and up again without a question, as long as it stays below what holds without it.
    assert details("us-central1") == {"value": "12", "resetValue": "12"}
    for value in (1, 4, 12):
        answer = ask("rail", "us-central1", value)
        assert answer.ok, answer.text
        assert answer.json()["reconciling"] is False and "traceId" not in answer.json()["quotaConfig"]
        assert details("us-central1") == {"value": str(value), "resetValue": "12"}
        told = usage("us-central1")
        assert (told["effectiveLimit"], told["defaultLimit"]) == (str(value), "12")
    second = ask("other-name", "us-central1", 2)
    assert (second.status_code, second.json()["error"]["status"]) == (409, "ALREADY_EXISTS")
    # More than that is a request: pending for a while, then granted, granted in part or denied.
    assert "contact_email is required" in ask("more", "us-west1", 3).text
    for region, wanted, granted, words in (
        ("us-west1", 8, "8", "Approved"),
        ("us-east1", 9, "8", "Partially approved"),
        ("europe-west4", 33, "2", "Denied"),
    ):
        made = ask(f"more-{region}", region, wanted, contactEmail="me@example.com").json()
        assert (made["reconciling"], made["quotaConfig"]["grantedValue"]) == (True, "2")
        assert made["quotaConfig"]["traceId"] and "contactEmail" not in made
        tries = 0
        while made["reconciling"]:
            made = fresh.get(f"{place}/quotaPreferences/more-{region}").json()
            tries += 1
        assert tries <= _TRIES
        assert (made["quotaConfig"]["grantedValue"], made["quotaConfig"]["stateDetail"]) == (granted, words)
        assert details(region)["value"] == granted
