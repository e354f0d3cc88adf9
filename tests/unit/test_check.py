"""The check's order, reports, failures without TensorFlow. The whole: tests/local/cloudkite/test_check_penguins.py."""

import json
import sys

import pytest

from cloudkite.check import rehearsal
from cloudkite.check import steps as checking
from cloudkite.trainers import folders
from tests import trainer_folder

_OWN_VARIABLES = """\
import os

assert "GOOGLE_X" not in os.environ
assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"
os._exit(7)
"""
BARE = '[project]\nname = "grades"\nversion = "0"\ndependencies = []\n'  # an environment that takes no time


@pytest.fixture
def place(tmp_path):
    return trainer_folder.space(tmp_path)


def checked(place, **changes):
    trainer = folders.Trainer("grades", trainer_folder.make(place, **changes))
    report = checking.check(place, trainer)
    return report, {step.name: step for step in report.steps}


def verdicts(report):
    return " ".join(step.verdict for step in report.steps)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("def main(:\n    pass\n", "trainer/task.py:1: "),
        ("print(undefined)\n", "trainer/task.py:1: F821 Undefined name `undefined`"),
        ("if 3 is 3: pass\n", "trainer/task.py:1: F632"),
    ],
)
def test_code_that_cannot_run_stops_the_check_after_the_data(place, task, message):
    report, steps = checked(place, task=task)
    assert verdicts(report) == "failed ok skipped skipped skipped"
    assert steps["lint"].messages[0].startswith(message)
    assert not report.ok


def test_a_missing_bracket_is_one_message_at_its_place(place):
    code = "import os\n\nx = max(\n    1,\n\n\ndef f():\n    return {\n\n\ndef g(:\n    pass\n"
    _report, steps = checked(place, task=code)
    assert steps["lint"].messages == ("trainer/task.py:3: '(' was never closed",)
    assert steps["lint"].summary == "1 can't run"


def test_style_is_a_warning_by_the_trainers_own_settings(place):
    code = "import os\n\nraise SystemExit('stop')\n"
    _report, steps = checked(place, task=code, pyproject=BARE)
    assert steps["lint"].verdict == "warning"
    assert steps["lint"].messages == ("warning: trainer/task.py:1: F401 `os` imported but unused",)
    own = BARE + '[tool.ruff.lint]\nselect = ["D100"]\n'
    _report, steps = checked(place, task=code, pyproject=own)
    assert "D100" in steps["lint"].messages[0]
    _report, steps = checked(place, task=code, pyproject=BARE + "[tool.ruff]\nnonsense = 1\n")
    assert (steps["lint"].verdict, steps["lint"].summary[:5]) == ("failed", "ruff:")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"csv": "hours,city,passed\n"}, "grades.csv: a header and no row"),
        ({"csv": "hours,city,passed\nx,Seoul,maybe\n"}, "grades.csv:2:hours: text 'x' in a number column"),
        ({"csv": trainer_folder.CSV.replace("Seoul", "서울").encode("cp949")}, "grades.csv:3: the text is CP949"),
        ({"data_py": trainer_folder.DATA_PY.replace("grades.csv", "other.csv")}, "DATA is 'data/other.csv'"),
        ({"data_py": trainer_folder.DATA_PY.replace('("no", "yes")', "None")}, "data.py:3: CLASSES is None"),
        ({"data_py": "COLUMNS = {"}, "data.py:1: '{' was never closed"),
    ],
)
def test_bad_data_stops_the_check(place, changes, message):
    report, steps = checked(place, **changes)
    assert verdicts(report).endswith("failed skipped skipped skipped")
    assert any(message in line for line in (steps["data"].summary, *steps["data"].messages))


def test_data_in_a_bucket_is_skipped_without_an_account_and_that_is_said(place):
    data_py = trainer_folder.DATA_PY.replace("data/grades.csv", "gs://bucket/*.csv")
    report, steps = checked(place, data_py=data_py)
    assert verdicts(report).startswith("ok warning skipped skipped")
    assert steps["data"].summary == "gs://bucket/*.csv was not read: no account is in use here"
    assert report.ok


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "summary"),
    [
        ("def f():\n    return [][3]\n\n\nf()\n", "trainer/task.py:2: IndexError: list index out of range"),
        ("import nothing_there\n", "trainer/task.py:1: ModuleNotFoundError: No module named 'nothing_there'"),
        ("print('error: no file\\n\\nhint: make one')\nraise SystemExit(2)\n", "no file"),
        ("raise SystemExit(3)\n", "it ended with exit code 3"),
        (_OWN_VARIABLES, "it ended with exit code 7"),
    ],
)  # fmt: skip
def test_a_run_that_fails_is_told_with_its_place_and_its_log(place, monkeypatch, task, summary):
    monkeypatch.setenv("GOOGLE_X", "1")
    report, steps = checked(place, task=task, pyproject=BARE)
    assert verdicts(report).split()[1:4] == ["ok", "failed", "skipped"]
    assert steps["steps"].summary == summary
    log = place.state / "checks" / "grades.log"
    assert steps["steps"].messages[-1] == f"all it said: {log}"
    assert log.is_file()


