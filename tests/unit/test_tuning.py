"""A space, a study on disk, what is tried next, what is cut, and what may be said of the results."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cloudkite import workspace
from cloudkite.show.errors import BadValue, UserError
from cloudkite.trainers.folders import Trainer
from cloudkite.tuning import fitting, importance, orphans, outcome, page, suggest
from cloudkite.tuning import space as spaces
from cloudkite.tuning import study as studies
from cloudkite.tuning.study import LINEAR, Study, Try, Wishes
from tests import trainer_folder

GOOD = """
metric = "val_accuracy"
goal = "maximize"

[parameters]
rate = { from = 1e-4, to = 1e-2, scale = "log" }
units = [32, 64, 128]
layers = { from = 1, to = 3 }
model = ["linear", "mlp", "wide"]
"""
SMALL = 'metric = "val_loss"\n[parameters]\nunits = [32, 64]\nmodel = ["linear", "mlp"]\n'
WHEN = datetime.datetime(2026, 11, 30, 12, tzinfo=datetime.UTC)


def space(tmp_path: Path, text: str = GOOD) -> spaces.Space:
    path = tmp_path / "tuning.toml"
    path.write_text(text, encoding="utf-8")
    return spaces.read(path)


def study(of: spaces.Space, *tries: Try, **more) -> Study:
    made = Study("one", "grades", "here", of, Wishes(**more), "mark", WHEN.isoformat())
    for one in tries:
        made = made.with_try(one)
    return made


def done(number: int, metric: float, **values: spaces.Value) -> Try:
    return Try(number, values, "done", metric, history=((1, metric / 2), (2, metric)))


# --- the space


def test_a_space_is_read(tmp_path):
    found = space(tmp_path)
    assert (found.metric, found.tag, found.goal) == ("val_accuracy", "accuracy", "maximize")
    told = {one.name: (one.kind, one.told) for one in found.parameters}
    assert told == {
        "model": ("choice", "linear|mlp|wide"), "rate": ("real", "0.0001..0.01 log"),
        "units": ("choice", "32|64|128"), "layers": ("whole", "1..3"),
    }  # fmt: skip
    assert found.size is None
    assert spaces.of_facts(json.loads(json.dumps(found.facts()))) == found


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("metric = 1", "metric: must be the name", "val_accuracy"),
        ('metric = "val_loss"\ngoal = "up"', 'goal: must be "maximize" or "minimize"', ""),
        ('metric = "val_loss"\ngoal = "maximize"', "val_loss is better when it is smaller", 'goal = "minimize"'),
        ('metric = "f1"', "goal: must be", ""),
        ('metric = "val_loss"\ntries = 3', "tries: unknown key", "metric, goal, [parameters]"),
        ('metric = "val_loss"', "parameters: must be a table", "units"),
        ("{units = []}", "parameters.units: the list is empty", "[32, 64, 128]"),
        ("{units = [32, 32]}", "parameters.units: 32 stands there twice", "leave one out"),
        ('{units = [32, "many"]}', "parameters.units: the values are of several kinds", "only numbers"),
        ("{units = [[1]]}", "parameters.units: [1] isn't a number or a text", ""),
        ("{units = 32}", "parameters.units: must be a list of values or a range, not 32", "scale"),
        ("{rate = { from = 1e-2, to = 1e-4 }}", "the range is empty: from 0.01 to 0.0001", "smaller"),
        ("{rate = { from = 1 }}", "parameters.rate.to: is missing", "from = 1, to = 3"),
        ("{rate = { from = 1, to = inf }}", "parameters.rate.to: must be a number", ""),
        ('{rate = { from = 0.1, to = 1, scale = "exp" }}', "parameters.rate.scale: 'exp' isn't a scale", '"log"'),
        ('{rate = { from = 0.0, to = 1.0, scale = "log" }}', "0.0 is impossible with scale", "above 0"),
        ("{rate = { from = 0.1, too = 1 }}", "parameters.rate.too: unknown key", "did you mean to?"),
        ("{output = [1]}", "parameters.output: can't be tuned", "leave it out"),
        ("{validation = [0.1, 0.2]}", "which rows they are measured on", "-- --validation"),
        ("metric = ", "Invalid value", "fix that line"),
    ],
)
def test_a_mistake_names_file_key_and_what_is_allowed(tmp_path, text, said, hint):
    if text.startswith("{"):
        text = f'metric = "val_loss"\n[parameters]\n{text[1:-1]}'
    with pytest.raises(BadValue) as caught:
        space(tmp_path, text)
    assert said in caught.value.message and str(tmp_path / "tuning.toml") in caught.value.message
    assert hint in caught.value.hint


def test_what_means_nothing_is_no_difference():
    one, other = {"model": "linear", "rate": 0.01, "units": 32}, {"model": "linear", "rate": 0.01, "units": 64}
    assert spaces.key(one) == spaces.key(other) == "model=linear rate=0.01"
    assert spaces.arguments(one) == ("--model", "linear", "--rate", "0.01")
    assert spaces.arguments({"shift": -1.5, "widen": True, "quiet": False}) == ("--shift=-1.5", "--widen")


def test_values_can_be_typed(tmp_path):
    rate = next(one for one in space(tmp_path).parameters if one.name == "rate")
    assert (rate.rounded(0.00312345678), rate.rounded(0.0099999999)) == (0.003123, 0.01)
    assert rate.samples == (1e-4, 1e-3, 1e-2)


# --- beside a trainer's own parser

TASK = """
import argparse


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float)
    parser.add_argument("--layers", type=int, choices=range(1, 4))
    parser.add_argument("--model", choices=["linear", "mlp"])
    parser.add_argument("--widen", action="store_true")
    parser.add_argument("--output")
    return parser
