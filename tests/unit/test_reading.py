"""The same odd files and values are given to both who read a person's CSV, `new` and the check: they say the same."""

from __future__ import annotations

import codecs
import gzip
import io
import zipfile
from pathlib import Path

import pytest

from cloudkite.check.data import check_data
from cloudkite.check.findings import FAILED
from cloudkite.check.rows import Source
from cloudkite.data import encoding, number, reading, table
from cloudkite.data.declared import Declared
from cloudkite.show.errors import BadValue

DECLARED = Declared(
    Path("trainer/data.py"), {"hours": "number", "city": "category"}, "passed", ("no", "yes"), "data/*.csv", {}
)
HEADER = "hours,city,passed"
# Forty rows from which both read a column of numbers, one of text, and two classes.
ROWS = [f"{i % 13}.5,{'Seoul' if i % 3 else 'Busan'},{'yes' if i % 2 else 'no'}" for i in range(40)]


def text(*more: str, header: str = HEADER, end: str = "\n") -> str:
    return end.join([header, *ROWS, *more]) + end


def sheet() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return made.getvalue()


def by_new(path: Path) -> str:
    """Why `new` refuses a file, its hint included; "" when it takes it."""
    try:
        table.read(path, "passed")
    except BadValue as error:
        return f"{error.message}; {error.hint}" if error.hint else error.message
    return ""


def by_check(path: Path) -> list[str]:
    """All failures that the check tells."""
    findings = check_data(DECLARED, [Source(path.name, path)]).findings
    return [finding.text for finding in findings.all() if finding.level == FAILED]


def save(folder: Path, content: str | bytes) -> Path:
    path = folder / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


NO_TEXT = {
    "no encoding": text().encode() + b"1,\x81\xff,yes\n",
    "cut in a character": text().encode() + "1,서".encode()[:-1],
    "a NUL byte": text("1,a\0b,yes"),
    "gzip": gzip.compress(text().encode()),
    "CR line ends": text(end="\r"),
}


@pytest.mark.parametrize("case", NO_TEXT)
def test_what_is_no_text_is_told_in_the_same_words(tmp_path, case):
    path = save(tmp_path, NO_TEXT[case])
    assert by_check(path) == [by_new(path)] == [str(encoding.problem(path, "a.csv"))]


