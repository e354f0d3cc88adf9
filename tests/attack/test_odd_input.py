"""Damaged, endless and hostile files: each is an error and a hint, in a short time, and stops nothing else."""

from __future__ import annotations

import ast
import csv
import json
import os
import socket
import threading
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from cloudkite import workspace
from cloudkite.accounts import local, registry, settings
from cloudkite.check import steps
from cloudkite.commands import local as commands
from cloudkite.data import declared, encoding, reading, table
from cloudkite.jobs import submit
from cloudkite.journey import setup
from cloudkite.models import beside, predictions, questions
from cloudkite.show.errors import BadValue, UserError
from cloudkite.trainers import folders, making
from tests import trainer_folder
from tests.trees import put

DEEP = "[" * 100_000
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)
DAMAGED = {
    "cut": b'{"config": {"a',
    "binary": bytes(range(256)),
    "empty": b"",
    "nul": b"\0" * 10,
    "deep": DEEP.encode(),
    "list": b"[1, 2]",
    "number": b"7",
    "null": b"null",
    "text": b'"x"',
    "wrong": b'{"schema": [], "label": 1, "classes": {}, "columns": [], "of": {}, "settings": 1, "steps": 3}',
    "long": b"1" * 5000,
    "half": b'{"a": "\\ud800"}',
}
each_damage = pytest.mark.parametrize("damage", DAMAGED.values(), ids=list(DAMAGED))


@pytest.fixture
def space(tmp_path: Path) -> Any:
    made = trainer_folder.space(tmp_path)
    for name in ("first", "second"):
        registry.add(made, name, settings.describe(f"{name}-project", target="local"))
    return made


# --- accounts


@pytest.mark.parametrize(
    "text",
    [
        *(
            "config: [",
            "config: {a: b",
            DEEP,
            "{" * 50_000,
            "config:\n  " + BOMB.replace("\n", "\n  "),
            "a: \0",
            "config: 3",
        ),
        *("config: &x {a: *x}", "config: {x: " + "1" * 5000 + "}", "config: {x: 2026-99-99}", "config: {[1]: 2}"),
        *("- " * 20_000, "config: !!python/object/apply:os.system [id]", "x" * 2_000_000, "config: {x: !!binary '%'}"),
    ],
    ids=range(15),
)
def test_one_bad_account_stops_no_other(space: Any, monkeypatch: Any, capsys: Any, text: str) -> None:
    (space.accounts / "Pulumi.bad.yaml").write_text(text, encoding="utf-8")
    began = time.monotonic()
    setup.list_accounts(space, as_json=True)
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert sorted(listed) == ["bad", "first", "second"] and listed["bad"]["broken"]
    setup.list_accounts(space)
    told = capsys.readouterr()
    assert "first-project" in told.out and "broken" in told.out and "bad: " in told.err
    started = []
    monkeypatch.setattr(workspace, "find", lambda: space)
    monkeypatch.setattr(local, "run", lambda _space, *words: started.extend(words) or "started\n")
    commands._local("start")
    assert started == ["start", "--project=first-project", "--project=second-project"] or started[1:] == [
        "--trial=first-project", "--trial=second-project"
    ]  # fmt: skip
    assert "account bad is left out" in capsys.readouterr().err
    assert time.monotonic() - began < 60  # a bomb takes hours


@each_damage
def test_what_is_remembered_of_settings_may_be_damaged(space: Any, damage: bytes) -> None:
    before = registry.load(space, "first")
    (space.state / "settings" / "first.json").write_bytes(damage)
    assert registry.load(space, "first") == before
    kept = json.loads((space.state / "settings" / "first.json").read_text())
    (space.state / "settings" / "first.json").write_text(json.dumps({**kept, "settings": {"target": "local"}}))
    assert registry.load(space, "first") == before


@each_damage
def test_damaged_outputs_are_an_error(space: Any, damage: bytes) -> None:
    account = registry.load(space, "first")
    account.outputs_file.write_bytes(damage)
    with pytest.raises(UserError) as told:
        registry.load(space, "first").outputs()
    assert told.value.hint


@each_damage
@pytest.mark.parametrize("name", ["server.json", "projects/first-project/environment.json"])
def test_what_the_local_cloud_wrote_may_be_damaged(space: Any, monkeypatch: Any, damage: bytes, name: str) -> None:
    place = space.localcloud / name
    put(place.parent)
    put(space.localcloud / "projects" / "first-project", **{"environment.json": "{}"})
    place.write_bytes(damage)
    running = {"pid": os.getpid()}
    if name != "server.json":
        monkeypatch.setattr(local, "_running", lambda _root: running)
    monkeypatch.setattr(local, "run", lambda *_words: "")
    if damage != DAMAGED["half"] or name == "server.json":
        with pytest.raises(UserError) as told:
            local.started(space, registry.load(space, "first"))
        assert told.value.hint


