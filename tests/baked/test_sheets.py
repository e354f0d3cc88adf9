"""Files as people really have them: each becomes a trainer with the right kinds, or is refused with what to change."""

from __future__ import annotations

import csv
import datetime
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudkite.data import fields, reading, table
from cloudkite.data.table import Table, Wishes
from cloudkite.show.errors import BadValue
from cloudkite.trainers import folders, making
from cloudkite.workspace import Workspace
from tests import workbooks

ROWS = 60
Make = Callable[[int], object]


def text(mark: str = ",", count: int = ROWS, **makers: Make) -> str:
    """A table as text: a column for each maker, fields in quotes where they need some."""
    lines = [list(makers)] + [[str(make(i)) for make in makers.values()] for i in range(count)]

    def quoted(field: str) -> str:
        return '"' + field.replace('"', '""') + '"' if mark in field or '"' in field or "\n" in field else field

    return "".join(mark.join(map(quoted, line)) + "\n" for line in lines)


def answer(i: int) -> str:
    return "no" if i % 3 else "yes"


def save(path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def copied(found: Table, folder: Path) -> list[dict[str, str]]:
    """The rows of the copy that a trainer gets."""
    table.write(found, folder / "copy.csv")
    with (folder / "copy.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def column(tmp_path: Path, make: Make, mark: str = ",", count: int = ROWS, **more: Make) -> tuple[Table, list[str]]:
    """What a column x becomes in a table with others, and its fields in the copy."""
    path = save(tmp_path / "t.csv", text(mark, count, x=make, other=lambda i: i % 7, **more, y=answer))
    found = table.read(path, "y")
    return found, [row["x"] for row in copied(found, tmp_path)]


def twice_the_same(found: Table, values: list[str]) -> None:
    """What was read once can be read again, from the copy too, and stays the same."""
    how = found.fields["x"]
    assert [how.plain(value) for value in values] == values


# --- columns

mixed = random.Random(7)
NOISE = [mixed.randrange(10**6) for _i in range(400)]
WORDS = "the a weather is was very good bad today we went out for coffee and came home late again with friends".split()
PROSE = [" ".join(mixed.choices(WORDS, k=9)) for _i in range(400)]
KOREAN = "오늘 날씨가 정말 좋아서 밖으로 나가 친구와 산책을 하고 커피도 마셨다 배송이 너무 느려요".split()
HANGUL = [" ".join(mixed.choices(KOREAN, k=5)) for _i in range(400)]

# id: (a field for each row, its kind, the first field in the copy)
COLUMNS: dict[str, tuple[Make, str, str]] = {
    "thousands": (lambda i: f"{1_234_567 + NOISE[i]:,}", "number", str(1_234_567 + NOISE[0])),
    "thousands and cents": (lambda i: f"{NOISE[i] + 0.25:,.2f}", "number", f"{NOISE[0] + 0.25:.2f}"),
    "German": (lambda i: f"{NOISE[i] + 0.5:,.2f}".translate({44: 46, 46: 44}), "number", f"{NOISE[0] + 0.5:.2f}"),
    "a decimal comma": (lambda i: f"{i % 50},{i % 10}5", "number", "0.05"),
    "French": (lambda i: f"{NOISE[i] + 0.5:,.2f}".replace(",", "\u202f").replace(".", ","), "number",
               f"{NOISE[0] + 0.5:.2f}"),
    "Swiss": (lambda i: f"{NOISE[i] + 0.5:,.2f}".replace(",", "'"), "number", f"{NOISE[0] + 0.5:.2f}"),
    "Indian": (lambda i: f"{12 + i % 50},34,567.5", "number", "1234567.5"),
    "dollars": (lambda i: f"${i % 50}.34", "number", "0.34"),
    "euros": (lambda i: f"{i % 50},34 €", "number", "0.34"),
    "won": (lambda i: f"{1 + i % 50},234,000원", "number", "1234000"),
    "wide won": (lambda i: f"￦{1 + i % 50},234,000", "number", "1234000"),
    "yen in wide digits": (lambda i: f"{i % 50 + 1}円".translate({48 + d: 0xFF10 + d for d in range(10)}), "number",
                           "1"),
    "pounds": (lambda i: f"£{i % 50}.34", "number", "0.34"),
    "percent": (lambda i: f"{i % 50}.5%", "number", "0.5"),
    "kilograms": (lambda i: f"{i % 50}.5 kg", "number", "0.5"),
    "a unit now and then": (lambda i: f"{i % 50}cm" if i % 2 else f"{i % 50}", "number", "0"),
    "accounting": (lambda i: f"({NOISE[i]:,}.50)" if i % 2 == 0 else f"{NOISE[i]:,}.50", "number", f"-{NOISE[0]}.50"),
    "a real minus": (lambda i: f"\u2212{i % 50 + 1}.5", "number", "-1.5"),
    "a minus behind": (lambda i: f"{i % 50 + 1}.5-", "number", "-1.5"),
    "times of a day": (lambda i: f"{i % 24}:{(7 * i) % 60:02}", "number", "0.0"),
    "many whole numbers": (lambda i: NOISE[i], "number", str(NOISE[0])),
    "NA and #N/A": (lambda i: ["NA", "#N/A", "없음", "-"][i % 4] if i % 5 == 0 else i / 8, "number", ""),
    "ISO dates": (lambda i: datetime.date(2024, 3, 5) + datetime.timedelta(i), "date", "2024-03-05"),
    "dates with slashes": (lambda i: f"2024/{i % 12 + 1}/{i % 28 + 1}", "date", "2024-01-01"),
    "Korean dates with dots": (lambda i: f"2024. {i % 12 + 1}. {i % 28 + 1}.", "date", "2024-01-01"),
    "Korean dates": (lambda i: f"2024년 {i % 12 + 1}월 {i % 28 + 1}일", "date", "2024-01-01"),
    "Korean moments": (lambda i: f"2024년 3월 {i % 28 + 1}일 오후 {i % 11 + 1}시 {i % 60}분", "date",
                       "2024-03-01T13:00"),
    "Japanese dates": (lambda i: f"2024年{i % 12 + 1}月{i % 28 + 1}日", "date", "2024-01-01"),
    "German dates": (lambda i: f"{i % 28 + 1:02}.{i % 12 + 1:02}.2024", "date", "2024-01-01"),
    "American dates": (lambda i: f"{i % 12 + 1}/{i % 28 + 1}/2024", "date", "2024-01-01"),
    "British dates": (lambda i: f"{i % 28 + 1}/{i % 12 + 1}/24", "date", "2024-01-01"),
    "dates by name": (lambda i: f"{i % 28 + 1}-Mar-2024", "date", "2024-03-01"),
    "moments": (lambda i: f"2024-03-{i % 28 + 1:02}T14:{i % 60:02}:00Z", "date", "2024-03-01T14:00"),
    "American moments": (lambda i: f"{i % 12 + 1}/{i % 28 + 1}/2024 {i % 12 + 1}:{i % 60:02} PM", "date",
                         "2024-01-01T13:00"),
    "eight digits": (lambda i: f"2024{i % 12 + 1:02}{i % 28 + 1:02}", "date", "2024-01-01"),
    "months": (lambda i: f"20{10 + i % 15}-{i % 12 + 1:02}", "date", "2010-01-01"),
    "English sentences": (lambda i: PROSE[i], "text", PROSE[0]),
    "Korean sentences": (lambda i: HANGUL[i], "letters", HANGUL[0]),
    "Japanese sentences": (lambda i: f"今日は天気がとても良いので散歩に行きました{i}", "letters",
                           "今日は天気がとても良いので散歩に行きました0"),
    "answers in a sentence": (lambda i: f"I agree with this a {'lot' if i % 2 else 'little'}", "category",
                              "I agree with this a little"),
    "postal codes": (lambda i: f"{i % 20:05}", "category", "00000"),
    "yes and blank": (lambda i: "Y" if i % 4 else "", "category", ""),
    "sizes": (lambda i: f"{36 + i % 4}{'SML'[i % 3]}", "category", "36S"),
    "grades": (lambda i: ["A+", "A", "B", "C-"][i % 4], "category", "A+"),
    "months of a year": (lambda i: ["Jan", "Feb", "Mar"][i % 3], "category", "Jan"),
}  # fmt: skip


@pytest.mark.parametrize("case", COLUMNS)
def test_what_decides_is_kept(tmp_path: Path, case: str):
    make, kind, first = COLUMNS[case]
    found, values = column(tmp_path, make)
    assert found.columns == {"x": kind, "other": "number"}
    assert values[0] == first
    assert kind not in ("number", "date") or all(value or "blank" in str(found.notes) for value in values)
    twice_the_same(found, values)


# A few fields among many that don't fit: told by their line, and blank.
STRAYS: dict[str, tuple[Make, object, str]] = {
    "another style": (lambda i: i / 8, "12,5", "number"),
    "a word": (lambda i: i / 8, "about 3", "number"),
    "another unit": (lambda i: f"{i}.5 kg", "3 lb", "number"),
    "a note": (lambda i: f"${i}.50", "refunded", "number"),
    "an impossible date": (lambda i: f"2024-01-{i % 28 + 1:02}", "2024-02-30", "date"),
    "a word among dates": (lambda i: f"{i % 28 + 1}.{i % 12 + 1}.2024", "next week", "date"),
    "too large": (lambda i: i / 8, "1e39", "number"),
}


@pytest.mark.parametrize("case", STRAYS)
def test_one_stray_value_is_told_by_its_line_and_not_paid_for_with_the_column(tmp_path: Path, case: str):
    make, stray, kind = STRAYS[case]
    found, values = column(tmp_path, lambda i: stray if i == 20 else make(i))
    assert found.columns["x"] == kind
    assert [i for i, value in enumerate(values) if not value] == [20]
    assert any(f"{stray!r} (line 22)" in note for note in found.notes)


@pytest.mark.parametrize(
    ("written", "first"), [("{}원", "1,000"), ("₩{}", "1,000"), ("{}₫", "1.000"), ("¥{}", "1,000")]
)
def test_money_without_cents_has_thousands_and_no_fractions(tmp_path: Path, written: str, first: str):
    mark = first[1]
    for separator in ",;\t":
        found, values = column(tmp_path, lambda i: written.format(f"{1 + i % 90}{mark}000"), separator)
        assert found.columns["x"] == "number" and values[:2] == ["1000", "2000"], separator


# What stays open: the column and the option are named, and with the option it is read.
OPEN: dict[str, tuple[Make, str, str, str, str]] = {
    "1.234 in a file of semicolons": (lambda i: f"{1 + i % 9}.{100 + i}", ";", "'1.100' may be 1.100 or 1100",
                                      "x=german", "1100"),
    "987 and 1.234 in a file of tabs": (lambda i: f"{1 + i % 9}.{100 + i}" if i % 5 else "987", "\t",
                                        "'2.101' may be 2.101 or 2101", "x=german", "987"),
    "1,234 in a file of tabs": (lambda i: f"{1 + i % 9},{100 + i}", "\t", "'1,100' may be 1100 or 1.100",
                                "x=english", "1100"),
    "two styles": (lambda i: f"{i}.5" if i % 2 else f"{i},5", ";", "numbers of two styles", "x=german", "0.5"),
    "3/5/2024": (lambda i: f"{i % 12 + 1}/{i % 12 + 1}/2024" if i % 3 else "3/5/2024", ",",
                 "'3/5/2024' may be 2024-05-03 or 2024-03-05", "x=mdy", "2024-03-05"),
    "24.03.05": (lambda i: f"{i % 12 + 1:02}-{i % 12 + 1:02}-{i % 12 + 1:02}" if i else "01-02-03", ",", "may be",
                 "x=dmy", "2003-02-01"),
    "two units": (lambda i: f"{i} kg" if i % 2 else f"{i} lb", ",", "'0 lb' and '1 kg' have different units", "x=out",
                  "0 lb"),
    "thousands and millions": (lambda i: f"{i}.5K" if i % 2 else f"{i}.5M", ",",
                               "'0.5M' and '1.5K' have different units", "x=out", "0.5M"),
    "places": (lambda i: f"{37 + i / 8}, {127 + i / 8}", ",", "'37.0, 127.0' holds two numbers", "x=out",
               "37.0, 127.0"),
    "percent and not": (lambda i: f"{i}%" if i % 2 else f"{i}", ",", "some are percent and some are not", "x=number",
                        "0"),
    "many words among numbers": (lambda i: f"{i}.5" if i % 5 else f"about {i}", ",", "'about 0' in line 2 is no number",
                                 "x=number", ""),
    "blood pressure": (lambda i: f"{100 + i}/{60 + i}", ",", "'100/60' holds two numbers", "x=out", "100/60"),
}  # fmt: skip


@pytest.mark.parametrize("case", OPEN)
def test_what_stays_open_is_refused_with_the_exact_option(tmp_path: Path, case: str):
    make, mark, said, option, first = OPEN[case]
    with pytest.raises(BadValue) as caught:
        column(tmp_path, make, mark)
    assert said in caught.value.message and "x" in caught.value.message
    assert f"--as {option}" in caught.value.hint
    name, kind = option.split("=")
    found = table.read(tmp_path / "t.csv", "y", Wishes(kinds={name: kind}))
    assert copied(found, tmp_path)[0]["x"] == first
    assert ("x" in found.columns) == (kind != "out")


def test_other_columns_settle_what_one_leaves_open(tmp_path: Path):
    found, values = column(tmp_path, lambda i: f"{1 + i % 9}.{100 + i}", ";", more=lambda i: f"{i},5")
    assert values[0] == "1100" and found.forms == {"x": {"style": "german"}, "more": {"style": "german"}}
    found, values = column(tmp_path, lambda i: f"{1 + i % 9}.{100 + i}", ";", more=lambda i: f"{i}.5")
    assert values[0] == "1.100" and not found.forms
    found, values = column(tmp_path, lambda i: f"{1 + i % 9}.{100 + i}", "\t")
    assert values[0] == "1.100" and not found.forms  # programs write tabs, and spreadsheets where 1.234 is a thousand ;
    found, values = column(tmp_path, lambda i: f"3/{5 + i % 2}/2024", more=lambda i: f"{i % 28 + 1}/{i % 12 + 1}/2024")
    assert values[0] == "2024-05-03"


LEFT_OUT: dict[str, tuple[Make, str]] = {
    "names": (lambda i: f"Kim Min-ji {NOISE[i]}", "a name or an id"),
    "phone numbers": (lambda i: f"010{NOISE[i]:08}", "digits of a code"),
    "phone numbers with +": (lambda i: f"+8210{NOISE[i]:08}", "digits of a code"),
    "card numbers": (lambda i: f"{NOISE[i]:016}", "digits of a code"),
    "row numbers": (lambda i: i + 1, "it counts the rows"),
    "one value": (lambda i: "same", "it has one value only"),
    "blank": (lambda i: "", "it is blank"),
    "not a number at all": (lambda i: "N/A", "it is blank"),
    "codes": (lambda i: f"A{NOISE[i]}", "a name or an id"),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_left_out_has_a_true_reason(tmp_path: Path, case: str):
    make, reason = LEFT_OUT[case]
    found, _values = column(tmp_path, make)
    assert list(found.columns) == ["other"]
    assert any(note.startswith("column x is left out: ") and reason in note for note in found.notes)


@pytest.mark.parametrize("count", [12, 300, 3000])
def test_nothing_that_says_something_is_an_id_at_any_number_of_rows(tmp_path: Path, monkeypatch, count: int):
    monkeypatch.setattr(table, "MANY", 1000)
    monkeypatch.setattr(table, "CLASSES", 20)
    some = random.Random(count)
    path = save(tmp_path / "t.csv", text(
        count=count, price=lambda i: f"{some.randrange(10**4, 10**7):,}", share=lambda i: f"{some.random():.4%}",
        day=lambda i: datetime.date(2000, 1, 1) + datetime.timedelta(some.randrange(9000)),
        said=lambda i: " ".join(some.choices(WORDS, k=8)), name=lambda i: f"P{some.randrange(10**9)}", y=answer,
    ))  # fmt: skip
    found = table.read(path, "y")
    assert found.columns == {"price": "number", "share": "number", "day": "date", "said": "text"}


# --- whole files

HEADER = ["Größe (cm)", "Umsatz", "Tag", "Stadt", "Ergebnis"]


def german(i: int) -> list[str]:
    return [f"{150 + i % 40},{i % 10}", f"{i + 1}.234,50 €", f"{i % 28 + 1:02}.{i % 12 + 1:02}.2024",
            ["Köln", "Münster"][i % 2], ["gut", "schlecht"][i % 2]]  # fmt: skip


def lines(rows: list[list[str]], mark: str = ";") -> str:
    return "".join(mark.join(row) + "\r\n" for row in rows)


def check_german(found: Table, tmp_path: Path) -> None:
    assert found.columns == {"Grosse_cm": "number", "Umsatz": "number", "Tag": "date", "Stadt": "category"} or (
        list(found.columns.values()) == ["number", "number", "date", "category"]
    )
    first = copied(found, tmp_path)[0]
    assert list(first.values()) == ["150.0", "1234.50", "2024-01-01", "Köln", "gut"]
    assert found.originals[next(iter(found.columns))] == "Größe (cm)"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_a_german_export(tmp_path: Path, encoding: str):
    rows = [HEADER, *map(german, range(ROWS))]
    check_german(table.read(save(tmp_path / "t.csv", lines(rows), encoding), "Ergebnis"), tmp_path)


def test_a_report_with_a_title_a_blank_line_and_totals(tmp_path: Path):
    rows = [["Auswertung 2024"], [""], HEADER, *map(german, range(ROWS))]
    rows += [["Summe", "99.999,00 €", "", "", "gut"]]
    found = table.read(save(tmp_path / "t.csv", lines(rows)), "Ergebnis")
    check_german(found, tmp_path)
    assert found.rows == ROWS and "the last line holds totals, and is left out" in found.notes


def test_what_excel_and_the_web_leave_in_a_file(tmp_path: Path):
    """A line that names the mark, spaces that don't look like one, letters without width, quotes around everything."""
    head = ['"Gr\u00f6\u00dfe\u00a0(cm)"', '"\ufeffTag"', '"leer"', '""', '"Erge\u200bbnis"']
    rows = [[f'"{150 + i % 40},{i % 10}"', f'"{i % 28 + 1}.3.2024"', '""', '""',
             '"gut\u00a0"' if i % 2 else '"schlecht"']
            for i in range(ROWS)]  # fmt: skip
    found = table.read(save(tmp_path / "t.csv", "sep=;\r\n" + lines([head, *rows])), "Ergebnis")
    assert list(found.columns.values()) == ["number", "date"] and found.classes == ("gut", "schlecht")
    assert list(copied(found, tmp_path)[1].values()) == ["151.1", "2024-03-02", "", "gut"]


def test_a_group_header_names_only_what_is_twice(tmp_path: Path):
    head = [["", "before", "", "after", "", ""], ["id", "weight", "pulse", "weight", "pulse", "healed"]]
    rows = [[f"p{i}", f"{60 + i % 9}.5", str(70 + i % 20), f"{58 + i % 9}.5", str(65 + i % 20), answer(i)]
            for i in range(ROWS)]  # fmt: skip
    path = workbooks.write(tmp_path / "t.xlsx", {"Sheet1": [*head, *rows]})
    found = table.read(path, "healed")
    assert list(found.originals.values()) == ["before weight", "before pulse", "after weight", "after pulse"]
    assert set(found.columns.values()) == {"number"} and len(found.columns) == 4


def test_a_merged_header_in_two_rows(tmp_path: Path):
    head: list[list[workbooks.Cell]] = [["Results of May"], ["name", "scores", None, "passed"],
                                        [None, "maths", "physics", None]]  # fmt: skip
    rows: list[list[workbooks.Cell]] = [[f"n{i}", i % 50 + 0.5, i % 30, answer(i)] for i in range(ROWS)]
    found = table.read(workbooks.write(tmp_path / "t.xlsx", {"S": [*head, *rows]}), "passed")
    assert found.columns == {"maths": "number", "physics": "number"}
    assert found.rows == ROWS and copied(found, tmp_path)[0]["maths"] == "0.5"


def test_a_workbook_with_real_dates_several_sheets_and_texts_that_are_numbers(tmp_path: Path):
    rows = [["day", "amount", "ratio", "written", "passed"]]
    rows += [[datetime.date(2024, 1, 1) + datetime.timedelta(i), i * 1000, i + 1.234, f"1.234,{i:02}", answer(i)]
             for i in range(ROWS)]  # fmt: skip
    notes = [["Read me"], ["made by hand"]]
    path = workbooks.write(tmp_path / "t.xlsx", {"About": notes, "Scores & more": rows, "Old": rows[:5]})
    found = table.read(path, "passed")
    assert found.columns == {"day": "date", "amount": "number", "ratio": "number", "written": "number"}
    first = copied(found, tmp_path)[0]
    assert (first["day"], float(first["ratio"]), first["written"]) == ("2024-01-01", 1.234, "1234.00")
    said = "t.xlsx: of its sheets 'About', 'Scores & more', 'Old', 'Scores & more' is read; --sheet NAME takes another"
    assert found.notes[0] == said
    assert table.read(path, "passed", Wishes(sheet="Old")).rows == 4
    with pytest.raises(BadValue, match="has no sheet 'old'") as caught:
        table.read(path, "passed", Wishes(sheet="old"))
    assert caught.value.hint == "did you mean Old?"


def test_a_formula_that_was_never_calculated_is_refused_by_its_cell(tmp_path: Path):
    rows: list[list[workbooks.Cell]] = [["a", "b", "y"]]
    rows += [[i % 7, (f"A{i + 2}*2", str(i * 2)), answer(i)] for i in range(ROWS)]
    found = table.read(workbooks.write(tmp_path / "t.xlsx", {"S": rows}), "y")
    assert found.columns == {"a": "number", "b": "number"}
    rows[9] = [1, ("A10*2", ""), "yes"]
    with pytest.raises(BadValue) as caught:
        table.read(workbooks.write(tmp_path / "t.xlsx", {"S": rows}), "y")
    assert caught.value.message == "t.xlsx: the formula in B10 was never calculated, so its value isn't in the file"
    assert caught.value.hint == "open it in a spreadsheet program, and save it"


def test_parquet(tmp_path: Path):
    import pyarrow
    import pyarrow.parquet

    columns = {
        "day": [datetime.datetime(2024, 1, 1, i % 24) for i in range(ROWS)],
        "amount": [None if i == 3 else i / 8 for i in range(ROWS)],
        "city": [["Seoul", "Busan"][i % 2] for i in range(ROWS)],
        "good": [i % 3 == 0 for i in range(ROWS)],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    found = table.read(tmp_path / "t.parquet", "good")
    assert found.columns == {"day": "date", "amount": "number", "city": "category"}
    rows = copied(found, tmp_path)
    assert list(rows[3].values()) == ["2024-01-01T03:00", "", "Busan", "True"]
    pyarrow.parquet.write_table(pyarrow.table({**columns, "many": [[1, 2]] * ROWS}), tmp_path / "t.parquet")
    with pytest.raises(BadValue, match="the column many holds list"):
        table.read(tmp_path / "t.parquet", "good")


def database(path: Path, *names: str) -> Path:
    made = sqlite3.connect(path)
    for name in names:
        made.execute(f'CREATE TABLE "{name}" (amount REAL, day TEXT, city TEXT, good TEXT)')
        rows = [(i / 8, f"2024-03-{i % 28 + 1:02}", ["Seoul", "Busan"][i % 2], answer(i)) for i in range(ROWS)]
        made.executemany(f'INSERT INTO "{name}" VALUES (?, ?, ?, ?)', rows)
    made.commit()
    made.close()
    return path


def test_a_query_makes_a_dated_snapshot(space: Workspace, tmp_path: Path):
    path = database(tmp_path / "shop.db", "sales", "old sales")
    with pytest.raises(BadValue) as caught:
        table.read(path, "good")
    assert caught.value.message == "shop.db: which table? it has old sales, sales"
    assert caught.value.hint == 'add --query "SELECT * FROM old sales"'
    wishes = Wishes(query="SELECT amount, day, good FROM sales WHERE amount > 1")
    found = making.look(space, "shop", path, "good", None, wishes)
    assert isinstance(found, Table) and found.columns == {"amount": "number", "day": "date"}
    folder = making.make(space, "shop", found)
    today = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    declared = folders.find(space, "shop").declared
    assert declared.data == f"data/shop-{today}.csv" and (folder / declared.data).is_file()
    about = (folder / "data" / "README.md").read_text(encoding="utf-8")
    assert wishes.query in about and "A snapshot of" in about
    assert declared.forms == {"": {"query": wishes.query}}
    for query, said in [("SELECT colour FROM sales", "no such column: colour"), ("DROP TABLE sales", "readonly"),
                        ("PRAGMA user_version = 3", "readonly")]:  # fmt: skip
        with pytest.raises(BadValue) as caught:
            table.read(path, "good", Wishes(query=query))
        assert said in caught.value.message and caught.value.hint == "fix --query"
    assert table.read(database(tmp_path / "one.db", "only"), "good").rows == ROWS


# --- encodings

SAID = {
    "cp949": ("도시", ["서울", "부산", "광주"]),
    "shift_jis": ("都市", ["東京", "さっぽろ", "大阪"]),
    "gb18030": ("城市", ["北京", "上海", "深圳"]),
    "cp1252": ("Größe", ["Köln", "Münster", "Düsseldorf"]),
    "utf-16": ("도시", ["서울", "부산", "광주"]),
    "utf-8-sig": ("都市", ["東京", "서울", "Köln"]),
}


@pytest.mark.parametrize("encoding", SAID)
def test_encodings_are_proven_by_the_labels_name_or_told_as_a_guess(tmp_path: Path, encoding: str):
    name, words = SAID[encoding]
    made = text(x=lambda i: words[i % 3], z=lambda i: i % 7, **{name: answer})
    found = table.read(save(tmp_path / "t.csv", made, encoding), name)
    assert copied(found, tmp_path)[0]["x"] == words[0] and found.label == name
    assert not any("--encoding" in note for note in found.notes)
    found = table.read(save(tmp_path / "t.csv", made.replace(name, "label"), encoding), "label")
    assert copied(found, tmp_path)[0]["x"] == words[0]
    guessed = encoding not in ("utf-16", "utf-8-sig")
    assert any("by its looks; --encoding NAME says another" in note for note in found.notes) == guessed


def test_an_encoding_that_a_person_names(tmp_path: Path):
    path = save(tmp_path / "t.csv", text(x=lambda i: "ｶﾅ"[i % 2], z=lambda i: i % 7, y=answer), "shift_jis")
    found = table.read(path, "y", Wishes(codec="shift_jis"))
    assert copied(found, tmp_path)[0]["x"] == "ｶ" and found.forms[""] == {"codec": "shift_jis"}
    for name, said in [("klingon", "'klingon' isn't an encoding"), ("utf-8", "t.csv isn't text in utf-8")]:
        with pytest.raises(BadValue) as caught:
            table.read(path, "y", Wishes(codec=name))
        assert caught.value.message == said


@pytest.mark.parametrize(("real", "taken"), [("shift_jis", "cp949"), ("utf-8", "cp1252"), ("cp949", "cp1252")])
def test_what_went_through_the_wrong_converter_does_not_pass_in_silence(tmp_path: Path, real: str, taken: str):
    words = {
        "shift_jis": ["さっぽろ", "あおもり", "とうきょう"],
        "utf-8": ["Café", "Müller"],
        "cp949": ["서울", "부산"],
    }
    wrong = [word.encode(real).decode(taken) for word in words[real]]
    made = text(x=lambda i: wrong[i % len(wrong)], z=lambda i: i % 7, y=answer)
    found = table.read(save(tmp_path / "t.csv", made), "y")
    assert any(f"{real.upper()} that was read as {taken.upper()}" in note for note in found.notes)


# --- what is wrong with the data is told


def test_sentinels_groups_and_imbalance_are_told(tmp_path: Path):
    path = save(tmp_path / "t.csv", text(
        count=300, weight=lambda i: -999 if i % 40 == 7 else 50 + i % 40, patient=lambda i: f"P{i // 4}",
        y=lambda i: "ill" if i % 50 == 3 else "well",
    ))  # fmt: skip
    found = table.read(path, "y")
    notes = "\n".join(found.notes)
    assert "column weight: -999 stands in 8 rows: if it means a missing value, add --missing=-999" in notes
    assert "column patient: each value is in 4.0 rows: --group patient keeps those together" in notes
    assert "98% of the rows are 'well'" in notes
    found = table.read(path, "y", Wishes(missing=("-999",), group="patient"))
    assert found.columns == {"weight": "number"} and found.group == "patient"
    assert found.ranges["weight"] == (50, 89) and found.forms == {"": {"missing": ["-999"]}}
    assert sum(row["weight"] == "" for row in copied(found, tmp_path)) == 8


def test_group_and_time_are_written(space: Workspace, tmp_path: Path):
    path = save(tmp_path / "t.csv", text(
        **{"환자 번호": lambda i: f"P{i // 4}", "방문일": lambda i: f"2024년 {i % 12 + 1}월 3일"},
        weight=lambda i: i % 40 + 0.5, y=answer))  # fmt: skip
    wishes = Wishes(group="환자 번호", time="방문일")
    making.make(space, "ward", making.look(space, "ward", path, "y", None, wishes))
    declared = folders.find(space, "ward").declared
    assert (declared.group, declared.time) == ("hwanja_beonho", "bangmunil")
    assert declared.columns == {"bangmunil": "date", "weight": "number"}
    with pytest.raises(BadValue, match="--time y is neither a date nor a number"):
        table.read(path, "y", Wishes(time="y"))
    with pytest.raises(BadValue, match=r"--group: t\.csv has no column patient"):
        table.read(path, "y", Wishes(group="patient"))


# --- the very file again


def test_the_very_file_that_new_took_is_read_by_what_was_kept(space: Workspace, tmp_path: Path):
    """`data.py` holds all that is needed to read the person's own file, and a file like it, the same way again."""
    rows = [["Bericht"], HEADER, *map(german, range(ROWS))]
    path = save(tmp_path / "t.csv", lines(rows), "cp1252")
    making.new(space, "shop", path, "Ergebnis")
    declared = folders.find(space, "shop").declared
    how = fields.of(declared.columns, declared.forms)
    own = [declared.headers.get(name, name) for name in declared.columns]
    form, _notes = reading.form_of(path, own, codec=declared.forms[""]["codec"])
    with reading.opened(path, form) as file:
        header, chunks = file.named()
        (chunk,) = list(chunks)
    kept = list(csv.DictReader((space.trainers / "shop" / declared.data).read_text(encoding="utf-8").splitlines()))
    for name, one in how.items():
        place = header.index(declared.headers.get(name, name))
        assert [one.plain(row[place]) for row in chunk.rows] == [row[name] for row in kept]
        assert [one.plain(row[name]) for row in kept] == [row[name] for row in kept]  # and the trainer's copy itself


ATOMS = """
1|12|1,234|1.234|1.234,5|12,5|0.5|-3|(5)|5 kg|3 lb|$5|€ 3,2|12%|n/a||-|2024-03-05|5.3.2024|3/5/2024|14:30|abc|서울|=1+1
2024년 3월 5일|a b c d e|오늘 날씨가 좋아서 나갔다|007|+821012345678|1e5|1e400|"q"|x;y|１２|−4|٣|½|20240305|1.2.3
99999999999999999999|P1|12A|NaN|inf|120/80|1-2| 3 |True|-999|1 234|1'234.5|.5|5.|5,|2024-13-45|31.02.2024
"""
ATOMS = [*ATOMS.strip("\n").replace("\n", "|").split("|"), "a\nb"]


def refusal(path: Path, **kinds: str) -> Table | BadValue:
    try:
        return table.read(path, "y", Wishes(kinds=kinds))
    except BadValue as refused:
        return refused


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_table_holds_it_is_read_alike_again_or_refused_with_an_option_that_helps(tmp_path: Path, seed: int):
    some = random.Random(seed)
    read = 0
    for _i in range(60):
        pools = [some.sample(ATOMS, some.choice([1, 2, 3, 5])) for _column in range(some.randrange(1, 5))]
        mark, rare = some.choice(",;\t|"), some.random() < 0.5
        rows = [["yes" if i % 2 else "no", *(p[0] if rare and some.random() < 0.97 else some.choice(p) for p in pools)]
                for i in range(some.choice([3, 12, 40, 80]))]  # fmt: skip
        with (tmp_path / "t.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter=mark).writerows([["y", *(f"c{i}" for i in range(len(pools)))], *rows])
        found = refusal(tmp_path / "t.csv")
        if isinstance(found, BadValue):
            for part in found.hint.split("; "):
                if part.startswith("--as "):
                    name, kind = part.removeprefix("--as ").split(" (")[0].split(" or ")[0].strip("'").split("=")
                    again = refusal(tmp_path / "t.csv", **{name: kind})
                    assert isinstance(again, Table) or again.message != found.message
            continue
        kept = copied(found, tmp_path)
        assert len(kept) == found.rows
        for name, how in found.fields.items():
            values = [row[name] for row in kept]
            assert how.kind == "category" or [how.plain(value) for value in values] == values
            low, high = found.ranges.get(name, (float("-inf"), float("inf")))
            assert found.columns.get(name) != "number" or all(low <= float(value) <= high for value in values if value)
            assert name not in found.columns or any(values)
        read += 1
    assert read > 20
