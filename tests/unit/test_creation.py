"""`invoke new` on a person's data: what it shows, asks, and takes as options."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from invoke.program import Program

import tasks
from cloudkite import workspace
from cloudkite.show import screen
from tests import trainer_folder

ROWS = "".join(f"{i % 28 + 1}/{i % 12 + 1}/2024,{i % 7}.5 kg,{'no' if i % 3 else 'yes'}\n" for i in range(40))
TABLE = "day,무게,passed\n" + ROWS
OPEN = TABLE.replace("kg", "kg", 1).replace("0.5 kg", "0.5 lb")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """run("--label", "passed", ...) on a table, at a terminal that answers; gives exit code and output."""
    space = trainer_folder.space(tmp_path)
    monkeypatch.setattr(workspace, "find", lambda: space)
    monkeypatch.setenv("COLUMNS", "120")

    def start(*words: str, table: str = TABLE, answer: str | None = None) -> tuple[int, str, str]:
        (tmp_path / "t.csv").write_text(table, encoding="utf-8")
        monkeypatch.setattr(screen, "can_ask", lambda: answer is not None)
        monkeypatch.setattr("builtins.input", lambda question: print(question) or answer)
        code = 0
        try:
            line = ["invoke", "new", "mine", "--data", str(tmp_path / "t.csv"), *words]
            monkeypatch.setattr(sys, "argv", line)
            Program(namespace=tasks.ns).run(line, exit=False)
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    start.made = space.trainers / "mine"  # type: ignore[attr-defined]
    return start


def test_it_shows_three_rows_and_what_each_column_is_and_asks(run):
    code, out, err = run("--label", "passed", answer="n")
    assert code == 1 and not run.made.exists()
    assert "make the trainer mine of it? [y/N]" in out and "error: nothing was made" in err
    assert [line.split() for line in out.splitlines() if "/2024" in line][:3] == [
        ["1/1/2024", "0.5", "kg", "yes"], ["2/2/2024", "1.5", "kg", "no"], ["3/3/2024", "2.5", "kg", "no"],
    ]  # fmt: skip
    table = {line.split()[0]: line.split()[1:] for line in out.splitlines() if " as " in line or "label" in line}
    assert table["day"] == ["date", "1/1/2024", "as", "2024-01-01"]
    assert table["무게"][0] == "number" and table["passed"][:2] == ["the", "label"]
    code, out, _err = run("--label", "passed", answer="y")
    assert code == 0 and run.made.is_dir() and out.endswith("next: uv run invoke check mine\n")


def test_a_script_is_not_asked_and_yes_asks_nobody(run):
    assert run("--label", "passed", "--yes", answer="n")[0] == 0
    assert run.made.is_dir()
    code, _out, err = run("--label", "passed")
    assert code == 2 and "is there already" in err


def test_options_may_be_repeated_and_settle_what_is_open(run):
    code, _out, err = run("--label", "passed", table=OPEN)
    assert (code == 2 and "--as '무게=out'" in err) or "--as 무게=out" in err
    code, _out, err = run("--label", "passed", "--as", "무게=out", "--as", "day=mdy", table=OPEN)
    assert code == 0 and "is left out: as --as says" in err
    text = (run.made / "trainer" / "data.py").read_text(encoding="utf-8")
    assert '"day": "date"' in text and "mommuge" not in text


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["--as", "day"], "--as 'day' must be COLUMN=KIND", "--as 'price=german'"),
        (["--as", "day=dte"], "--as day=dte: dte isn't a kind of column", "one of: number, english, german"),
        (["--as", "dya=date"], "--as: t.csv has no column dya", "did you mean day?"),
        (["--size", "0"], "--size 0 must be 1 to 4096 pixels", "--size 48x64"),
        (["--size", "64"], "--size is for images, and t.csv is a table", "leave --size out"),
        (["--query", "SELECT 1"], "--query needs a database, and t.csv is none", "SQLite"),
        (["--encoding", "nope"], "'nope' isn't an encoding", "cp949"),
    ],
)  # fmt: skip
def test_options_that_are_not_valid(run, words: list[str], said: str, hint: str):
    code, _out, err = run("--label", "passed", *words)
    assert code == 2 and f"error: {said}" in err and hint in err.partition("hint:")[2]
    assert not run.made.exists()


def test_options_need_data(run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    line = ["invoke", "new", "mine", "--as", "x=number"]
    with pytest.raises(SystemExit):
        Program(namespace=tasks.ns).run(line, exit=False)
    assert "error: these options say how data are read" in capsys.readouterr().err


def test_without_data_it_asks_for_a_kind_once(run, monkeypatch, capsys):
    """At a terminal; a script and --yes get the first kind, and a bad name is told before any question."""
    answers, asked = iter(["9", "seven", "4"]), []
    line = ["invoke", "new", "mine"]

    def start(*words: str, can_ask: bool = True) -> int:
        monkeypatch.setattr(screen, "can_ask", lambda: can_ask)
        monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or next(answers))
        shutil.rmtree(run.made, ignore_errors=True)
        monkeypatch.setattr(sys, "argv", [*line, *words])
        with pytest.raises(SystemExit) as end:
            Program(namespace=tasks.ns).run([*line, *words], exit=False)
            raise SystemExit(0)
        return int(end.value.code or 0)

    assert start() == 0 and asked == ["which kind? [classes]: "] * 3
    assert (run.made / "data" / "digits.npz").is_file()
    said = capsys.readouterr()
    assert next(text for text in said.out.splitlines() if "images" in text).split()[:2] == ["4", "images"]
    assert said.err.count("type a number from 1 to 8, or a kind") == 2
    assert start("--yes") == 0 and (run.made / "data" / "penguins.csv").is_file()
    assert start(can_ask=False) == 0 and start("--kind", "series", "--model", "linear") == 0
    assert 'MODEL, LAYERS, UNITS = "linear"' in (run.made / "trainer" / "model.py").read_text(encoding="utf-8")
    assert len(asked) == 3
    for words, message in [
        (
            ["--kind", "image"],
            "--kind must be one of classes, number, yes-no, images, text, korean, series, first-steps, not 'image'",
        ),
        (["--model", "deep"], "--model must be one of mlp, linear, wide, not 'deep'"),
        (["--kind", "text", "--data", "t.csv"], "--kind and --data exclude each other"),
    ]:
        assert start(*words) == 2
        assert message in capsys.readouterr().err
    line[2] = "1st"
    assert start() == 2 and len(asked) == 3
