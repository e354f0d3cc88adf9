"""Fetched models and rows to predict; with TensorFlow itself: tests/local/cloudkite/test_check_penguins.py."""

import csv
import datetime
import json
import os

import numpy as np
import pytest

from cloudkite.data import table
from cloudkite.models import beside, predictions, questions
from cloudkite.models.predictor import Answer
from cloudkite.show.errors import BadValue, UserError
from cloudkite.trainers import folders
from tests import trainer_folder, workbooks

COLUMNS = {"hours": "number", "city": "category"}
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
    assert refused.value.message == "grades has no model yet: none was fetched, and none trained in its folder"
    assert "uv run invoke fetch" in refused.value.hint


@pytest.mark.parametrize(
    ("about", "message"),
    [
        (None, "isn't a trainer's model: it has no assets.extra/trainer.json"),
        ("{", "trainer.json can't be read"),
        ("[]", "lacks label, classes, columns"),
        ({"label": "passed", "classes": None}, "lacks columns"),
        ({**ABOUT, "columns": {"photo": []}}, "columns is not what a trainer writes"),
        ({**ABOUT, "columns": {"photo": [28, "28"]}}, "columns is not what a trainer writes"),
        ({**ABOUT, "forms": {"hours": {"codec": "utf-8"}}}, "forms is not what a trainer writes"),
        ({**ABOUT, "forms": {"": {"codec": "no-such"}}}, "forms is not what a trainer writes"),
        ({**ABOUT, "forms": {"": {"missing": "none"}}}, "forms is not what a trainer writes"),
        ({**ABOUT, "statistics": {"hours": 3}}, "statistics is not what a trainer writes"),
        ({**ABOUT, "statistics": {"seen": {"low": {}}}}, "statistics is not what a trainer writes"),
        (
            {**ABOUT, "statistics": {"seen": {"low": "2024-01-01", "high": 3}}},
            "statistics is not what a trainer writes",
        ),
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
        ("hours=NA", {"hours": None, "city": None}),
        ("hours=0,city=0", {"hours": 0.0, "city": "0"}),
        ("hours=1,234.5", {"hours": 1234.5, "city": None}),
        ('{"hours": 3, "city": "서울"}', {"hours": 3.0, "city": "서울"}),
        ('{"hours": "3.5", "city": 7}', {"hours": 3.5, "city": "7"}),
        ('{"hours": null}', {"hours": None, "city": None}),
        ({"hours": float("nan"), "city": ""}, {"hours": None, "city": None}),
        ({}, {"hours": None, "city": None}),
    ],
)
def test_rows(row, expected):
    assert questions.parse(row, COLUMNS) == expected