"""


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    made = Trainer("grades", trainer_folder.make(trainer_folder.space(tmp_path)))
    (made.package / "task.py").write_text(TASK, encoding="utf-8")
    return made


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("rates = [0.1]", "has no option --rates", "did you mean rate"),
        ("layers = { from = 1, to = 9 }", "the trainer refuses 5", "allowed: 1, 2, 3"),
        ("layers = { from = 1.0, to = 2.0 }", "parameters.layers: the trainer refuses 1", "allowed: 1, 2, 3"),
        ('model = ["linear", "huge"]', "the trainer refuses huge", "allowed: linear, mlp"),
        ("widen = [1, 2]", "--widen takes no value", "[true, false]"),
        ("rate = [true, false]", "--rate takes a value", "stand alone"),
    ],
)
def test_a_trainer_is_asked_for_its_options(trainer, tmp_path, text, said, hint):
    what = space(tmp_path, f'metric = "val_accuracy"\n[parameters]\n{text}\n')
    with pytest.raises(BadValue) as caught:
        fitting.fit(what, trainer, Path(sys.executable))
    assert said in caught.value.message and "tuning.toml: parameters." in caught.value.message
    assert hint in caught.value.hint


def test_a_space_that_fits(trainer, tmp_path):
    text = 'metric = "val_accuracy"\n[parameters]\nrate = { from = 0.1, to = 1.0 }\nwiden = [true, false]\n'
    what = space(tmp_path, text + 'layers = [1, 2]\nmodel = ["linear", "mlp"]\n')
    found = fitting.fit(what, trainer, Path(sys.executable))
    assert found.linear
    assert found.notes == ("layers mean nothing with model=linear, and are left out there",)
    with pytest.raises(BadValue, match="--rate too"):
        fitting.fit(what, trainer, Path(sys.executable), ["--rate", "1"])
    with pytest.raises(BadValue, match="refuses its arguments"):
        fitting.fit(what, trainer, Path(sys.executable), ["--nothing"])
    (trainer.package / "task.py").write_text("arguments = None\n", encoding="utf-8")
    unread = fitting.fit(what, trainer, Path(sys.executable))
    assert not unread.linear and "only found by the first try" in unread.notes[0]


def test_a_metric_that_no_trainer_has(trainer, tmp_path):
    parameters = "\n[parameters]\nrate = [0.1]\n"
    for metric, goal in (("val_acc", "maximize"), ("val_mae", "minimize")):
        what = space(tmp_path, f'metric = "{metric}"\ngoal = "{goal}"{parameters}')
        with pytest.raises(BadValue, match=f"metric: grades doesn't report {metric}") as caught:
            fitting.fit(what, trainer, Path(sys.executable))
        assert "val_accuracy, val_loss" in caught.value.hint
    (trainer.package / "model.py").write_text('metrics = [AUC(name="roc")]\n', encoding="utf-8")
    own = space(tmp_path, f'metric = "val_roc"\ngoal = "maximize"{parameters}')
    assert fitting.fit(own, trainer, Path(sys.executable))


# --- what is tried next


def test_suggestions_are_the_same_again_and_learn(tmp_path):
    made = study(space(tmp_path), seed=3)
    first, _repeats = suggest.values(made)
    assert first == suggest.values(made)[0]
    for number in range(1, 25):
        values, _repeats = suggest.values(made)
        assert values and spaces.key(values) not in {spaces.key(one.values) for one in made.tries}
        assert ("units" in values) == (values["model"] != "linear")
        assert 1e-4 <= float(values["rate"]) <= 1e-2
        # Best at a rate of 0.001.
        made = made.with_try(done(number, 1 - abs(math.log10(float(values["rate"])) + 3), **values))
    late = [abs(math.log10(float(one.values["rate"])) + 3) for one in made.own]
    assert sum(late[-8:]) < sum(late[:8])
    assert suggest.values(dataclasses.replace(made, wishes=Wishes(seed=4)))[0] != suggest.values(made)[0]


def test_nothing_is_trained_twice_and_a_small_space_ends(tmp_path):
    what = space(tmp_path, SMALL)
    assert what.size == 3  # with a linear model the units are the same
    made = study(what)
    repeats = 0
    while (found := suggest.values(made))[0] is not None:
        repeats += found[1]
        made = made.with_try(done(len(made.own) + 1, 0.5, **found[0]))
    assert {spaces.key(one.values) for one in made.own} == {"model=linear", "model=mlp units=32", "model=mlp units=64"}
    assert len(made.own) == 3 and repeats + found[1] > 0


def test_a_failed_and_a_running_try_are_known_to_the_sampler(tmp_path):
    made = study(space(tmp_path), Try(1, {"model": "linear", "rate": 0.01}, "failed"))
    made = made.with_try(Try(2, {"model": "linear", "rate": 0.001}, "running", 0.5))
    assert suggest.values(made.with_try(Try(3, {"model": "linear", "rate": 0.1 / 50}, "pruned", 0.1)))[0]


def test_the_median_rule(tmp_path):
    def run(number: int, *values: float, state: studies.State = "done") -> Try:
        return Try(number, {}, state, values[-1], history=tuple(enumerate(values, start=1)))

    good = [run(n, *[0.1 * n + 0.01 * e for e in range(20)]) for n in (1, 2, 3)]
    made = study(space(tmp_path), *good)
    bad = [0.05] * 20
    assert suggest.hopeless(made, run(4, *bad[:5], state="running"))
    assert not suggest.hopeless(made, run(4, *bad[:4], state="running"))  # the warm-up: a quarter of 20
    assert not suggest.hopeless(made, run(4, *bad[:19], state="running"))  # about to be exported
    assert not suggest.hopeless(made, run(4, 0.9, *bad[:5], state="running"))  # it was better before
    assert not suggest.hopeless(study(space(tmp_path), *good[:2]), run(4, *bad[:5], state="running"))
    small = space(tmp_path, SMALL)  # a loss: less is better
    assert not suggest.hopeless(study(small, *good), run(4, *bad[:8], state="running"))
    assert suggest.hopeless(study(small, *good), run(4, *[9.0] * 8, state="running"))


# --- on disk


def test_a_study_is_kept_whole(trainer, tmp_path):
    made = study(space(tmp_path), done(1, 0.5, rate=0.001), seed=7, arguments=("--epochs", "3"))
    one = Try(2, {"rate": 0.01}, "failed", why="boom", interval=(0.1, 0.2), history=((5, 0.5),))
    made = dataclasses.replace(made.with_try(one), facts={"held_out": 69})
    studies.save(trainer, made)
    assert studies.load(trainer, "one") == made
    assert (trainer.folder / "tuning" / ".gitignore").read_text() == "*\n"
    assert studies.names(trainer) == ["one"]
    (trainer.folder / "tuning" / "one" / "study.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"study\.json can't be read"):
        studies.load(trainer, "one")


def test_the_same_goes_on_and_another_begins_anew(trainer, tmp_path):
    what = space(tmp_path)
    first = studies.begin(trainer, "here", what, Wishes(tries=5), "mark", now=WHEN)
    assert (first.goes_on, first.study.name) == (False, "20261130-120000")
    studies.save(trainer, first.study.with_try(done(1, 0.5, rate=0.001)))
    again = studies.begin(trainer, "here", what, Wishes(tries=3), "mark", now=WHEN)
    assert again.goes_on and len(again.study.own) == 1 and again.study.wishes.tries == 5
    assert studies.begin(trainer, "here", what, Wishes(tries=9), "mark").study.wishes.tries == 9
    other = studies.begin(trainer, "here", what, Wishes(), "changed", now=WHEN)
    assert not other.goes_on and other.study.name == "20261130-120000-2"
    assert "other code or data: this is a new one" in other.note
    named = studies.begin(trainer, "here", space(tmp_path, SMALL), Wishes(), "mark", "20261130-120000")
    assert not named.goes_on and named.study.name.endswith("-2") and "other tuning.toml" in named.note
    assert not studies.begin(trainer, "here", what, Wishes(arguments=("--epochs", "2")), "mark").goes_on
    for name in ("../x", "Big", "-", "a" * 64):
        with pytest.raises(BadValue, match="isn't a valid name for a study"):
            studies.begin(trainer, "here", what, Wishes(), "mark", name)


SLEEPS = "import time; time.sleep(60)"


@pytest.mark.skipif(os.name == "nt", reason="a killed parent is not to be had the same way")
def test_what_a_killed_command_left_is_ended_and_nothing_else(tmp_path):
    place = workspace.throw_away(tmp_path / "space")
    outputs = [str(tmp_path / name) for name in ("noted", "not noted yet", "of a living command", "reused")]
    words = [[sys.executable, "-c", SLEEPS, "trainer.task", "--output", output] for output in outputs]
    children = [subprocess.Popen(line, start_new_session=True) for line in words]
    try:
        notes = workspace.private_folder(place.state / "tuning")
        started = [psutil.Process(child.pid).create_time() for child in children]
        gone = {"started": 1.0, "tries": {outputs[0]: [children[0].pid, started[0]], outputs[1]: None,
                                          outputs[3]: [children[3].pid, started[3] - 1000]}}  # fmt: skip
        (notes / f"{os.getpid()}.json").write_text(json.dumps(gone))  # by that number, but not of that time
        (notes / "1.json").write_text("{damaged")
        alive = subprocess.Popen([sys.executable, "-c", SLEEPS])
        children.append(alive)
        lives = {"started": psutil.Process(alive.pid).create_time(), "tries": {outputs[2]: None}}
        (notes / f"{alive.pid}.json").write_text(json.dumps(lives))
        assert sorted(orphans.sweep(place)) == sorted(outputs[:2])
        assert [child.poll() is None for child in children[:4]] == [False, False, True, True]
        assert [path.name for path in notes.iterdir()] == [f"{alive.pid}.json"]
        note = orphans.Note(place)
        note.about_to_start(tmp_path)
        note.started(tmp_path, children[2].pid)
        assert orphans.sweep(place) == []
        note.ended(tmp_path)
        assert not (notes / f"{os.getpid()}.json").exists()
    finally:
        for child in children:
            child.kill()
            child.wait()


# --- what may be said


def test_intervals_come_from_the_rows():
    low, high = outcome.interval("accuracy", {"accuracy": 0.9}, 100) or (0, 0)
    assert (round(low, 3), round(high, 3)) == (0.826, 0.945)
    low, high = outcome.interval("mae", {"mae": 3.0, "loss": 25.0}, 100) or (0, 0)  # 4 is the spread of the errors
    assert (round(low, 3), round(high, 3)) == (2.216, 3.784)
    assert outcome.interval("loss", {"loss": 0.5}, 100) is None
    assert outcome.interval("accuracy", {"accuracy": 0.9}, None) is None


def test_a_difference_that_the_rows_do_not_show_is_not_claimed(tmp_path):
    def told(metric: float, number: int, rows: int, **values: spaces.Value) -> Try:
        about = {"metrics": {"accuracy": metric, "test_accuracy": metric - 0.02}, "rows": {"held_out": rows}}
        return outcome.of_model(made, Try(number, values, "done", 0.1), about)

    made = study(space(tmp_path))
    for rows, beats in ((69, False), (5000, True)):
        made = study(space(tmp_path))
        made = dataclasses.replace(made, facts={"held_out": rows, "majority": 0.44, "test": 30})
        for one in (told(0.95, 1, rows), told(0.93, 2, rows), told(0.90, LINEAR, rows, model="linear")):
            made = made.with_try(one)
        said = "\n".join(outcome.verdict(made))
        assert f"0.95 on {rows} held-out rows" in said
        assert "always the commonest class: 0.44, which the best beats" in said
        assert ("linear, as it comes: 0.9, which the best beats" in said) == beats
        assert ("these rows don't show that the best is better" in said) == (not beats)
        assert ("1 other try is so near" in said) == (not beats)
        assert "the best of 2 tries looks better than it is" in said
        assert "on the 30 rows kept for the last look, which chose nothing, it has 0.93" in said
        assert made.winner == made.best == made.given(1)
    simple = made.with_try(told(0.95, LINEAR, 69, model="linear"))
    assert simple.winner == simple.linear
    assert "which the best doesn't beat: the simpler one will do" in "\n".join(outcome.verdict(simple))


def test_patience_is_told(tmp_path):
    tries = [done(1, 0.5), done(2, 0.9), done(3, 0.8), Try(4, {}, "failed")]
    made = study(space(tmp_path), *tries, patience=2)
    assert outcome.patience_over(made) == "no better one in 2 tries"
    assert not outcome.patience_over(study(space(tmp_path), *tries[:3], patience=2))
    assert not outcome.patience_over(study(space(tmp_path), *tries))


def many(of: spaces.Space, count: int) -> Study:
    """Tries of every end; the rate decides, and nothing but the rate."""
    chance, made = random.Random(1), study(of)
    for number in range(1, count + 1):
        values: dict[str, spaces.Value] = {"model": chance.choice(["mlp", "wide", "linear"])}
        values["rate"] = of.parameters[1].rounded(10 ** chance.uniform(-4, -2))
        if values["model"] != "linear":
            values |= {"units": chance.choice([32, 64, 128]), "layers": chance.randint(1, 3)}
        state = ("done", "done", "pruned", "done", "failed", "killed")[number % 6 - 1 if number > 1 else 0]
        metric = 0.9 + 0.04 * math.log10(float(values["rate"]) / 1e-2)
        one = Try(number, values, state, None if state == "failed" else metric, 20.0, why="<b>boom</b>" * (number == 5))
        made = made.with_try(one)
    linear = Try(LINEAR, {"model": "linear"}, "done", 0.85, interval=(0.8, 0.9))
    return dataclasses.replace(made.with_try(linear), facts={"held_out": 69, "majority": 0.4}, state="done")


@pytest.mark.parametrize("count", [1, 2, 100])
def test_the_page_tells_everything_of_one_try_and_of_a_hundred(tmp_path, count):
    made = many(space(tmp_path), count)
    shown = page.html(made, ["uv run invoke train grades -- --rate 0.003"])
    assert "uv run invoke train grades -- --rate 0.003" in shown and "<b>boom</b>" not in shown
    plots = re.findall(r"<svg.*?</svg>", shown, re.S)
    finished = sum(one.state == "done" for one in made.own)
    assert len(plots) == 2
    assert plots[0].count("<circle") == finished and plots[1].count("<polyline") == finished
    assert "always the commonest class" in plots[0] and "linear, as it comes" in plots[0]
    for plot in plots:
        width, height = map(float, re.findall(r'viewBox="0 0 (\d+) (\d+)"', plot)[0])
        for points in re.findall(r'points="([^"]+)"', plot):
            places = [tuple(map(float, pair.split(","))) for pair in points.split()]
            assert all(0 <= x <= width and 0 <= y <= height for x, y in places)
        assert "nan" not in plot
    table = shown[shown.index("All tries") :]
    for state in {one.state for one in made.own}:
        assert f"<td>{state}</td>" in table
    assert len(re.findall(r"<tr><th scope=\"row\"", table)) >= count + 1
    if count == 100:
        assert "&lt;b&gt;boom&lt;/b&gt;" in table
        assert '<th scope="row">rate</th>' in shown
    else:
        assert "too few to tell" in shown


def test_only_what_chance_does_not_explain_is_called_important(tmp_path):
    shares = {one.name: one for one in importance.of(many(space(tmp_path), 100))}
    assert shares["rate"].shown and shares["rate"].share > 0.8
    assert not any(shares[name].shown for name in ("model", "units", "layers"))
    assert importance.of(many(space(tmp_path), 12)) == ()


def test_optuna_is_loaded_only_to_suggest():
    script = "import sys; from cloudkite.tuning import here; print('optuna' in sys.modules)"
    began = time.monotonic()
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == "False\n" and time.monotonic() - began < 30
