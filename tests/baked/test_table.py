"""What is read out of a person's CSV file, and what is said when it can't be."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from invoke.program import Program

import tasks
from cloudkite import workspace
from cloudkite.data import table
from cloudkite.show.errors import BadValue
from cloudkite.trainers import making
from cloudkite.workspace import Workspace

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def save(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding, newline="")
    return path


def rows(*makers, count: int = 30, header: str) -> str:
    """A CSV text of `count` rows; each maker gives a field for the row's number."""
    return "\n".join([header, *(",".join(str(make(i)) for make in makers) for i in range(count))]) + "\n"


QUOTES = 'put text that holds a comma in double quotes: "Kim, Minji"'
QUOTED = "does a double quote open and not close, or stand inside a field?"
NOTHING_LEFT = (
    "label has 2 classes: x, y classes with a single row can't be checked: y "
    "column a is left out: it has one value only"
)
BAD = [
    ("", "label", "t.csv is empty", "the first line must name the columns"),
    ("a,label\n", "label", "t.csv has no rows with a label", ""),
    ("a,label\n1,\n2,\n", "label", "t.csv has no rows with a label", ""),
    ("a,b\n1,2\n", "label", "t.csv has no column label", "known: a, b"),
    ("a,passed\n1,2\n", "pased", "t.csv has no column pased", "did you mean passed?"),
    ("a,a,label\n1,2,3\n", "label", "t.csv: two columns are called a", "rename one of them in the file"),
    ("a,,label\n1,2,3\n", "label", "t.csv: column 2 has no name", "the first line must name each column"),
    ("a,label\n1,x\n1,x\n", "label", "t.csv: every label is x", "there is nothing to learn from one class"),
    ("a,label\n1,x\n\n2,y,z\n", "label", "t.csv, line 4: 3 fields, but the header has 2", QUOTES),
    ('a,label\n"1,x\n', "label", "t.csv, line 2: unexpected end of data", QUOTED),
    ("a,label\n1,x\n1,y\n1,x\n", "label", "t.csv has no column to learn label from", NOTHING_LEFT),
]


@pytest.mark.parametrize(("text", "label", "message", "hint"), BAD)
def test_bad_files(tmp_path: Path, text: str, label: str, message: str, hint: str):
    path = save(tmp_path / "t.csv", text)
    with pytest.raises(BadValue) as caught:
        table.read(path, label)
    assert (caught.value.message, caught.value.hint) == (message, hint)
    assert caught.value.code == 2


def test_files_that_are_no_utf8_csv(tmp_path: Path):
    for path, said in [
        (tmp_path / "none.csv", "doesn't exist"),
        (tmp_path, "is a folder"),
        (save(tmp_path / "zip.csv", "PK\x03\x04rest"), "zip.csv: an archive, not CSV"),
        (save(tmp_path / "a.png", "\x89PNG\r\n", "latin-1"), "a.png: a picture (PNG), not a table"),
        (save(tmp_path / "a.jpg", "\xff\xd8\xff\xe0", "latin-1"), "a.jpg: a picture (JPEG), not a table"),
        (save(tmp_path / "a.pdf", "%PDF-1.7\n"), "a.pdf: a PDF, not a table"),
        (save(tmp_path / "a.html", "<!DOCTYPE html>\n<html>"), "a.html: a web page (HTML or XML), not CSV"),
        (save(tmp_path / "a.json", '[{"a": 1, "b": 2}]'), "a.json: JSON, not CSV"),
        (save(tmp_path / "cut.csv", "a,b\n1,\xec\x84", "latin-1"), "cut.csv: the text ends in the middle"),
        (save(tmp_path / "odd.csv", "a,b\n1,\x81\xff\n", "latin-1"), "is not UTF-8 and no known encoding fits"),
    ]:
        with pytest.raises(BadValue) as caught:
            table.read(path, "b")
        assert said in caught.value.message
        assert caught.value.hint or "no known encoding" in said


@pytest.mark.parametrize(
    ("encoding", "mark", "told"),
    [
        ("utf-8-sig", ",", []),
        ("cp949", ",", ["t.csv:1: the text is CP949, not UTF-8 ('키'), and is read as that"]),
        ("utf-16", ",", ["t.csv: the text is UTF-16LE, not UTF-8, and is read as that"]),
        ("utf-16-be", ",", ["t.csv: the text looks like UTF-16BE without a mark, not UTF-8, and is read as that"]),
        ("utf-8", ";", ["t.csv: the fields are separated by semicolons"]),
        ("utf-8", "\t", ["t.csv: the fields are separated by tabs"]),
        ("utf-16", "\t", ["the text is UTF-16LE", "separated by tabs"]),
    ],
)
def test_what_spreadsheets_write(tmp_path: Path, encoding: str, mark: str, told: list[str]):
    text = rows(lambda i: i % 7 / 2, lambda i: ["서울", "부산, 동래"][i % 2] if mark != "," else "서울부산"[i % 3],
                lambda i: "예아니오"[i % 2], header="키,도시,합격").replace(",", mark)  # fmt: skip
    found = table.read(save(tmp_path / "t.csv", text.replace("부산" + mark, "부산,"), encoding), "합격")
    assert found.rows == 30 and found.columns == {"ki": "number", "dosi": "category"}
    assert all(said in note for said, note in zip(told, found.notes, strict=False))
    assert bool(told) == found.notes[0].startswith("t.csv")
    table.write(found, tmp_path / "copy.csv")
    copied = (tmp_path / "copy.csv").read_text(encoding="utf-8")
    assert copied.startswith("ki,dosi,합격\n0.0,서울" if mark != "," else "ki,dosi,합격\n0.0,서,")


