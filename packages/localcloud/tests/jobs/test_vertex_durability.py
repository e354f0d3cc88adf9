"""Jobs outlive the server, lost ones are told truthfully, and what is ended leaves no process."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from clouds.vertex import PLAIN, VertexCloud, id_of, pool
from localcloud import launch

MARK = "LOCALCLOUD_REPLICA"

# Ignores SIGTERM, and so does the child that it starts in a session of its own.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
print("up", flush=True)
time.sleep(600)
"""
COUNT = """
import sys, time
for n in range(40):
    print(n, flush=True)
    time.sleep(0.1)
"""


class Cloud(VertexCloud):
    """A server of one's own, with what tests ask of it."""

    def submit(self, script: str, **spec: Any) -> str:
        """The new job's id."""
        return id_of(self.post([pool(script)], **spec))

    def processes(self, job: str) -> list[psutil.Process]:
        """Live processes that the job started."""
        found = []
        for process in psutil.process_iter():
            try:
                if job in process.environ().get(MARK, "") and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def supervisor(self, job: str) -> psutil.Process:
        started = self.root / "vertex" / "jobs" / job / "workerpool0-0" / "started.json"
        return psutil.Process(json.loads(started.read_text(encoding="utf-8"))["pid"])


@pytest.fixture
def own(new_cloud: Any, tmp_path: Path) -> Cloud:
    return Cloud(new_cloud, tmp_path)


@pytest.mark.slow
def test_a_job_outlives_a_killed_server(own: Cloud) -> None:
    job = own.submit(COUNT)
    own.wait_for_lines(job, "3")
    own.kill()
    time.sleep(0.5)  # the job goes on alone
    own.start()
    assert own.wait(job)["state"] == "JOB_STATE_SUCCEEDED"
    assert own.lines(job) == [str(n) for n in range(40)]
    assert own.processes(job) == []


@pytest.mark.slow
def test_a_stop_after_a_kill_ends_the_jobs_that_went_on(own: Cloud) -> None:
    job = own.submit(STUBBORN)
    own.wait_for_lines(job, "up")
    own.kill()
    assert own.processes(job)
    assert launch.stop(own.root)
    assert own.processes(job) == []
    assert launch.stop(own.root) is False
    own.start()
    assert own.wait(job)["state"] == "JOB_STATE_CANCELLED"


@pytest.mark.slow
def test_a_job_that_ended_without_a_server_is_told_truthfully(own: Cloud) -> None:
    job = own.submit("import time\nprint('up', flush=True)\ntime.sleep(1)\nraise SystemExit(7)")
    own.wait_for_lines(job, "up")
    own.kill()
    psutil.wait_procs(own.processes(job), timeout=30)
    own.start()
    assert "non-zero status of 7" in own.wait(job)["error"]["message"]


@pytest.mark.slow
def test_its_timeout_holds_without_a_server(own: Cloud) -> None:
    job = own.submit("import time\nprint('up', flush=True)\ntime.sleep(600)", scheduling={"timeout": "2s"})
    own.wait_for_lines(job, "up")
    own.kill()
    _, left = psutil.wait_procs(own.processes(job), timeout=30)
    assert left == []
    own.start()
    assert own.wait(job)["error"]["code"] == 4


@pytest.mark.slow
def test_a_lost_supervisor_fails_a_job_without_retries_and_leaves_nothing(own: Cloud) -> None:
    job = own.submit(STUBBORN, scheduling={"disableRetries": True})
    own.wait_for_lines(job, "up")
    own.supervisor(job).kill()
    ended = own.wait(job)
    assert (ended["state"], ended["error"]["code"]) == ("JOB_STATE_FAILED", 13)
    assert ended["error"]["message"].startswith("Internal error occurred for the current attempt.")
    assert own.processes(job) == []


@pytest.mark.slow
def test_a_machine_that_was_restarted_starts_the_job_again_twice(own: Cloud) -> None:
    job = own.submit(STUBBORN)
    for attempt in (1, 2, 3):
        while own.lines(job).count("up") < attempt:
            time.sleep(0.05)
        own.kill()
        for process in [own.supervisor(job), *own.processes(job)]:
            process.kill()
        own.start()
    assert own.wait(job)["error"]["code"] == 13
    assert own.lines(job) == ["up"] * 3
    said = [line for line in own.lines(job, "service") if "starts again" in line]
    assert said == [
        f"The replica workerpool0-0 was lost. The job starts again: attempt {n + 1} (retry {n} of 2)." for n in (1, 2)
    ]


@pytest.mark.slow
def test_cancelling_ends_what_ignores_sigterm_and_its_children(own: Cloud) -> None:
    job = own.submit(STUBBORN)
    own.wait_for_lines(job, "up")
    assert len(own.processes(job)) == 2
    own.cancel(job)
    assert own.get(job)["state"] == "JOB_STATE_CANCELLING"
    assert own.wait(job)["state"] == "JOB_STATE_CANCELLED"
    assert own.processes(job) == []


