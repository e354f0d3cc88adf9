"""Jobs that start again: after crashes and preemptions, over kills of the server, and when they stop to."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from clouds.vertex import VertexCloud, id_of, pool
from localcloud import launch
from localcloud.containers import supervisor
from localcloud.containers.supervised import LOST, Exit
from localcloud.vertex.jobs import retries
from localcloud.vertex.jobs.records import Job
from localcloud.vertex.jobs.retries import Again
from localcloud.vertex.replicas.outcome import Outcome, outcome

STORAGE = "https://storage.googleapis.com/storage/v1/b"
P, W = "workerpool0-0", "workerpool1-0"
STOCKOUT = "Resources are insufficient in region: us-central1. Try a different region or use a different accelerator."
# Each start of a replica leaves its mark outside of its own folder.
COUNT = """
import os, sys, time
def starts(name):
    path = os.path.join({folder!r}, name)
    with open(path, "a") as file:
        file.write("x")
    return os.path.getsize(path)
print("files", os.listdir(), os.listdir(os.environ["HOME"]))
open("left", "w").close()
open(os.path.join(os.environ["HOME"], "left"), "w").close()
"""


class Cloud(VertexCloud):
    """A server of one's own, with what tests ask of it."""

    def __init__(self, new_cloud: Any, tmp_path: Path, **settings: Any) -> None:
        self.marks = tmp_path / "marks"
        self.marks.mkdir()
        super().__init__(new_cloud, tmp_path, **{"stockoutSeconds": 0.1, **settings})

    def pool(self, script: str, **more: Any) -> dict[str, Any]:
        return pool(COUNT.format(folder=str(self.marks)) + script, **more)

    def submit(self, *scripts: str, **scheduling: Any) -> str:
        """The id of a new job with a pool for each script."""
        return id_of(self.post([self.pool(script) for script in scripts], scheduling=scheduling))

    def starts(self, name: str) -> int:
        path = self.marks / name
        return path.stat().st_size if path.exists() else 0

    def control(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        return launch.control(self.root, method, path, body)


@pytest.fixture
def own(new_cloud: Any, tmp_path: Path) -> Cloud:
    return Cloud(new_cloud, tmp_path)


# What is decided


def job(state: str = "RUNNING", strategy: str = "", run: Any = None, **scheduling: Any) -> Job:
    chosen = {**scheduling, **({"strategy": strategy} if strategy else {})}
    body = {
        "name": "projects/42/locations/us-central1/customJobs/7",
        "state": f"JOB_STATE_{state}",
        "jobSpec": {"workerPoolSpecs": [{}], "scheduling": chosen},
    }
    return Job("7", "p", body, run or {})


ONE, ABORT, KILLED, GONE = (Exit("exited", code, 5) for code in (1, 134, 137, 143))
STOPPED, LOSS = Exit("cancelled", 143, 9), Exit(LOST, 137, 5)


@pytest.mark.parametrize(
    ("of", "exits", "decided"),
    [
        (job(), {P: ONE}, 3),
        (job(), {P: Exit("exited", 5, 5)}, 3),
        (job(), {P: KILLED}, 3),
        (job(), {P: Exit("memory", 137, 5)}, 3),
        (job(), {P: ABORT}, "crash"),
        (job(), {P: Exit("exited", 139, 5)}, "crash"),
        (job(), {P: Exit("exited", 6, 5)}, "crash"),
        (job(), {P: Exit("exited", 11, 5)}, "crash"),
        (job(run={"retries": {"crash": 3}}), {P: ABORT}, 3),
        (job(disableRetries=True), {P: ABORT}, 3),
        (job(), {P: LOSS}, "internal"),
        (job(run={"retries": {"internal": 2}}), {P: LOSS}, 13),
        (job(disableRetries=True), {P: LOSS}, 13),
        (job(), {P: STOPPED, W: ONE}, 3),
        (job(), {P: STOPPED, W: ABORT}, "crash"),
        (job(run={"restarts": {W: 5}}), {P: STOPPED, W: KILLED}, "crash"),
        (job(run={"restarts": {W: 5}, "retries": {"crash": 3}}), {P: STOPPED, W: KILLED}, 3),
        (job(restartJobOnWorkerRestart=True), {P: STOPPED, W: KILLED}, "worker"),
        (job(restartJobOnWorkerRestart=True, run={"retries": {"worker": 5}}), {P: STOPPED, W: KILLED}, "crash"),
        (job(strategy="SPOT", run={"ending": "preempted"}), {P: STOPPED}, "preemption"),
        (job(strategy="LOW_COST", run={"ending": "preempted"}), {P: STOPPED}, "preemption"),
        (job(strategy="SPOT", run={"ending": "preempted", "retries": {"preemption": 6}}), {P: STOPPED}, 8),
        (job(strategy="SPOT", disableRetries=True, run={"ending": "preempted"}), {P: STOPPED}, 8),
        (job(run={"ending": "timeout"}), {P: STOPPED}, 4),
        (job(run={"ending": {"code": 9, "message": "unpaid"}}), {P: STOPPED}, 9),
        (job("CANCELLING", run={"ending": "preempted"}), {P: STOPPED}, 1),
        (job("CANCELLING"), {P: ABORT}, 1),
        (job(run={"ending": "timeout"}), {P: Exit("exited", 0, 5)}, 0),
        (job(), {P: Exit("exited", 0, 5), W: STOPPED}, 0),
    ],
)
def test_what_becomes_of_a_job(of: Job, exits: dict[str, Exit], decided: int | str) -> None:
    found = retries.decide(of, exits)
    if isinstance(found, Again):
        assert found.kind == decided
    else:
        assert (found.error or {"code": 0})["code"] == decided


@pytest.mark.parametrize(
    ("of", "name", "ended", "starts"),
    [
        (job(), W, KILLED, True),
        (job(), W, GONE, True),
        (job(), W, LOSS, True),
        (job(run={"restarts": {W: 4}}), W, KILLED, True),
        (job(run={"restarts": {W: 5}}), W, KILLED, False),
        (job(), W, ONE, False),
        (job(), W, ABORT, False),
        (job(), W, STOPPED, False),
        (job(), W, Exit("exited", 0, 5), False),
        (job(), P, KILLED, False),
        (job(restartJobOnWorkerRestart=True), W, KILLED, False),
        (job(restartJobOnWorkerRestart=True, disableRetries=True), W, KILLED, True),
    ],
)
def test_which_workers_start_again_in_their_place(of: Job, name: str, ended: Exit, starts: bool) -> None:
    assert retries.in_place(of, name, ended) is starts


def test_a_worker_that_ended_well_is_not_what_failed() -> None:
    exits = {P: Exit("exited", 3, 9, "boom"), W: Exit("exited", 0, 1)}
    error = outcome(exits, False, "7", "42", "9s").error
    assert error is not None
    assert error["message"].startswith("The replica workerpool0-0 exited with a non-zero status of 3.")


def test_memory_is_told_in_google_s_words(tmp_path: Path) -> None:
    ended = outcome({P: Exit("memory", 137, 1)}, False, "7", "42", "9s")
    words = "The replica workerpool0-0 ran out of memory and exited with a non-zero status of 137."
    assert ended == Outcome("FAILED", {"code": 3, "message": words})
    events = tmp_path / "vmstat"
    events.write_text("pgfault 9\noom_kill 3\n", encoding="ascii")
    assert supervisor.memory_kills(events) == 3
    assert supervisor.memory_kills(tmp_path / "none") == 0


# What happens


@pytest.mark.slow
def test_a_crash_starts_the_whole_job_again_from_nothing(own: Cloud) -> None:
    script = "n = starts('p'); print('start', n, flush=True)\nif n < 3: os.abort()"
    found = own.submit(script)
    ended = own.wait(found)
    assert ended["state"] == "JOB_STATE_SUCCEEDED", ended
    assert "error" not in ended
    assert own.lines(found) == [line for n in (1, 2, 3) for line in ("files [] []", f"start {n}")]
    said = own.lines(found, "service")
    assert [line for line in said if "starts again" in line] == [
        f"The replica workerpool0-0 ended with status 134. The job starts again: attempt {n + 1} (retry {n} of 3)."
        for n in (1, 2)
    ]
    assert said[-1] == "Job completed successfully."


@pytest.mark.slow
def test_a_job_that_always_crashes_fails_after_three_retries(own: Cloud) -> None:
    found = own.submit("starts('p'); os.kill(os.getpid(), 11)")
    message = own.wait(found)["error"]["message"]
    assert message.startswith("The replica workerpool0-0 exited with a non-zero status of 139.")
    assert own.starts("p") == 4


@pytest.mark.slow
@pytest.mark.parametrize(("script", "scheduling"), [("sys.exit(1)", {}), ("os.abort()", {"disableRetries": True})])
def test_what_is_permanent_is_not_tried_again(own: Cloud, script: str, scheduling: Any) -> None:
    assert own.wait(own.submit(f"starts('p'); {script}", **scheduling))["error"]["code"] == 3
    assert own.starts("p") == 1


WORKER = """
n = starts("w"); print("start", n, flush=True)
if n < 3: os.kill(os.getpid(), 9)
open(os.path.join({marks!r}, "done"), "w").close()
time.sleep(600)
"""
WAITING = """
starts("p")
while not os.path.exists(os.path.join({marks!r}, "done")): time.sleep(0.05)
"""


@pytest.mark.slow
def test_a_worker_starts_again_while_the_others_go_on(own: Cloud) -> None:
    found = own.submit(WAITING.format(marks=str(own.marks)), WORKER.format(marks=str(own.marks)))
    ended = own.wait(found)
    assert ended["state"] == "JOB_STATE_SUCCEEDED", ended
    assert (own.starts("p"), own.starts("w")) == (1, 3)
    assert own.lines(found, W) == [line for n in (1, 2, 3) for line in ("files [] []", f"start {n}")]
    assert [line for line in own.lines(found, "service") if "It starts again" in line] == [
        f"The replica workerpool1-0 ended with status 137. It starts again (restart {n} of 5)." for n in (1, 2)
    ]


@pytest.mark.slow
def test_a_job_can_start_again_with_each_worker(own: Cloud) -> None:
    # Each worker ends when the chief of its attempt has left its mark.
    worker = WORKER.replace("if n < 3", "while n > os.path.getsize({chief!r}): time.sleep(0.05)\nif n < 3")
    (own.marks / "p").touch()
    scripts = (WAITING.format(marks=str(own.marks)), worker.format(marks=str(own.marks), chief=str(own.marks / "p")))
    found = own.submit(*scripts, restartJobOnWorkerRestart=True)
    assert own.wait(found)["state"] == "JOB_STATE_SUCCEEDED"
    assert (own.starts("p"), own.starts("w")) == (3, 3)


@pytest.mark.slow
def test_a_worker_has_its_restarts_over_a_killed_server(own: Cloud) -> None:
    script = """
n = starts("w"); print("start", n, flush=True)
while not os.path.exists(os.path.join({marks!r}, f"go{{n}}")): time.sleep(0.02)
os.kill(os.getpid(), 9)
"""
    found = own.submit("starts('p'); time.sleep(600)", script.format(marks=str(own.marks)), disableRetries=True)
    for n in range(1, 7):
        while own.starts("w") < n:
            time.sleep(0.02)
        own.kill()
        (own.marks / f"go{n}").touch()
        time.sleep(0.2)
        own.start()
    assert own.wait(found)["error"]["message"].startswith(
        "The replica workerpool1-0 exited with a non-zero status of 137"
    )
    assert (own.starts("p"), own.starts("w")) == (1, 6)
    assert [line for line in own.lines(found, W) if line.startswith("start")] == [f"start {n}" for n in range(1, 7)]


SAVES = """
import signal
n = starts("p")
def save(*_):
    print("saved", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print("up", flush=True)
if n < {last}: time.sleep(600)
"""


@pytest.mark.slow
def test_a_preempted_job_may_save_and_starts_again(own: Cloud) -> None:
    found = own.submit(SAVES.format(last=3), strategy="SPOT")
    for n in (1, 2):
        own.wait_for_lines(found, "up", n)
        own.wait(found, "JOB_STATE_RUNNING")
        own.control("POST", f"/preempt/{found}")
        if n == 1:
            own.kill()  # while the replicas end
            own.start()
    ended = own.wait(found)
    assert ended["state"] == "JOB_STATE_SUCCEEDED", ended
    said = [line for line in own.lines(found) if not line.startswith("files")]
    assert said == ["up", "saved", "up", "saved", "up"]
    assert own.lines(found, "service").count("Waiting for training program to start. (attempt 3)") == 1


@pytest.mark.slow
def test_the_wait_of_a_preempted_job_is_not_charged(new_cloud: Any, tmp_path: Path) -> None:
    own = Cloud(new_cloud, tmp_path, stockoutSeconds=2)

    def hours() -> dict[str, float]:
        """What was charged of the job's machine, by resource."""
        lines = [line for line in own.control("GET", "/bill")["lines"] if "n1-standard-4" in line["sku"]]
        return {line["resource"]: sum(float(one["amount"]) for one in lines) for line in lines}

    found = own.submit(SAVES.format(last=3), strategy="SPOT")
    resource = f"locations/us-central1/customJobs/{found}"
    own.wait_for_lines(found, "up")
    launch.forward(own.root, 3600)
    own.control("POST", "/stockouts", {"region": "us-central1"})
    own.control("POST", f"/preempt/{found}")
    own.wait(found, "JOB_STATE_PENDING")
    launch.forward(own.root, 10 * 3600)
    assert list(hours()) == [resource] and 1 <= hours()[resource] < 1.05
    own.control("DELETE", "/faults")
    own.wait_for_lines(found, "up", 2)
    launch.forward(own.root, 1800)
    own.cancel(found)
    own.wait(found)
    launch.forward(own.root, 3600)
    assert list(hours()) == [resource] and 1.5 <= hours()[resource] < 1.6


@pytest.mark.slow
def test_a_job_preempted_too_often_fails_for_want_of_machines(own: Cloud) -> None:
    found = own.submit(SAVES.format(last=99), strategy="SPOT")
    for n in range(1, 8):
        own.wait_for_lines(found, "up", n)
        own.control("POST", f"/preempt/{found}")
    ended = own.wait(found)
    assert (ended["state"], ended["error"]) == ("JOB_STATE_FAILED", {"code": 8, "message": STOCKOUT})
    assert own.starts("p") == 7


@pytest.mark.slow
def test_only_a_spot_job_that_runs_can_be_preempted(own: Cloud) -> None:
    plain = own.submit("time.sleep(600)")
    own.wait(plain, "JOB_STATE_RUNNING")
    with pytest.raises(launch.Failed, match="is not on Spot"):
        own.control("POST", f"/preempt/{plain}")
    ended = own.submit("pass", strategy="SPOT")
    own.wait(ended)
    with pytest.raises(launch.Failed, match="it has no machines to take away"):
        own.control("POST", f"/preempt/{ended}")
    with pytest.raises(launch.Failed, match="no job matches 5"):
        own.control("POST", "/preempt/5")


@pytest.mark.slow
def test_the_timeout_counts_over_attempts_by_the_clock(own: Cloud) -> None:
    found = own.submit(SAVES.format(last=9), strategy="SPOT", timeout="7200s")
    own.wait_for_lines(found, "up")
    started = own.wait(found, "JOB_STATE_RUNNING")["startTime"]
    launch.forward(own.root, 3600)
    own.control("POST", f"/preempt/{found}")
    own.wait_for_lines(found, "up", 2)
    assert own.wait(found, "JOB_STATE_RUNNING")["startTime"] == started
    launch.forward(own.root, 3601)
    ended = own.get(found)  # when the clock has moved, it has happened
    words = "The job was ended because it ran longer than its timeout of 7200s."
    assert (ended["state"], ended["error"]) == ("JOB_STATE_FAILED", {"code": 4, "message": words})
    assert ended["endTime"] > started


# Out of stock


@pytest.mark.slow
@pytest.mark.parametrize(("scheduling", "attempts"), [({}, 3), ({"strategy": "SPOT"}, 6)])
def test_a_job_that_gets_no_machines_fails(own: Cloud, scheduling: Any, attempts: int) -> None:
    own.control("POST", "/stockouts", {"region": "us-central1"})
    own.kill()
    own.start()  # it is kept
    found = own.submit("starts('p')", **scheduling)
    ended = own.wait(found)
    assert (ended["state"], ended["error"]) == ("JOB_STATE_FAILED", {"code": 8, "message": STOCKOUT})
    assert "startTime" not in ended
    assert [line for line in own.lines(found, "service") if "Waiting for" in line] == [
        f"{STOCKOUT} Waiting for any machine (attempt {n} of {attempts})." for n in range(1, attempts + 1)
    ]
    assert own.starts("p") == 0


@pytest.mark.slow
def test_a_job_waits_until_there_are_machines(new_cloud: Any, tmp_path: Path) -> None:
    own = Cloud(new_cloud, tmp_path, stockoutSeconds=1)
    own.control("POST", "/stockouts", {"region": "us-central1", "accelerator": "NVIDIA_L4"})
    assert own.wait(own.submit("pass"))["state"] == "JOB_STATE_SUCCEEDED"  # of another kind
    own.control("POST", "/stockouts", {"region": "us-central1"})
    found, cancelled = own.submit("pass"), own.submit("pass")
    own.wait(found, "JOB_STATE_PENDING")
    own.cancel(cancelled)
    assert own.wait(cancelled)["state"] == "JOB_STATE_CANCELLED"
    own.control("DELETE", "/faults")
    assert own.wait(found)["state"] == "JOB_STATE_SUCCEEDED"


@pytest.mark.slow
def test_flex_start_waits_for_as_long_as_it_wants(own: Cloud) -> None:
    own.control("POST", "/stockouts", {"region": "us-central1"})
    gpu = {"machineType": "a2-highgpu-1g", "acceleratorType": "NVIDIA_TESLA_A100", "acceleratorCount": 1}
    scheduling = {"strategy": "FLEX_START", "maxWaitDuration": "3600s"}
    found = id_of(own.post([own.pool("pass", machineSpec=gpu)], scheduling=scheduling))
    while len([line for line in own.lines(found, "service") if "Waiting for any machine" in line]) < 8:
        time.sleep(0.1)
    assert own.get(found)["state"] == "JOB_STATE_PENDING"
    launch.forward(own.root, 3601)
    ended = own.wait(found)
    assert (ended["state"], ended["error"]) == ("JOB_STATE_FAILED", {"code": 8, "message": STOCKOUT})
