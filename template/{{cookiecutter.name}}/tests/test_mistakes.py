"""Bad input: what it is told, and where. No traceback, exit code 2."""

import pytest
from conftest import made, write

from trainer import data

NUMBERS = [name for name, blank in data.COLUMNS.items() if blank != ""]
FIRST = next(iter(data.COLUMNS))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "-1"], "argument --epochs: '-1' is not a whole number from 1 on"),
        (["--epochs", "many"], "argument --epochs: 'many' is not a whole number from 1 on"),
        (["--batch", "0"], "argument --batch: '0' is not a whole number from 1 on"),
        (["--rate", "-0.1"], "argument --rate: '-0.1' is not a number above 0"),
        (["--rate", "nan"], "argument --rate: 'nan' is not a number above 0"),
        (["--validation", "1"], "argument --validation: '1' is not a share from 0 up to 1, such as 0.2"),
        (["--validation", "nothing-*.csv"], "no file matches nothing-*.csv"),
        (["--data", "nothing-*.csv"], "no file matches nothing-*.csv"),
        (["--epocs", "1"], "unrecognized arguments: --epocs 1"),
        (["--require-gpu"], "a GPU was asked for, but TensorFlow sees none"),
    ],
)
def test_options(run, capsys, words, message):
    assert run(*words) in (1, 2)
    said = capsys.readouterr().err
    assert said.startswith(f"error: {message}\n\nhint: ")


def broken(kind: str) -> tuple[list[dict[str, str]], str]:
    """Rows with one thing wrong in line 5, and the message for it ({path} stands for the file)."""
    rows = made(40)
    if kind == "number":
        rows[3][NUMBERS[0]] = "12 mm"
        return rows, f"{{path}}, line 5, column {NUMBERS[0]!r}: '12 mm' is not a number"
    if kind == "infinite":
        rows[3][NUMBERS[0]] = "inf"
        return rows, f"{{path}}, line 5, column {NUMBERS[0]!r}: 'inf' is not a number"
    if kind == "label":
        rows[3][data.LABEL] = "none of them"
        wrong = "is not one of CLASSES" if data.CLASSES else "is not a number"
        return rows, f"{{path}}, line 5, column {data.LABEL!r}: 'none of them' {wrong}"
    if kind == "no label":
        rows[3][data.LABEL] = ""
        return rows, f"{{path}}, line 5, column {data.LABEL!r}: no label"
    if kind == "column":
        for row in rows:
            del row[FIRST]
        return rows, f"{{path}}, line 1: column {FIRST!r} is not in the header"
    return rows[:1], "{path}: no rows to train on"


@pytest.mark.parametrize("memory", ["128", "0"], ids=["in memory", "streamed"])
@pytest.mark.parametrize("kind", [*(["number", "infinite"] if NUMBERS else []), "label", "no label", "column"])
def test_rows(run, tmp_path, capsys, kind, memory):
    rows, message = broken(kind)
    path = write(tmp_path / "broken.csv", rows)
    assert run("--data", str(path), "--memory", memory) == 2
    assert capsys.readouterr().err.startswith("error: " + message.format(path=path))


def test_ragged_rows_text_of_another_encoding_and_no_rows(run, tmp_path, capsys):
    path = write(tmp_path / "broken.csv", made(40))
    good = path.read_text(encoding="utf-8").splitlines()
    for lines, message in [
        ([*good[:4], good[4] + ",more", *good[5:]], " fields, but the header has "),
        ([*good[:4], '"' + good[4], *good[5:]], "line 5: a double quote opens and does not close on that line"),
        ([good[0]], "no rows to train on"),
    ]:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        assert run("--data", str(path)) == 2
        assert message in capsys.readouterr().err
    path.write_bytes("\n".join([good[0] + ",메모", *(line + ",값" for line in good[1:])]).encode("cp949"))
    assert run("--data", str(path)) == 2
    assert "line 1: not UTF-8 text" in capsys.readouterr().err


def test_blank_lines_and_windows_line_ends_are_no_mistake(run, tmp_path):
    path = write(tmp_path / "windows.csv", made(40))
    text = "\r\n".join(["\ufeff" + path.read_text(encoding="utf-8").replace("\n", "\r\n"), "", ""])
    path.write_bytes(text.encode())
    for memory in ("128", "0"):
        assert run("--data", str(path), "--epochs", "1", "--memory", memory, output=memory) == 0
