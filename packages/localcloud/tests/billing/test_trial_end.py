"""The end of a free trial: 30 days in which an upgrade opens the account again, and then what it held is gone."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from clouds.charged import BILLING, DAY, REGION, SLEEP, STORAGE, VERTEX, Place, command, refusal
from localcloud import launch

pytestmark = pytest.mark.slow
BUCKET = "tried-bucket"
CLOSED = (403, "accountDisabled", "The billing account for the owning project is disabled in state closed")


def _filled(trial: Place, protected: bool = False) -> None:
    bucket = {"name": BUCKET, "location": REGION} | (
        {"retentionPolicy": {"retentionPeriod": "31536000"}} if protected else {}
    )
    made = trial.session.post(f"{STORAGE}/storage/v1/b", params={"project": "test-project"}, json=bucket)
    assert made.ok, made.text
    url = f"{STORAGE}/upload/storage/v1/b/{BUCKET}/o"
    for name in ("kept", "deleted"):
        assert trial.session.post(url, params={"uploadType": "media", "name": name}, data=b"x" * 1000).ok
    if not protected:
        assert trial.session.delete(f"{STORAGE}/storage/v1/b/{BUCKET}/o/deleted").ok  # kept for a week all the same


def _counts(trial: Place) -> dict[str, int]:
    return launch.control(trial.cloud.root, "GET", "/status")["counts"]


def _state(trial: Place) -> str:
    return trial.bill()["trials"]["test-project"]["state"]


def test_within_the_grace_an_upgrade_brings_all_back(trial: Place) -> None:
    _filled(trial)
    trial.forward(89 * DAY)
    job = trial.run(SLEEP)
    trial.forward(DAY + 60)
    assert _state(trial) == "closed"
    assert refusal(trial.session.get(f"{STORAGE}/storage/v1/b/{BUCKET}/o/kept")) == CLOSED
    trial.forward(29 * DAY)
    assert _state(trial) == "closed"
    assert "trial upgraded" in command(trial.cloud, "upgrade", "test-project")
    media = trial.session.get(f"{STORAGE}/storage/v1/b/{BUCKET}/o/kept", params={"alt": "media"})
    assert media.content == b"x" * 1000
    ended = trial.wait(job["name"], "FAILED")
    assert ended["error"]["message"] == "The free trial is over: its billing account is closed."
    trial.forward(100 * DAY)  # nothing is deleted any more
    assert trial.session.get(f"{STORAGE}/storage/v1/b/{BUCKET}/o/kept").ok


@pytest.mark.parametrize("protected", [False, True])
def test_after_the_grace_what_it_held_is_deleted_and_stays_so(trial: Place, protected: bool) -> None:
    _filled(trial, protected)
    trial.run(SLEEP)
    trial.forward(90 * DAY + 60)
    before = _counts(trial)
    assert (before["buckets"], before["objects"], before["custom jobs"]) == (1, 1 + protected, 1)
    trial.forward(30 * DAY - 120)
    assert _counts(trial)["buckets"] == 1
    trial.forward(240)
    assert _state(trial) == "deleted"
    assert "trial deleted, 0.00 USD of credit and 0 days left" in command(trial.cloud, "bill")
    after = _counts(trial)
    assert [after[what] for what in ("buckets", "objects", "soft-deleted objects", "stored bytes", "custom jobs")] == [
        0
    ] * 5
    assert after["projects"] == 1
    refused = command(trial.cloud, "upgrade", "test-project", code=2)
    assert "the trial of test-project ended more than 30 days ago: Google has deleted what it held" in refused
    bill = trial.bill()
    assert Decimal(bill["total"]) == 0
    assert bill["a_day"] == []
    # Who links an account that pays finds an empty project.
    payer = {"accounts": [{"account": "AAAAAA-000000-000009", "pays": False}]}
    launch.ask(trial.cloud.root, trial.cloud.server, "POST", "/projects/test-project", payer)
    assert trial.link("billingAccounts/AAAAAA-000000-000009").ok
    assert trial.session.get(f"{STORAGE}/storage/v1/b", params={"project": "test-project"}).json().get("items") is None
    assert trial.session.get(trial.jobs).json().get("customJobs") is None


def test_a_jump_beyond_the_grace_closes_first_and_deletes_then(trial: Place) -> None:
    _filled(trial)
    trial.forward(200 * DAY)
    assert _state(trial) == "deleted"
    kept = json.loads(command(trial.cloud, "bill", "--json"))
    assert Decimal(kept["total"]) == 0
    info = trial.session.get(f"{BILLING}/projects/test-project/billingInfo").json()
    assert info["billingEnabled"] is False


def test_an_early_end_by_the_credit_begins_the_grace_then(trial: Place) -> None:
    _filled(trial)
    trial.run(SLEEP, "n1-standard-96")  # 300 dollars are gone within three days
    trial.forward(3 * DAY)
    assert _state(trial) == "closed"
    trial.forward(26 * DAY)
    assert _counts(trial)["buckets"] == 1
    trial.forward(5 * DAY)
    assert (_state(trial), _counts(trial)["buckets"]) == ("deleted", 0)
    assert refusal(trial.session.get(f"{VERTEX}/projects/test-project/locations/{REGION}/customJobs"))[0] == 403
