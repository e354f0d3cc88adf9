"""Whole runs on small data: they learn, stop, go on exactly, and export what they learned."""

import json
import math
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import load, made, write

from trainer import data
from trainer import model as models
from trainer.kit import export, job


def state(folder: Path) -> dict[str, np.ndarray]:
    """All tensors of the newest checkpoint under `folder`."""
    newest = max((folder / "checkpoints").glob("*/step-*.index"), key=lambda path: path.name)
    reader = tf.train.load_checkpoint(str(newest.with_suffix("")))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if name.startswith("state/")}


def same(one: Path, other: Path) -> bool:
    """Whether two runs ended bit by bit alike."""
    a, b = state(one), state(other)
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def told(folder: Path) -> dict:
    """trainer.json of the model in `folder`."""
    return json.loads((folder / "model" / "assets.extra" / "trainer.json").read_text(encoding="utf-8"))


def test_a_run_learns_and_the_model_answers_by_name(run, tmp_path):
    """Whatever model.py builds: how well it does is told by the metrics of your own data, not by rows made up here."""
    rows = made(6)
    asked = write(tmp_path / "asked.csv", rows)
    assert run("--epochs", "3", "--ask", str(asked)) == 0
    found = told(tmp_path / "output")
    assert found["label"] == data.LABEL
    assert found["rows"]["training"] + found["rows"]["held_out"] == 120
    assert math.isfinite(found["metrics"]["loss"])
    served = tf.saved_model.load(str(tmp_path / "output" / "model")).signatures["serving_default"]
    columns = {name: tf.constant(values) for name, values in load(str(asked)).items() if name in data.COLUMNS}
    answers = served(**columns)
    keras_own = json.loads((tmp_path / "output" / "answers.json").read_text(encoding="utf-8"))
    for name, expected in export.meaning(tf.constant(keras_own)).items():
        if expected.dtype.is_floating:
            np.testing.assert_allclose(answers[name], expected, rtol=1e-3, atol=1e-4)
        else:
            assert answers[name].numpy().tolist() == expected.numpy().tolist()


class Remembers(keras.callbacks.Callback):
    """Stops a run by what it saw in all epochs, as EarlyStopping does."""

    def __init__(self):
        super().__init__()
        self.seen, self.opened = [], [lambda: None]  # what can't be saved is left alone

    def on_epoch_end(self, epoch, logs=None):
        self.seen = [*self.seen, logs["loss"]]
        self.model.stop_training = len(self.seen) == 4


def test_an_interrupted_run_ends_as_one_that_was_not(run, tmp_path, monkeypatch, capsys):
    """With a callback that remembers, and with a checkpoint that was cut short."""
    kept = []
    monkeypatch.setattr(models, "callbacks", lambda: kept.append(Remembers()) or [kept[-1]])
    words = ["--epochs", "9"]
    assert run(*words, output="whole") == 0
    assert run(*words, "--steps", "9", "--save-every", "3", output="parts") == 0
    newest = max((tmp_path / "parts").glob("checkpoints/*/step-*.data*"))
    newest.write_bytes(newest.read_bytes()[:100])
    assert run(*words, output="parts") == 0
    said = capsys.readouterr().out
    assert "passed over the damaged checkpoint" in said and "resumed after step 6 of" in said
    assert kept[0].seen == kept[-1].seen and len(kept[0].seen) == 4
    assert same(tmp_path / "whole", tmp_path / "parts")
    shutil.rmtree(tmp_path / "parts" / "model")
    assert run(*words, output="parts") == 0  # a complete run exports again
    assert told(tmp_path / "whole") == told(tmp_path / "parts")


def test_another_run_starts_anew_and_says_why(run, table, capsys):
    assert run("--epochs", "1", "--model", "linear", "--rate", "0.01") == 0
    assert run("--epochs", "1", "--model", "wide") == 0
    said = capsys.readouterr().out.rpartition("starts anew: ")[2].splitlines()[0]
    assert said.endswith("--model (linear, now wide), --rate (0.01, now 0.005)")
    rows = made(120)
    write(table, [{**row, data.LABEL: other[data.LABEL]} for row, other in zip(rows, rows[1:] + rows[:1], strict=True)])
    assert run("--epochs", "1", "--model", "wide") == 0
    assert capsys.readouterr().out.partition("starts anew: ")[2].splitlines()[0].endswith(": the data")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "-1"], "argument --epochs: '-1' is not a whole number from 1 on"),
        (["--rate", "nan"], "argument --rate: 'nan' is not a number above 0"),
        (["--validation", "1"], "argument --validation: '1' is not a share from 0 up to 1, such as 0.2"),
        (["--data", "nothing-*.csv"], "nothing-*.csv"),
        (["--model", "deep"], "argument --model: invalid choice: 'deep' (choose from 'linear', 'mlp', 'wide')"),
        (["--epocs", "1"], "unrecognized arguments: --epocs 1"),
    ],
)
def test_a_mistake_is_told_with_a_hint(run, capsys, words, message):
    assert run(*words) == 2
    said, _, hint = capsys.readouterr().err.partition("\n\nhint: ")
    assert said.startswith("error: ") and message in said and hint


def test_rows_that_are_not_valid_lead_to_the_check(run, tmp_path, capsys):
    good = write(tmp_path / "rows.csv", made(40)).read_text(encoding="utf-8").splitlines()
    label = list(made(1)[0]).index(data.LABEL)
    other = good[4].split(",")
    other[label] = "none of them"
    for lines in ([*good[:4], ",".join(other), *good[5:]], [*good[:4], good[4] + ",more"], [good[0].upper()]):
        path = tmp_path / "broken.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        assert run("--data", str(path)) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"error: {path}: ") and said.endswith("hint: uv run invoke check . tells the line\n")


def test_blank_lines_and_windows_line_ends_are_no_mistake(run, tmp_path):
    path = write(tmp_path / "windows.csv", made(40))
    text = "\r\n".join(["\ufeff" + path.read_text(encoding="utf-8").replace("\n", "\r\n"), "", ""])
    path.write_bytes(text.encode())
    assert run("--data", str(path), "--epochs", "1") == 0


@pytest.mark.parametrize(
    ("classes", "output", "labels", "probabilities"),
    [
        (("no", "yes"), [[0.25], [0.75], [0.5]], [b"no", b"yes", b"yes"], [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]),
        (("no", "yes"), [[0.75, 0.25], [0.25, 0.75]], [b"no", b"yes"], [[0.75, 0.25], [0.25, 0.75]]),
        (("a", "b", "c"), [[0.25, 0.25, 0.5]], [b"c"], [[0.25, 0.25, 0.5]]),
        ((), [[1.5], [2.5]], [1.5, 2.5], None),
    ],
)
def test_what_an_output_means(monkeypatch, classes, output, labels, probabilities):
    monkeypatch.setattr(data, "CLASSES", classes)
    found = {name: value.numpy().tolist() for name, value in export.meaning(tf.constant(output, tf.float32)).items()}
    assert found == {data.LABEL: labels} | ({"probabilities": probabilities} if probabilities else {})


@pytest.mark.parametrize(("classes", "shape"), [(("a", "b"), (None, 3)), ((), (None, 2)), ((), [(None, 1)] * 2)])
def test_an_output_that_fits_no_label(monkeypatch, classes, shape):
    monkeypatch.setattr(data, "CLASSES", classes)
    with pytest.raises(job.Mistake, match=r"does not fit .*\n\nhint: the last layer: Dense"):
        export.check(shape)
