"""`invoke tune` with TensorFlow: killed in the middle and taken up again, a try that fails, baselines, the command for
the best."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cloudkite import workspace
from cloudkite.trainers import making
from cloudkite.trainers.folders import Trainer
from cloudkite.tuning import study
from tests.baked.conftest import Run, train

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SPACE = """
metric = "val_accuracy"
goal = "maximize"

[parameters]
rate = [0.005, 0.01]
units = [13, 32]
model = ["mlp"]
"""
WORDS = ["--tries", "4", "--parallel", "2", "--name", "first", "--", "--epochs", "8", "--test", "0.2"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> workspace.Workspace:
    return workspace.throw_away(tmp_path_factory.mktemp("tuned"))


def tune(home: workspace.Workspace, folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "invoke", "tune", str(folder), *words], cwd=workspace.CLONE, text=True, encoding="utf-8",
        env={**os.environ, "CLOUDKITE_STATE": str(home.state), "COLUMNS": "200"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def running(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "trainer.task" in words and any(word.startswith(str(folder / "tuning")) for word in words):
            found.append(process)
    return found


def test_a_study_that_is_killed_and_goes_on(home: workspace.Workspace, run: Run):
    folder = making.new(home, "penguins").folder
    trainer = Trainer("penguins", folder)
    (folder / "tuning.toml").write_text(SPACE, encoding="utf-8")
    model = folder / "trainer" / "model.py"
    inputs = "    inputs = prepare.inputs(statistics)\n"
    broken = f'    if options.units == 13:\n        raise ValueError("thirteen units")\n{inputs}'
    text = model.read_text(encoding="utf-8").replace(inputs, broken)
    assert broken in text
    model.write_text(text, encoding="utf-8")

    first = tune(home, folder, *WORDS)
    late = time.monotonic() + 300
    while not ((kept := study.load(trainer, "first")) and any(one.history for one in kept.tries)):
        assert first.poll() is None and time.monotonic() < late
        time.sleep(0.1)
    left = running(folder)
    first.kill()
    first.communicate()
    assert left
    kept = study.load(trainer, "first")
    assert kept and kept.state == "running"

    again = tune(home, folder, *WORDS)
    said, notes = again.communicate(timeout=600)
    assert again.returncode == 0, said + notes
    assert not any(process.is_running() for process in left) and not running(folder)
    ended = study.load(trainer, "first")
    assert ended and ended.state == "done" and ended.complete
    assert "goes on with study first" in said and "price: nothing is spent" in said
    assert "ended a try that a killed command left running" in notes or not any(
        one.state == "running" for one in kept.tries
    )

    states = {(one.values["units"], one.values["rate"]): one.state for one in ended.own}
    assert states == {(13, 0.005): "failed", (13, 0.01): "failed", (32, 0.005): "done", (32, 0.01): "done"}
    assert all("thirteen units" in one.why for one in ended.own if one.state == "failed")
    assert all(len(one.history) == 8 for one in ended.tries if one.state == "done")
    assert ended.linear and ended.linear.state == "done"
    assert ended.facts["held_out"] > 40 and 0.4 < ended.facts["majority"] < 0.5
    for sentence in (
        "held-out rows: ", "always the commonest class: 0.4", "linear, as it comes: ",
        "the best of 2 tries looks better than it is", "rows kept for the last look, which chose nothing",
    ):  # fmt: skip
        assert sentence in said

    # The command for the best, as it stands, gives what the try gave.
    (line,) = re.findall(r"^or here: cd (.*)$", said, re.M)
    place, _and, command = line.partition(" && uv run python ")
    assert (workspace.CLONE / place).resolve() == folder.resolve() and ended.winner
    words = shlex.split(command)
    assert words[:2] == ["-m", "trainer.task"]
    again_said = train(run, folder, folder / "output", *words[2:])
    (accuracy,) = re.findall(r"^held-out:.* accuracy=(\S+)", again_said, re.M)
    assert float(accuracy) == pytest.approx(ended.winner.metric, abs=0.02)
    (job,) = re.findall(r"^next: uv run invoke train (.*)$", said, re.M)
    assert shlex.split(job)[1:] == ["--", *words[2:]]

    shown = (folder / "tuning" / "first" / "report.html").read_text(encoding="utf-8")
    assert shown.count("<svg") == 2 and "thirteen units" in shown and "linear, as it comes" in shown
    asked = tune(home, folder, "--report", "--json", "--output", str(folder / "page.html"))
    told = json.loads(asked.communicate(timeout=60)[0])
    assert told["best"] in (one.number for one in ended.own) and len(told["tries"]) == 5
    assert told["command"] == f"uv run invoke train {job}"
    assert [one["name"] for one in told["baselines"]] == ["always the commonest class", "linear, as it comes"]
    assert (folder / "page.html").read_text(encoding="utf-8") == shown

    # All has been tried: nothing is trained again.
    whole = tune(home, folder, *WORDS)
    said, _notes = whole.communicate(timeout=120)
    assert whole.returncode == 0 and "4 of 4 tries have ended" in said
    assert study.load(trainer, "first") == ended or [one.starts for one in ended.tries] == [
        one.starts
        for one in study.load(trainer, "first").tries  # pyright: ignore[reportOptionalMemberAccess]
    ]


def test_of_a_number_the_mean_is_what_is_to_be_beaten(home: workspace.Workspace):
    folder = making.new(home, "masses", kind="number").folder
    assert 'metric = "val_mae"\ngoal = "minimize"' in (folder / "tuning.toml").read_text(encoding="utf-8")
    asked = tune(home, folder, "--tries", "1", "--json", "--", "--epochs", "5")
    said, notes = asked.communicate(timeout=600)
    assert asked.returncode == 0, notes
    told = json.loads(said)
    mean, linear = (one["metric"] for one in told["baselines"])
    assert 500 < mean < 900 and linear < mean  # grams; the masses' standard deviation is about 800
    best = told["tries"][1]
    assert best["interval"][0] < best["metric"] < best["interval"][1] < 2 * best["metric"]
    assert any(line.startswith(f"the best has val_mae {best['metric']:.4g} on ") for line in told["verdict"])