@pytest.mark.parametrize(
    ("row", "message", "hint"),
    [
        ("hour=3", "the model has no column hour", "did you mean hours?"),
        ("zzz=3", "the model has no column zzz", "known: city, hours"),
        ("passed=yes", "the model has no column passed", "known: city, hours"),
        ("hours=abc", "hours: text 'abc' in a number column", "hours is a column of numbers"),
        ("hours=3,5", "hours: '3,5' has a decimal comma: write 3.5", "hours is a column of numbers"),
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
        questions.parse(row, COLUMNS)
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
        (b"\x89PNG\r\n", "rows.csv: a picture (PNG), not a table"),
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


# --- a person's own names, words and encodings

OWN = {
    "columns": {"mommuge": "number", "Size_cm": "number", "Size_cm_": "number", "dosi": "category"},
    "headers": {"mommuge": "몸무게 (kg)", "Size_cm": "Size (cm)", "Size_cm_": "Size_cm", "dosi": "도시"},
    "words": {"dosi": ["", "서울", "부산 동래"]},
}
READ = {"mommuge": [1234.0, None], "Size_cm": [2.0, 3.0], "Size_cm_": [4.0, 5.0], "dosi": ["서울", "부산 동래"]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_file_as_new_took_it_and_the_copy_that_it_made(tmp_path, encoding, mark):
    names = ["몸무게 (kg)", "Size (cm)", "Size_cm", "더", "도시"]
    rows = [['"1,234"', "2", "4", "x", "서울"], ["NA", "3", "5", "y", "  부산  동래"]]
    path = tmp_path / "rows.csv"
    path.write_bytes("\n".join(mark.join(row) for row in [names, *rows]).encode(encoding))
    asked = questions.Questions(OWN)
    (batch,) = asked.file(path)
    assert batch.columns == READ
    assert (batch.names, [field[0] for field in batch.fields]) == (names, ["1,234", "2", "4", "x", "서울"])
    assert asked.notes()[-2:] == ["read as blank: NA", "몸무게 (kg): '1,234' is read as 1234"]
    path.write_text("mommuge,Size_cm,Size_cm_,dosi\n1234,2,4,서울\n,3,5,부산 동래\n", encoding="utf-8")
    (batch,) = questions.Questions(OWN).file(path)
    assert batch.columns == READ


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ("몸무게 (kg)=61.5,도시=서울", 61.5),
        ("mommuge=61.5", 61.5),
        ('{"몸무게 (kg)": 61.5}', 61.5),
        ("도시=서울", None),
    ],
)
def test_a_row_by_either_name(row, value):
    assert questions.Questions(OWN).typed([row]).columns["mommuge"] == [value]


def test_what_rows_leave_to_be_guessed_is_told_once_a_kind():
    asked = questions.Questions(OWN)
    asked.typed(["Size (cm)=1,도시=대전", "Size (cm)=2,도시=대전", "Size (cm)=3,몸무게 (kg)=1,도시=광주"])
    assert asked.notes() == [
        "not given, so blank to the model: Size_cm",
        "not given in 2 of 3 rows, so blank to the model: 몸무게 (kg)",
        "도시: the model never saw '대전', '광주' (3 rows)",
    ]
    with pytest.raises(BadValue) as refused:
        asked.typed(["몸무개 (kg)=3"])
    assert refused.value.hint == "did you mean 몸무게 (kg)?"
    with pytest.raises(BadValue, match=r"몸무게 .kg.: text 'x' in a number column"):
        asked.typed(["mommuge=x"])


FORMS = {
    **ABOUT,
    "columns": {"mommuge": "number", "seen": "date", "dosi": "category"},
    "headers": {"mommuge": "몸무게", "seen": "방문일", "dosi": "도시"},
    "words": {"dosi": ["", "서울"]},
    "forms": {
        "": {"codec": "cp949", "missing": ["없음"]},
        "mommuge": {"style": "german", "unit": "kg"},
        "seen": {"order": "dmy"},
    },
}


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-16"])
def test_a_file_is_read_as_it_was_settled_when_the_trainer_was_made(grades, tmp_path, encoding):
    path = tmp_path / "rows.csv"
    lines = ["몸무게;방문일;도시", "1.234,5 kg;5.3.2024;서울", "1.234;31.12.2024 14:30;없음", "없음;없음;서울"]
    path.write_bytes("\n".join(lines).encode(encoding))
    asked = questions.Questions(predictions.facts(fetched(grades, "x", FORMS)))
    (batch,) = asked.file(path)
    assert batch.columns == {
        "mommuge": [1234.5, 1234.0, None],
        "seen": ["2024-03-05", "2024-12-31T14:30", ""],
        "dosi": ["서울", "", "서울"],
    }
    assert asked.notes()[-2:] == ["read as blank: 없음", "몸무게: '1.234,5 kg' is read as 1234.5"]
    assert asked.typed(["몸무게=2.000,방문일=1.2.2024"]).columns["mommuge"] == [2000.0]


# --- dates, sentences, letters, arrays

KINDS = {
    **ABOUT,
    "columns": {"seen": "date", "note": "text", "name": "letters", "photo": [2, 3], "city": "category"},
    "headers": {"seen": "방문일"},
    "words": {},
    "statistics": {
        "seen": {"low": "2024-01-01", "high": "2024-12-31T10:00"},
        "note": {"words": ["good", "bad"]},
        "name": {"words": ["김", "민", "김민"]},
        "city": {"words": ["", "Seoul"]},
    },
}
PHOTO = "[[1, 2, 3], [4, 5.5, 6]]"
FLAT = [1.0, 2.0, 3.0, 4.0, 5.5, 6.0]


def test_each_kind_of_a_file_and_what_is_told_of_it(grades, tmp_path):
    path = tmp_path / "rows.csv"
    rows = [
        ["2024-03-05", "Very GOOD!", "김철수", PHOTO, "Seoul"],
        [" 2024-03-05 14:30 ", "meh", "Bob", "", "Jeju"],
        ["NA", "n/a", "", PHOTO, "none"],
        ["2026-01-02T08:00:30", "", "민", PHOTO, ""],
        ["2023-12-31", "so so", "Bob", PHOTO, "Jeju"],
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["방문일", "note", "name", "photo", "city"], *rows])
    asked = questions.Questions(predictions.facts(fetched(grades, "x", KINDS)))
    (batch,) = asked.file(path)
    photos = batch.columns.pop("photo")
    assert photos[0] == photos[2] == FLAT and [value != value for value in photos[1]] == [True] * 6
    assert batch.columns == {
        "seen": ["2024-03-05", "2024-03-05T14:30", "", "2026-01-02T08:00:30", "2023-12-31"],
        "note": ["Very GOOD!", "meh", "", "", "so so"],
        "name": ["김철수", "Bob", "", "민", "Bob"],
        "city": ["Seoul", "Jeju", "", "", "Jeju"],
    }
    assert asked.notes() == [
        "read as blank: NA, n/a, none",
        "방문일: there are dates outside of those that the model saw, 2024-01-01 to 2024-12-31: 2023-12-31, 2026-01-02",
        "note: the model knows no word of 'meh', 'so so' (2 rows)",
        "name: the model knows no letter of 'Bob' (2 rows)",
        "city: the model never saw 'Jeju' (2 rows)",
    ]


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        ([19723.0, 2024.0, 1.0], [20088.0, 2024.0, 12.0], "2024-01-01 to 2024-12-31: 2025-01-01"),
        ([float("inf")], [float("-inf")], ""),
        (None, None, ""),
    ],
)
def test_dates_of_the_training_data_as_days_since_1970(low, high, told):
    about = {**ABOUT, "columns": {"seen": "date"}, "statistics": {"seen": {"low": low, "high": high}}}
    asked = questions.Questions(about)
    asked.typed(["seen=2024-12-31", "seen=2025-01-01"])
    assert [note.partition("saw, ")[2] for note in asked.notes()] == ([told] if told else [])


