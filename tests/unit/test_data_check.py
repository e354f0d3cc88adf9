"""Bad data, each kind with what is said about it."""

# ruff: noqa: E501  # a case a line reads best

import codecs
import dataclasses
import gzip
from pathlib import Path

import pytest

from cloudkite.check import data
from cloudkite.check.data import check_data
from cloudkite.check.rows import Source
from cloudkite.data import missing, reading
from cloudkite.data.declared import Declared
from cloudkite.data.number import wrong
from cloudkite.data.table import Column

COLUMNS = {"hours": "number", "city": "category"}
HEADER = "hours,city,passed"
# Forty rows: no column gives the label away, none is there twice.
ROWS = [f"{i % 13}.{i},{'Seoul' if i % 3 else 'Busan'},{'yes' if i % 2 else 'no'}" for i in range(40)]


BASE = "; always 'yes' is right in {share}: the accuracy to beat"


def declare(columns=COLUMNS, label="passed", classes=("no", "yes"), ranges=None, allow=()):
    return Declared(Path("trainer/data.py"), dict(columns), label, classes, "data/*.csv", ranges or {}, allow)


def write(path, lines):
    data = lines if isinstance(lines, bytes) else "\n".join([HEADER, *lines]).encode() + b"\n"
    path.write_bytes(data)
    return Source(path.name, path)


def said(tmp_path, lines, declared=None, held_out=None):
    sources = [write(tmp_path / "a.csv", lines)]
    others = [write(tmp_path / "b.csv", held_out)] if held_out is not None else []
    return list(check_data(declared or declare(), sources, others).findings.lines())


def test_good_data(tmp_path):
    report = check_data(declare(), [write(tmp_path / "a.csv", ROWS)])
    assert report.findings.lines() == ()
    assert (report.findings.verdict, report.summary, report.rows) == (
        "ok",
        "40 rows, 2 classes" + BASE.format(share="50%").replace("yes", "no"),
        40,
    )


