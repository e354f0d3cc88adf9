"""Whole runs on small data: they learn, stop, go on exactly, and export what they learned."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import made

from trainer import data


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
    assert run("--epochs", "12") == 0
    found = told(tmp_path / "output")
    assert found["label"] == data.LABEL
    assert found["rows"]["training"] + found["rows"]["held_out"] == 120
    served = tf.saved_model.load(str(tmp_path / "output" / "model")).signatures["serving_default"]
    rows = made(6)
    columns = {
        name: tf.constant([row[name] if blank == "" else float(row[name] or "nan") for row in rows])
        for name, blank in data.COLUMNS.items()
    }
    answers = served(**columns)
    if data.CLASSES:
        assert found["metrics"]["accuracy"] > 0.9
        assert answers["probabilities"].shape == (6, len(data.CLASSES))
        assert [str(a.decode() if isinstance(a, bytes) else a) for a in answers[data.LABEL].numpy()] == [
            row[data.LABEL] for row in rows
        ]
    else:
        assert found["metrics"]["mae"] < 30  # the label goes from 0 to 112
        assert answers[data.LABEL].shape == (6,)


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


def test_other_settings_begin_a_new_run(run, capsys):
    assert run("--epochs", "1") == 0
    assert run("--epochs", "1", "--rate", "0.01") == 0
    assert "resumed" not in capsys.readouterr().out
