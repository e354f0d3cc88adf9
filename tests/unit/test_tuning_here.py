"""The engine of this machine with real processes: a program of a few lines stands for the trainer, to be quick."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from cloudkite import workspace
from cloudkite.show.errors import BadValue
from cloudkite.trainers.folders import Trainer
from cloudkite.tuning import orphans, study
from cloudkite.tuning import space as spaces
from cloudkite.tuning.here import Here
from cloudkite.tuning.study import LINEAR, Study, Wishes
from tests import trainer_folder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")

# Reports ten epochs; goes on from the one that it had saved, as a trainer does. Units say what becomes of it.
PROGRAM = """
import argparse, json, os, pathlib, signal, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, default=0.5)
parser.add_argument("--units", type=int, default=1)
parser.add_argument("--model", choices=["linear", "mlp"], default="mlp")
parser.add_argument("--output")
parser.add_argument("--pause", type=float, default=0.0)
options = parser.parse_args()
saved = pathlib.Path(options.output, "checkpoints", "epoch")
saved.parent.mkdir(parents=True, exist_ok=True)
start = int(saved.read_text()) if saved.exists() else 0
print("started at", start, "threads", os.environ["OMP_NUM_THREADS"], "nice", os.nice(0), flush=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
for epoch in range(start + 1, 11):
    if options.units == 13:
        raise ValueError("thirteen units")
    if options.units == 99:
        os.kill(os.getpid(), signal.SIGKILL)
    value = options.rate * epoch / 10 if options.model == "mlp" else 0.25
    line = {"timestamp": 1.0, "trial": "1", "checkpoint_path": "", "global_step": str(epoch * 7)}
    line["accuracy"] = str(value)
    with open(os.environ["CLOUD_ML_HP_METRIC_FILE"], "a") as file:
        file.write(json.dumps(line) + "\\n")
    saved.with_suffix(".new").write_text(str(epoch))
    saved.with_suffix(".new").replace(saved)
    time.sleep(options.pause)
"""


@pytest.fixture
def home(tmp_path: Path) -> tuple[workspace.Workspace, Trainer]:
    place = trainer_folder.space(tmp_path)
    made = Trainer("grades", trainer_folder.make(place))
    (made.package / "task.py").write_text(PROGRAM, encoding="utf-8")
    return place, made


def begin(trainer: Trainer, parameters: str, **wishes) -> Study:
    path = trainer.folder / "tuning.toml"
    path.write_text(f'metric = "val_accuracy"\n[parameters]\n{parameters}\n', encoding="utf-8")
    return study.begin(trainer, "here", spaces.read(path), Wishes(**{"parallel": 2, **wishes}), "mark").study


def run(home: tuple, begun: Study, linear: bool = False, look: Callable[[Study], None] = lambda _s: None) -> Study:
    place, trainer = home
    now, engine = begun, Here(place, trainer, Path(sys.executable), linear=linear)
    try:
        for now in engine.watch(begun):
            look(now)
    except BaseException:
        engine.stop(now)
        raise
    assert study.load(trainer, begun.name) == now
    return now


def told(one: study.Try) -> str:
    return (Path(one.output) / "log.txt").read_text(encoding="utf-8")


def test_all_that_can_become_of_a_try(home):
    begun = begin(home[1], "units = [1, 2, 3, 13]\nrate = [0.8]", tries=9, parallel=4)
    ended = run(home, begun, linear=True)
    assert (ended.state, ended.why) == ("done", "every combination was tried")
    states = {one.values["units"]: one.state for one in ended.own}
    assert states == {1: "done", 2: "done", 3: "done", 13: "failed"}
    failed = next(one for one in ended.own if one.state == "failed")
    assert "trainer/task.py:" in failed.why and "ValueError: thirteen units" in failed.why
    best = ended.best
    assert best and best.metric == 0.8 and len(best.history) == 10 and best.history[0] == (7, 0.08)
    assert ended.linear and ended.linear.metric == 0.25
    assert "nice 5" in told(best)
    assert f"threads {max(1, (os.cpu_count() or 1) // 4)} " in told(best)
    assert not (Path(best.output) / "checkpoints").exists()  # it never goes on
    assert [note.name for note in (home[0].state / "tuning").iterdir()] == []


def test_what_is_hopeless_is_pruned_and_costs_no_more_time(home):
    begun = begin(home[1], "rate = [0.9, 0.8, 0.7, 0.1]", tries=4, parallel=1, arguments=("--pause", "0.15"))
    first = begun
    for rate in (0.9, 0.8, 0.7):  # as if they had been tried
        number = len(first.own) + 1
        history = tuple((7 * epoch, rate * epoch / 10) for epoch in range(1, 11))
        first = first.with_try(study.Try(number, {"rate": rate}, "done", rate, history=history))
    ended = run(home, first)
    pruned = ended.given(4)
    assert pruned and pruned.state == "pruned" and 3 <= len(pruned.history) < 9
    assert pruned.why.startswith("worse than half of the others after ")
    assert ended.state == "done" and ended.best and ended.best.number == 1


def test_failures_in_a_row_end_it(home):
    ended = run(home, begin(home[1], "units = [13]\nrate = { from = 0.1, to = 0.9 }", tries=50))
    assert ended.state == "failed" and len(ended.own) <= 5
    assert ended.why.startswith("3 tries failed one after the other; the last: ") and "thirteen" in ended.why


def test_a_try_that_is_killed_by_others_goes_on_once(home):
    ended = run(home, begin(home[1], "units = [99]", tries=1))
    (one,) = ended.own
    assert (one.state, one.starts) == ("failed", 2)
    assert "killed by signal 9: the memory may be full" in one.why

    def kill(now: Study) -> None:
        one = now.own[0] if now.own else None
        if one and one.starts == 1 and one.state == "running" and len(one.history) > 2:
            (process,) = children(home)
            process.send_signal(signal.SIGKILL)

    ended = run(home, begin(home[1], "units = [7]", tries=1, arguments=("--pause", "0.1")), look=kill)
    (one,) = ended.own
    assert (one.state, one.starts, one.why, len(one.history)) == ("done", 2, "went on after a kill", 10)
    assert "started at 3" in told(one) or "started at 4" in told(one)


def test_a_metric_that_is_not_reported_is_told_by_what_is(home):
    begun = begin(home[1], "units = [1]")
    other = Study(**{**vars(begun), "space": spaces.Space("val_auc", "maximize", begun.space.parameters)})
    with pytest.raises(BadValue, match=r"tuning.toml: metric: the trainer doesn't report val_auc") as caught:
        run(home, other)
    assert caught.value.hint == "it reports: val_accuracy"
    assert children(home) == []
    (home[1].package / "task.py").write_text("print('I say nothing')\n", encoding="utf-8")
    ended = run(home, begin(home[1], "units = [2]", tries=1))
    assert ended.own[0].why == "it reported no val_accuracy (CLOUD_ML_HP_METRIC_FILE)"


def test_a_try_that_takes_too_long_and_a_study_that_does(home):
    slow = ("--pause", "0.5")
    ended = run(home, begin(home[1], "units = [1]", tries=1, try_seconds=1, arguments=slow))
    assert [(one.state, one.why) for one in ended.own] == [("failed", "no end after 1 second")]
    ended = run(home, begin(home[1], "units = [1, 2]", limit_seconds=1, arguments=slow))
    assert (ended.state, ended.why) == ("stopped", "the time limit was over")
    assert {one.state for one in ended.own} == {"killed"}
    assert children(home) == []


@pytest.mark.slow
def test_stop_ends_what_runs_and_the_same_goes_on(home):
    place, trainer = home
    begun = begin(trainer, "units = [1, 2, 3]", tries=3, arguments=("--pause", "0.2"))
    engine = Here(place, trainer, Path(sys.executable))
    now = next(now for now in engine.watch(begun) if any(len(one.history) > 2 for one in now.own))
    stopped = engine.stop(now)
    assert children(home) == []
    assert (stopped.state, {one.state for one in stopped.own}) == ("stopped", {"killed"})
    again = study.begin(trainer, "here", stopped.space, stopped.wishes, "mark")
    assert again.goes_on
    ended = run(home, again.study)
    assert [one.state for one in ended.own] == ["done"] * 3
    assert all(len(one.history) == 10 for one in ended.own)
    assert any("started at 3" in told(one) or "started at 4" in told(one) for one in ended.own)


# The engine as a command has it, which is then killed.
DRIVER = """
import sys
from pathlib import Path
from cloudkite import workspace
from cloudkite.trainers.folders import Trainer
from cloudkite.tuning import study
from cloudkite.tuning.here import Here

place, folder, name = workspace.throw_away(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
trainer = Trainer(folder.name, folder)
for now in Here(place, trainer, Path(sys.executable), linear=False).watch(study.load(trainer, name)):
    print(sum(len(one.history) for one in now.own), flush=True)
"""


@pytest.mark.slow
def test_kill_9_at_any_moment(home):
    """Whenever the command dies, the file is whole, what runs is ended by the next one, and all is tried in the end."""
    place, trainer = home
    begun = begin(trainer, "units = [1, 2, 3, 4]", tries=4, arguments=("--pause", "0.1"))
    study.save(trainer, begun)
    for moment in (0, 2, 9, 24):
        words = [sys.executable, "-c", DRIVER, str(place.state), str(trainer.folder), begun.name]
        driver = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=workspace.CLONE)
        late = threading.Timer(30, driver.kill)
        late.start()
        next((line for line in driver.stdout or () if int(line) >= moment), None)
        driver.kill()
        driver.communicate()
        late.cancel()
        kept = study.load(trainer, begun.name)
        assert kept is not None
        left = orphans.sweep(place)
        assert not [one for one in psutil.process_iter() if str(trainer.folder) in " ".join(_words(one))], left
    kept = study.load(trainer, begun.name)
    assert kept is not None and len(kept.own) >= 2
    finished = {one.number: one for one in kept.own if one.ended}
    ended = run(home, kept)
    assert [one.state for one in ended.own] == ["done"] * 4
    assert all([step for step, _value in one.history] == [7 * n for n in range(1, 11)] for one in ended.own)
    assert all(ended.given(number) == one for number, one in finished.items())  # none is repeated
    assert ended.best and ended.best.number != LINEAR and any(one.starts > 1 for one in ended.own)


def children(home: tuple) -> list[psutil.Process]:
    """The processes of this one that run the trainer; other tests may have left their own."""
    return [one for one in psutil.Process().children() if str(home[1].folder) in " ".join(_words(one))]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline() if process.status() != psutil.STATUS_ZOMBIE else []
    except psutil.Error:
        return []


def test_what_a_half_written_report_says_is_read_when_it_is_whole(home):
    folder = home[1].folder / "tuning" / "x" / "tries" / "001"
    folder.mkdir(parents=True)
    begun = begin(home[1], "units = [1]", tries=1)
    (home[1].package / "task.py").write_text(
        "import os, time\n"
        "with open(os.environ['CLOUD_ML_HP_METRIC_FILE'], 'w') as file:\n"
        '    file.write(\'{"global_step": "7", "accur\'); file.flush(); time.sleep(0.4)\n'
        '    file.write(\'acy": "0.5"}\\n\')\n',
        encoding="utf-8",
    )
    began = time.monotonic()
    assert [one.history for one in run(home, begun).own] == [((7, 0.5),)]
    assert time.monotonic() - began < 20
    assert json.loads((home[1].folder / "tuning" / begun.name / "study.json").read_text())["tries"][0]["metric"] == 0.5
