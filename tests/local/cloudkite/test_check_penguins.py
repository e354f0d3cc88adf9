"""The whole check, with TensorFlow: a generated trainer passes, and one with a bug is told what and where it is."""

import re
import shutil

import pytest

import environments
from cloudkite import workspace
from cloudkite.check import rehearsal
from cloudkite.check import steps as checking
from cloudkite.models import predictions
from cloudkite.models.predictor import Predictor
from cloudkite.show.errors import BadValue, UserError
from cloudkite.trainers import folders, making

pytestmark = pytest.mark.slow

# What a person may have changed in the meaning of an output: the later definition is the one that is called.
MEANING = """

_own = meaning


def meaning(output):
    return {changed}
"""
BASE = "344 rows, 3 classes; always 'Adelie' is right in 44%: the accuracy to beat"
QUALITY = (
    r"2 steps; accuracy 0\.\d+ of held-out rows, always the commonest 0\.4\d*; "
    r"right: \d+ of 1\d Chinstrap, \d+ of 2\d Gentoo, \d+ of 3\d Adelie"
)
ROW = "island=Torgersen,bill_length_mm=39.1,bill_depth_mm=18.7,flipper_length_mm=181,body_mass_g=3750,sex=male"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return workspace.throw_away(tmp_path_factory.mktemp("check"))


@pytest.fixture(scope="module")
def penguins(place):
    making.new(place, "penguins")
    return folders.find(place, "penguins")


@pytest.fixture(scope="module")
def report(place, penguins):
    return checking.check(place, penguins)


@pytest.fixture(scope="module")
def python(place, penguins):
    return folders.environment(penguins, place)


@pytest.fixture
def copy(place, penguins, tmp_path):
    """A trainer of one's own to break."""
    folder = tmp_path / "penguins"
    shutil.copytree(penguins.folder, folder)
    return folders.find(place, str(folder))


def edit(trainer, file, old, replacement):
    path = trainer.package / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, replacement) if old else text + replacement, encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def steps_of(report):
    return {step.name: step for step in report.steps}


def test_a_generated_trainer_passes(place, penguins, report):
    assert report.ok
    assert [step.verdict for step in report.steps] == ["ok"] * 5
    assert steps_of(report)["data"].summary == BASE
    assert re.fullmatch(QUALITY, steps_of(report)["steps"].summary)
    assert steps_of(report)["export"].summary == "40 rows predicted by a fresh process, as Keras itself predicts them"
    assert [version.tensorflow for version in report.versions] == ["2.21.0", "2.21.0", "2.21.0", "2.15.1"]
    assert checking.passed(place, folders.find(place, "penguins")) == report


def test_a_check_leaves_nothing_in_the_trainers_folder(penguins, report):
    assert report.ok
    left = {path.name for path in penguins.folder.rglob("*")}
    assert not left & {"output", "models", "__pycache__", ".ruff_cache", "saved_model.pb"}


def test_the_environment_is_that_of_the_training_image(place, penguins, python):
    from catalog import images

    image = images.image(images.DEFAULT_CPU)
    assert environments.environment(place.envs, image.requirements, image.python) == python


@pytest.mark.parametrize(
    ("file", "old", "replacement", "error"),
    [
        ("model.py", "    return model\n", "    return model.nothing\n", "has no attribute 'nothing'"),
        (
            "experiment.py",
            "    keras.utils.clear_session()",
            '    raise RuntimeError("not today")',
            "RuntimeError: not today",
        ),
    ],
)
def test_a_bug_is_told_with_file_and_line(place, copy, file, old, replacement, error):
    line = edit(copy, file, old, replacement) + replacement[: replacement.find("raise")].count("\n")
    found = steps_of(checking.check(place, copy))
    assert [found[name].verdict for name in ("lint", "data", "steps", "export")] == ["ok", "ok", "failed", "skipped"]
    assert found["steps"].summary.startswith(f"trainer/{file}:{line}: ")
    assert error in found["steps"].summary


@pytest.mark.parametrize(
    ("file", "old", "replacement", "message"),
    [
        ("kit/export.py", "archive.write_out(directory, verbose=False)", "pass", "the run left no SavedModel"),
        ("kit/export.py", 'f"{extra}/trainer.json"', 'f"{extra}/other.json"', "it has no assets.extra/trainer.json"),
        ("kit/export.py", "", MEANING.format(changed="_own(output * float('nan'))"),
         "a prediction is not finite"),
        ("kit/export.py", "", MEANING.format(changed="_own(output * 3.0)"),
         "the outputs aren't probabilities"),
        ("kit/export.py", "", MEANING.format(changed="_own(output[:, ::-1])"),
         "the export does not answer as the model does: for island="),
        ("kit/export.py", '"label": data.LABEL', '"label": "kind"', "trainer.json says label kind, data.py species"),
    ],
)  # fmt: skip
def test_an_export_that_breaks(place, copy, file, old, replacement, message):
    edit(copy, file, old, replacement)
    report = checking.check(place, copy)
    export = steps_of(report)["export"]
    assert (export.verdict, report.ok) == ("failed", False)
    assert message in export.summary


