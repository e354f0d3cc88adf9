"""Trainers whose rows come from their own load(): read by their own Python, and judged as a CSV file's rows are."""

# ruff: noqa: E501  # a case a line reads best

import json

import pytest

from cloudkite import workspace
from cloudkite.check import loading
from cloudkite.check import steps as checking
from cloudkite.check.data import MOST_ROWS, check_data, check_new
from cloudkite.check.findings import Findings
from cloudkite.show.errors import UserError
from cloudkite.trainers import folders, making
from tests import trainer_folder

pytestmark = pytest.mark.slow

DATA_PY = """\
COLUMNS = {{"picture": (4, 4), "size": "number", "place": "category"}}
LABEL = "kind"
CLASSES = ("0", "1")
DATA = "data/all.npz"
GROUP = ""
TIME = ""
{more}

import numpy as np


def rows(count=60):
    chance = np.random.default_rng(3)
    return {{
        "picture": chance.random((count, 4, 4)).astype("float32"),
        "size": chance.normal(50, 10, count).astype("float32"),
        "place": np.array(["Seoul", "Busan", "Jeju"])[np.arange(count) % 3],
        "kind": np.arange(count) * 7 % 5 % 2,
    }}


def load(pattern):
    found = rows()
    {change}
    return {result}
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter that has TensorFlow, as trainers do."""
    place = workspace.throw_away(tmp_path_factory.mktemp("load"))
    making.new(place, "penguins")
    return folders.environment(folders.find(place, "penguins"), place)


@pytest.fixture
def read(python, tmp_path):
    """All that is told of a trainer with such a load()."""

    def read(change="pass", result="found", more="", **options):
        data_py = DATA_PY.format(change=change, result=result, more=more)
        folder = trainer_folder.make(trainer_folder.space(tmp_path), data_py=data_py)
        trainer = folders.Trainer("grades", folder)
        findings = Findings()
        place = tmp_path / "rows"
        place.mkdir()
        sources = loading.rows(trainer, python, place, tmp_path / "load.log", findings, MOST_ROWS, **options)
        if options.get("new"):
            return check_new(trainer.declared, sources, {}, findings=findings)
        return check_data(trainer.declared, sources, findings=findings)

    return read


def lines(report):
    return list(report.findings.lines(most=50))


DATASET = "tf.data.Dataset.from_tensor_slices(found).batch(16)"


@pytest.mark.parametrize(("change", "result"), [("pass", "found"), ("import tensorflow as tf", DATASET)])
def test_arrays_and_datasets_are_read_alike(read, change, result):
    report = read(change, result)
    assert report.summary == "60 rows, 2 classes; always '0' is right in 60%: the accuracy to beat"
    (line,) = lines(report)
    assert line == "note: picture: 4 x 4 of float32, from 0.00114841 to 0.999803"