def test_numbers_as_people_write_them(tmp_path: Path):
    """Columns that decide are kept, and what isn't read as a number is told by its line."""
    text = rows(
        lambda i: f'"{679_541_000 + i * 37:,}"', lambda i: 7 * i % 61, lambda i: i * i, lambda i: f'"{i}.5 kg"',
        lambda i: f"${i}.5", lambda i: f"2026-{i % 12 + 1:02}-{i // 12 + 1:02}",
        lambda i: '"12,5"' if i == 3 else i / 4, lambda i: f"case {i} was seen by two people",
        lambda i: f'"{1000 + i:,}"', header="people,rank,square,weight,price,day,stray,report,amount", count=60,
    )  # fmt: skip
    found = table.read(save(tmp_path / "t.csv", text), "amount")
    numbers = ["people", "rank", "square", "weight", "price"]
    kinds = dict.fromkeys(numbers, "number") | {"day": "date", "stray": "number", "report": "text"}
    assert found.columns == kinds
    assert found.ranges["people"] == (679_541_000, 679_543_183)
    assert found.forms == {"weight": {"unit": "kg"}, "price": {"unit": "$"}}
    assert found.notes == [
        "amount is a number to estimate, from 1000 to 1059",
        "column people: '679,541,000' is read as 679541000",
        "column weight: '0.5 kg' is read as 0.5",
        "column price: '$0.5' is read as 0.5",
        "column stray: 1 field isn't a number and is left blank: '12,5' (line 5)",
        "column amount: '1,000' is read as 1000",
    ]
    table.write(found, tmp_path / "copy.csv")
    first = (tmp_path / "copy.csv").read_text(encoding="utf-8").splitlines()[1]
    assert first == "679541000,0,0,0.5,0.5,2026-01-01,0.0,case 0 was seen by two people,1000"


@pytest.mark.parametrize("count", [200, 2000])
def test_an_id_is_one_in_a_file_of_any_length(tmp_path: Path, monkeypatch, count: int):
    monkeypatch.setattr(table, "MANY", 1000)
    monkeypatch.setattr(table, "CLASSES", 20)
    text = rows(lambda i: f"p{i}", lambda i: i + 1, lambda i: i % 50, lambda i: i % 2, header="who,id,x,y", count=count)
    found = table.read(save(tmp_path / "t.csv", text.replace("p7,8,7,1", "p7,8,7,")), "y")
    assert list(found.columns) == ["x"]
    assert "column who is left out: almost every row has another value: a name or an id" in found.notes
    assert "column id is left out: it counts the rows" in found.notes


def test_classes_that_are_far_from_even_are_told(tmp_path: Path):
    text = rows(lambda i: i % 7, lambda i: "yes" if i % 1000 == 7 else "no", header="x,y", count=5000)
    found = table.read(save(tmp_path / "t.csv", text), "y")
    said = "of the rows are 'no': a model that always says so has that accuracy; look at the recall"
    assert f"y: 99.9% {said}" in found.notes


def test_kinds_of_columns(tmp_path: Path):
    text = rows(
        lambda i: i, lambda i: f"Person {i}", lambda i: i / 4 if i % 5 else "NA", lambda i: "xyz"[i % 3],
        lambda i: f"{i % 4:03}", lambda i: "", lambda i: "same", lambda i: f'"{i},{i}"', lambda i: i % 2,
        header="id,name,length,kind,code,empty,constant,odd,passed",
    )  # fmt: skip
    found = table.read(save(tmp_path / "t.csv", "\ufeff" + text.replace("\n", "\r\n")), "passed")
    assert found.columns == {"length": "number", "kind": "category", "code": "category", "odd": "number"}
    assert found.ranges == {"length": (0.25, 7.25), "odd": (0, 29.29)}
    assert (found.label, found.classes, found.rows) == ("passed", (0, 1), 30)
    assert found.notes == [
        "read as blank: NA",
        "passed has 2 classes: 0, 1",
        "column id is left out: it counts the rows",
        "column name is left out: almost every row has another value: a name or an id",
        "column code is text: '000' is digits of a code, not a quantity",
        "column empty is left out: it is blank",
        "column constant is left out: it has one value only",
        "column odd: '0,0' is read as 0.0",
    ]