@pytest.mark.parametrize("content", [sheet(), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"], ids=["new", "old"])
def test_a_damaged_spreadsheet_is_refused_by_both(tmp_path, content):
    path = save(tmp_path, content)
    assert by_check(path) == [str(encoding.problem(path, "a.csv"))]
    assert by_new(path).startswith("a.csv can't be read: ")


FINE = {
    "nothing odd": text(),
    "a byte order mark": codecs.BOM_UTF8 + text().encode(),
    "CRLF": text(end="\r\n"),
    "no line end at the end": text().rstrip(),
    "blank lines in the middle and at the end": text("", "1,Seoul,yes", "", ""),
    "a long field": text(f"1,{'x' * 200_000},yes"),
    "quotes where none are needed": text('"1","Seoul","yes"'),
    "a quoted comma": text('1,"Seoul, Korea",yes'),
    "a quote, doubled": text('1,"the ""old"" town",yes'),
    "other separators in a field": text("1,Seoul;Busan|Jeju,yes"),
    "blank fields": text(",,yes"),
    "hangul": text("1,서울,yes"),
}


@pytest.mark.parametrize("case", FINE)
def test_both_take_it(tmp_path, case):
    path = save(tmp_path, FINE[case])
    assert (by_new(path), by_check(path)) == ("", [])
    found, read = table.read(path, "passed"), check_data(DECLARED, [Source("a.csv", path)])
    assert found.columns == DECLARED.columns and found.classes == DECLARED.classes
    assert found.rows == read.rows


REFUSED = {
    "empty": (b"", 0, "empty"),
    "an unclosed quote": (text('1,"Seoul,yes', "2,Busan,no", "3,Jeju,yes"), 42, "unexpected end of data"),
    "an unclosed quote in the header": (text(header='hours,"city,passed'), 1, "unexpected end of data"),
    "a quote inside": (text('1,"Se"oul,yes', "2,Busan,no"), 42, "',' expected after '\"'"),
    "a quote inside, after blank lines": (text("", "", '1,"Se"oul,yes'), 44, "',' expected after '\"'"),
    "a field without end": (text(f"1,{'x' * (reading.FIELD + 1)},yes"), 42, "field larger than field limit"),
    "too few fields": (text("1,Seoul"), 42, "2 fields"),
    "too many fields": (text("1,Kim, Minji,yes"), 42, "4 fields"),
    "too few fields after blank lines": (text("", "", "1,Seoul"), 44, "2 fields"),
    "blank fields, too many": (text(",,,"), 42, "4 fields"),
    "a line of spaces": (text("   "), 42, "1 fields"),
    "a column twice": (text(header="hours,hours,passed"), 0, "hours"),
    "another label": (text(header="hours,city,pass"), 0, "did you mean pass?"),
    "a header alone": (HEADER + "\n", 0, "row"),
    "a header and blank lines": (HEADER + "\n\n\n", 0, "row"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_both_refuse_it_for_the_same_reason_and_line(tmp_path, case):
    content, line, said = REFUSED[case]
    path = save(tmp_path, content)
    new, check = by_new(path), by_check(path)
    assert said in new and any(said in told for told in check), (new, check)
    if line:
        assert new.startswith(f"a.csv, line {line}: ")
        assert any(told.startswith(f"a.csv:{line}: ") for told in check), check


# `new` makes a cleaned copy for the trainer; the check reads the very file that the trainer reads.
MENDED = {
    "UTF-16": (text().encode("utf-16"), "a.csv: the text is UTF-16LE, not UTF-8"),
    "UTF-16 without a mark": (text().encode("utf-16-le"), "a.csv: the text looks like UTF-16LE without a mark"),
    "UTF-16, big end first": (text().encode("utf-16-be"), "a.csv: the text looks like UTF-16BE without a mark"),
    "CP949": (text("1,서울,yes").encode("cp949"), "a.csv:42: the text is CP949, not UTF-8 ('서울')"),
    "Shift JIS": (
        text("1,さっぽろ,yes").encode("shift_jis"),
        "a.csv:42: the text is SHIFT_JIS, not UTF-8 ('さっぽろ')",
    ),
    "CP1252": (text("1,Münster,yes").encode("cp1252"), "a.csv:42: the text is CP1252, not UTF-8 ('Münster')"),
    "semicolons": (text().replace(",", ";"), "a.csv:1: the fields are separated by semicolons"),
    "tabs": (text().replace(",", "\t"), "a.csv:1: the fields are separated by tabs"),
    "bars": (text().replace(",", "|"), "a.csv:1: the fields are separated by bars"),
    "commas between thousands": (text('"1,000",Seoul,yes'), "a.csv:42:hours: '1,000' has a thousands separator"),
    "a line break in a field": (text('1,"Seo\nul",yes'), "a.csv:42: a line break inside a field"),
    "spaces in the header": (text(header="hours, city,passed"), "a.csv:1: the column city is missing"),
    "a blank first line": ("\n" + text(), "a.csv:1: the file is empty"),
    "a row without a label": (text("1,Seoul,"), "a.csv:42:passed: no label"),
    "a row of blank fields": (text(",,"), "a.csv:42:passed: no label"),
}


@pytest.mark.parametrize("case", MENDED)
def test_what_new_mends_the_check_tells(tmp_path, case):
    content, said = MENDED[case]
    path = save(tmp_path, content)
    assert by_new(path) == ""
    assert any(told.startswith(said) for told in by_check(path))
    copy = tmp_path / "copy.csv"
    table.write(table.read(path, "passed"), copy)
    assert by_check(copy) == []


@pytest.mark.parametrize("name", ["other", ""])
def test_names_of_columns_that_nobody_declared_are_nothing_to_the_check(tmp_path, name):
    path = save(tmp_path, "\n".join(f"{line},x,y" if i else f"{line},{name},{name}" for i, line in enumerate(
        [HEADER, *ROWS])))  # fmt: skip
    assert "column" in by_new(path)
    assert by_check(path) == []


NUMBERS = {
    "1": 1.0, "-1.5": -1.5, "+5": 5.0, "+2.": 2.0, ".5": 0.5, "-.5": -0.5, "1e5": 1e5, "1E-3": 1e-3, " 7 ": 7.0,
    "0.5": 0.5, "3.4e38": 3.4e38,
}  # fmt: skip
OTHERS = [
    "1_000", "٣", "１２", "0x10", "inf", "-inf", "Infinity", "1e39", "1e999", "39,1", "1.234,56", "12%", "$5",
    "1e", "e5", ".", "+", "1 000", "2026-11-24", "1.2.3", "True", "½", "Ⅷ", "²",
]  # fmt: skip


def hours(folder: Path, value: str) -> tuple[str, list[str]]:
    """What `new` makes of a column of numbers with one more `value`, and what the check says of it."""
    path = save(folder, text(f'"{value}",Seoul,yes'))
    return table.read(path, "passed").columns["hours"], by_check(path)


@pytest.mark.parametrize("value", NUMBERS)
def test_a_number_to_both(tmp_path, value):
    assert hours(tmp_path, value) == ("number", [])
    assert number.read(value) == NUMBERS[value]
    assert number.all_of([value]) == [NUMBERS[value]]


MEANT = {"１２": "12", "1 000": "1000"}  # what `new` writes plainly into the copy, and the check refuses in a file


@pytest.mark.parametrize("value", OTHERS)
def test_what_the_check_refuses_among_numbers_new_reads_or_leaves_blank_and_tells(tmp_path, value):
    kind, told = hours(tmp_path, value)
    assert kind == "number"
    assert [line for line in told if line.startswith("a.csv:42:hours: ")]
    assert number.read(value) is None and number.all_of([value]) is None
    found = table.read(tmp_path / "a.csv", "passed")
    table.write(found, tmp_path / "copy.csv")
    last = (tmp_path / "copy.csv").read_text(encoding="utf-8").splitlines()[-1]
    notes = "\n".join(found.notes)
    if value == ".":
        assert last == ",Seoul,yes" and "read as blank: ." in notes
    elif value in MEANT:
        assert last == f"{MEANT[value]},Seoul,yes" and f"{value!r} is read as {MEANT[value]}" in notes
    else:
        assert last == ",Seoul,yes"
        assert f"column hours: 1 field isn't a number and is left blank: {value!r} (line 42)" in notes


def test_nan_is_a_missing_number_to_both(tmp_path):
    assert hours(tmp_path, "nan") == ("number", ["a.csv:42:hours: 'nan' for a missing number: leave the field empty"])
    assert table.read(tmp_path / "a.csv", "passed").blanks == {"nan"}


@pytest.mark.parametrize("code", ["007", "-01", "+821012345678", "1234567890123456"])
def test_digits_that_are_no_quantity_are_text_until_somebody_declares_a_number(tmp_path, code):
    assert hours(tmp_path, code) == ("category", [])


def test_lines_are_counted_across_chunks_line_breaks_and_blank_lines(tmp_path, monkeypatch):
    lines = ["a,b", "1,2", "", '"x\r\ny\nz",3', "4,5", "", "", '"\r",6', "7,8", '9,"open', "10"]
    path = save(tmp_path, "\n".join(lines))
    for most in (1, 2, 3, 100):
        monkeypatch.setattr(reading, "CHUNK", most)
        found = []
        with reading.opened(path) as file:
            assert file.header() == ["a", "b"]
            with pytest.raises(reading.Broken) as broken:
                for chunk in file.chunks():
                    found += zip(chunk.lines, chunk.rows, strict=True)
        assert found == [
            (2, ["1", "2"]), (4, ["x\r\ny\nz", "3"]), (7, ["4", "5"]), (10, ["\r", "6"]), (12, ["7", "8"]),
        ]  # fmt: skip
        assert broken.value.line == 13
