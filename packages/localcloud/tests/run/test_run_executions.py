"""How executions go and end: retries, timeouts, cancelling, kills of the server, accounts, quotas, money."""

from __future__ import annotations

import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from clouds import PROJECT, Start
from clouds.run import HOST, PLACE, WORKER, RunCloud, body
from localcloud import launch

pytestmark = pytest.mark.slow

FOREVER = "import time\nprint('begun', flush=True)\ntime.sleep(600)"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: print('asked to end', flush=True))\n" + (
    "import time\nprint('begun', flush=True)\nfor _ in range(600): time.sleep(1)"
)


def condition(ended: dict) -> tuple[str, str]:
    found = ended["conditions"][0]
    return found["state"], found.get("message", "")


def test_a_task_is_tried_again_as_often_as_it_may(new_cloud: Start, tmp_path: Path) -> None:
    here = RunCloud(new_cloud, tmp_path)
    script = "import os, sys\nprint('attempt', os.environ['CLOUD_RUN_TASK_ATTEMPT'])\nsys.exit({code})"
    fails = here.wait(here.run("fails", script.format(code=3), task={"maxRetries": 2}))
    execution = fails["name"].rpartition("/")[2]
    assert condition(fails) == (
        "CONDITION_FAILED",
        f"Task {execution}-task0 failed with exit code: 3 and message: The container exited with an error.",
    )
    assert fails["conditions"][0]["executionReason"] == "NON_ZERO_EXIT_CODE"
    assert (fails["failedCount"], fails["retriedCount"]) == (1, 1)
    assert here.lines(fails["name"]) == ["attempt 0", "attempt 1", "attempt 2"]
    task = here.get(f"{fails['name']}/tasks/{execution}-task0")
    assert (task["retried"], task["lastAttemptResult"]["exitCode"]) == (2, 3)
    (event,) = [e for e in here.entries(fails["name"]) if e["logName"].endswith("system_event")]
    assert event["severity"] == "ERROR"
    assert event["protoPayload"]["status"]["message"] == (
        f"Execution {execution} has failed to complete, 0/1 tasks were a success."
    )
    some = "import os, sys\nsys.exit(0 if os.environ['CLOUD_RUN_TASK_ATTEMPT'] == '1' else 1)"
    assert condition(here.wait(here.run("later", some, task={"maxRetries": 3})))[0] == "CONDITION_SUCCEEDED"
    parts = here.wait(
        here.run("parts", "import os, sys\nsys.exit(int(os.environ['CLOUD_RUN_TASK_INDEX']))", taskCount=2)
    )
    assert (parts["succeededCount"], parts["failedCount"]) == (1, 1)
    assert "1/2 tasks were a success" in condition(parts)[1]


def test_a_task_that_takes_too_long_is_ended(new_cloud: Start, tmp_path: Path) -> None:
    here = RunCloud(new_cloud, tmp_path)
    late = here.wait(here.run("late", STUBBORN, task={"timeout": "2s"}))
    assert condition(late)[1].endswith("failed with exit code: 0 and message: The configured timeout was reached.")
    assert here.lines(late["name"]) == ["begun", "asked to end"]
    hours = here.run("hours", FOREVER, task={"timeout": "7200s"})
    here.until(hours, "begun")
    launch.forward(here.root, 7300)
    assert "timeout was reached" in condition(here.wait(hours))[1]


def test_cancelling_and_deleting(new_cloud: Start, tmp_path: Path) -> None:
    here = RunCloud(new_cloud, tmp_path)
    name = here.run("long", FOREVER)
    here.until(name, "begun")
    answer = here.session.post(f"{HOST}/{name}:cancel", json={})
    assert answer.ok, answer.text
    ended = here.wait(name)
    execution = name.rpartition("/")[2]
    assert condition(ended) == ("CONDITION_FAILED", f"Execution {execution} was cancelled.")
    assert ended["conditions"][0]["executionReason"] == "CANCELLED"
    assert ended["cancelledCount"] == 1
    again = here.session.post(f"{HOST}/{name}:cancel", json={})
    assert (again.status_code, again.json()["error"]["status"]) == (400, "FAILED_PRECONDITION")
    second = here.run("long")
    here.until(second, "begun")
    assert here.session.delete(f"{HOST}/{PLACE}/jobs/long").ok
    while here.session.get(f"{HOST}/{second}").status_code != 404:
        time.sleep(0.05)
    assert here.session.get(f"{HOST}/{PLACE}/jobs/-/executions").json() == {}


def test_an_execution_outlives_a_kill_of_the_server(new_cloud: Start, tmp_path: Path) -> None:
    here = RunCloud(new_cloud, tmp_path, parallel=1)
    script = "import os, time\nprint('begun', flush=True)\n" + (
        "while not os.path.exists(os.environ['GO']): time.sleep(0.05)\nprint('done', flush=True)"
    )
    given = body(script)
    given["template"]["template"]["containers"][0]["env"] = [{"name": "GO", "value": str(tmp_path / "go")}]
    assert here.create("through", given).ok
    name = here.run("through")
    here.until(name, "begun")
    waits = here.run("through")  # there is room for one
    here.kill()
    (tmp_path / "go").touch()
    time.sleep(1)  # it ends while nobody looks
    here.start()
    ended = [here.wait(one) for one in (name, waits)]
    assert [condition(one)[0] for one in ended] == ["CONDITION_SUCCEEDED"] * 2
    assert here.lines(name) == ["begun", "done"] == here.lines(waits)
    assert not list((here.root / "run" / "executions").glob("*"))


