"""What a submission makes of a trainer's pins and data before anything is sent."""

from types import SimpleNamespace

import pytest

from cloudkite.jobs import submit
from cloudkite.jobs.plans import Wishes
from cloudkite.show.errors import BadValue
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
    return SimpleNamespace(name="penguins", folder=folder, declared=SimpleNamespace(data="data/a.csv"))


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
    trainer.declared.data = declared
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
    trainer.declared.data = declared
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