NUMBER = "a number column"
FAILURES = {
    "empty file": (b"", "a.csv:1: the file is empty; its first line must name the columns"),
    "blank first line": (b"\n1,a,yes\n", "a.csv:1: the file is empty; its first line must name the columns"),
    "only a header": ([], "a.csv: a header and no row"),
    "only a header, no line end": (HEADER.encode(), "a.csv: a header and no row"),
    "no header": (b"1,Seoul,yes\n2,Busan,no\n", "a.csv:1: the first line must name the columns, and has values: 1,Seoul,yes"),
    "semicolons": (b"hours;city;passed\n1;a;yes\n", "a.csv:1: the fields are separated by semicolons; save the file with commas"),
    "tabs": (b"hours\tcity\tpassed\n", "a.csv:1: the fields are separated by tabs; save the file with commas"),
    "missing column": (b"hour,city,passed\n1,a,yes\n", "a.csv:1: the column hours is missing; did you mean hour?"),
    "spaces in the header": (b"hours, city,passed\n1,a,yes\n", "a.csv:1: the column city is missing; did you mean  city?"),
    "label missing": (b"hours,city\n1,a\n", "a.csv:1: the column passed is missing; known: city, hours"),
    "column twice": (b"hours,city,passed,city\n1,a,yes,b\n", "a.csv:1: the column city is there twice"),
    "too few fields": ([*ROWS, "1,Seoul"], 'a.csv:42: 2 fields, expected 3; a comma inside a field needs quotes: "Kim, Minji"'),
    "too many fields": (["1,Kim, Minji,yes", *ROWS], 'a.csv:2: 4 fields, expected 3; a comma inside a field needs quotes: "Kim, Minji"'),
    "after a line break": (['1,"a\nb",yes', *ROWS, "1"], 'a.csv:44: 1 fields, expected 3; a comma inside a field needs quotes: "Kim, Minji"'),
    "line break": (['1,"a\nb",yes', *ROWS], "a.csv:2: a line break inside a field; trainers read line by line: replace it by a space"),
    "quote not closed": ([*ROWS, '1,"Seoul,yes'], "a.csv:42: unexpected end of data; does a double quote open and not close, or stand inside a field?"),
    "quote inside": ([*ROWS, '1,"Se"oul,yes'], "a.csv:42: ',' expected after '\"'; does a double quote open and not close, or stand inside a field?"),
    "text in numbers": ([*ROWS, "abc,Seoul,yes"], f"a.csv:42:hours: text 'abc' in {NUMBER}"),
    "thousands": ([*ROWS, '"1,234",Seoul,yes'], "a.csv:42:hours: '1,234' has a thousands separator: write 1234"),
    "decimal comma": ([*ROWS, '"39,1",Seoul,yes'], "a.csv:42:hours: '39,1' has a decimal comma: write 39.1"),
    "german number": ([*ROWS, '"1.234,56",Seoul,yes'], "a.csv:42:hours: '1.234,56' has a decimal comma: write 1234.56"),
    "percent": ([*ROWS, "12%,Seoul,yes"], "a.csv:42:hours: '12%' has a unit: write the number alone"),
    "won": ([*ROWS, "12000원,Seoul,yes"], "a.csv:42:hours: '12000원' has a unit: write the number alone"),
    "dollar": ([*ROWS, "$5,Seoul,yes"], "a.csv:42:hours: '$5' has a unit: write the number alone"),
    "NA": ([*ROWS, "NA,Seoul,yes"], "a.csv:42:hours: 'NA' for a missing number: leave the field empty"),
    "nan": ([*ROWS, "nan,Seoul,yes"], "a.csv:42:hours: 'nan' for a missing number: leave the field empty"),
    "inf": ([*ROWS, "-inf,Seoul,yes"], "a.csv:42:hours: '-inf' is not finite"),
    "overflow": ([*ROWS, "1e999,Seoul,yes"], "a.csv:42:hours: '1e999' is not finite"),
    "float32 overflow": ([*ROWS, "1e39,Seoul,yes"], "a.csv:42:hours: '1e39' is too large for a float32"),
    "spaces": ([*ROWS, "  ,Seoul,yes"], f"a.csv:42:hours: spaces in {NUMBER}: leave the field empty"),
    "underscore": ([*ROWS, "1_000,Seoul,yes"], f"a.csv:42:hours: text '1_000' in {NUMBER}"),
    "full-width digits": ([*ROWS, "１２,Seoul,yes"], "a.csv:42:hours: '１２' has digits that are not ASCII"),
    "date": ([*ROWS, "2026-11-24,Seoul,yes"], "a.csv:42:hours: '2026-11-24' is a date: make a number of it (a year, days since)"),
    "no label": ([*ROWS, "1,Seoul,"], "a.csv:42:passed: no label; leave such rows out of the file"),
    "unknown class": ([*ROWS, "1,Seoul,Yes"], "a.csv:42:passed: 'Yes' is not in CLASSES; did you mean yes?"),
    "one class only": ([r for r in ROWS if r.endswith("yes")], "passed: every row is 'yes': nothing to learn"),
    "NUL byte": (f"{HEADER}\n1,a\0b,yes\n".encode(), "a.csv:2: a NUL byte: the file is damaged or no text; write it again"),
    "spreadsheet": (b"PK\x03\x04rest", "a.csv: an archive, not CSV; unpack it, and name the CSV file in it"),
    "gzip": (gzip.compress(b"hours"), "a.csv: compressed with gzip; unpack it: gzip -d a.csv"),
    "old Macintosh": (f"{HEADER}\r1,a,yes\r".encode(), "a.csv: lines end with CR alone, as on old Macintoshes; save it with another line end"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_what_stops_a_training(tmp_path, case):
    lines, expected = FAILURES[case]
    assert expected in [line for line in said(tmp_path, lines) if not line.startswith(("warning: ", "note: "))]


WARNINGS = {
    "few of a class": ([r for r in ROWS if r.endswith("yes")] + ["7,Busan,no"], "passed: 'no' has 1 row: too few to learn from"),
    "a class without rows": (ROWS, "passed: 'maybe' has 0 rows: too few to learn from"),
    "all blank": ([r.replace("Seoul", "").replace("Busan", "") for r in ROWS], "city: every field is blank"),
    "all blank numbers": ([f",{'ab'[i // 2 % 2]},{'yes' if i % 2 else 'no'}" for i in range(40)], "hours: every field is blank"),
    "constant": ([r.replace("Busan", "Seoul") for r in ROWS], "city: always 'Seoul': nothing to learn from"),
    "constant number": ([f"4,{'ab'[i // 2 % 2]},{'yes' if i % 2 else 'no'}" for i in range(40)], "hours: always 4: nothing to learn from"),
    "row number": ([f"{i},{'ab'[i // 2 % 2]},{'yes' if i % 2 else 'no'}" for i in range(100)], "hours: counts up row by row: a row number teaches nothing"),
    "long id": ([f"{20261234567 + i * i},{'ab'[i // 2 % 2]},{'yes' if i % 2 else 'no'}" for i in range(40)], "hours: whole numbers up to 20261236088 lose their last digits in a float32: an id?"),
    "names": ([r.replace("Seoul", f"Kim {i}").replace("Busan", f"Lee {i}") for i, r in enumerate(ROWS)], "city: nearly every row has a word of its own ('Lee 0'): an id or a name teaches nothing"),
    "dates": ([r.replace("Seoul", "2026-01-02").replace("Busan", "2026-01-03") for r in ROWS], 'city: dates as words: each day is a word of its own; "date" in COLUMNS reads year, month, weekday'),
    "numbers as text": ([r.replace("Seoul", str(i % 25)).replace("Busan", str(i % 24)) for i, r in enumerate(ROWS * 3)], 'city: numbers in a column of words; if they measure something: "number" in COLUMNS'),
    "spelling": ([*ROWS, "1,seoul ,no"], "city: 'Seoul' and 'seoul ' are two words to the model"),
    "repeated rows": ([*ROWS, *ROWS[:3]], "3 rows (7.0%) are there more than once"),
}  # fmt: skip


@pytest.mark.parametrize("case", WARNINGS)
def test_what_is_worth_a_warning(tmp_path, case):
    lines, expected = WARNINGS[case]
    declared = declare(classes=("no", "yes", "maybe")) if "maybe" in expected else None
    found = said(tmp_path, lines, declared)
    assert f"warning: {expected}" in found


def test_notes_are_no_warnings(tmp_path):
    lines = [HEADER + ",extra", *[f"{row},x{i}" for i, row in enumerate(ROWS)], ",,no,y", "3,NA,yes,z", "5,NA,no,z"]
    report = check_data(declare(), [write(tmp_path / "a.csv", "\n".join(lines).encode())])
    assert report.findings.verdict == "ok"
    assert list(report.findings.lines()) == [
        "note: city: 'NA' (2x) is a word like any other; a blank field means missing",
        "note: blank fields: hours 2.3%, city 2.3%",
        "note: not seen by the model: extra (almost every row has another value: a name or an id)",
    ]


def test_blank_lines_and_a_byte_order_mark_and_crlf_are_fine(tmp_path):
    text = "\r\n".join([HEADER, *ROWS[:20], "", *ROWS[20:], "", ""])
    report = check_data(declare(), [write(tmp_path / "a.csv", codecs.BOM_UTF8 + text.encode())])
    assert (report.findings.lines(), report.rows) == ((), 40)


# --- encodings

KOREAN = f"{HEADER}\n" + "\n".join(r.replace("Seoul", "서울").replace("Busan", "부산") for r in ROWS) + "\n"


@pytest.mark.parametrize(
    ("encoding", "told", "sample"),
    [("cp949", "CP949", "부산"), ("euc-kr", "CP949", "부산"), ("utf-16", "UTF-16", ""), ("utf-16-le", "UTF-16LE", "")],
)
def test_korean_text_in_an_old_encoding(tmp_path, encoding, told, sample):
    data = KOREAN.encode(encoding)
    assert data != KOREAN.encode()
    (line,) = said(tmp_path, data)
    assert line.startswith("a.csv:2: the text is CP949, not UTF-8" if told == "CP949" else "a.csv: the text")
    assert sample in line
    assert line.endswith(f"in Excel save as 'CSV UTF-8', or: iconv -f {told} -t UTF-8 a.csv > new.csv")


@pytest.mark.parametrize(("encoding", "told"), [("cp1252", "CP1252"), ("shift_jis", "SHIFT_JIS")])
def test_other_old_encodings(tmp_path, encoding, told):
    word = {"cp1252": "Münster", "shift_jis": "さっぽろ"}[encoding]
    (line,) = said(tmp_path, KOREAN.replace("부산", word).replace("서울", word).encode(encoding))
    assert line.startswith(f"a.csv:2: the text is {told}, not UTF-8 ({word!r})")


def test_a_foreign_byte_far_down_is_found_with_its_line(tmp_path):
    lines = [HEADER, *ROWS * 4000, "1,서울,yes"]
    data = "\n".join(lines).encode("cp949")
    assert len(data) > 1 << 20
    assert said(tmp_path, data)[0].startswith("a.csv:160002: the text is CP949")


# --- ranges


def test_values_out_of_range(tmp_path):
    found = said(tmp_path, [*ROWS, "391,Seoul,no", "-1,Seoul,yes", "1e3,Busan,no", "500,Busan,yes", "abc,Busan,no"],
                 declare(ranges={"hours": (0.0, 100.0)}))  # fmt: skip
    assert found[:4] == [
        "a.csv:46:hours: text 'abc' in a number column",
        "a.csv:42:hours: 391 is outside 0 to 100",
        "a.csv:43:hours: -1 is outside 0 to 100",
        "a.csv:44:hours: 1e3 is outside 0 to 100 (and 1 more like this); fix it, or widen RANGES",
    ]


# --- the answer given away


def leaky(city, hours=lambda i, label: f"{i % 13}.{i}", count=60):
    rows = []
    for i in range(count):
        label = "yes" if i * 7 % 5 > 2 else "no"
        rows.append(f"{hours(i, label)},{city(i, label)},{label}")
    return rows


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (leaky(lambda i, y: y), "city: is the label passed again; take it out"),
        (leaky(lambda i, y: y.upper()), "city: stands for passed one to one, e.g. 'NO' -> 'no'; take it out"),
        (leaky(lambda i, y: "ab"[i % 2], lambda i, y: 1 if y == "yes" else 0), "hours: stands for passed one to one, e.g. '0' -> 'no'; take it out"),
        (leaky(lambda i, y: f"{y}{i % 5}"), "warning: city: each of its 5 values goes with one passed only; known before the answer is?"),
        (leaky(lambda i, y: "ab"[i % 2], lambda i, y: i + (1000 if y == "yes" else 0)), "warning: hours: alone tells passed apart (no 0 to 58, yes 1002 to 1059); known before"),
        (leaky(lambda i, y: "ab"[i % 2] if y == "yes" else ""), "warning: city: blank just where passed is no; is it filled in after"),
    ],
)  # fmt: skip
def test_a_column_that_gives_a_class_away(tmp_path, rows, line):
    found = said(tmp_path, rows)
    assert [f for f in found if f.startswith(line)], found
    name = line.removeprefix("warning: ").partition(":")[0]
    allowed = said(tmp_path, rows, declare(allow=(f"leak:{name}",)))
    assert not [f for f in allowed if f.startswith(line)]