WRONG = {
    "nan": ('found["picture"][7, 1, 2] = np.nan', "row 8:picture: 1 number isn't finite"),
    "infinite": ('found["picture"][7] = np.inf', "row 8:picture: 16 numbers aren't finite"),
    "shape": ('found["picture"] = found["picture"][:, :3]', "row 1:picture: load() gives 3 x 4 of float32, and 4 x 4 of numbers is declared"),
    "type": ('found["picture"] = found["picture"].astype(str)', "row 1:picture: load() gives 4 x 4 of <U32, and 4 x 4 of numbers is declared"),
    "constant": ('found["picture"][:] = 1', "warning: picture: each array is one value all over: nothing to learn from"),
    "empty": ('found["picture"][[5, 9]] = 0', "warning: picture: 2 arrays are one value all over, first in row 6: empty pictures?"),
    "missing": ('del found["picture"]', "load() gives no column picture; did you mean place?"),
    "label": ('del found["kind"]', "load() gives no column kind; known: picture, place, size"),
    "class": ('found["kind"][11] = 7', "row 12:kind: '7' is not in CLASSES; known: 0, 1"),
    "one class": ('found["kind"][:] = 1', "kind: every row is '1': nothing to learn"),
    "infinite number": ('found["size"][4] = -np.inf', "row 5:size: '-inf' is not finite"),
    "text": ('found["size"] = found["size"].astype(str)', "size: load() gives <U32, and number is declared"),
    "numbers": ('found["place"] = np.arange(60)', "place: load() gives int64, and category is declared"),
    "two values": ('found["size"] = np.ones((60, 2))', "size: load() gives 2 for each row, and one value is declared"),
    "lengths": ('found["size"] = found["size"][1:]', "load() gives columns of different lengths: picture 60, size 59, place 60, kind 60"),
    "outlier": ('found["size"][4] = 1e30', "warning: row 5:size: 1.00000001504747e+30 is far outside of the others"),
    "stand-in": ('found["size"][[4, 8]] = -999', "warning: size: -999 (2x, first in row 5) stands apart from the others"),
    "repeated": ("found = {k: np.concatenate([v, v[:6]]) for k, v in found.items()}", "warning: 6 rows (9.1%) are there more than once"),
    "contradictory": ("found = {k: np.concatenate([v, v[:6] if k != 'kind' else 1 - v[:6]]) for k, v in found.items()}",
                      "warning: 6 rows (9.1%) have the values of an earlier one and another kind, e.g. row 61: no model gets both right"),
    "none": ("found = {k: v[:0] for k, v in found.items()}", "load() gives no rows for "),
    "a line break": ('found["place"] = np.where(found["size"] > 50, "a\\nb", "c")', "note: picture: 4 x 4"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_with_column_and_row(read, case):
    change, expected = WRONG[case]
    report = read(change)
    assert [line for line in lines(report) if line.startswith(expected)], lines(report)
    level = "ok" if expected.startswith("note") else "warning" if expected.startswith("warning") else "failed"
    assert report.findings.verdict == level


@pytest.mark.parametrize(
    ("change", "result", "expected"),
    [
        ("pass", "[1, 2]", "load() gives batches of int; each must be a mapping of column to array"),
        ("pass", "3", "load() gives a int; it must be a mapping of column to array, or a dataset of such mappings"),
        (
            "import tensorflow as tf",
            DATASET.replace(".batch", ".shuffle(60).batch"),
            "load() gives another order each time",
        ),
    ],
)
def test_what_is_no_table_and_what_has_no_order(read, change, result, expected):
    report = read(change, result)
    assert report.findings.verdict == "failed"
    assert [line for line in lines(report) if line.startswith(expected)], lines(report)


def test_a_load_that_fails_is_told_with_its_line(read):
    with pytest.raises(UserError, match=r"load\(\): trainer/data.py:24: ZeroDivisionError: division by zero"):
        read("1 / 0")


def test_a_load_without_an_end_is_ended(read, monkeypatch):
    monkeypatch.setattr(loading, "SECONDS", 2)
    with pytest.raises(UserError, match=r"didn't end within 2 seconds") as ended:
        read("import itertools", "(found for _ in itertools.count())")
    assert ended.value.hint == "is the dataset endless? leave out repeat()"


LEARNT = """\
import numpy as np

COLUMNS = {columns}
HEADERS = {{}}
LABEL = "kind"
CLASSES = ("no", "yes")
DATA = "data/all.npz"
GROUP = ""
TIME = ""


def load(pattern: str) -> dict[str, np.ndarray]:
    chance = np.random.default_rng(3)
    size = chance.normal(50, 10, 200).astype("float32")
    size[7] = np.nan
    return {{
        "picture": chance.random((200, 4, 4)).astype("float32"),
        "size": size,
        "place": np.array(["Seoul", "Busan", "Jeju", ""])[np.arange(200) % 4],
        "kind": np.where(size + chance.normal(0, 5, 200) > 50, "yes", "no"),
    }}
"""


def test_a_trainer_with_its_own_load_passes_the_whole_check(tmp_path):
    """Read, trained, exported, and asked about rows that its run left, in a process that knows nothing of load()."""
    place = workspace.throw_away(tmp_path)
    making.new(place, "penguins")
    trainer = folders.find(place, "penguins")
    columns = {"picture": (4, 4), "size": "number", "place": "category"}
    (trainer.package / "data.py").write_text(LEARNT.format(columns=columns), encoding="utf-8")
    report = checking.check(place, trainer)
    steps = {step.name: step for step in report.steps}
    assert report.ok, report.steps
    assert steps["data"].summary.startswith("200 rows, 2 classes")
    assert steps["export"].summary == "40 rows predicted by a fresh process, as Keras itself predicts them"


def test_groups_of_rows_that_load_gives(read):
    owners = 'found["who"] = np.array([f"P{i // 3}" for i in range(60)])'
    assert read(owners, more='GROUP = "who"').findings.verdict == "ok"


def test_a_group_that_load_does_not_give(read):
    assert lines(read(more='GROUP = "who"'))[0] == "load() gives no column who; known: kind, picture, place, size"


def test_new_rows_need_no_label(read):
    report = read('del found["kind"]', new=True)
    assert (report.rows, report.findings.verdict) == (60, "ok")


def test_rows_that_a_run_was_asked_about(python, tmp_path):
    """What is left in questions.npz is read without its being unpickled."""
    folder = trainer_folder.make(
        trainer_folder.space(tmp_path), data_py=DATA_PY.format(change="pass", result="found", more="")
    )
    trainer = folders.Trainer("grades", folder)
    assert loading.questions(python, trainer, tmp_path, tmp_path / "log") == []
    from cloudkite import children

    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r})\nimport numpy as np\nfrom trainer import data\n"
        f"found = data.rows(3); found['size'][1] = np.nan; found['place'][2] = ''\n"
        f"np.savez({str(tmp_path / loading.QUESTIONS)!r}, **found)\n"
    )
    assert (
        children.run([str(python), "-B", "-c", code], tmp_path, children.safe_environment(), tmp_path / "log", 60) == 0
    )
    rows = loading.questions(python, trainer, tmp_path, tmp_path / "log")
    assert [len(row["picture"]) for row in rows] == [16] * 3
    assert [row["place"] for row in rows] == ["Seoul", "Busan", None]
    assert rows[1]["size"] is None and rows[0]["size"] == pytest.approx(50, abs=40)
    assert json.dumps(rows)
