"""What the data check tells beyond single fields: stand-ins, outliers, twins, groups, order, people, drift."""

# ruff: noqa: E501  # a case a line reads best

import csv
import dataclasses
import random
from collections import Counter
from pathlib import Path

import pytest

from cloudkite.check.columns import drift, personal, strength
from cloudkite.check.columns.drift import Known
from cloudkite.check.columns.sample import MOST, Sample, quantile
from cloudkite.check.data import check_data, check_new
from cloudkite.check.findings import Findings
from cloudkite.check.rows import Source
from cloudkite.data.declared import Declared

LABELS = ("no", "yes")


def declare(columns, label="label", classes=LABELS, **more):
    return Declared(Path("trainer/data.py"), dict(columns), label, classes, "data/*.csv", {}, **more)


def table(path, columns):
    """A CSV file of columns, each with a value for every row."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return Source(path.name, path)


def labels(count, share=0.5):
    chance = random.Random(7)
    return ["yes" if chance.random() < share else "no" for _ in range(count)]


def normal(count, mean=50.0, deviation=10.0, seed=1):
    chance = random.Random(seed)
    return [f"{chance.gauss(mean, deviation):.3f}" for _ in range(count)]


def told(tmp_path, columns, declared, held_out=None):
    others = [table(tmp_path / "b.csv", held_out)] if held_out else []
    return list(check_data(declared, [table(tmp_path / "a.csv", columns)], others).findings.lines(most=100))


def numbers(tmp_path, values, **more):
    columns = {"x": values, "other": normal(len(values), seed=2), "label": labels(len(values))}
    return told(tmp_path, columns, declare({"x": "number", "other": "number"}, **more))


def replaced(values, new, rows):
    return [new if i in rows else value for i, value in enumerate(values)]


# --- numbers that stand apart


@pytest.mark.parametrize(
    ("values", "stand_in"),
    [
        (normal(300), "-999"),
        (normal(300), "-99.0"),
        (normal(300), "9999"),
        (normal(300), "99999"),
        (normal(300, 20, 5), "-9999"),
        ([str(10 + i % 31) for i in range(300)], "-1"),
        ([f"{i % 17 / 16:.3f}" for i in range(300)], "-9"),
        ([f"{i % 17 / 16 + 3e5:.3f}" for i in range(300)], "2147483647"),
        (normal(300, 72, 11), "0"),  # a blood pressure
        (normal(300, 170, 9), "0.0"),  # a height
    ],
)  # fmt: skip
def test_a_number_that_stands_for_a_missing_one_is_told_with_its_rows(tmp_path, values, stand_in):
    found = numbers(tmp_path, replaced(values, stand_in, {17, 40, 41, 200}))
    (line,) = [line for line in found if "stands apart" in line]
    assert line.startswith(f"warning: x: {float(stand_in):.15g} (4x, first in a.csv:19) stands apart from the others (")
    assert line.endswith("if it means that nothing is known, leave those fields empty")


@pytest.mark.parametrize(
    "values",
    [
        [str(i % 5) for i in range(300)],  # how many there are
        [str(-1 + i % 3) for i in range(300)],  # less, the same, more
        [str(i % 100) for i in range(300)],  # 99 among others like it
        [str(60 + i * 7 % 40) for i in range(300)],  # and at the end of ages
        normal(300, 0, 5),  # degrees, with a 0 among them
        ["0" if i % 3 else f"{i * 13 % 97}" for i in range(300)],  # mostly none
        [f"{random.Random(i).paretovariate(1.2):.2f}" for i in range(300)],  # far apart by nature
        [f"{random.Random(i).lognormvariate(8, 1.5):.0f}" for i in range(300)],  # money
        [str(1900 + i % 120) for i in range(300)],
        [str(i % 2) for i in range(300)],
    ],
)
def test_numbers_that_are_as_they_should_be_are_left_alone(tmp_path, values):
    assert not [line for line in numbers(tmp_path, values) if "stand" in line or "far outside" in line]


@pytest.mark.parametrize("value", ["1e30", "-1e30", "50000", "5003.7", "3.4e38"])
@pytest.mark.parametrize("rows", [{30}, {30, 31, 250}])
def test_a_number_far_outside_is_told_with_its_row(tmp_path, value, rows):
    found = numbers(tmp_path, replaced(normal(300), value, rows))
    (line,) = [line for line in found if "far outside" in line]
    many = f" ({len(rows)}x)" if len(rows) > 1 else ""
    assert line.startswith(f"warning: a.csv:32:x: {float(value):.15g}{many} is far outside of the others (2")
    assert line.endswith("correct it or leave the field empty: one such number moves the mean of all")


def test_each_of_several_outliers_is_told_and_counted_exactly_across_chunks(tmp_path, monkeypatch):
    from cloudkite.data import reading

    monkeypatch.setattr(reading, "CHUNK", 64)
    values = normal(1000)
    values[10], values[500], values[900], values[901] = "1e30", "", "1e30", "-4e9"
    found = [line for line in numbers(tmp_path, values) if "far outside" in line]
    assert [line.split(" is far")[0] for line in found] == [
        "warning: a.csv:903:x: -4000000000",
        "warning: a.csv:12:x: 1e+30 (2x)",
    ]


def test_a_label_with_an_outlier_is_told(tmp_path):
    columns = {"x": normal(200), "label": replaced(normal(200, seed=3), "1e12", {5})}
    found = told(tmp_path, columns, declare({"x": "number"}, classes=()))
    assert [line for line in found if line.startswith("warning: a.csv:7:label: 1000000000000 is far outside")]


@pytest.mark.parametrize(
    ("values", "loses"),
    [
        ([str(20261234567 + i * i) for i in range(60)], True),
        ([str(2**24 + 1 + 2 * i * i) for i in range(60)], True),
        ([str((1 + i * i % 57) * 10_000_000) for i in range(60)], False),  # won, in whole millions
        ([str(i * i) for i in range(60)], False),
    ],
)
def test_whole_numbers_are_told_where_a_float32_changes_them(tmp_path, values, loses):
    assert any("lose their last digits" in line for line in numbers(tmp_path, values)) == loses


# --- rows that are alike


def test_rows_with_the_same_values_and_another_label(tmp_path):
    x, answers = normal(200), labels(200)
    x[150:160], answers[150:160] = x[:10], ["no" if a == "yes" else "yes" for a in answers[:10]]
    found = told(tmp_path, {"x": x, "label": answers}, declare({"x": "number"}))
    assert (
        "warning: 10 rows (5.0%) have the values of an earlier one and another label, e.g. a.csv:152: no model gets both right"
        in found
    )


def test_rows_that_are_alike_but_for_a_column_that_the_model_does_not_see(tmp_path):
    x, answers = normal(200), labels(200)
    x[150:160], answers[150:160] = x[:10], answers[:10]
    columns = {"x": x, "row": [f"r{i}" for i in range(200)], "label": answers}
    found = told(tmp_path, columns, declare({"x": "number"}))
    assert [
        line
        for line in found
        if line.startswith(
            "warning: 10 rows (5.0%) are like others but for columns that the model doesn't see: one may be learnt"
        )
    ]
    columns["row"][150:160] = columns["row"][:10]
    found = told(tmp_path, columns, declare({"x": "number"}))
    assert "warning: 10 rows (5.0%) are there more than once" in found
    assert not [line for line in found if "are like others" in line]


def test_rows_of_few_words_are_alike_by_chance_and_that_is_no_warning(tmp_path):
    words = ["abcd"[i * i % 4] for i in range(200)]
    columns = {"x": words, "row": [f"r{i}" for i in range(200)], "label": labels(200)}
    found = told(tmp_path, columns, declare({"x": "category"}))
    assert not [line for line in found if line.startswith("warning") and ("like" in line or "another label" in line)]


def test_held_out_rows_that_the_model_has_seen(tmp_path):
    x = normal(200)
    train, held = {"x": x, "label": labels(200)}, {"x": [*x[:6], *normal(50, seed=9)], "label": ["no"] * 56}
    found = told(tmp_path, train, declare({"x": "number"}), held)
    same = train["label"][:6].count("no")
    assert f"warning: {same} rows of b.csv are in a.csv, too" in found
    assert f"warning: {6 - same} rows of b.csv have the values of some in a.csv: the model has seen them" in found


def test_files_with_other_headers_are_refused(tmp_path):
    sources = [table(tmp_path / "a.csv", {"x": normal(30), "label": labels(30)}),
               table(tmp_path / "b.csv", {"label": labels(30), "x": normal(30, seed=5)})]  # fmt: skip
    report = check_data(declare({"x": "number"}), sources)
    assert report.findings.verdict == "failed"
    assert report.findings.lines()[0].startswith("b.csv:1: other columns than in a.csv, or in another order")


def test_one_row_is_too_few(tmp_path):
    found = told(tmp_path, {"x": ["1"], "label": ["2"]}, declare({"x": "number"}, classes=()))
    assert found[0] == "one row: two are needed at least, one to learn from and one to hold out"


# --- groups and time


OWNERS = [f"P{i // 4:03}" for i in range(200)]


@pytest.mark.parametrize("header", ["patient", "patient_id", "PatientID", "customer no", "환자번호", "고객 ID", "user"])
@pytest.mark.parametrize("seen", [True, False])
def test_a_column_that_says_whose_a_row_is(tmp_path, header, seen):
    columns = {"x": normal(200), header: OWNERS, "label": labels(200)}
    declared = declare({"x": "number", **({header: "category"} if seen else {})})
    found = told(tmp_path, columns, declared)
    (line,) = [line for line in found if "several rows of each" in line]
    assert line.startswith(f"warning: {header}: ") and line.endswith(
        f'GROUP = "{header}" in data.py keeps them together'
    )
    assert not [
        line for line in told(tmp_path, columns, dataclasses.replace(declared, group=header)) if "GROUP" in line
    ]


@pytest.mark.parametrize(
    ("header", "values"),
    [("patient", [f"P{i}" for i in range(200)]), ("user", ["ab"[i % 2] for i in range(200)]), ("city", OWNERS)],
)
def test_other_columns_say_nothing_of_groups(tmp_path, header, values):
    columns = {"x": normal(200), header: values, "label": labels(200)}
    assert not [line for line in told(tmp_path, columns, declare({"x": "number"})) if "GROUP" in line]


def test_what_is_wrong_with_a_group(tmp_path):
    columns = {"x": normal(40), "who": ["a"] * 40, "label": labels(40)}
    grouped = declare({"x": "number"}, group="who")
    assert "who: every row has the same value, and is GROUP: nothing can be held out" in told(
        tmp_path, columns, grouped
    )
    columns["who"] = replaced(OWNERS[:40], "", {3, 4})
    assert "warning: who: 2 rows have none, and it is GROUP: blank is one group" in told(tmp_path, columns, grouped)
    found = told(tmp_path, columns, declare({"x": "number"}, group="whom"))
    assert found[0] == "a.csv:1: the column whom is missing; did you mean who?"


@pytest.mark.parametrize("stray", ["", "-1", "many", "nan"])
def test_weights_that_are_none(tmp_path, stray):
    columns = {"x": normal(40), "seen": replaced([str(i % 3) for i in range(40)], stray, {7}), "label": labels(40)}
    weighted = declare({"x": "number"}, weight="seen")
    assert f"a.csv:9:seen: {stray!r} isn't a weight: WEIGHT needs numbers from 0 on" in told(
        tmp_path, columns, weighted
    )
    columns["seen"][7] = "1"
    assert not [line for line in told(tmp_path, columns, weighted) if "seen" in line]


DAYS = [f"2024-{1 + i // 28:02}-{1 + i % 28:02}" for i in range(200)]


@pytest.mark.parametrize("kind", ["date", ""])
def test_rows_in_the_order_of_a_date(tmp_path, kind):
    columns = {"x": normal(200), "day": DAYS, "label": labels(200)}
    declared = declare({"x": "number", **({"day": kind} if kind else {})})
    expected = 'TIME = "day" in data.py holds out the newest'
    assert [
        line for line in told(tmp_path, columns, declared) if line.startswith("note: day: ") and line.endswith(expected)
    ]
    assert not [line for line in told(tmp_path, columns, dataclasses.replace(declared, time="day")) if "TIME" in line]
    mixed = {**columns, "day": sorted(DAYS, key=lambda day: day[::-1])}
    assert not [line for line in told(tmp_path, mixed, declared) if "TIME" in line]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("5.3.2024", "a.csv:7:day: '5.3.2024' isn't a date as ISO 8601 writes it; write 2024-03-05, or"),
        ("2024-02-30", "a.csv:7:day: '2024-02-30' isn't a date"),
        ("20240305", "a.csv:7:day: '20240305' isn't a date"),
        ("2024-03-05T25:00", "a.csv:7:day: '2024-03-05T25:00' isn't a date"),
        ("", "warning: day: 1 row has no time"),
    ],
)
def test_a_time_that_is_no_date(tmp_path, value, line):
    columns = {"x": normal(200), "day": replaced(DAYS, value, {5}), "label": labels(200)}
    for declared in (declare({"x": "number"}, time="day"), declare({"x": "number", "day": "date"}, time="day")):
        assert [found for found in told(tmp_path, columns, declared) if found.startswith(line)]


def test_dates_that_mean_nothing_or_lie_far_ahead(tmp_path):
    columns = {
        "day": replaced(DAYS, "1900-01-01", {5, 9}),
        "due": replaced(DAYS, "2924-03-05", {7}),
        "label": labels(200),
    }
    found = told(tmp_path, columns, declare({"day": "date", "due": "date"}))
    assert "warning: day: 1900-01-01 (2x): if it means that nothing is known, leave those fields empty" in found
    assert "warning: due: dates up to 2924-03-05, which is far ahead" in found
    constant = {"day": ["2024-01-01T10:00"] * 40, "label": labels(40)}
    assert "warning: day: always '2024-01-01T10:00': nothing to learn from" in told(
        tmp_path, constant, declare({"day": "date"})
    )


# --- text


@pytest.mark.parametrize(
    ("texts", "line"),
    [
        (["the same words each time"] * 60, "always 'the same words each time': nothing to learn from"),
        ([str(i * 7) for i in range(60)], 'numbers in a column of text; if they measure something: "number"'),
        (DAYS[:60], 'dates in a column of text: "date" in COLUMNS'),
        (["?!" * (1 + i % 3) for i in range(60)], "not a letter in it: nothing to learn from"),
        ([""] * 60, "every field is blank"),
        (replaced([f"text {i}" for i in range(60)], "x" * 200_000, {4}), "a text of 200,000 letters: is a quote missing, or should it be several rows?"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["text", "letters"])
def test_text_that_is_none(tmp_path, texts, line, kind):
    found = told(tmp_path, {"t": texts, "x": normal(60), "label": labels(60)}, declare({"t": kind, "x": "number"}))
    assert f"warning: t: {line}" in found


@pytest.mark.parametrize(
    ("text", "kind"), [("I liked number {} of them a lot", "text"), ("나는 {} 번째 것이 아주 좋았어요", "letters")]
)
def test_sentences_among_categories_are_told_the_kind_that_reads_them(tmp_path, text, kind):
    columns = {"t": [text.format(i) for i in range(60)], "x": normal(60), "label": labels(60)}
    found = told(tmp_path, columns, declare({"t": "category", "x": "number"}))
    assert (
        f'warning: t: sentences, each a word of its own here; "{kind}" in COLUMNS reads what they are made of' in found
    )
    assert not [line for line in told(tmp_path, columns, declare({"t": kind, "x": "number"})) if ": t: " in line]


# --- people


PEOPLE = {
    "e-mail addresses": [f"kim.{i}@example.com" for i in range(30)],
    "phone numbers": [f"010-{1000 + i}-{2000 + i}" for i in range(30)],
    "resident registration numbers": [f"90{1 + i % 12:02}{1 + i % 28:02}-1{100000 + i}" for i in range(30)],
    "social security numbers": [f"{100 + i}-45-{6000 + i}" for i in range(30)],
    "network addresses": [f"10.0.{i}.{200 - i}" for i in range(30)],
    "addresses": [f"서울특별시 강남구 테헤란로 {i}" for i in range(30)],
}


@pytest.mark.parametrize("kind", PEOPLE)
@pytest.mark.parametrize("seen", [True, False])
def test_values_that_say_who_somebody_is(tmp_path, kind, seen):
    columns = {"x": normal(30), "field": PEOPLE[kind], "label": labels(30)}
    found = told(tmp_path, columns, declare({"x": "number", **({"field": "category"} if seen else {})}))
    said = "take the column out of the file, or put codes in its place, before the data leave this machine"
    assert f"warning: field: seems to hold {kind}; {said}" in found


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("Name", "people's names"), ("customerName", "people's names"), ("이름", "people's names"), ("환자명", "people's names"),
        ("e-mail", "e-mail addresses"), ("이메일", "e-mail addresses"), ("Phone Number", "phone numbers"),
        ("휴대폰번호", "phone numbers"), ("주민등록번호", "resident registration numbers"), ("SSN", "social security numbers"),
        ("home_address", "addresses"), ("주소", "addresses"), ("date of birth", "birth dates"), ("생년월일", "birth dates"),
        ("여권번호", "passport numbers"), ("계좌번호", "bank accounts"), ("card_no", "card numbers"),
        ("filename", ""), ("species", ""), ("birth weight", ""), ("named", ""), ("phonemes", ""), ("island", ""),
    ],
)  # fmt: skip
def test_headers_that_say_who_somebody_is(header, kind):
    assert personal.of_header(header) == kind


def test_a_header_is_no_proof_where_the_values_are_codes_or_kinds(tmp_path):
    columns = {"x": normal(60), "name": ["ab"[i % 2] for i in range(60)], "이름": [str(1000 + i % 50) for i in range(60)],
               "birth": [str(20 + i % 40) for i in range(60)], "label": labels(60)}  # fmt: skip
    assert not [line for line in told(tmp_path, columns, declare({"x": "number"})) if "seems to hold" in line]
    named = declare({"x": "number"}, headers={"name": "고객명"})
    people = {**columns, "name": [f"사람{i}" for i in range(60)]}
    assert [
        line
        for line in told(tmp_path, people, named)
        if line.startswith("warning: 고객명 (name): seems to hold people's")
    ]


# --- classes


def test_weights_are_offered_until_model_py_has_some(tmp_path):
    source = tmp_path / "trainer" / "data.py"
    source.parent.mkdir()
    columns = {"x": normal(400), "label": ["yes" if i % 20 == 3 else "no" if i % 2 else "it's" for i in range(400)]}
    declared = dataclasses.replace(declare({"x": "number"}, classes=("no", "yes", "it's")), source=source)
    for model, offered in [("", True), ("CLASS_WEIGHT = {}", True), ('CLASS_WEIGHT = {"yes": 3.0}', False),
                           ("CLASS_WEIGHT: dict = {'yes': 3.0}", False), ("def f(:", True)]:  # fmt: skip
        source.with_name("model.py").write_text(model, encoding="utf-8")
        lines = [line for line in told(tmp_path, columns, declared) if "CLASS_WEIGHT" in line]
        assert len(lines) == offered
        for line in lines:
            offer = line.partition("in model.py, CLASS_WEIGHT = ")[2].partition(" makes")[0]
            counts = Counter(columns["label"])
            assert eval(offer) == {name: pytest.approx(400 / 3 / counts[name], rel=0.01) for name in counts}


# --- drift


def known(tmp_path, columns, declared):
    report = check_data(declared, [table(tmp_path / "old.csv", columns)])
    assert report.table
    return report.table.known()


def new(tmp_path, columns, declared, about):
    return list(check_new(declared, [table(tmp_path / "new.csv", columns)], about).findings.lines(most=100))


MIXED = {"x": normal(500), "city": ["Seoul" if i % 3 else "Busan" for i in range(500)], "label": labels(500)}
KINDS = {"x": "number", "city": "category"}
BUSAN = ["Busan" if i % 5 else "Seoul" for i in range(400)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"x": normal(400, seed=8)}, []),
        ({"x": normal(400, 60, seed=8)}, ["warning: x: other numbers than those learnt from: half are 5"]),
        ({"x": normal(400, 50, 30, seed=8)}, ["warning: x: other numbers than those learnt from"]),
        ({"x": replaced(normal(400, seed=8), "", set(range(200)))}, ["warning: x: 50% of the fields are blank, and 0% of those learnt from"]),
        ({"x": replaced(normal(400, seed=8), "-999", {1, 2})}, ["warning: x: -999 (2x, first in new.csv:3) stands apart"]),
        ({"x": replaced(normal(400, seed=8), "n/a", {1})}, ["new.csv:3:x: 'n/a' for a missing number: leave the field empty"]),
        ({"city": BUSAN}, ["warning: city: other shares than those learnt from, e.g. 'Seoul' 20%, and was 67%"]),
        ({"city": replaced(MIXED["city"][:400], "Jeju", set(range(0, 400, 10)))}, ["warning: city: 10% of the rows have a word that was not learnt from: 'Jeju'"]),
        ({"city": replaced(MIXED["city"][:400], "Jeju", {4})}, ["note: city: 0.2% of the rows have a word that was not learnt from: 'Jeju'"]),
        ({"label": labels(400, 0.95)}, ["warning: label: other shares than those learnt from"]),
    ],
)  # fmt: skip
def test_new_data_beside_the_data_learnt_from(tmp_path, changes, expected):
    declared = declare(KINDS)
    about = known(tmp_path, MIXED, declared)
    columns = {"x": normal(400, seed=8), "city": MIXED["city"][:400], **changes}  # a label need not be there
    found = new(tmp_path, columns, declared, about)
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True)), found


@pytest.mark.parametrize("seed", range(20))
def test_chance_is_no_drift(tmp_path, seed):
    declared = declare(KINDS)
    about = known(tmp_path, MIXED, declared)
    cities = ["Seoul" if random.Random(seed * 1000 + i).random() < 2 / 3 else "Busan" for i in range(60)]
    assert new(tmp_path, {"x": normal(60, seed=seed + 100), "city": cities}, declared, about) == []


def test_new_data_beside_what_a_model_tells_of_its_training(tmp_path):
    told_by_model = {
        "x": {"mean": 50.0, "variance": 100.0, "low": 20.0, "high": 80.0},
        "city": {"words": ["", "Seoul", "Busan"]},
    }
    about = {name: drift.of_statistics(value) for name, value in told_by_model.items()}
    declared = declare(KINDS)
    assert new(tmp_path, {"x": normal(400, seed=8), "city": BUSAN}, declared, about) == []
    found = new(tmp_path, {"x": normal(400, 90, seed=8), "city": [*BUSAN[1:], "Jeju"]}, declared, about)
    assert (
        found[0].startswith("warning: x: a mean of ")
        and "of the rows learnt from it was 50, give or take 10" in found[0]
    )
    assert found[1].startswith("warning: x: ") and "are outside of what was learnt from (20 to 80)" in found[1]
    assert found[2] == "note: city: 0.2% of the rows have a word that was not learnt from: 'Jeju'"
    assert drift.of_statistics({"low": "2024-01-01", "high": "2024-02-01"}) == Known()


def test_the_distance_of_two_distributions_by_hand():
    assert drift.kolmogorov_smirnov([1, 2, 3, 4], [1, 2, 3, 4]) == 0
    assert drift.kolmogorov_smirnov([1, 2, 3, 4], [3, 4, 5, 6]) == 0.5
    assert drift.kolmogorov_smirnov([1, 2], [3, 4]) == 1
    assert drift.stability([50, 50], [50, 50]) == 0
    assert [drift.chance_of(freedom) for freedom in (1, 9)] == [
        pytest.approx(10.83, rel=0.04),
        pytest.approx(27.88, rel=0.01),
    ]
    assert drift.stability([50, 50], [80, 20]) == pytest.approx(0.3 * 0.4700 + 0.3 * 0.9163, abs=1e-4)


# --- the sample, and what one column tells


def test_each_row_is_in_the_sample_as_likely_as_any_other(monkeypatch):
    rows, chunk = 40_000, 1000
    found: Counter[int] = Counter()
    for seed in range(20):
        sample = Sample(["x"])
        sample._most, sample._next = 500, 499
        sample._random.seed(seed)
        for start in range(0, rows, chunk):
            sample.take({"x": [str(i) for i in range(start, start + chunk)]}, chunk)
        assert len(sample.rows) == 500 == len(set(sample.rows))
        found.update(int(text) // 4000 for text in sample.column("x"))
    assert all(850 < found[i] < 1150 for i in range(10)), found


def test_all_rows_are_in_the_sample_where_they_are_few():
    sample = Sample(["x", "y"])
    sample.take({"x": ["1", "", "a"], "y": ["1", "2", "3"]}, 3)
    sample.take({"x": ["0"], "y": ["4"]}, 1)
    assert sample.column("y") == ["1", "2", "3", "4"]
    assert sample.numbers("x") == [0, 1]
    assert Sample([str(i) for i in range(5000)])._most * 5000 == 2_000_000 < MOST * 5000
    assert [quantile([1, 2, 3, 4], share) for share in (0, 0.5, 1)] == [1, 2.5, 4]


def test_what_one_column_tells_of_the_label():
    answers = labels(2000)
    says_all = [{"yes": "1", "no": "2"}[a] for a in answers]
    half = [v if i % 2 else "3" for i, v in enumerate(says_all)]
    assert strength.of_classes(says_all, answers, numbers=False) == pytest.approx(1, abs=0.01)
    assert strength.of_classes(half, answers, numbers=False) == pytest.approx(0.5, abs=0.03)
    assert strength.of_classes(normal(2000), answers, numbers=True) < 0.01
    x = normal(2000)
    assert strength.of_number(x, [str(2 * float(v)) for v in x], numbers=True) > 0.9
    assert strength.of_number(x, normal(2000, seed=5), numbers=True) < 0.02
    assert strength.of_number(["a"] * 2000, x, numbers=False) == 0


def test_findings_of_a_new_file_need_no_findings_of_their_own():
    findings = Findings()
    drift.numbers("x", Known(), [1.0] * 50, findings)
    drift.words("x", Known(), {"a": 50}, findings)
    drift.blanks("x", Known(), 0.5, 50, findings)
    assert findings.lines() == ()