@pytest.mark.parametrize(
    ("hours", "line"),
    [
        (lambda i: i * i % 17, "hours: is the label score again; take it out"),
        (lambda i: 32 + 1.8 * (i * i % 17), "hours: is score on another scale (correlation 1); take it out"),
        (lambda i: (i * i % 17) + i % 3, ""),
    ],
)
def test_a_column_that_gives_a_number_away(tmp_path, hours, line):
    text = "hours,city,score\n" + "".join(f"{hours(i)},{'ab'[i % 2]},{i * i % 17}\n" for i in range(60))
    declared = declare(label="score", classes=())
    path = write(tmp_path / "a.csv", text.encode())
    failures = [f for f in check_data(declared, [path]).findings.lines() if not f.startswith(("note", "warning"))]
    assert [f[: len(line)] for f in failures] == ([line] if line else [])


def test_few_rows_prove_no_leak(tmp_path):
    assert not [line for line in said(tmp_path, leaky(lambda i, y: y, count=12)) if "label" in line]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (["1,a,3.5", "2,b,x", "3,a,4"], "a.csv:3:score: text 'x' in a number column"),
        (["1,a,3.5", "2,b,", "3,a,4"], "a.csv:3:score: no label; leave such rows out of the file"),
        (["1,a,3", "2,b,3.0", "3,a,3"], "score: always 3: nothing to learn"),
    ],
)
def test_a_label_that_is_a_number(tmp_path, rows, line):
    path = write(tmp_path / "a.csv", "\n".join(["hours,city,score", *rows]).encode())
    assert line in check_data(declare(label="score", classes=()), [path]).findings.lines()


