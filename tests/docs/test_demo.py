"""The demo, as a new user runs it: it reaches its end, says true things, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

CLONE = Path(__file__).resolve().parents[2]
DEMOS = CLONE / ".cloudkite" / "demos"
pytestmark = pytest.mark.slow


def start() -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("CLOUDKITE_ACCOUNT", "CLOUDKITE_STATE"))}
    return subprocess.Popen(
        [sys.executable, "-m", "invoke", "demo"], cwd=CLONE, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", start_new_session=True,
    )  # fmt: skip


def wait_for(demo: subprocess.Popen[str], beginning: str) -> None:
    assert demo.stdout
    for line in demo.stdout:
        if line.startswith(beginning):
            return
    raise AssertionError(f"the demo never said {beginning!r}")


def of_a_demo() -> list[int]:
    """Processes that belong to a demo's local cloud, by its folder on their command line."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(str(DEMOS) in word for word in process.info["cmdline"] or []):
            found.append(process.pid)
    return found


def leftovers() -> list[str]:
    return [p.name for p in DEMOS.iterdir()] if DEMOS.is_dir() else []


def test_the_demo_ends_with_a_real_accuracy_and_leaves_nothing():
    demo = start()
    said, _none = demo.communicate(timeout=900)
    assert demo.returncode == 0, said
    accuracy = re.search(r"accuracy (0\.\d+|1\.0+) on (\d+) held-out penguins", said)
    assert accuracy, said
    assert float(accuracy[1]) >= 0.95
    assert int(accuracy[2]) >= 50
    assert "Adelie" in said
    assert re.search(r"on Google this job would have cost about 0\.\d+ USD", said)
    assert re.search(r"nothing is left: no resource, no process, none of [1-9] ports open", said)
    assert said.rstrip().splitlines()[-4:] == [
        "next, with your own",
        "  file      uv run invoke new NAME --data FILE.csv --label COLUMN",
        "  code      uv run invoke new NAME",
        "  account   uv run invoke start",
    ]
    assert leftovers() == []
    assert of_a_demo() == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process; try Ctrl-C by hand")
def test_ctrl_c_leaves_nothing_running():
    with start() as demo:
        wait_for(demo, "3  ")  # the local cloud runs, the account is set up, the check is about to start
        time.sleep(1)
        os.killpg(demo.pid, signal.SIGINT)
        said = demo.stdout.read() if demo.stdout else ""
        assert demo.wait(timeout=120) == 130, said
    assert "error: interrupted" in said
    assert "Traceback" not in said
    assert leftovers() == []
    assert of_a_demo() == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_the_next_demo_cleans_up_after_one_that_was_killed():
    with start() as demo:
        wait_for(demo, "2  ")
        demo.kill()
    assert leftovers()
    subprocess.run(
        [sys.executable, "-c", "from cloudkite.journey import demo; demo.sweep()"], cwd=CLONE, check=True, timeout=120
    )
    assert leftovers() == []
    assert of_a_demo() == []
