"""The clock of a running local cloud is moved forward from the command line's side, and stays so over a restart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from google.auth.transport.requests import AuthorizedSession

from clouds import Start
from localcloud import launch

pytestmark = pytest.mark.slow

DAY = 24 * 3600
WEEK = 7 * DAY
STORAGE = "https://storage.googleapis.com"
VERTEX = "https://us-central1-aiplatform.googleapis.com/v1"


def test_what_is_made_after_a_week_in_a_moment_is_a_week_later_also_over_a_restart(new_cloud: Start) -> None:
    cloud = new_cloud()
    session = cloud.session()

    def made(name: str) -> datetime:
        answer = session.post(
            "https://storage.googleapis.com/storage/v1/b", params={"project": cloud.project}, json={"name": name}
        )
        assert answer.status_code == 200, answer.text
        return datetime.fromisoformat(answer.json()["timeCreated"])

    before = made("before-the-week")
    moved = launch.forward(cloud.root, WEEK)
    assert moved["ahead_seconds"] == WEEK
    assert (made("after-the-week") - before).days == 7
    launch.stop(cloud.root)
    assert new_cloud().server
    assert (datetime.fromisoformat(launch.forward(cloud.root, 0)["now"]) - datetime.now(UTC)).days >= 6
    session.close()


@pytest.mark.parametrize("seconds", [-1, 1e12, "a day", None, True, float("inf")])
def test_a_move_that_can_not_be_is_refused(new_cloud: Start, seconds: float) -> None:
    cloud = new_cloud()
    with pytest.raises(launch.Failed, match=r"the clock moves forward by 0 to|Infinity isn't a JSON number"):
        launch.forward(cloud.root, seconds)


def test_what_a_rule_deletes_on_day_3_is_charged_until_then_and_softly_deleted_for_a_week(new_cloud: Start) -> None:
    cloud = new_cloud()
    with cloud.session() as session:
        for name, soft in (("days-gone", "0"), ("days-soft", str(WEEK)), ("days-kept", "0")):
            rule = {"action": {"type": "Delete"}, "condition": {"age": 3, "matchesPrefix": ["x"]}}
            bucket = {
                "name": name,
                "location": "EUROPE-WEST4",
                "softDeletePolicy": {"retentionDurationSeconds": soft},
                "lifecycle": {"rule": [rule] if name != "days-kept" else []},
            }
            assert session.post(f"{STORAGE}/storage/v1/b", params={"project": cloud.project}, json=bucket).ok
            upload = f"{STORAGE}/upload/storage/v1/b/{name}/o"
            assert session.post(upload, params={"uploadType": "media", "name": "x"}, data=bytes(1 << 20)).ok
    launch.forward(cloud.root, 30 * DAY)
    costs: dict[str, Decimal] = defaultdict(Decimal)
    for line in launch.control(cloud.root, "GET", "/bill")["lines"]:
        if line["unit"] == "gibibyte month":
            costs[line["resource"]] += Decimal(line["amount"])
    whole = costs["buckets/days-kept"]
    assert float(costs["buckets/days-gone"] / whole) == pytest.approx(
        3 / 30, abs=0.01
    )  # days of long months weigh less
    assert float(costs["buckets/days-soft"] / whole) == pytest.approx(10 / 30, abs=0.01)


def test_a_kill_in_the_middle_of_a_move_cuts_it_short_and_charges_nothing_twice(new_cloud: Start) -> None:
    cloud = new_cloud()
    (cloud.root / "images.json").write_text(json.dumps({"local/plain:1": {}}), encoding="utf-8")
    cloud.enable("aiplatform", "pubsub", "billingbudgets")
    with cloud.session() as session:
        _watched(session, cloud.project)
        pool = {
            "machineSpec": {"machineType": "n1-standard-4"},
            "containerSpec": {"imageUri": "local/plain:1", "command": ["python", "-c", "import time; time.sleep(600)"]},
        }
        jobs = f"{VERTEX}/projects/{cloud.project}/locations/us-central1/customJobs"
        made = session.post(jobs, json={"displayName": "cut", "jobSpec": {"workerPoolSpecs": [pool]}})
        assert made.ok, made.text
        name = made.json()["name"]
        moving = subprocess.Popen(
            [sys.executable, "-m", "localcloud", "clock", "--root", str(cloud.root), "--forward", "6d"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while (ahead := _kept_ahead(cloud.root)) < DAY:
            time.sleep(0.005)
        os.kill(cloud.server["pid"], signal.SIGKILL)
        assert moving.wait(30) != 0
        ahead = _kept_ahead(cloud.root)
        assert DAY <= ahead < 6 * DAY
        assert new_cloud().server  # the same folder
        assert launch.forward(cloud.root, 0)["ahead_seconds"] == pytest.approx(ahead)
        launch.forward(cloud.root, 6 * DAY - ahead)
        found = session.get(f"{VERTEX}/{name}").json()
        assert found["state"] == "JOB_STATE_RUNNING"
        lines = launch.control(cloud.root, "GET", "/bill")["lines"]
        hours = [Decimal(line["amount"]) for line in lines if "n1-standard-4" in line["sku"]]
        assert float(sum(hours)) == pytest.approx(6 * 24, abs=0.02)
        assert session.post(f"{VERTEX}/{name}:cancel", json={}).ok


def _kept_ahead(root: Path) -> float:
    path = root / "clock.json"
    return json.loads(path.read_text(encoding="utf-8"))["ahead"] if path.exists() else 0.0


def _watched(session: AuthorizedSession, project: str) -> None:
    """A budget that has something to tell every few hours."""
    topic = f"projects/{project}/topics/told"
    assert session.put(f"https://pubsub.googleapis.com/v1/{topic}", json={}).ok
    budget = {
        "amount": {"specifiedAmount": {"currencyCode": "USD", "units": "100"}},
        "thresholdRules": [{"thresholdPercent": part / 100} for part in range(1, 40)],
        "notificationsRule": {"pubsubTopic": topic},
    }
    url = "https://billingbudgets.googleapis.com/v1/billingAccounts/10CA1C-10D000-000001/budgets"
    made = session.post(url, json=budget)
    assert made.ok, made.text


def test_no_clock_moves_where_no_local_cloud_runs(tmp_path: Path) -> None:
    with pytest.raises(launch.Failed, match="no local cloud runs in"):
        launch.forward(tmp_path, 1)