# --- trainers and models


@each_damage
def test_a_damaged_report_of_a_check_is_no_pass(space: Any, damage: bytes) -> None:
    trainer_folder.make(space)
    trainer = folders.find(space, "grades")
    put(space.state / "checks")
    (space.state / "checks" / "grades.json").write_bytes(damage)
    assert steps.passed(space, trainer) is None


@each_damage
def test_a_damaged_trainer_json_is_an_error(tmp_path: Path, damage: bytes) -> None:
    put(tmp_path / "assets.extra")
    (tmp_path / "assets.extra" / "trainer.json").write_bytes(damage)
    with pytest.raises(UserError) as told:
        predictions.facts(tmp_path)
    assert "trainer.json" in told.value.message and told.value.hint


@pytest.mark.parametrize(
    "project",
    ["project = 3", "[project]\ndependencies = 'x'", "[project]\ndependencies = [1]", "[project]\ndependencies = {}",
     "x = " + "[" * 5000, "\0", "[project"],
)  # fmt: skip
def test_a_damaged_project_is_an_error(space: Any, project: str) -> None:
    trainer_folder.make(space, pyproject=project)
    with pytest.raises(BadValue):
        _ = folders.find(space, "grades").requirements


@pytest.mark.parametrize(
    "source",
    ["COLUMNS = " + "(" * 500, "COLUMNS = " + "-" * 5000 + "1", "COLUMNS = {{}: 1}", "x = 1\0", "COLUMNS = {" * 150,
     "a0 = (0,)\n" + "".join(f"a{i + 1} = (a{i}, a{i}, a{i}, a{i})\n" for i in range(40)) + "COLUMNS = a40",
     "a0 = 0\n" + "".join(f"a{i + 1} = a{i}\n" for i in range(3000)) + "COLUMNS = a3000"],
)  # fmt: skip
def test_a_bomb_of_declarations_is_an_error(tmp_path: Path, source: str) -> None:
    (tmp_path / "data.py").write_text("LABEL = 'x'\n" + source)
    with pytest.raises(BadValue):
        declared.read(tmp_path / "data.py")


@pytest.mark.parametrize("row", ["{" * 100_000, '{"a":' * 50_000, "{}x", '{"a": 1e999}', "\ud800=1"])
def test_a_row_of_any_kind_is_an_error_or_a_row(row: str) -> None:
    try:
        questions.parse(row, {"a": "number"})
    except BadValue as told:
        assert told.message


# --- data


def refused(path: Path, label: str = "b") -> str:
    began = time.monotonic()
    with pytest.raises(BadValue) as told:
        table.read(path, label)
    assert time.monotonic() - began < 30
    return told.value.message


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files: run it on Linux or macOS")
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.csv")
    with socket.socket(socket.AF_UNIX) as listener:
        address = Path(tmp_path, "s.csv")
        listener.bind(os.path.relpath(address))
        for path in (Path("/dev/zero"), Path("/dev/tty"), tmp_path / "fifo.csv", address):
            if path.exists():
                assert "a pipe, a device or a folder" in refused(path)
    assert "is a folder" in refused(tmp_path)
    assert "doesn't exist" in refused(tmp_path / ("x" * 5000)) and "doesn't exist" in refused(Path("a\0b"))
    for path in (tmp_path / "fifo.csv", Path("/dev/zero")):
        with pytest.raises(BadValue):
            list(questions.Questions({"columns": {"a": "number"}}).file(path))
        trainer = folders.Trainer("grades", tmp_path)
        with pytest.raises(BadValue, match="no such file"):
            submit.local_data(trainer, ("--data", str(path)))


def test_a_line_without_an_end_is_refused_by_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    with path.open("wb") as file:
        file.write(b"a,b\n1,")
        for _block in range(40):
            file.write(b"x" * 2**20)
    assert "long.csv:2: the line is longer than 16 MiB" in refused(path)
    path.write_bytes(b"a,b\n" + (b"1," + b"x" * (10 << 20) + b"\n") * 2)  # long fields, and yet rows
    assert encoding.problem(path, "long.csv") is None


def test_a_hundred_thousand_columns_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{i}" for i in range(100_000)) + "\n" + ",".join("1" * 100_000) + "\n")
    assert "100,000 columns" in refused(path, "c5")
    with reading.opened(path) as file:
        header = file.header()
        assert len(header) == 100_000 and sum(len(chunk.rows) for chunk in file.chunks()) == 1