def test_free_text_may_be_the_only_column(tmp_path):
    text = "words,passed\n" + "".join(f"a text about {i},{'yes' if i % 2 else 'no'}\n" for i in range(60))
    path = write(tmp_path / "a.csv", text.encode())
    assert check_data(declare(columns={"words": "category"}), [path]).findings.lines() == ()


# --- several files


def test_rows_and_words_of_held_out_data(tmp_path):
    found = said(tmp_path, ROWS, held_out=[*ROWS[:2], "3,Jeju,yes", "4,Gwangju,no"])
    assert found == [
        "warning: city: 'Jeju', 'Gwangju' in the held-out rows only",
        "warning: 2 rows of b.csv are in a.csv, too",
    ]


def test_all_files_are_read_and_all_is_told_at_once(tmp_path):
    sources = [
        write(tmp_path / "a.csv", ["x,Seoul,yes", *ROWS]),
        write(tmp_path / "b.csv", KOREAN.encode("cp949")),
        write(tmp_path / "c.csv", [*ROWS[:3], "1,Seoul,maybe"]),
    ]
    report = check_data(declare(), sources)
    places = [line.split(" ")[0] for line in report.findings.lines()]
    assert places[:3] == ["a.csv:2:hours:", "b.csv:2:", "c.csv:5:passed:"]
    assert report.files == 3
    assert report.summary == "45 rows in 3 files, 2 classes" + BASE.format(share="50%")


