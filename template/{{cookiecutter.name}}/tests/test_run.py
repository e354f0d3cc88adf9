"""Whole runs on small data: they learn, stop, go on exactly, and export what they learned."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import made, write

from trainer import csv_files, data, experiment, export, fingerprint


def state(folder: Path) -> dict[str, np.ndarray]:
    """All tensors of the newest checkpoint under `folder`."""
    newest = max((folder / "checkpoints").glob("*/step-*.index"), key=lambda path: path.name)
    reader = tf.train.load_checkpoint(str(newest.with_suffix("")))
    names = [n for n in reader.get_variable_to_shape_map() if n != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    return {name: reader.get_tensor(name) for name in names}


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
    assert found["metrics"] and all(math.isfinite(value) for value in found["metrics"].values())
    served = tf.saved_model.load(str(tmp_path / "output" / "model")).signatures["serving_default"]
    columns = {
        name: tf.constant([row[name] if blank == "" else float(row[name] or "nan") for row in rows])
        for name, blank in data.COLUMNS.items()
    }
    answers = served(**columns)
    keras_own = json.loads((tmp_path / "output" / "answers.json").read_text(encoding="utf-8"))
    for name, expected in export.meaning(tf.constant(keras_own)).items():
        if expected.dtype.is_floating:
            np.testing.assert_allclose(answers[name], expected, rtol=1e-3, atol=1e-4)
        else:
            assert answers[name].numpy().tolist() == expected.numpy().tolist()
    if data.CLASSES:
        assert answers["probabilities"].shape == (6, len(data.CLASSES))


@pytest.mark.parametrize("memory", ["128", "0"], ids=["in memory", "streamed"])
def test_an_interrupted_run_ends_as_one_that_was_not(run, tmp_path, memory):
    assert run("--epochs", "3", "--memory", memory, output="whole") == 0
    assert run("--epochs", "3", "--memory", memory, "--steps", "4", output="parts") == 0
    assert run("--epochs", "3", "--memory", memory, "--steps", "9", output="parts") == 0
    assert run("--epochs", "3", "--memory", memory, output="parts") == 0
    assert same(tmp_path / "whole", tmp_path / "parts")


def test_a_complete_run_exports_again(run, tmp_path, capsys):
    assert run("--epochs", "1") == 0
    before = told(tmp_path / "output")
    shutil.rmtree(tmp_path / "output" / "model")
    assert run("--epochs", "1") == 0
    assert "resumed after step" in capsys.readouterr().out
    assert told(tmp_path / "output") == before


def test_a_damaged_checkpoint_is_passed_over(run, tmp_path, capsys):
    assert run("--epochs", "3", output="whole") == 0
    assert run("--epochs", "3", "--steps", "8", "--save-every", "4", output="damaged") == 0
    newest = max((tmp_path / "damaged").glob("checkpoints/*/step-*.data*"))
    newest.write_bytes(newest.read_bytes()[:100])
    assert run("--epochs", "3", output="damaged") == 0
    said = capsys.readouterr().out
    assert "passed over the damaged checkpoint" in said
    assert "resumed after step 4" in said
    assert same(tmp_path / "whole", tmp_path / "damaged")


ANEW = "starts anew: changed since the checkpoints in "


def anew(said: str) -> str:
    """What a run that starts anew says has changed; "" if it did not start anew."""
    return next((line.rpartition(": ")[2] for line in said.splitlines() if line.startswith(ANEW)), "")


def test_other_settings_begin_a_new_run_and_are_told(run, capsys):
    words: list[str] = []
    assert run("--epochs", "1") == 0
    assert "starts anew" not in capsys.readouterr().out
    for more, changed in [
        (["--rate", "0.01", "--batch", "8"], "--batch (16, now 8), --rate (0.005, now 0.01)"),
        (["--epochs", "2", "--validation", "0.3"], "--validation (0.2, now 0.3), --epochs (1, now 2)"),
        (["--memory", "0", "--seed", "3"], "--memory (in memory, now read anew in each epoch), --seed (0, now 3)"),
    ]:
        words += more
        assert run("--epochs", "1", *words) == 0
        said = capsys.readouterr().out
        assert "resumed" not in said
        assert anew(said) == changed
    assert run("--epochs", "1", *words) == 0
    said = capsys.readouterr().out
    assert "resumed after" in said
    assert "starts anew" not in said


def test_settings_that_do_not_decide_the_course_go_on(run, tmp_path, table, capsys):
    assert run("--epochs", "2", "--steps", "3") == 0
    other = shutil.copy(table, tmp_path / "renamed.csv")
    assert run("--epochs", "2", "--steps", "5", "--save-every", "1", "--data", str(other), "--memory", "64") == 0
    assert "resumed after step 3" in capsys.readouterr().out


def swapped() -> list[dict[str, str]]:
    """The rows with other labels: the same shape, the same columns."""
    rows = made(120)
    labels = [row[data.LABEL] for row in rows]
    return [{**row, data.LABEL: label} for row, label in zip(rows, labels[1:] + labels[:1], strict=True)]


def test_other_data_begin_a_new_run(run, table, capsys):
    assert run("--epochs", "1") == 0
    write(table, swapped())
    capsys.readouterr()
    assert run("--epochs", "1") == 0
    said = capsys.readouterr().out
    assert "resumed" not in said
    assert anew(said) == "the data"


@pytest.mark.parametrize("reader", [experiment.in_memory, experiment.streamed])
def test_what_makes_data_other_data(table, reader):
    def hashed() -> str:
        return reader(csv_files.find(str(table), data.COLUMNS, data.LABEL, data.CLASSES), 0.2).data["rows"]

    first = hashed()
    text = table.read_text(encoding="utf-8")
    table.write_bytes(text.replace("\n", "\r\n").encode())
    assert hashed() == first
    header, rows = text.split("\n", 1)
    table.write_text(f"{header},more\n" + rows.replace("\n", ",\n"), encoding="utf-8")
    assert hashed() != first
    write(table, swapped())
    assert hashed() != first
    write(table, made(119))
    assert hashed() != first
    write(table, made(120))
    assert hashed() == first


def test_checkpoints_that_do_not_tell_what_they_were_made_from(run, tmp_path):
    assert run("--epochs", "1") == 0
    (told_of,) = (tmp_path / "output" / "checkpoints").glob("*/run.json")
    found = json.loads(told_of.read_text(encoding="utf-8"))
    assert told_of.parent.name == fingerprint.short(found)
    for left in ("", "{", "[]", "{}", '{"data": 1, "code": 2, "options": 3, "seed": 4, "model": 5}'):
        told_of.write_text(left, encoding="utf-8")
        said = fingerprint.anew(str(told_of.parent.with_name("another")), found)
        assert said == f"starts anew: the checkpoints in {told_of.parent} do not tell what they were made from"
    told_of.unlink()
    assert fingerprint.anew(str(told_of.parent.with_name("another")), found) == said
    assert fingerprint.anew(str(tmp_path / "elsewhere" / "another"), found) == ""