def test_labels(tmp_path: Path):
    for make, classes in [
        (lambda i: "yn"[i % 2], ("n", "y")),
        (lambda i: i % 3, (0, 1, 2)),
        (lambda i: float(i % 3), (0, 1, 2)),
        (lambda i: i / 7, ()),
        (lambda i: i * 10, ()),
        (lambda i: ["그렇다", "아니다", ""][i % 3], ("그렇다", "아니다")),
        (lambda i: [1, 2, "NA"][i % 3], (1, 2)),
        (lambda i: ["NA", "b"][i % 2], ("NA", "b")),
    ]:
        found = table.read(save(tmp_path / "t.csv", rows(lambda i: i % 7, make, header="x,답")), "답")
        assert found.classes == classes
        table.write(found, tmp_path / "copy.csv")
        copied = (tmp_path / "copy.csv").read_text(encoding="utf-8").splitlines()
        assert len(copied) == found.rows + 1
        if classes:
            assert {line.split(",")[1] for line in copied[1:]} == {str(value) for value in classes}


def test_a_label_of_words_that_are_all_different_is_refused(tmp_path: Path):
    path = save(tmp_path / "t.csv", rows(lambda i: i % 7, lambda i: f"about {i}", header="x,price"))
    with pytest.raises(BadValue) as caught:
        table.read(path, "price")
    assert caught.value.message == "t.csv: price has 30 different values, too many for classes"
    assert caught.value.hint == "the first that is not a number is 'about 0' in line 2"


def test_names_that_tensorflow_would_not_take(tmp_path: Path):
    header = "class,Size (cm),size cm,몸무게,2nd,self,température,価格,__x"
    made = save(tmp_path / "t.csv", rows(*[lambda i: i % 7] * 9, lambda i: i % 2, header=header + ",y"))
    found = table.read(made, "y")
    assert list(found.columns) == [
        "class_", "Size_cm", "size_cm_", "mommuge", "column_5_2nd", "self_", "temperature", "column_8", "x",
    ]  # fmt: skip
    assert found.originals["mommuge"] == "몸무게"
    table.write(found, tmp_path / "copy.csv")
    assert (tmp_path / "copy.csv").read_text(encoding="utf-8").startswith(",".join([*found.columns, "y"]) + "\n")


def test_line_breaks_in_fields_become_spaces(tmp_path: Path):
    text = rows(lambda i: i % 7, lambda i: '"two\nlines"' if i % 2 else "one", header="x,y")
    found = table.read(save(tmp_path / "t.csv", text), "y")
    assert found.classes == ("one", "two lines")
    table.write(found, tmp_path / "copy.csv")
    assert len((tmp_path / "copy.csv").read_text(encoding="utf-8").splitlines()) == 31


def test_the_generated_data_module_says_what_was_found(space: Workspace, tmp_path: Path, capsys):
    nasty = ['a "quoted"', "back\\slash", "{{ cookiecutter.name }}", "hash # tag"]
    text = rows(
        lambda i: i % 7 / 2, lambda i: LETTERS[i % 5],
        lambda i: '"' + nasty[i % 4].replace('"', '""') + '"', header="몸무게,kind,y",
    )  # fmt: skip
    made = making.new(space, "mine", save(tmp_path / "my [data].csv", text), "y")
    folder = made.folder
    values: dict[str, object] = {}
    source = (folder / "trainer" / "data.py").read_text(encoding="utf-8")
    exec(compile(source, "data.py", "exec"), values)
    assert values["CLASSES"] == tuple(sorted(nasty))
    assert str(values["COLUMNS"]) == "{'mommuge': 'number', 'kind': 'category'}"
    assert (values["LABEL"], values["DATA"], values["RANGES"]) == ("y", "data/my_data_.csv", {"mommuge": (0.0, 3.0)})
    assert values["HEADERS"] == {"mommuge": "몸무게"}
    assert ast.get_docstring(ast.parse(source))
    assert sorted(path.name for path in (folder / "data").iterdir()) == ["README.md", "my_data_.csv"]
    assert "column 몸무게 is called mommuge" in "\n".join(made.notes)
    assert capsys.readouterr() == ("", "")


def test_new_tells_what_it_changed_before_what_it_made(space: Workspace, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(workspace, "find", lambda: space)
    text = rows(lambda i: i % 7 / 2, lambda i: LETTERS[i % 5], lambda i: LETTERS[i % 2], header="몸무게,kind,y")
    words = ["invoke", "new", "mine", "--data", str(save(tmp_path / "t.csv", text)), "--label", "y"]
    monkeypatch.setattr("sys.stderr", sys.stdout)  # in their order
    Program(namespace=tasks.ns).run(words, exit=False)
    *notes, made, following = capsys.readouterr().out.splitlines()
    assert "column 몸무게 is called mommuge" in "\n".join(notes)
    assert made.startswith("made ")
    assert following == "next: uv run invoke check mine"


def test_data_and_label_go_together(space: Workspace, tmp_path: Path):
    save(tmp_path / "a.csv", "x,y\n1,2\n")
    for data, label, said in [
        (tmp_path / "a.csv", None, "which column of a.csv is to be predicted?"),
        (None, "y", "--label y needs a file"),
    ]:
        with pytest.raises(BadValue) as caught:
            making.new(space, "mine", data, label)
        assert caught.value.message == said
    with pytest.raises(BadValue):
        making.new(space, "mine", tmp_path / "a.csv", "y")
    assert not any(space.trainers.iterdir())  # nothing half made is left