# A process with nothing that marks it: no environment, a session of its own, a parent that is gone.
HIDING = """
import subprocess, sys, time
command = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"]
starter = f"import subprocess; subprocess.Popen({command!r}, env={{}}, start_new_session=True)"
subprocess.run([sys.executable, "-c", starter], check=True)
time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a supervisor adopt what others leave behind")
def test_cancelling_ends_what_hides(own: Cloud) -> None:
    job = own.submit(HIDING)
    while not (said := own.lines(job)):
        time.sleep(0.1)
    hidden = psutil.Process(int(said[0]))
    assert hidden.pid not in [process.pid for process in own.processes(job)]
    own.cancel(job)
    assert own.wait(job)["state"] == "JOB_STATE_CANCELLED"
    assert launch.ended(hidden)


@pytest.mark.slow
def test_a_job_has_time_to_save_when_it_is_cancelled(own: Cloud) -> None:
    script = """
import signal, sys, time
def save(*_):
    print("saved", flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
print("up", flush=True)
time.sleep(600)
"""
    job = own.submit(script)
    own.wait_for_lines(job, "up")
    own.cancel(job)
    assert own.wait(job)["state"] == "JOB_STATE_CANCELLED"
    assert own.lines(job) == ["up", "saved"]


@pytest.mark.slow
def test_what_a_job_leaves_behind_ends_with_it(own: Cloud) -> None:
    script = "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    job = own.submit(script)
    assert own.wait(job)["state"] == "JOB_STATE_SUCCEEDED"
    assert own.processes(job) == []
    while (own.root / "vertex" / "jobs" / job).exists():  # released once its end was told
        time.sleep(0.05)


@pytest.mark.slow
def test_jobs_wait_in_order(new_cloud: Any, tmp_path: Path) -> None:
    own = Cloud(new_cloud, tmp_path, parallel=1)
    first, second, third, fourth = [own.submit("import time; time.sleep(0.5)") for _ in range(4)]
    assert [own.get(job)["state"] for job in (second, third)] == ["JOB_STATE_QUEUED"] * 2
    own.cancel(third)
    assert own.get(third)["state"] == "JOB_STATE_CANCELLED"
    own.wait(fourth)
    ran = [own.get(job) for job in (first, second, fourth)]
    assert [job["state"] for job in ran] == ["JOB_STATE_SUCCEEDED"] * 3
    assert ran[0]["endTime"] <= ran[1]["startTime"] <= ran[1]["endTime"] <= ran[2]["startTime"]


@pytest.mark.slow
def test_stopping_the_cloud_cancels_jobs_and_keeps_the_queue(new_cloud: Any, tmp_path: Path) -> None:
    from localcloud import launch

    own = Cloud(new_cloud, tmp_path, parallel=1)
    running, waiting = own.submit(STUBBORN), own.submit("print('later')")
    own.wait_for_lines(running, "up")
    launch.stop(own.root)
    assert own.processes(running) == []
    own.start()
    assert own.wait(running)["state"] == "JOB_STATE_CANCELLED"
    assert own.wait(waiting)["state"] == "JOB_STATE_SUCCEEDED"
    assert own.lines(waiting) == ["later"]


@pytest.mark.slow
def test_a_job_can_be_cancelled_while_its_environment_is_built(own: Cloud) -> None:
    from environments import fingerprint
    from localcloud import launch
    from localcloud.core.state import locks

    envs = own.root / "envs"
    envs.mkdir(exist_ok=True)
    with locks.held(envs / f"{fingerprint([])}.lock"):  # as another builder of the same environment
        first, second = own.submit("print(1)"), own.submit("print(2)")
        waiting = "Waiting for another process that builds the same environment"
        while waiting not in own.lines(first, "service") or waiting not in own.lines(second, "service"):
            time.sleep(0.05)
        assert own.get(first)["state"] == "JOB_STATE_PENDING"
        own.cancel(first)
        assert own.wait(first)["state"] == "JOB_STATE_CANCELLED"
        launch.stop(own.root)  # which does not wait for the builder
    own.start()
    assert own.wait(second)["state"] == "JOB_STATE_CANCELLED"


@pytest.mark.slow
def test_an_environment_that_cant_be_built_fails_the_job(own: Cloud) -> None:
    requirement = "sparrow @ file:///nowhere/sparrow-1.0-py3-none-any.whl"
    images = {PLAIN: {"requirements": [requirement]}}
    (own.root / "images.json").write_text(json.dumps(images), encoding="utf-8")
    ended = own.wait(own.submit("print(1)"))
    assert ended["state"] == "JOB_STATE_FAILED"
    assert "startTime" not in ended
    assert ended["error"]["message"].startswith(
        f"The environment for the image {PLAIN} can't be built: could not install {requirement}: "
    )


@pytest.mark.slow
def test_a_job_killed_between_its_record_and_its_start_runs_once(own: Cloud) -> None:
    """What a kill right after RUNNING was recorded leaves: folders are laid out, no supervisor was started."""
    import sqlite3

    job = own.submit("import time\nprint('up', flush=True)\ntime.sleep(600)")
    own.wait_for_lines(job, "up")
    own.kill()
    for process in [own.supervisor(job), *own.processes(job)]:
        process.kill()
    folder = own.root / "vertex" / "jobs" / job / "workerpool0-0"
    spec = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    spec["command"] = ["python", "-c", "print('again')"]
    (folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    for name in ("started.json", "output"):
        (folder / name).unlink()
    with sqlite3.connect(own.root / "vertex" / "jobs.sqlite") as database:
        database.execute("DELETE FROM offsets")
    database.close()
    own.start()
    assert own.wait(job)["state"] == "JOB_STATE_SUCCEEDED"
    assert own.lines(job) == ["up", "again"]
