"""`train --continue`: what is learned on from lies in a bucket, or is sent there, before the job that reads it."""

from __future__ import annotations

import dataclasses
import json
import urllib.parse

import pytest

from cloudkite.jobs import earlier, logs, service, submit
from cloudkite.show.errors import BadValue, UserError
from cloudkite.trainers import folders, making
from clouds import LocalCloud
from tests.local.place import Place

pytestmark = pytest.mark.slow  # jobs are processes, with an environment of their own

FACTS = {"label": "b", "classes": [], "columns": {"a": "number"}, "statistics": {}, "keras": "3.15.1"}
FILES = {"assets.extra/trainer.json": json.dumps(FACTS).encode(), "assets.extra/model.keras": b"network"}
# Reads what it is to learn on from, as TensorFlow would.
TASK = """
if "--continue" in arguments:
    bucket, prefix = parts(arguments["--continue"])
    found = storage("GET", f"storage/v1/b/{bucket}/o?prefix=" + urllib.parse.quote(prefix.rstrip("/") + "/", safe=""))
    names = sorted(one["name"].removeprefix(prefix).strip("/") for one in json.loads(found)["items"])
    print("learns on from", *names, *(word for word in sys.argv if word == "--widen"), flush=True)
"""


def put(session, folder: str, files: dict[str, bytes]) -> None:
    bucket, _slash, prefix = folder.removeprefix("gs://").partition("/")
    for name, data in files.items():
        place = urllib.parse.quote(f"{prefix.rstrip('/')}/{name}", safe="")
        url = f"https://storage.googleapis.com/upload/storage/v1/b/{bucket}/o?uploadType=media&name={place}"
        assert session.post(url, data=data).ok


@pytest.fixture(scope="module")
def finished(place: Place, session) -> service.Job:
    """A job of a trainer that can learn on, and left a model and checkpoints."""
    task = place.trainer.package / "task.py"
    task.write_text(task.read_text(encoding="utf-8") + TASK, encoding="utf-8")
    made = place.submit("--epochs", "1")
    list(logs.follow(place.target, made))
    ended = service.get(place.target, made.id)
    assert ended.state == "SUCCEEDED", ended.error
    put(session, ended.output, {f"model/{name}": data for name, data in FILES.items()})
    put(session, ended.output, {"checkpoints/0a1b/step-0000000003.index": b"i", "checkpoints/0a1b/step-x": b""})
    return ended


def said(place: Place, text: str, *, widen: bool = False) -> tuple[submit.Submitted, list[str]]:
    """A job that learns on from what `text` names, and what it said of that."""
    found = earlier.find(place.target, place.trainer, text, widen=widen)
    plan = dataclasses.replace(place.plan("--epochs", "1"), earlier=found)
    made = submit.submit(place.workspace, place.target, plan)
    lines = [event.text for event in logs.follow(place.target, made)]
    return made, [line for line in lines if line.startswith("learns on")]


def test_a_job_learns_on_from_an_earlier_job_or_an_address(place: Place, finished: service.Job):
    model = f"{finished.output}model"
    for text in (finished.name, finished.id, "tiny", finished.output, f"{model}/"):
        assert earlier.find(place.target, place.trainer, text, ["tiny"]).uri == model
    made, lines = said(place, finished.name, widen=True)
    assert made.arguments[-3:] == ("--continue", model, "--widen")
    assert lines == [f"learns on from {' '.join(sorted([*FILES, *_OF_THE_TRAINER]))} --widen"]
    found = earlier.find(place.target, place.trainer, f"{finished.output}checkpoints")
    assert found.options() == ("--continue", f"{finished.output}checkpoints")


_OF_THE_TRAINER = ("empty", "saved_model.pb", "variables/variables.index")


def test_a_folder_here_is_sent_once_and_read_by_the_job(place: Place, finished: service.Job, tmp_path):
    for name, data in FILES.items():
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"is not sent")
    made, lines = said(place, str(tmp_path / "model"))
    assert lines == ["learns on from assets.extra/model.keras assets.extra/trainer.json"]
    staging = place.account.outputs().buckets["staging"]
    assert made.arguments[-1].startswith(f"{staging}/data/") and made.sent_bytes >= len(
        FILES["assets.extra/model.keras"]
    )
    found = earlier.find(place.target, place.trainer, str(tmp_path / "model"))
    again = submit.submit(place.workspace, place.target, dataclasses.replace(place.plan(), earlier=found))
    service.cancel(place.target, again.id)
    assert (again.arguments[-1], again.sent_bytes) == (made.arguments[-1], 0)


def test_what_is_not_there_or_of_another_kind_is_refused(place: Place, finished: service.Job, session):
    models = place.account.outputs().buckets["models"]
    put(
        session,
        f"{models}/other/model",
        {**FILES, "assets.extra/trainer.json": json.dumps({**FACTS, "label": "c"}).encode()},
    )
    for text, message in {
        f"{models}/nothing": "there is nothing to learn on from",
        f"{models}/other": "the label there is c, here b",
        "gs://no-such-bucket-at-all/x": "no-such-bucket-at-all",
        "no-such-job": "no job matches no-such-job",
    }.items():
        with pytest.raises(UserError) as refused:
            earlier.find(place.target, place.trainer, text)
        assert message in refused.value.message
    made = submit.submit(place.workspace, place.target, place.plan("--pause", "60"))
    with pytest.raises(BadValue, match=r"can't be learned on from: it has not ended"):
        earlier.find(place.target, place.trainer, made.name)
    service.cancel(place.target, made.id)


def test_a_generated_trainer_learns_on_from_what_was_found(place: Place, local_cloud: LocalCloud, session):
    trainer = folders.Trainer("penguins", making.new(place.workspace, "penguins").folder)
    models = place.account.outputs().buckets["models"]

    def run(name: str, *more: str) -> dict:
        return place.trained(local_cloud, session, trainer, name, "--epochs", "2", *more)

    assert "continued_from" not in run("one")
    model = earlier.find(place.target, trainer, f"{models}/one", widen=True)
    assert run("two", *model.options())["continued_from"] == {"path": f"{models}/one/model", "words": "widened"}
    steps = earlier.find(place.target, trainer, f"{models}/one/checkpoints")
    assert run("three", *steps.options())["continued_from"] == {"path": f"{models}/one/checkpoints", "words": "kept"}