@pytest.fixture(scope="module")
def binary(place, tmp_path_factory):
    """A trainer for two classes from one sigmoid output."""
    table = tmp_path_factory.mktemp("binary") / "grades.csv"
    rows = [f"{i % 23 + i / 100},{'ABC'[i % 3]},{'yes' if i % 23 + i % 5 > 12 else 'no'}" for i in range(150)]
    table.write_text("\n".join(["hours,room,passed", *rows]) + "\n", encoding="utf-8")
    making.new(place, "binary", table, "passed")
    return folders.find(place, "binary")


def test_two_classes_from_one_sigmoid_output_pass(place, binary):
    report = checking.check(place, binary)
    assert report.ok, report.steps
    assert steps_of(report)["export"].verdict == "ok"


ONE_COLUMN = '{data.LABEL: tf.gather(tf.constant(data.CLASSES), tf.argmax(output, -1)), "probabilities": output}'
SWAPPED = '{**_own(output), "probabilities": _own(output)["probabilities"][:, ::-1]}'
OTHER_LABEL = "{**_own(output), data.LABEL: tf.fill(tf.shape(_own(output)[data.LABEL]), data.CLASSES[0])}"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (ONE_COLUMN, "the export gives 1 probability a row for 2 classes"),
        (SWAPPED, "the export does not answer as the model does: for hours="),
        (OTHER_LABEL, "the export does not answer as the model does: for hours="),
    ],
    ids=["one column", "swapped", "always the first label"],
)
def test_an_export_that_answers_otherwise_than_keras(place, binary, tmp_path, answer, message):
    folder = tmp_path / "binary"
    shutil.copytree(binary.folder, folder)
    copy = folders.find(place, str(folder))
    edit(copy, "kit/export.py", "", MEANING.format(changed=answer))
    report = checking.check(place, copy)
    export = steps_of(report)["export"]
    assert (export.verdict, report.ok) == ("failed", False)
    assert export.summary.startswith(message)


def test_a_trainer_that_keeps_no_answers_of_keras_is_told(place, copy):
    edit(copy, "experiment.py", "    if options.ask", "    if False and options.ask")
    export = steps_of(checking.check(place, copy))["export"]
    assert export.verdict == "warning"
    assert export.messages == (
        "the run left no answers of Keras itself (answers.json): the export was not compared with them",
    )


def test_a_label_that_is_a_number(place, tmp_path):
    table = tmp_path / "flats.csv"
    rows = [f"{20 + i % 37},{'ABC'[i % 3]},{(20 + i % 37) * 9.5 + i % 11}" for i in range(120)]
    table.write_text("\n".join(["area,district,rent", *rows]) + "\n", encoding="utf-8")
    making.new(place, "flats", table, "rent")
    report = checking.check(place, folders.find(place, "flats"))
    assert report.ok, report.steps
    assert steps_of(report)["export"].verdict == "ok"


@pytest.fixture(scope="module")
def fetched(penguins, python, tmp_path_factory):
    """A trained model where `fetch` puts one."""
    folder = penguins.folder / "models" / "penguins-20261124-120000-abcd"
    log = tmp_path_factory.mktemp("log") / "run.log"
    outcome = rehearsal.train(penguins, python, folder, log)
    assert not outcome.problems, log.read_text(encoding="utf-8")
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return folder / "model"


def test_predictions_for_rows_and_for_a_csv_file(place, penguins, fetched, tmp_path):
    model = predictions.latest_model(penguins)
    assert model == fetched
    table = tmp_path / "rows.csv"
    table.write_text("sex,island,extra,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g\n"
                     "male,Torgersen,x,39.1,18.7,181,3750\n,Mars,,,,,\n", encoding="utf-8")  # fmt: skip
    by_row = predictions.predict(place, penguins, model, [ROW, "island=Mars"])
    by_file = predictions.predict(place, penguins, model, table)
    assert by_row == by_file
    for answer in by_row:
        assert answer["prediction"] in ("Adelie", "Chinstrap", "Gentoo")
        assert answer["probability"] == max(answer["probabilities"].values())
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_wrong_rows_are_told_before_tensorflow_starts(place, penguins, fetched):
    with pytest.raises(BadValue) as refused:
        predictions.predict(place, penguins, fetched, ["bill_lenght_mm=39.1"])
    assert refused.value.hint.startswith("did you mean bill_length_mm")


def test_a_model_that_does_not_load_and_a_process_that_ended(python, tmp_path):
    with Predictor(python) as predictor:
        with pytest.raises(UserError, match="can't be used"):
            predictor.ask(tmp_path, [{}])
        predictor._child.kill()
        predictor._child.wait()
        with pytest.raises(UserError, match="the prediction process ended"):
            predictor.ask(tmp_path, [{}])