def test_tasks_are_their_service_account_and_nobody_else(new_cloud: Start, tmp_path: Path) -> None:
    here = RunCloud(new_cloud, tmp_path)
    script = """
import os, urllib.request
url = f"http://{os.environ['GCE_METADATA_HOST']}/computeMetadata/v1/instance/service-accounts/default/email"
request = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).read().decode())
"""
    assert here.lines(here.wait(here.run("who", script))["name"]) == [WORKER]


def test_executions_wait_for_the_quota_of_the_region(new_cloud: Start, tmp_path: Path) -> None:
    here = RunCloud(new_cloud, tmp_path, parallel=5)
    here.cloud.enable("cloudquotas")
    url = f"https://cloudquotas.googleapis.com/v1/projects/{PROJECT}/locations/global/quotaPreferences"
    wanted = {
        "service": "run.googleapis.com",
        "quotaId": "CpuAllocPerProjectRegion",
        "dimensions": {"region": "us-central1"},
        "quotaConfig": {"preferredValue": "4000"},
        "ignoreSafetyChecks": "QUOTA_DECREASE_PERCENTAGE_TOO_HIGH",
    }
    made = here.session.post(url, json=wanted, params={"ignoreSafetyChecks": "QUOTA_DECREASE_PERCENTAGE_TOO_HIGH"})
    assert made.ok, made.text
    given = body(FOREVER)
    given["template"]["template"]["containers"][0]["resources"] = {"limits": {"cpu": "4", "memory": "2Gi"}}
    assert here.create("four", given).ok
    first = here.run("four")
    here.until(first, "begun")
    second = here.run("four")
    time.sleep(1)
    assert "startTime" not in here.get(second)
    assert here.session.post(f"{HOST}/{first}:cancel", json={}).ok
    here.until(second, "begun")
    given["template"]["template"]["containers"][0]["resources"] = {"limits": {"cpu": "8", "memory": "4Gi"}}
    refused = here.create("eight", given)
    assert (refused.status_code, refused.json()["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert "CpuAllocPerProjectRegion requested: 8000 allowed: 4000" in refused.json()["error"]["message"]


def bill(here: RunCloud) -> dict:
    return launch.control(here.root, "GET", f"/bill?project={PROJECT}")


def launch_bill(here: RunCloud) -> str:
    """The bill as the command line shows it."""
    command = [sys.executable, "-m", "localcloud", "bill", "--root", str(here.root)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_what_runs_is_charged_beyond_the_free_amounts(new_cloud: Start, tmp_path: Path) -> None:
    here = RunCloud(new_cloud, tmp_path)
    given = body(FOREVER, task={"timeout": "86400s"})
    given["template"]["template"]["containers"][0]["resources"] = {"limits": {"cpu": "4", "memory": "8Gi"}}
    assert here.create("dear", given).ok
    name = here.run("dear")
    here.until(name, "begun")
    launch.forward(here.root, 86_410)
    here.wait(name)
    told = bill(here)
    lines = [line for line in told["lines"] if line["service"] == "Cloud Run"]
    assert {line["sku"] for line in lines} == {"Jobs CPU in us-central1", "Jobs Memory in us-central1"}
    assert {line["title"] for line in lines} == {"dear"}
    cost = sum(Decimal(line["cost"]) for line in lines)  # what was wholly free on the first day is no line
    free = 240_000 * Decimal("0.000018") + 450_000 * Decimal("0.000002")
    seconds = (cost + free) / (4 * Decimal("0.000018") + 8 * Decimal("0.000002"))
    assert 86_400 <= seconds < 86_460
    shown = launch_bill(here)
    assert "Cloud Run" in shown and "vCPU-seconds" in shown and "GiB-seconds" in shown
    assert "  240,000 of 240,000 Cloud Run vCPU seconds (" in shown
    free_rows = {row["what"]: row for row in told["free"]}
    assert Decimal(free_rows["Cloud Run vCPU seconds"]["used"]) == 240_000
    assert Decimal(free_rows["Cloud Run GiB seconds"]["used"]) == 450_000


def test_nothing_runs_unpaid(new_cloud: Start, tmp_path: Path) -> None:
    here = RunCloud(new_cloud, tmp_path)
    here.cloud.enable("cloudbilling")
    name = here.run("paid", FOREVER)
    here.until(name, "begun")
    url = f"https://cloudbilling.googleapis.com/v1/projects/{PROJECT}/billingInfo"
    assert here.session.put(url, json={"billingAccountName": ""}).ok
    refused = here.session.get(f"{HOST}/{name}")
    assert refused.json()["error"]["details"][1]["reason"] == "BILLING_DISABLED"
    account = launch.control(here.root, "GET", f"/bill?project={PROJECT}")
    assert not account["a_day"]
