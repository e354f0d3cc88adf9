"""Fetched models and rows to predict; with TensorFlow itself: tests/local/cloudkite/test_check_penguins.py."""

import json
import os

import pytest

from cloudkite.models import predictions
from cloudkite.models.predictor import Answer
from cloudkite.show.errors import BadValue, UserError
from cloudkite.trainers import folders
from tests import trainer_folder

COLUMNS = {"hours": "number", "city": "text"}
ABOUT = {"label": "passed", "classes": ["no", "yes"], "columns": COLUMNS, "task": "classification"}


@pytest.fixture
def grades(tmp_path):
    place = trainer_folder.space(tmp_path)
    return folders.Trainer("grades", trainer_folder.make(place))


def fetched(trainer, place, about=ABOUT, mtime=None):
    folder = trainer.folder / "models" / place
    (folder / "assets.extra").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"")
    if mtime:
        os.utime(folder / "saved_model.pb", (mtime, mtime))
    if about is not None:
        text = about if isinstance(about, str) else json.dumps(about)
        (folder / "assets.extra" / "trainer.json").write_text(text, encoding="utf-8")
    return folder


# --- which model


def test_the_newest_model_is_that_of_the_job_started_last(grades):
    fetched(grades, "grades-20261123-090000-aaaa/model", mtime=4_000_000_000)
    newest = fetched(grades, "grades-20261124-090000-0000/model", mtime=1_000_000_000)
    fetched(grades, "grades-20261124-080000-ffff")
    assert predictions.latest_model(grades) == newest


def test_without_a_job_in_the_name_the_file_tells(grades):
    fetched(grades, "first", mtime=1_000_000_000)
    newest = fetched(grades, "second/model", mtime=2_000_000_000)
    assert predictions.latest_model(grades) == newest


def test_no_model(grades):
    (grades.folder / "models" / "a-job").mkdir(parents=True)
    with pytest.raises(UserError) as refused:
        predictions.latest_model(grades)
    assert refused.value.message == "no model of grades was fetched"
    assert "uv run invoke fetch" in refused.value.hint


@pytest.mark.parametrize(
    ("about", "message"),
    [
        (None, "isn't a trainer's model: it has no assets.extra/trainer.json"),
        ("{", "trainer.json can't be read"),
        ("[]", "lacks label, classes, columns"),
        ({"label": "passed", "classes": None}, "lacks columns"),
    ],
)
def test_a_folder_that_is_no_model(grades, about, message):
    with pytest.raises(UserError) as refused:
        predictions.facts(fetched(grades, "x", about))
    assert message in refused.value.message


# --- rows


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("hours=3,city=Seoul", {"hours": 3.0, "city": "Seoul"}),
        (" city = Seoul , hours = 3.5 ", {"hours": 3.5, "city": "Seoul"}),
        ("city=Kim, Min-ji,hours=3", {"hours": 3.0, "city": "Kim, Min-ji"}),
        ("city=a=b", {"hours": None, "city": "a=b"}),
        ("hours=", {"hours": None, "city": None}),
        ('{"hours": 3, "city": "서울"}', {"hours": 3.0, "city": "서울"}),
        ('{"hours": "3.5", "city": 7}', {"hours": 3.5, "city": "7"}),
        ('{"hours": null}', {"hours": None, "city": None}),
        ({"hours": float("nan"), "city": ""}, {"hours": None, "city": None}),
        ({}, {"hours": None, "city": None}),
    ],
)
def test_rows(row, expected):
    assert predictions.parse(row, COLUMNS) == expected


