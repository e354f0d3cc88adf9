"""Data in a bucket: its beginning is checked through the account's own storage client."""

import pytest

from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.check import sources as places
from cloudkite.check import steps as checking
from cloudkite.show.errors import UserError
from cloudkite.trainers import folders
from tests import trainer_folder


@pytest.fixture(scope="module")
def target(local_cloud, tmp_path_factory):
    folder = tmp_path_factory.mktemp("account")
    account = Account(
        name="check", target="local", project=local_cloud.project, region="us-central1", tier="paid", owner="",
        currency="USD", budget=None, settings=folder / "x.yaml", state=folder,
    )  # fmt: skip
    return Target(account, local_cloud.environment, {})


@pytest.fixture(scope="module")
def bucket(target, session):
    project = target.account.project
    session.post(
        f"https://serviceusage.googleapis.com/v1/projects/{project}/services/storage.googleapis.com:enable", json={}
    )
    made = target.storage().bucket("check-data")
    target.storage().create_bucket(made)
    made.blob("small/a.csv").upload_from_string(trainer_folder.CSV)
    made.blob("small/readme.txt").upload_from_string("no data")
    made.blob("bad/a.csv").upload_from_string(trainer_folder.CSV + "abc,Seoul,no\n")
    row = "1.5,Seoul,yes\n2.5,Busan,no\n"
    made.blob("large/a.csv").upload_from_string("hours,city,passed\n" + row * 60_000)
    return made


@pytest.fixture
def place(tmp_path):
    return trainer_folder.space(tmp_path)


def trainer(place, pattern):
    data_py = trainer_folder.DATA_PY.replace("data/grades.csv", f"gs://check-data/{pattern}")
    return folders.Trainer("grades", trainer_folder.make(place, data_py=data_py))


def test_small_objects_are_read_whole(place, target, bucket, tmp_path):
    (source,) = places.remote(trainer(place, "small/*.csv"), target, tmp_path)
    assert (source.name, source.whole) == ("gs://check-data/small/a.csv", True)
    assert source.path.read_text(encoding="utf-8") == trainer_folder.CSV


def test_of_large_objects_the_first_megabyte_in_whole_lines(place, target, bucket, tmp_path):
    sources = places.remote(trainer(place, "large/a.csv"), target, tmp_path)
    data = sources[0].path.read_bytes()
    assert not sources[0].whole
    assert 2**20 - 20 < len(data) <= 2**20
    assert data.endswith((b"yes\n", b"no\n"))
    assert places.small(sources, tmp_path) == sources[0].path


def test_mistakes_are_told_with_the_objects_name(place, target, bucket):
    report = checking.check(place, trainer(place, "bad/*"), target=target)
    data = report.steps[1]
    assert data.verdict == "failed"
    assert data.messages[0] == "gs://check-data/bad/a.csv:42:hours: text 'abc' in a number column"


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("none/*.csv", "DATA is gs://check-data/none/*.csv, and no object matches"), ("other.csv", "no object matches")],
)
def test_no_object(place, target, bucket, tmp_path, pattern, message):
    with pytest.raises(UserError, match=message.replace("*", r"\*")):
        places.remote(trainer(place, pattern), target, tmp_path)


def test_no_bucket(place, target, bucket, tmp_path):
    one = trainer(place, "x.csv")
    path = one.package / "data.py"
    path.write_text(path.read_text(encoding="utf-8").replace("check-data", "no-such-bucket"), encoding="utf-8")
    with pytest.raises(UserError, match=r"read gs://no-such-bucket/x\.csv"):
        places.remote(folders.Trainer("grades", one.folder), target, tmp_path)
