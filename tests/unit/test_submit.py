"""What a submission makes of a trainer's pins and data before anything is sent."""

import sys
from types import SimpleNamespace

import pytest

from cloudkite.jobs import plans, submit
from cloudkite.jobs.plans import Wishes
from cloudkite.show.errors import BadValue
from cloudkite.workspace import throw_away
from tests.jobs import account

PINS = (
    "tensorflow-cpu==2.21.0; sys_platform == 'linux'",
    "tensorflow==2.21.0; sys_platform != 'linux'",
    "keras==3.15.1",
)


@pytest.mark.parametrize(
    "requirements, gpu, expected",
    [
        (PINS, False, ("tensorflow-cpu==2.21.0", "keras==3.15.1")),
        (PINS, True, ("tensorflow[and-cuda]==2.21.0", "keras==3.15.1")),
        (("tensorflow==2.21.0",), True, ("tensorflow[and-cuda]==2.21.0",)),
        (("requests[socks,security] == 2.34.2",), True, ("requests[security,socks]==2.34.2",)),
        (('x==1; python_version < "3"',), False, ()),
        (('x==1; platform_machine == "x86_64"',), False, ("x==1",)),
        ((), True, ()),
    ],
)
def test_pins_for_a_linux_job(requirements, gpu, expected):
    assert submit.pins(requirements, gpu) == expected


def test_pins_for_a_tpu():
    assert submit.pins(PINS, gpu=False, tpu=True) == ("tensorflow-tpu==2.20.0", "libtpu==0.0.14", "keras==3.15.1")


def test_pins_for_a_job_on_this_machine():
    """Its TensorFlow is the one for CPUs, and markers are this machine's."""
    here = submit.pins((*PINS, "x==1; python_version < '3'"), gpu=False, here=True)
    assert here == (f"tensorflow{'-cpu' if sys.platform == 'linux' else ''}==2.21.0", "keras==3.15.1")


def planned(tmp_path, target, **wishes):
    space = throw_away(tmp_path)
    made = plans.plan(account(target=target), SimpleNamespace(name="penguins"), Wishes(**wishes))
    return submit.on_this_machine(space, made)


GPU_IMAGE = "us-docker.pkg.dev/vertex-ai/training/tf-gpu.2-17.py310:latest"
REFUSED_HERE = [
    ("local", {"gpu": "t4"}, "this machine's local cloud has no T4", "add --rehearse"),
    ("local", {"machine": "a2-highgpu-1g"}, "this machine's local cloud has no A100", "add --rehearse"),
    ("local", {"tpu": "v2"}, "has no TPU-V2", "add --rehearse"),
    ("local", {"tpu": "v5e"}, "has no TPU-V5E", "add --rehearse"),
    ("local", {"image": GPU_IMAGE}, "is an image for GPUs", "add --rehearse"),
    ("local", {"image": "python:3.12"}, "nothing that stands in for the image python:3.12", "one of: tensorflow/"),
    ("google", {"gpu": "t4", "rehearse": True}, "--rehearse is for accounts on the local cloud", "--account local"),
]


@pytest.mark.parametrize(("target", "wishes", "error", "hint"), REFUSED_HERE)
def test_what_the_local_cloud_can_only_fail_is_refused_before_it_is_submitted(tmp_path, target, wishes, error, hint):
    with pytest.raises(BadValue) as refused:
        planned(tmp_path, target, **wishes)
    assert error in refused.value.message
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("target", "wishes", "notes"),
    [
        ("local", {}, 0),
        ("local", {"image": "python:3.11"}, 0),
        ("local", {"rehearse": True}, 0),
        ("local", {"gpu": "t4", "rehearse": True}, 1),
        ("local", {"tpu": "v5e", "rehearse": True}, 3),  # that it is experimental, and its price an estimate
        ("local", {"image": GPU_IMAGE, "rehearse": True}, 1),
        ("google", {"gpu": "t4"}, 0),
        ("google", {"image": "europe-docker.pkg.dev/mine/own:1"}, 1),  # that the catalogue does not know it
    ],
)
def test_what_can_run_is_planned(tmp_path, target, wishes, notes):
    assert len(planned(tmp_path, target, **wishes).notes) == notes


def test_an_image_of_ones_own_is_known_to_the_local_cloud(tmp_path):
    (tmp_path / "localcloud").mkdir()
    (tmp_path / "localcloud" / "images.json").write_text('{"own:1": {"requirements": []}}', encoding="utf-8")
    assert planned(tmp_path, "local", image="own:1").image == "own:1"


@pytest.fixture
def trainer(tmp_path, monkeypatch):
    """A trainer with three data files, and another place that the command runs in."""
    here = tmp_path / "here"
    folder = tmp_path / "penguins"
    for file in (
        "penguins/data/a.csv",
        "penguins/data/b.csv",
        "penguins/data/note [1].txt",
        "here/my.csv",
        "here/d/x.csv",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(file, encoding="utf-8")
    monkeypatch.chdir(here)
    return SimpleNamespace(name="penguins", folder=folder, data="data/a.csv", takes_folders=False)


@pytest.mark.parametrize(
    "declared, arguments, files, left",
    [
        ("data/a.csv", (), ["a.csv"], ()),
        ("data/*.csv", ("--epochs", "3"), ["a.csv", "b.csv"], ("--epochs", "3")),
        ("data/note [1].txt", (), ["note [1].txt"], ()),
        ("gs://b/x-*.csv", ("--epochs", "3"), [], ("--epochs", "3")),
        ("", (), [], ()),
        ("data/a.csv", ("--data", "my.csv", "--epochs", "3"), ["my.csv"], ("--epochs", "3")),
        ("data/a.csv", ("--epochs", "3", "--data=d/*.csv"), ["x.csv"], ("--epochs", "3")),
        ("data/a.csv", ("--data", "gs://b/x.csv"), [], ("--data", "gs://b/x.csv")),
        ("data/a.csv", ("--data=gs://b/x.csv", "--rate", "1"), [], ("--data=gs://b/x.csv", "--rate", "1")),
        ("data/a.csv", ("--data", "nothing.csv", "--data", "my.csv"), ["my.csv"], ()),
    ],
)
def test_data_files_here_are_found(trainer, declared, arguments, files, left):
    trainer.data = declared
    found, rest = submit.local_data(trainer, arguments)
    assert [p.name for p in found] == files
    assert all(p.is_file() for p in found)
    assert rest == left


@pytest.mark.parametrize(
    "declared, arguments, message",
    [
        ("data/a.csv", ("--data", "no.csv"), "--data no.csv: no such file"),
        ("data/a.csv", ("--data", "d"), "--data d: no such file"),
        ("data/a.csv", ("--data",), "--data has no value"),
        ("data/gone.csv", (), "penguins declares the data data/gone.csv, but no such file exists"),
    ],
)
def test_data_that_is_not_there(trainer, declared, arguments, message):
    trainer.data = declared
    with pytest.raises(BadValue) as caught:
        submit.local_data(trainer, arguments)
    assert caught.value.message == message


def test_a_plan_holds_the_files_and_the_other_arguments(trainer):
    made = submit.plan(account(), trainer, Wishes(arguments=("--data", "my.csv", "--epochs", "2")))
    assert [p.name for p in made.data] == ["my.csv"]
    assert made.arguments == ("--epochs", "2")


def test_a_trainer_whose_name_can_be_no_label(trainer):
    trainer.name = "Großes Modell"
    with pytest.raises(BadValue, match="'Großes Modell' isn't a valid value for the label trainer"):
        submit.plan(account(), trainer, Wishes())
