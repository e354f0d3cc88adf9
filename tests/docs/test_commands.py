"""Commands that the README's own lines leave out: accounts by options, TensorBoard, a local cloud that was killed."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request

import psutil
import pytest

import environments
from catalog import images
from cloudkite import workspace
from cloudkite.accounts import registry, target
from cloudkite.journey.results import TENSORBOARD

pytestmark = pytest.mark.slow


def good(copy, line):
    done = copy.invoke(line)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done


def test_an_account_is_added_then_used(copy):
    good(copy, "uv run invoke account.add --local --name mine --project mine-project --budget 5 "
               "--billing 012345-ABCDEF-012345 --email me@example.com")  # fmt: skip
    listed = {a["name"]: a for a in json.loads(good(copy, "uv run invoke account.list --json").stdout)}
    assert listed["local"]["in_use"]
    assert not listed["mine"]["in_use"]
    assert "in use: mine" in good(copy, "uv run invoke account.use mine").stdout
    outputs = json.loads(good(copy, "uv run invoke up --yes --json").stdout)
    assert outputs["buckets"]["models"] == "gs://mine-project-models"
    listed = {a["name"]: a for a in json.loads(good(copy, "uv run invoke account.list --json").stdout)}
    assert listed["mine"] == listed["mine"] | {"in_use": True, "set_up": True, "budget": 5.0, "currency": "USD"}
    assert "nothing to change" in good(copy, "uv run invoke up").stdout


def _write_a_scalar(copy):
    """What a job's training loop leaves for TensorBoard, by TensorFlow itself."""
    home = copy.folder
    space = workspace.Workspace(home, home / ".cloudkite", home / "infra", home / "trainers")
    found = target.connect(space, registry.load(space, "mine"))
    image = images.image(images.DEFAULT_CPU)
    python = environments.environment(space.envs, [*image.requirements, TENSORBOARD], image.python)
    script = (
        "import tensorflow as tf\n"
        "with tf.summary.create_file_writer('gs://mine-project-models/penguins/job/logs').as_default():\n"
        "    tf.summary.scalar('loss', 0.5, step=1)\n"
    )
    subprocess.run([str(python), "-c", script], env=found.child_environment(), check=True, timeout=120)


def _start(copy, port):
    return subprocess.Popen(
        copy.command(f"uv run invoke tensorboard penguins --port {port}"), cwd=copy.folder, env=copy.environment(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
        start_new_session=True,
    )  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process; try Ctrl-C by hand")
def test_tensorboard_serves_until_ctrl_c(copy):
    good(copy, "uv run invoke new penguins")
    _write_a_scalar(copy)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = copy.invoke(f"uv run invoke tensorboard penguins --port {port}")
        assert refused.returncode == 1
        assert f"error: port {port} is in use" in refused.stderr
        (advised,) = re.findall(r"^hint: uv run invoke tensorboard penguins --port (\d+)$", refused.stderr, re.M)
        assert int(advised) != port
    board = _start(copy, port)
    with board:
        # The address is shown when it answers.
        shown = next(line for line in board.stdout or () if line.startswith("TensorBoard over"))
        assert (
            shown == f"TensorBoard over gs://mine-project-models/penguins: http://127.0.0.1:{port}/ (Ctrl-C ends it)\n"
        )
        address = f"http://127.0.0.1:{port}"
        urllib.request.urlopen(f"{address}/data/logdir", timeout=30).close()
        deadline = time.monotonic() + 240
        while True:
            assert time.monotonic() < deadline
            assert board.poll() is None, board.stdout.read() if board.stdout else ""
            try:
                with urllib.request.urlopen(f"{address}/data/logdir", timeout=5) as answer:
                    assert json.load(answer)["logdir"] == "gs://mine-project-models/penguins"
                with urllib.request.urlopen(f"{address}/data/plugin/scalars/tags", timeout=5) as answer:
                    if "loss" in json.load(answer).get("job/logs", {}):  # read from the bucket
                        break
                time.sleep(0.5)
            except OSError:
                time.sleep(0.5)
        os.killpg(board.pid, signal.SIGINT)
        said = board.stdout.read() if board.stdout else ""
        assert board.wait(timeout=60) == 0, said
    assert "Traceback" not in said
    with _start(copy, port) as board:
        assert any(line.startswith("TensorBoard over") for line in board.stdout or ())  # it has no more to say
        family = psutil.Process(board.pid).children(recursive=True)
        board.terminate()  # what a supervisor sends: to the command alone
        said = board.stdout.read() if board.stdout else ""
    assert family and not psutil.wait_procs(family, timeout=30)[1], "TensorBoard goes on without its command"
    assert "Traceback" not in said


def test_the_next_command_says_that_the_local_cloud_was_killed(copy):
    status = json.loads(good(copy, "uv run invoke local.status --json").stdout)
    killed = psutil.Process(status["pid"])
    killed.kill()
    deadline = time.monotonic() + 30
    while killed.is_running() and killed.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    done = good(copy, "uv run invoke jobs")
    assert re.search(r"the local cloud had ended without being stopped", done.stderr)
    assert "no jobs yet" in done.stdout
    assert good(copy, "uv run invoke jobs").stderr == ""


def test_help_names_every_option(copy):
    for command in ("train", "up", "down", "account.add", "predict"):
        shown = good(copy, f"uv run invoke --help {command}").stdout
        options = re.findall(r"^  (--[a-z-]+).*", shown, re.M)
        assert options
        assert not re.findall(r"^  --[a-z-]+(=\S+)?$", shown, re.M), "an option without a word on it"


def test_everything_goes_and_what_google_keeps_is_said(copy):
    good(copy, "uv run invoke up --yes")
    said = good(copy, "uv run invoke down --everything --yes --confirm mine").stdout
    assert "nothing is left" in said
    assert "Google keeps what is in data and models for another 7 days, to be restored, and bills it" in said