def test_what_repeats_is_counted(tmp_path):
    found = said(tmp_path, [*ROWS, *(f"bad{i},Seoul,no" for i in range(30))])
    assert found[:3] == [
        "a.csv:42:hours: text 'bad0' in a number column",
        "a.csv:43:hours: text 'bad1' in a number column",
        "a.csv:44:hours: text 'bad2' in a number column (and 27 more like this)",
    ]


def test_more_than_twenty_findings_are_counted(tmp_path):
    found = said(tmp_path, [*ROWS, *(f"{i},Seoul,class{i}" for i in range(30))])
    assert len(found) == 21
    assert found[19] == "a.csv:61:passed: 'class19' is not in CLASSES; known: no, yes"
    assert found[20] == "and 10 more"


def test_no_more_rows_than_the_limit_are_read_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "MOST_ROWS", 20)
    monkeypatch.setattr(reading, "CHUNK", 10)
    report = check_data(declare(), [write(tmp_path / "a.csv", ROWS)])
    assert report.rows == 20
    assert "note: only the first 20 rows were checked" in report.findings.lines()


def test_places_are_right_across_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "CHUNK", 7)
    found = said(tmp_path, [*ROWS[:9], '1,"two\nlines",no', *ROWS[9:], "1,2,3,4", "abc,Seoul,no", '9,"open,no'])
    assert [line.partition(": ")[0] for line in found if not line.startswith("warning")] == [
        "a.csv:11", "a.csv:44", "a.csv:45:hours", "a.csv:46",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["1", "-1.5", "+2.", ".5", "1e-3", " 7 ", "3.4e38"])
def test_numbers(text):
    assert wrong(text) is None


@pytest.mark.parametrize("word", sorted(missing.WORDS))
def test_what_new_takes_for_blank_is_what_the_check_calls_missing(word):
    column = Column("hours")
    column.add("1.5", 2)
    column.add(word.upper(), 3)
    assert column.numeric and column.blanks == {word.upper()}
    assert "for a missing number" in (wrong(word.upper()) or "")


def test_classes_that_are_far_from_even_and_columns_that_could_be_learnt_from(tmp_path):
    rows = [f"{i % 13}.{i},Seoul{i % 3},{'yes' if i % 20 == 7 else 'no'},{i % 4},{i * 2}" for i in range(400)]
    told = said(tmp_path, "\n".join([f"{HEADER},code,size", *rows]).encode())
    uneven = "of the rows are 'no': a model that always says so has that accuracy; look at the recall"
    offer = 'in model.py, CLASS_WEIGHT = {"no": 0.526, "yes": 10} makes each class count alike'
    assert f"warning: passed: 95% {uneven}; {offer}" in told
    better = "numbers: add it to COLUMNS if it is known before the answer"
    assert f"note: not seen by the model: code ({better}); size ({better})" in told


def test_a_report_names_columns_as_the_persons_file_did(tmp_path):
    named = dataclasses.replace(declare(), headers={"hours": "시간", "more": "더"})
    told = said(tmp_path, "\n".join([f"{HEADER},more", *[f"{row},7" for row in ROWS], "x,Seoul,yes,7"]).encode(), named)
    assert "a.csv:42:시간 (hours): text 'x' in a number column" in told
    assert "note: not seen by the model: 더 (more) (it has one value only)" in told