def test_a_category_that_an_older_export_calls_text():
    about = {**ABOUT, "columns": {"city": "text"}, "words": {"city": ["", "Seoul"]}}
    asked = questions.Questions(about)
    assert asked.typed(["city= Seoul", "city=Jeju Island"]).columns == {"city": ["Seoul", "Jeju Island"]}
    assert asked.notes() == ["city: the model never saw 'Jeju Island' (1 row)"]


@pytest.mark.parametrize(
    ("row", "message", "hint"),
    [
        (
            "방문일=5.3.2024",
            "방문일: '5.3.2024' isn't a date",
            "write it as 2024-03-05, or 2024-03-05T14:30 with a time",
        ),
        ("seen=2024-02-30", "방문일: '2024-02-30' isn't a date", "write it as 2024-03-05"),
        ("seen=soon", "방문일: 'soon' isn't a date", "write it as 2024-03-05"),
        ("photo=[1, 2, 3]", "photo: an array of 3 numbers, not 2 x 3", "write it as JSON: --row '{\"photo\": [...]}'"),
        ('{"photo": [[1, 2, 3], [4, 5]]}', "photo: it isn't an array of numbers", "write it as JSON"),
        ('{"photo": [[1, 2, 3], [4, 5, true]]}', "photo: it isn't an array of numbers", "write it as JSON"),
        ("photo=cat.png", "photo: 'cat.png' isn't JSON", "write it as JSON"),
    ],
)
def test_values_that_a_column_cannot_have(row, message, hint):
    with pytest.raises(BadValue) as refused:
        questions.Questions(KINDS).typed([row])
    assert refused.value.message == message
    assert hint in refused.value.hint