@pytest.mark.slow
def test_a_run_without_an_end_is_ended(place, monkeypatch):
    monkeypatch.setattr(rehearsal, "SECONDS", 1)
    _report, steps = checked(place, task="import time\nwhile True:\n    time.sleep(1)\n", pyproject=BARE)
    assert steps["steps"].summary == "no end after 1 seconds"


_FORKED = """\
import sys
from pathlib import Path

{names}
parent = Path(f"/proc/{{__import__('os').getppid()}}/cmdline")
print("error: forked" if b"rehearse.py" in parent.read_bytes() else "error: alone")
print("as a module:", __name__, sys.argv[0].endswith("task.py"), sys.path[0], Path.cwd())
sys.exit(2)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a process is forked on Linux alone; run it there")
@pytest.mark.parametrize(
    ("names", "how"),
    [("", "forked"), ('"TF_CONFIG"', "forked"), ('"KERAS_BACKEND"', "alone"), ('"XLA_FLAGS"', "alone")],
)
def test_a_run_shares_an_import_unless_it_changes_what_is_read_there(place, names, how):
    _report, steps = checked(place, task=_FORKED.format(names=names), pyproject=BARE)
    assert (steps["steps"].verdict, steps["steps"].summary) == ("failed", how)
    said = (place.state / "checks" / "grades.log").read_text(encoding="utf-8")
    folder = place.trainers / "grades"
    assert f"as a module: __main__ True {folder} {folder}" in said
    assert not list(folder.rglob("__pycache__"))


@pytest.mark.slow
def test_an_environment_that_cannot_be_made_is_a_failed_step(place):
    _report, steps = checked(place, pyproject=BARE.replace("[]", '["keras==0.0.99999"]'))
    assert steps["steps"].verdict == "failed"
    assert "keras==0.0.99999" in steps["steps"].summary


def test_a_check_counts_until_something_changes(place):
    data_py = trainer_folder.DATA_PY.replace("data/grades.csv", "gs://bucket/*.csv")
    report, _steps = checked(place, data_py=data_py)
    trainer = folders.find(place, "grades")
    assert checking.passed(place, trainer) == report
    assert checking.passed(place, trainer, training="python:3.11") is None
    (trainer.package / "model.py").write_text("x = 1\n", encoding="utf-8")
    assert checking.passed(place, folders.find(place, "grades")) is None


def test_a_failed_check_a_damaged_report_and_a_broken_trainer_do_not_count(place):
    _report, _steps = checked(place, csv="")
    trainer = folders.find(place, "grades")
    assert checking.passed(place, trainer) is None
    path = place.state / "checks" / "grades.json"
    assert json.loads(path.read_text(encoding="utf-8"))["ok"] is False
    for damaged in ("{", "[]", "{}"):
        path.write_text(damaged, encoding="utf-8")
        assert checking.passed(place, trainer) is None
    (trainer.package / "data.py").write_text("x = (", encoding="utf-8")
    assert checking.passed(place, folders.find(place, "grades")) is None


TRACEBACK = """\
some output
Traceback (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main
  File "{folder}/trainer/task.py", line 9, in <module>
  File "{folder}/trainer/model.py", line 12, in build
  File "/lib/keras/layers.py", line 99, in call
ValueError: shapes do not fit
  and more of it
"""


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (TRACEBACK, ["trainer/model.py:12: ValueError: shapes do not fit"]),
        (TRACEBACK + "\nerror: told later\n\nhint: do this\n", ["told later", "hint: do this"]),
        ("error: told before\n" + TRACEBACK, ["trainer/model.py:12: ValueError: shapes do not fit"]),
        ("KeyError: first\n" + TRACEBACK + "\nDuring handling:\n\n" + TRACEBACK.replace("12", "15"),
         ["trainer/model.py:15: ValueError: shapes do not fit"]),
        ("Killed by something\n\n", ["Killed by something"]),
        ("", []),
    ],
)  # fmt: skip
def test_the_reason_is_found_in_what_a_trainer_said(tmp_path, said, expected):
    assert rehearsal.explain(said.replace("{folder}", str(tmp_path)), tmp_path) == expected
