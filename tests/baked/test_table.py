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
    ("a,a,label\n1,2,3\n", "label", "t.csv: two columns are called a", ""),
    ("a,,label\n1,2,3\n", "label", "t.csv: column 2 has no name", "the first line must name each column"),
    ("a,label\n1,x\n1,x\n", "label", "t.csv: every label is x", "there is nothing to learn from one class"),
    ("a,label\n1,x\n\n2,y,z\n", "label", "t.csv, line 4: 3 fields, but the header has 2", QUOTES),
    (
        "a;label\n1;x\n",
        "label",
        "t.csv: the fields are separated by semicolons",
        "save it with commas (and decimal points)",
    ),
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
        (save(tmp_path / "old.csv", "키,합격\n1,예\n", "cp949"), "old.csv:1: the text is CP949, not UTF-8 ('키')"),
        (save(tmp_path / "wide.csv", "a,b\n1,x\n", "utf-16"), "wide.csv: the text is UTF-16LE, not UTF-8"),
        (save(tmp_path / "sheet.csv", "PK\x03\x04rest"), "sheet.csv: a spreadsheet or an archive, not CSV"),
    ]:
        with pytest.raises(BadValue) as caught:
            table.read(path, "b")
        assert said in caught.value.message
        assert caught.value.hint


def test_kinds_of_columns(tmp_path: Path):
    text = rows(
        lambda i: i, lambda i: f"Person {i}", lambda i: i / 4 if i % 5 else "NA", lambda i: "xyz"[i % 3],
        lambda i: f"{i % 4:03}", lambda i: "", lambda i: "same", lambda i: "1,5" and f'"{i},{i}"', lambda i: i % 2,
        header="id,name,length,kind,code,empty,constant,odd,passed",
    )  # fmt: skip
    found = table.read(save(tmp_path / "t.csv", "\ufeff" + text.replace("\n", "\r\n")), "passed")
    assert found.columns == {"length": "number", "kind": "text", "code": "text"}
    assert found.ranges == {"length": (0.25, 7.25)}
    assert (found.label, found.classes, found.rows) == ("passed", (0, 1), 30)
    assert found.notes == [
        "read as blank: NA",
        "passed has 2 classes: 0, 1",
        "column id is left out: it counts the rows",
        "column name is left out: almost every row has another value: a name or an id",
        "column empty is left out: it is blank",
        "column constant is left out: it has one value only",
        "column odd is left out: almost every row has another value: a name or an id",
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
    path = save(tmp_path / "t.csv", rows(lambda i: i % 7, lambda i: f"1,{i}".join('""'), header="x,price"))
    with pytest.raises(BadValue) as caught:
        table.read(path, "price")
    assert caught.value.message == "t.csv: price has 30 different values, too many for classes"
    assert caught.value.hint == "the first that is not a number is '1,0' in line 2"


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
    assert str(values["COLUMNS"]) == "{'mommuge': nan, 'kind': ''}"
    assert (values["LABEL"], values["DATA"], values["RANGES"]) == ("y", "data/my_data_.csv", {"mommuge": (0.0, 3.0)})
    assert '    "mommuge": float("nan"),  # 몸무게\n' in source
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