def test_images_and_windows_are_typed_as_people_have_them(tmp_path, monkeypatch):
    """An image is left to the process with TensorFlow; a series is read here."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat.PNG").write_bytes(b"")
    lines = ["week,rain,co2", "1,0,310", "2,0,311.5", "3,0,", "4,0,313"]
    (tmp_path / "air.csv").write_text("\n".join(lines), encoding="utf-8")
    asked = questions.Questions({"columns": {"image": [8, 8, 1], "window": [3]}})
    rows = ["image=cat.PNG,window=air.csv", {"window": "310.5 312;313", "image": None}, '{"window": [1, 2, 3]}']
    columns = asked.typed(rows).columns
    assert columns["window"] == [[311.5, 311.5, 313.0], [310.5, 312.0, 313.0], [1.0, 2.0, 3.0]]
    assert columns["image"][0] == str(tmp_path / "cat.PNG") and len(columns["image"][1]) == 64
    assert "window: 1 blank is taken for the value before it" in asked.notes()
    (tmp_path / "short.csv").write_text("co2\n1\n2\n", encoding="utf-8")
    (tmp_path / "words.csv").write_text("co2\n1\nx\n2\n", encoding="utf-8")
    for row, said, hint in [
        ("image=dog.png", "image: the file dog.png doesn't exist", "--row image=FILE.png"),
        ("window=short.csv", "window: short.csv has 2 values, fewer than 3", "--row window=FILE.csv"),
        ("window=none.csv", "window: the file none.csv doesn't exist", "--row window=FILE.csv"),
        ("window=words.csv", "window: words.csv: 'x' isn't a number", "its last column must have the values"),
        ("window=1 2 x", "window: '1 2 x' isn't 3 numbers", "give 3 numbers: --row 'window=1.5 2 ...'"),
        ("window=1 2", "window: an array of 2 numbers, not 3", "--row window=FILE.csv"),
    ]:
        with pytest.raises(BadValue) as refused:
            asked.typed([row])
        assert refused.value.message.startswith(said) and hint in refused.value.hint


def test_the_arrays_of_an_npz_file(tmp_path):
    path = tmp_path / "rows.npz"
    photo = np.arange(12, dtype="uint8").reshape(2, 2, 3)
    seen, more = np.array(["2024-03-05", "NA"]), np.zeros((2, 5))
    np.savez(path, photo=photo, 방문일=seen, city=np.array([b"Seoul", b"Jeju"]), more=more)
    asked = questions.Questions(KINDS)
    (batch,) = asked.file(path)
    assert batch.columns["photo"].tolist() == photo.tolist() and batch.columns["photo"].dtype == "uint8"
    assert batch.columns["seen"] == ["2024-03-05", ""] and batch.columns["city"] == ["Seoul", "Jeju"]
    assert (batch.rows, batch.names, batch.fields) == (
        2,
        ["방문일", "city"],
        [["2024-03-05", "NA"], ["Seoul", "Jeju"]],
    )
    assert "not given, so blank to the model: note, name" in asked.notes()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"photo": np.zeros((2, 3, 2))}, "rows.npz, row 1: photo: an array of 3 x 2 numbers, not 2 x 3"),
        ({"photo": np.array(["a", "b"])}, "rows.npz, row 1: photo: it isn't an array of numbers"),
        ({"city": np.zeros((2, 3))}, "rows.npz, row 1: city: an array of 3 numbers, not a value"),
        ({"seen": np.array(["2024-03-05", "soon"])}, "rows.npz, row 2: 방문일: 'soon' isn't a date"),
        (
            {"photo": np.zeros((2, 2, 3)), "city": np.zeros(3)},
            "rows.npz: the arrays differ in their rows: photo 2, city 3",
        ),
        ({"x": np.zeros(2)}, "no column of the model is in the first line"),
        ({"photo": np.array([None, {}])}, "rows.npz can't be read: Object arrays cannot be loaded"),
    ],
)
def test_arrays_that_cannot_be_asked_about(tmp_path, arrays, message):
    np.savez(tmp_path / "rows.npz", **arrays)
    with pytest.raises(BadValue) as refused:
        list(questions.Questions(KINDS).file(tmp_path / "rows.npz"))
    assert message in refused.value.message


def test_a_picture_is_refused_with_the_way_that_there_is(tmp_path):
    (tmp_path / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n\0")
    with pytest.raises(BadValue, match="a picture") as refused:
        list(questions.Questions(KINDS).file(tmp_path / "cat.png"))
    assert refused.value.hint.startswith(
        "many arrays come in an .npz file, a row each: numpy.savez('rows.npz', photo=...); for one, write it as JSON"
    )


DAYS = [datetime.date(2024, 1 + i % 12, 1 + i * 7 % 28) for i in range(60)]
NASTY = {
    "german, cp949, semicolons": (
        "cp949",
        ";",
        ["몸무게 (kg)", "방문일", "도시", "합격"],
        [[f"1.{i:03},5 kg", f"{d.day}.{d.month}.{d.year}", "서울" if i % 3 else "부산"] for i, d in enumerate(DAYS)],
    ),
    "american, money, tabs": (
        "utf-16",
        "\t",
        ["income", "seen on", "city", "passed"],
        [
            [f"${i},234.50", f"{d.month}/{d.day}/{d.year}", ["Seoul", "Busan", "N/A"][i % 3]]
            for i, d in enumerate(DAYS, 1)
        ],
    ),
    "korean": (
        "utf-8",
        ",",
        ["점수", "날짜", "반", "합격"],
        [
            [f"{i * 37 % 60}점", f"{d.year}년 {d.month}월 {d.day}일", "가" if i % 2 else "나"]
            for i, d in enumerate(DAYS)
        ],
    ),
}


@pytest.mark.parametrize("name", NASTY)
def test_a_file_says_the_same_as_the_copy_of_it_that_a_trainer_gets(grades, tmp_path, name):
    codec, mark, header, rows = NASTY[name]
    path, copy = tmp_path / "own.csv", tmp_path / "copy.csv"
    lines = [mark.join(row) for row in [header, *([*row, "ny"[i % 7 < 3]] for i, row in enumerate(rows))]]
    path.write_bytes("\n".join(lines).encode(codec))
    found = table.read(path, header[-1])
    table.write(found, copy)
    with copy.open(encoding="utf-8", newline="") as file:
        data = list(csv.DictReader(file))
    about = {"label": found.label, "classes": list(found.classes), "columns": found.columns, "forms": found.forms}
    about["words"] = {k: sorted({row[k] for row in data}) for k, kind in found.columns.items() if kind == "category"}
    facts = predictions.facts(fetched(grades, "x", {**about, "headers": found.originals}))
    assert sorted(facts["columns"].values()) == ["category", "date", "number"]
    (asked,), (given,) = (list(questions.Questions(facts).file(one)) for one in (path, copy))
    assert asked.columns == given.columns and asked.fields[0][0] == rows[0][0]


def test_a_spreadsheet_as_new_took_it(tmp_path):
    cells = [["몸무게", "방문일", "도시"], [1234.5, datetime.date(2024, 3, 5), "서울"], [None, "31.12.2024", "없음"]]
    path = workbooks.write(tmp_path / "rows.xlsx", {"표지": [["제목"]], "자료": cells})
    (batch,) = questions.Questions(FORMS).file(path)
    assert batch.columns == {
        "mommuge": [1234.5, None],
        "seen": ["2024-03-05", "2024-12-31"],
        "dosi": ["서울", ""],
    }
    assert batch.names == ["몸무게", "방문일", "도시"]


def test_a_date_that_is_none_is_told_with_its_line(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("방문일\n2024-03-05\n\nsoon\n", encoding="utf-8")
    with pytest.raises(BadValue, match=r"rows\.csv:4: 방문일: 'soon' isn't a date"):
        list(questions.Questions(KINDS).file(path))


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


def test_rows_are_written_with_their_answers_beside_them_and_nothing_is_overwritten(tmp_path):
    made = predictions.Answers(["yes", "no"], {"no": [0.25, 1.0], "yes": [0.75, 0.0]})
    batch = questions.Batch(2, ["이름", "prediction"], [["a, b", "=c"], ["-1", ""]], {})
    out = tmp_path / "out.csv"
    assert beside.write([(batch, made), (batch, made)], out) == 4
    lines = ['"a, b",-1,yes,0.75', "'=c,,no,1.0"]
    assert out.read_text(encoding="utf-8").splitlines() == ["이름,prediction,prediction_,probability", *lines, *lines]
    beside.write([(batch, made)], tmp_path / "out.jsonl")
    first = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first == {"이름": "a, b", "prediction": "-1", "prediction_": "yes", "probability": 0.75,
                     "probabilities": {"no": 0.25, "yes": 0.75}}  # fmt: skip
    with pytest.raises(BadValue, match=r"are written to \.csv or \.jsonl"):
        beside.write([(batch, made)], tmp_path / "out.txt")
    with pytest.raises(BadValue, match="is there already"):
        beside.write([(batch, made)], out)
    with pytest.raises(UserError, match="stop"):
        beside.write(_cut_off(batch, made), tmp_path / "half.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.jsonl"]


@pytest.mark.parametrize("odd", ["b,c", 'q"x', "x\ny", "x\ry", "", " s", "é", "-2.5"])
@pytest.mark.parametrize("sure", [0.5, None])
def test_a_written_file_reads_back_as_it_was(tmp_path, odd, sure):
    batch = questions.Batch(3, ["a", "b"], [["1", odd, "3"], [odd, odd, ""]], {})
    beside.write([(batch, predictions.Answers([sure, 1e-9, 2.0]))], tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    said = ["" if sure is None else "0.5", "1e-09", "2.0"]
    assert rows == [["a", "b", "prediction"], ["1", odd, said[0]], [odd, odd, said[1]], ["3", "", said[2]]]


def _cut_off(batch, made):
    yield batch, made
    raise UserError("stop")