@pytest.mark.parametrize(
    ("row", "message", "hint"),
    [
        ("hour=3", "the model has no column hour", "did you mean hours?"),
        ("zzz=3", "the model has no column zzz", "known: city, hours"),
        ("passed=yes", "the model has no column passed", "known: city, hours"),
        ("hours=abc", "hours: text 'abc' in a number column", "hours is a column of numbers"),
        ("hours=3,5", "hours: '3,5' has a decimal comma: write 3.5", "hours is a column of numbers"),
        ("hours=NA", "hours: 'NA' for a missing number: leave the field empty", "hours is a column of numbers"),
        ("hours=inf", "hours: 'inf' is not finite", "hours is a column of numbers"),
        ("hours=1,hours=2", "the column hours is given twice", ""),
        ("hours", "'hours' isn't column=value", "--row column=value"),
        ("", "'' isn't column=value", "--row column=value"),
        ('{"hours": ', "the row isn't JSON", "{"),
        ('{"hours": [1]}', "hours is [1], neither a number nor text", ""),
        ('{"hours": true}', "hours is True, neither a number nor text", ""),
    ],
)
def test_rows_that_cannot_be(row, message, hint):
    with pytest.raises(BadValue) as refused:
        predictions.parse(row, COLUMNS)
    assert message in refused.value.message
    assert hint in refused.value.hint
    assert refused.value.code == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "doesn't exist"),
        (b"", "no column of the model is in the first line"),
        (b"a,b\n1,2\n", "no column of the model is in the first line"),
        (b"hours,city\n", "no rows"),
        (b"hours,city\n1,a\nx,b\n", "rows.csv:3: hours: text 'x' in a number column"),
        ("hours,city\n1,서울\n".encode("cp949"), "rows.csv:2: the text is CP949, not UTF-8"),
        (b"hours;city\n1;a\n", "rows.csv:1: the fields are separated by semicolons"),
        (b"hours,city,hours\n1,a,2\n", "rows.csv:1: the column hours is there twice"),
        (b"hours,city\n\n1,a,b\n", "rows.csv:3: 3 fields, expected 2"),
        (b'hours,city\n1,"a\n2,b\n', "rows.csv:2: unexpected end of data"),
    ],
)
def test_csv_files_that_cannot_be(grades, tmp_path, content, message):
    model = fetched(grades, "x")
    path = tmp_path / "rows.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadValue) as refused:
        predictions.predict(trainer_folder.space(tmp_path), grades, model, path)
    assert message in refused.value.message


# --- answers


def answers(outputs, **about):
    return predictions.interpret(Answer("2.21.0", {}, outputs), {**ABOUT, **about})


def test_classes_with_their_probabilities():
    expected = [{"prediction": "yes", "probability": 0.75, "probabilities": {"no": 0.25, "yes": 0.75}}]
    assert answers({"passed": ["yes"], "probabilities": [[0.25, 0.75]]}) == expected
    assert answers({"output_0": [[0.25, 0.75]]}) == expected
    assert answers({"output_0": [[0.75]]}) == expected
    assert answers({"output_0": [0.75]}) == expected


def test_the_label_is_what_the_export_says():
    assert answers({"passed": ["no"], "probabilities": [[0.25, 0.75]]})[0]["prediction"] == "no"
    (one,) = answers({"passed": [1], "probabilities": [[0.25, 0.75]]}, classes=[0, 1])
    assert (one["prediction"], one["probability"]) == ("1", 0.75)


def test_an_export_from_when_one_column_was_taken_for_all_classes_is_still_read_rightly():
    """Its label is the first class whatever the row; its one probability, that of the second class, is right."""
    found = answers({"passed": ["no", "no", "no"], "probabilities": [[0.75], [0.25], [0.5]]})
    assert [one["prediction"] for one in found] == ["yes", "no", "yes"]
    assert [one["probabilities"]["yes"] for one in found] == [0.75, 0.25, 0.5]


def test_a_number():
    assert answers({"passed": [1.5, 2.5]}, classes=None) == [{"prediction": 1.5}, {"prediction": 2.5}]
    assert answers({"output_0": [[1.5]]}, classes=None) == [{"prediction": 1.5}]
    assert answers({"output_0": [[float("nan")]]}, classes=None) == [{"prediction": None}]


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"a": [1], "b": [2]}, "the model's outputs are a, b: none is passed"),
        ({"output_0": [[0.2, 0.3, 0.5]]}, "the model has 3 outputs for 2 classes"),
        ({"passed": ["no"], "probabilities": [[0.2, 0.3, 0.5]]}, "the model has 3 outputs for 2 classes"),
        ({"passed": ["perhaps"], "probabilities": [[0.2, 0.8]]}, "the model answers perhaps, which is none of no, yes"),
    ],
)
def test_outputs_that_do_not_fit(outputs, message):
    with pytest.raises(UserError, match=message):
        answers(outputs)


def test_answers_are_written_as_csv_or_json_lines(tmp_path):
    made = answers({"output_0": [[0.25, 0.75], [1.0, 0.0]]})
    predictions.write(made, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == "prediction,probability\nyes,0.75\nno,1.0\n"
    predictions.write(made, tmp_path / "out.jsonl")
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == made
    with pytest.raises(BadValue, match=r"are written to \.csv or \.jsonl"):
        predictions.write(made, tmp_path / "out.txt")
