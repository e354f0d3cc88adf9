"""What data.py declares, read without running it."""

import math

import pytest

from cloudkite.data import declared
from cloudkite.show.errors import BadValue

GOOD = """\
# a comment
COLUMNS = {"hours": float("nan"), "city": ""}
LABEL = "passed"
CLASSES = ("no", "yes")
DATA = "data/grades.csv"
"""


def read(tmp_path, text):
    path = tmp_path / "data.py"
    path.write_text(text, encoding="utf-8")
    return declared.read(path)


def test_a_plain_file(tmp_path):
    found = read(tmp_path, GOOD)
    assert found.columns == {"hours": "number", "city": "category"}
    assert (found.label, found.classes, found.data) == ("passed", ("no", "yes"), "data/grades.csv")
    assert (found.ranges, found.allow) == ({}, ())


def test_everything_that_may_stand_there(tmp_path):
    found = read(
        tmp_path,
        'import math\nNAN = float("nan")\nMORE = {"d": NAN}\n'
        'COLUMNS: dict = {"a": NAN, "b": 0.0, "c": math.nan, **MORE, "e": ""}\n'
        'LABEL = "y"\nCLASSES = [0, 1, 2]\nDATA = "gs://b/*.csv"\n'
        'RANGES = {"a": (-1, 1.5), "b": (float("-inf"), 3)}\nALLOW = ("leak:e",)\n',
    )
    assert found.columns == {"a": "number", "b": "number", "c": "number", "d": "number", "e": "category"}
    assert found.classes == ("0", "1", "2")
    assert found.ranges == {"a": (-1.0, 1.5), "b": (-math.inf, 3.0)}
    assert found.allow == ("leak:e",)


def test_every_kind_of_column_and_the_parts_that_rows_go_to(tmp_path):
    found = read(
        tmp_path,
        'COLUMNS = {"a": "number", "b": "category", "c": "text", "d": "letters", "e": "date", "f": (28, 28)}\n'
        'LABEL = "y"\nCLASSES = ()\nDATA = "data/a.npz"\nGROUP = "patient"\nTIME = "e"\nWEIGHT = "n"\n'
        "def load(path):\n    return {}\n",
    )
    assert found.columns == dict(zip("abcdef", [*declared.KINDS, "array"], strict=True))
    assert (found.shapes, found.group, found.time, found.weight, found.loads) == (
        {"f": (28, 28)}, "patient", "e", "n", True)  # fmt: skip
    plain = read(tmp_path, GOOD)
    assert (plain.shapes, plain.group, plain.time, plain.loads) == ({}, "", "", False)


def test_how_the_persons_own_file_writes_its_columns(tmp_path):
    forms = {"": {"codec": "cp949", "missing": ("-999",)}, "hours": {"style": "german", "unit": "h"}}
    assert read(tmp_path, GOOD + f"FORMS = {forms!r}\n").forms == forms
    assert read(tmp_path, GOOD).forms == {}


def test_nothing_is_run(tmp_path):
    read(tmp_path, GOOD + f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit\n")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("LABEL = ", "# ", "data.py declares no LABEL", "LABEL ="),
        ("CLASSES = ", "# ", "data.py declares no CLASSES", "or () when the label is a number"),
        ("DATA = ", "# ", "data.py declares no DATA", "gs://"),
        ('LABEL = "passed"', "LABEL = 3", "data.py:3: LABEL is 3", "LABEL ="),
        ('LABEL = "passed"', 'LABEL = ""', "data.py:3: LABEL is ''", "LABEL ="),
        ('LABEL = "passed"', 'LABEL = "pas" + x', "data.py:3: LABEL is not a literal", "without running it"),
        ('LABEL = "passed"', "LABEL = LABEL", "data.py:3: LABEL is not a literal", "without running it"),
        ('LABEL = "passed"', 'LABEL = "city"', "data.py:2: the label city is among the columns", "see the answer"),
        ('float("nan")', 'float("x")', "data.py:2: COLUMNS is not a literal", "without running it"),
        ('float("nan")', "None", "data.py:2: the column hours is None", '"city": "category"'),
        ('float("nan")', "True", "data.py:2: the column hours is True", '"city": "category"'),
        ('float("nan")', '"numbr"', "data.py:2: the column hours is 'numbr'", "did you mean number?"),
        ('float("nan")', "(28, 0)", "data.py:2: the column hours is (28, 0)", '"city": "category"'),
        ('DATA = "', 'GROUP = 3\nDATA = "', "data.py:5: GROUP is 3", "whose equal values stay together"),
        ('{"hours": float("nan"), "city": ""}', "{}", "data.py:2: COLUMNS names no column", '"city": "category"'),
        (
            '{"hours": float("nan"), "city": ""}',
            "{c: 0 for c in 'ab'}",
            "COLUMNS is not a literal",
            "without running it",
        ),
        ('"hours"', '"study hours"', "the column 'study hours' can't name an input", "letters a to z"),
        ('"hours"', '"class"', "the column 'class' can't name an input", "letters a to z"),
        ('"hours"', "'키'", "the column '키' can't name an input", "letters a to z"),
        ('"hours"', "3", "the column 3 can't name an input", "letters a to z"),
        ('"hours"', '"CITY"', "CITY and city differ by capital letters only", "rename"),
        ('("no", "yes")', '("no",)', "data.py:4: CLASSES is ('no',)", "two or more different classes"),
        ('("no", "yes")', '("no", "no")', "CLASSES is ('no', 'no')", "two or more different classes"),
        ('("no", "yes")', '("no", "")', "CLASSES is ('no', '')", "two or more different classes"),
        ('("no", "yes")', '"yes"', "CLASSES is 'yes'", "or () when"),
        ('("no", "yes")', "(0.5, 1.5)", "CLASSES is (0.5, 1.5)", "or () when"),
        ("# a comment", "RANGES = 3", "data.py:1: RANGES is 3", "lowest, highest"),
        (
            "# a comment",
            'RANGES = {"hour": (0, 1)}',
            "RANGES has 'hour', which isn't a column of numbers",
            "did you mean hours?",
        ),
        (
            "# a comment",
            'RANGES = {"city": (0, 1)}',
            "RANGES has 'city', which isn't a column of numbers",
            "known: hours",
        ),
        ("# a comment", 'RANGES = {"hours": (2, 1)}', "the range of hours is (2, 1)", "lowest, highest"),
        ("# a comment", 'RANGES = {"hours": 2}', "the range of hours is 2", "lowest, highest"),
        ("# a comment", 'ALLOW = ("leek:city",)', "ALLOW has 'leek:city'", "did you mean leak:city?"),
        ("# a comment", "FORMS = 3", "data.py:1: FORMS is 3", '"style": "german"'),
        (
            "# a comment",
            'FORMS = {"hours": {"stile": "german"}}',
            "FORMS has 'stile' for 'hours'",
            "did you mean style?",
        ),
        ("# a comment", "x = (", "data.py:1: '(' was never closed", "fix the Python"),
        ("# a comment", "x = '\0'", "data.py: ", "fix the Python"),
    ],
)
def test_mistakes(tmp_path, old, new, message, hint):
    with pytest.raises(BadValue) as refused:
        read(tmp_path, GOOD.replace(old, new))
    assert message in refused.value.message
    assert hint in refused.value.hint


def test_a_missing_file(tmp_path):
    with pytest.raises(BadValue, match=r"data\.py is missing"):
        declared.read(tmp_path / "data.py")
