"""TensorFlow's versions compared."""

# ruff: noqa: E501  # a case a line reads best

import datetime

import pytest

from catalog import images
from cloudkite.check import parity
from cloudkite.trainers import folders
from tests import trainer_folder

DAY = datetime.date(2026, 11, 24)
TF217 = "us-docker.pkg.dev/vertex-ai/training/tf-cpu.2-17.py310:latest"
SERVING = images.SERVING


@pytest.fixture
def place(tmp_path):
    return trainer_folder.space(tmp_path)


def verdicts(place, *dependencies, here="", training=images.DEFAULT_CPU, serving=SERVING, day=DAY):
    listed = ", ".join(f'"{d}"' for d in dependencies)
    folder = trainer_folder.make(place, pyproject=f"[project]\nname = 'grades'\ndependencies = [{listed}]\n")
    found = parity.compare(folders.Trainer("grades", folder), here, training, serving, day)
    assert [v.where for v in found] == ["pinned", "here", "training image", "serving image"]
    return found


@pytest.mark.parametrize(
    ("pins", "here", "training", "serving", "expected", "said"),
    [
        (["tensorflow==2.21.0"], "2.21.0", images.DEFAULT_CPU, SERVING, "ok ok ok ok", "eight exports of 2.21.0 gave equal answers in it"),
        (["tensorflow-cpu==2.21.0; sys_platform == 'linux'", "tensorflow==2.21.0; sys_platform != 'linux'"], "2.21.0", images.DEFAULT_CPU, SERVING, "ok ok ok ok", ""),
        (["tensorflow[and-cuda]==2.21.0"], "", "python:3.11", SERVING, "ok ok ok ok", "installs the pins at the job's start"),
        (["tensorflow==2.20.0"], "2.20.0", images.DEFAULT_CPU, SERVING, "ok ok failed warning", "not the pinned 2.20.0: pin tensorflow==2.21.0"),
        (["tensorflow==2.21.0"], "2.20.0", images.DEFAULT_CPU, SERVING, "ok failed ok ok", "not the pinned 2.21.0"),
        (["tensorflow-cpu==2.21.0", "tensorflow==2.20.0"], "", images.DEFAULT_CPU, SERVING, "failed ok failed ok", "platforms get different versions"),
        (["tensorflow==2.17.1"], "2.17.1", TF217, SERVING, "ok ok warning warning", "Python 3.10, but 3.11 was checked"),
        (["tensorflow==2.15.1"], "2.15.1", "python:3.11", SERVING, "ok ok ok ok", ""),
        (["tensorflow==2.21.0"], "2.21.0", "my/image:1", SERVING, "ok ok warning ok", "not in the catalogue"),
        (["tensorflow==2.21.0"], "2.21.0", images.DEFAULT_CPU, "my/server:1", "ok ok ok warning", "not in the catalogue"),
        (["keras==3.15.1"], "", images.DEFAULT_CPU, SERVING, "warning ok ok ok", "no pin on TensorFlow"),
    ],
)  # fmt: skip
def test_verdicts(place, pins, here, training, serving, expected, said):
    found = verdicts(place, *pins, here=here, training=training, serving=serving)
    assert " ".join(v.verdict for v in found) == expected
    assert said in " | ".join(v.note for v in found)


def test_an_image_past_its_end(place):
    *_others, serving = verdicts(place, "tensorflow==2.15.1", training="python:3.11", day=datetime.date(2027, 2, 1))
    assert (serving.verdict, serving.note) == ("warning", "its end was announced for 2027-01-14")