def test_long_rows_come_in_small_chunks(tmp_path: Path) -> None:
    path = tmp_path / "fat.csv"
    with path.open("w") as file:
        file.write("a,b\n")
        for _row in range(200):
            file.write("1," + "x" * 2**20 + "\n")
    with reading.opened(path) as file:
        file.header()
        sizes = [len(chunk.rows) for chunk in file.chunks()]
    assert sum(sizes) == 200 and max(sizes) <= 96  # not all 200 MiB at once


def test_a_file_that_grows_has_an_end(tmp_path: Path) -> None:
    path, over = tmp_path / "grows.csv", threading.Event()
    path.write_text("a,b\n" + "".join(f"{i % 17},{i % 2}\n" for i in range(100_000)))

    def write() -> None:
        with path.open("a") as file:
            while not over.is_set():
                file.write("1,0\n" * 5_000)
                file.flush()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        said = refused(path)
    finally:
        over.set()
        thread.join()
    assert "the file grew" in said or "was changed" in said


def test_a_file_that_changes_between_two_looks_is_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "changes.csv"
    path.write_text("a,b\n" + "".join(f"{i % 17},{i % 2}\n" for i in range(100)))
    looked = table.read(path, "b")
    path.write_text("a,b\n" + "".join(f"{i % 17},text\n" for i in range(100)))
    with pytest.raises(BadValue, match="was changed while it was read"):
        table.write(looked, tmp_path / "copy.csv")


# --- what is written


LABELS = [
    '"', "'", "\\", '"""', "'''", "\\n", "{{7*7}}", "{% raw %}", "{#", "😀", "한글", "<script>alert(1)</script>",
    "=cmd|'/c calc'!A1",
    "a\u202eb", "a\u2066b", "#", "[x]", "${x}", "`x`", "\x7f", "\x9b", "\x1b[31m", "\x08", "\ufeff", "\u200b", "a\\",
    "x" * 300,
]  # fmt: skip


@pytest.mark.parametrize("label", LABELS, ids=ascii)
def test_hostile_words_make_a_trainer_that_can_be_read(space: Any, tmp_path: Path, label: str) -> None:
    path = tmp_path / "".join(letter for letter in f"f{label[:40]}.csv" if os.name != "nt" and letter != "/")
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["n", f"x{label}", label, f"y{label}"])
        rows.writerows([[i % 7, f"{label}{i % 3}", f"{label}{i % 2}", i * 3 % 11] for i in range(40)])
    label = table.clean(label)
    if not label:  # nothing of it can be seen
        with pytest.raises(BadValue, match="which column of "):
            making.new(space, "odd", path, label)
        return
    made = making.new(space, "odd", path, label)
    project = tomllib.loads((made.folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "odd" and "\n" not in project["description"]
    for file in sorted(made.folder.rglob("*")):
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            assert not set(text) & set("\x1b\x7f\x9b\x08\u202e\u2066") or file.suffix == ".csv"
            if file.suffix == ".py":
                ast.parse(text)
            if file.suffix == ".md":
                assert "<script" not in text
    assert "7*7" in label or "49" not in project["description"]
    trainer = folders.find(space, "odd")
    assert trainer.declared.label == label and len(trainer.declared.columns) >= 1 and len(trainer.data_files) == 1
    with trainer.data_files[0].open(encoding="utf-8", newline="") as file:
        assert {row[label] for row in csv.DictReader(file)} == set(trainer.declared.classes)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names: run it on Linux")
def test_a_file_name_that_is_no_text_makes_a_trainer(space: Any, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe\n.csv"))
    try:
        path.write_text("a,b\n" + "".join(f"{i % 17},{i % 2}\n" for i in range(100)))
    except OSError:
        pytest.skip("this disk takes names that are text only: run it on Linux")
    made = making.new(space, "odd", path, "b")
    tomllib.loads((made.folder / "pyproject.toml").read_text(encoding="utf-8"))
    assert folders.find(space, "odd").data_files


def test_formulas_are_told_and_never_written_for_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text("a,b\n" + "".join(f"{i % 17},{'=cmd|x!A1' if i % 2 else 'no'}\n" for i in range(100)))
    looked = table.read(path, "b")
    assert any("'=cmd|x!A1' is a formula to a spreadsheet" in note for note in looked.notes)
    words = ["=cmd|x!A1", "@SUM(1)", "+1+cmd", "-2+3", "\t=1", "no"]
    batch = questions.Batch(len(words), ["=a", "b"], [["-2.5"] * len(words), ["@SUM(2)"] * len(words)], {})
    beside.write([(batch, predictions.Answers(words))], tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        fields = [field for row in csv.reader(file) for field in row]
    assert not [field for field in fields if field.startswith(("=", "@", "+", "-", "\t")) and field != "-2.5"]
    assert "-2.5" in fields and "'@SUM(2)" in fields
