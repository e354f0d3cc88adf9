"""Cloudkite's own commands on a bad day: what passes is tried again, nothing is done twice, and the rest reads well."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudkite.accounts import api
from cloudkite.jobs import logs, service, staging, submit
from cloudkite.jobs.body import JobSpec, new_name
from cloudkite.jobs.places import vertex
from cloudkite.models import fetching
from cloudkite.show.errors import UserError
from cloudkite.trainers.wheels import Wheel
from localcloud import launch
from tests.jobs import SPEC
from tests.local.place import Place

Break = Callable[..., None]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_PAUSES", (0, 0, 0))
    monkeypatch.setattr(vertex, "_PAUSES", (0, 0, 0))


@pytest.fixture
def fault(local_cloud: Any) -> Iterator[Break]:
    """`fault(METHOD, code=503, ...)` makes one; what is left of them at the end is a fault that never happened."""

    def ask(method: str, path: str, body: Any = None) -> dict[str, Any]:
        return launch.ask(local_cloud.root, local_cloud.server, method, path, body)

    def make(method: str, **fields: Any) -> None:
        ask("POST", "/faults", {"method": method, **fields})

    yield make
    left = [f"{one['method']}: {one['kind']}" for one in ask("GET", "/faults")["faults"] if one["times"]]
    ask("DELETE", "/faults")
    assert left == []


@pytest.fixture
def spec(place: Place) -> JobSpec:
    """A job that the service takes, and that then fails at once: nobody knows its image."""
    outputs = place.account.outputs()
    return dataclasses.replace(
        SPEC, name=new_name("tiny"), image="nobody/knows:1", service_account=outputs.trainer, accelerator="", count=0,
        machine="e2-standard-4", output=f"{outputs.buckets['models']}/tiny/", spot=False,
    )  # fmt: skip


def named(place: Place, name: str) -> list[service.Job]:
    return [job for job in service.search(place.target, everything=True) if job.name == name]


@pytest.mark.parametrize(
    "trouble",
    [
        {"cut": "after"},
        {"code": 503, "times": 3},
        {"code": 429, "times": 2},
        {"code": 429, "retry_after": 1},
        {"expired": True},
    ],
)
def test_a_submission_in_trouble_is_one_job(place: Place, spec: JobSpec, fault: Break, trouble: dict[str, Any]) -> None:
    service.running(place.target)  # signs in
    fault("aiplatform.customJobs.create", **trouble)
    made = service.create(place.target, spec)
    assert [job.id for job in named(place, spec.name)] == [made.id]


@pytest.mark.parametrize("trouble", [{"cut": "before"}, {"torn": -1}, {"code": 500}, {"code": 502}, {"code": 504}])
def test_a_submission_that_may_have_been_heard_is_not_sent_again(
    place: Place, spec: JobSpec, fault: Break, trouble: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(vertex.time, "sleep", lambda _seconds: None)
    fault("aiplatform.customJobs.create", **trouble)
    with pytest.raises(UserError, match="submit the job: ") as told:
        service.create(place.target, spec)
    assert told.value.hint == f"no job {spec.name} is there: look again with `uv run invoke jobs` before you try again"
    assert "<" not in told.value.message  # no page for people, and no object of a library
    assert named(place, spec.name) == []


def test_a_submission_whose_end_nobody_can_tell_says_so(place: Place, spec: JobSpec, fault: Break) -> None:
    fault("aiplatform.customJobs.create", cut="after")
    fault("aiplatform.customJobs.list", code=503, times=4)
    with pytest.raises(UserError, match="submit the job: ") as told:
        service.create(place.target, spec)
    assert told.value.hint == "it may have been submitted: look with `uv run invoke jobs` before you try again"
    assert len(named(place, spec.name)) == 1


@pytest.mark.parametrize("trouble", [{"cut": "after"}, {"code": 503, "times": 3}])
def test_a_tuning_job_in_trouble_is_one_job(
    place: Place, spec: JobSpec, fault: Break, trouble: dict[str, Any]
) -> None:  # fmt: skip
    study = {
        "metrics": [{"metricId": "accuracy", "goal": "MAXIMIZE"}],
        "parameters": [{"parameterId": "units", "discreteValueSpec": {"values": [32, 64]}}],
    }
    output = f"{spec.output}{spec.name}/"
    tuned = dataclasses.replace(spec, place="tuning", image="python:3.11", study=study, tries=2, output=output)
    service.running(place.target)  # signs in
    fault("aiplatform.hyperparameterTuningJobs.create", **trouble)
    made = service.create(place.target, tuned)
    assert [job.id for job in named(place, spec.name)] == [made.id]
    service.cancel(place.target, made)
    while service.get(place.target, made).active:
        time.sleep(0.2)


@pytest.fixture
def on_run(place: Place, spec: JobSpec, local_cloud: Any) -> Iterator[JobSpec]:
    """A Cloud Run job that fails at once: what it is to fetch is not there."""
    local_cloud.enable("run")
    output = f"{spec.output}tiny-{uuid.uuid4().hex[:8]}-20261129-120000-abcd/"
    yield dataclasses.replace(spec, place="run", machine="1cpu-2gb", image="python:3.11", output=output)
    service.forget(place.target)


@pytest.mark.parametrize(
    ("method", "trouble"),
    [
        ("run.jobs.create", {"cut": "after"}),
        ("run.jobs.create", {"torn": -1}),
        ("run.jobs.create", {"code": 503, "times": 3}),
        ("run.jobs.create", {"expired": True}),
        ("run.jobs.run", {"cut": "after"}),
        ("run.jobs.run", {"expired": True}),
    ],
)
def test_a_cloud_run_job_in_trouble_is_one_job(
    place: Place, on_run: JobSpec, fault: Break, trouble: dict[str, Any], method: str
) -> None:
    service.running(place.target)  # signs in
    fault(method, **trouble)
    made = service.create(place.target, on_run)
    assert [job.id for job in named(place, on_run.name)] == [made.id]


@pytest.mark.parametrize("trouble", [{"cut": "before"}, {"torn": -1}, {"code": 503}, {"code": 429}])
def test_a_cloud_run_job_that_was_never_begun_leaves_nothing(
    place: Place, on_run: JobSpec, fault: Break, trouble: dict[str, Any]
) -> None:
    service.running(place.target)
    fault("run.jobs.run", **trouble)
    with pytest.raises(UserError, match="submit the job: "):
        service.create(place.target, on_run)
    assert named(place, on_run.name) == []
    assert service.forget(place.target) == 0


def test_a_service_that_stays_away_is_told_as_such(place: Place, spec: JobSpec, fault: Break) -> None:
    fault("aiplatform.customJobs.create", code=503, times=4)
    with pytest.raises(UserError) as told:
        service.create(place.target, spec)
    assert (told.value.message, told.value.hint, told.value.code) == (
        "submit the job: The service is currently unavailable.",
        "check the network and try again; `--debug` shows the whole story",
        1,
    )
    assert named(place, spec.name) == []


def test_a_wait_that_is_too_long_is_left_to_the_caller(place: Place, fault: Break) -> None:
    fault("aiplatform.customJobs.list", code=429, retry_after=90)
    with pytest.raises(UserError, match="list the jobs: Quota exceeded for quota metric") as told:
        service.running(place.target)
    assert told.value.hint == "too many requests: try again in 90 seconds"


@pytest.mark.parametrize(
    "trouble",
    [
        *({"code": code, "times": 3} for code in (408, 429, 500, 502, 503, 504)),
        {"cut": "before", "times": 3},
        {"cut": "after", "times": 3},
        {"torn": -1, "times": 3},
        {"torn": 10, "times": 3},
        {"expired": True},
    ],
)
def test_a_read_goes_on_after_three_failures(place: Place, fault: Break, trouble: dict[str, Any]) -> None:
    service.running(place.target)
    fault("aiplatform.customJobs.list", **trouble)
    service.running(place.target)


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ({"code": 502}, "list the jobs: Error 502 (Server Error)"),
        ({"code": 503}, "list the jobs: The service is currently unavailable."),
        (
            {"code": 429},
            "list the jobs: Quota exceeded for quota metric 'Default requests' and limit 'Default requests",
        ),
        ({"code": 404}, "list the jobs: Requested entity was not found."),
        ({"cut": "before"}, "list the jobs: the connection to us-central1-aiplatform.googleapis.com was cut"),
    ],
)
def test_after_the_fourth_it_says_why(place: Place, fault: Break, trouble: dict[str, Any], message: str) -> None:
    fault("aiplatform.customJobs.list", times=1 if trouble == {"code": 404} else 4, **trouble)
    with pytest.raises(UserError) as told:
        service.running(place.target)
    assert told.value.message.startswith(message)
    assert told.value.hint


def test_a_wheel_is_staged_once_whatever_happens(place: Place, fault: Break, tmp_path: Path) -> None:
    bucket = place.account.outputs().buckets["staging"]
    for number, trouble in enumerate(
        [{"cut": "after"}, {"cut": "before"}, {"torn": -1}, {"code": 503, "times": 3}, {"code": 429}, {"expired": True}]
    ):
        data = os.urandom(100_000)
        path = tmp_path / f"{number}.whl"
        path.write_bytes(data)
        wheel = Wheel(path, hashlib.sha256(data).hexdigest())
        fault("storage.objects.insert", **trouble)
        assert staging.stage_wheel(place.target, bucket, wheel).sent == 1
        assert staging.stage_wheel(place.target, bucket, wheel).sent == 0
        name = f"{wheel.sha256}/trainer.whl"
        assert place.target.storage().bucket(bucket.removeprefix("gs://")).blob(name).download_as_bytes() == data


@pytest.mark.slow
@pytest.mark.parametrize("parts", [False, True])
def test_data_is_staged_whole_whatever_happens(
    place: Place, fault: Break, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: bool
) -> None:  # fmt: skip
    if parts:
        monkeypatch.setattr(staging, "_IN_PARTS", 1 << 20)
        monkeypatch.setattr(staging, "_PART", 5 << 20)
    bucket = place.account.outputs().buckets["data"]
    files = [tmp_path / f"{name}.bin" for name in "abc"]
    for file in files:
        file.write_bytes(os.urandom(11 << 20))
    for trouble in ({"code": 503}, {"cut": "before"}, {"cut": "after"}, {"torn": -1}, {"code": 429}):
        fault("storage.objects.insert", **trouble)
    staged = staging.stage_data(place.target, bucket, files, tmp_path / "hashes.json")
    holder = place.target.storage().bucket(bucket.removeprefix("gs://"))
    for uri, file in zip(staged.uris, files, strict=True):
        assert holder.blob(uri.removeprefix(f"{bucket}/")).download_as_bytes() == file.read_bytes()


def test_data_that_can_not_be_staged_is_told_readably(place: Place, fault: Break, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(os.urandom(64))
    fault("storage.objects.insert", code=403)
    with pytest.raises(UserError) as told:
        staging.stage_data(
            place.target, place.account.outputs().buckets["data"], [tmp_path / "a.csv"], tmp_path / "hashes.json"
        )
    assert "does not have storage.objects.create access to the Google Cloud Storage object." in told.value.message
    assert told.value.hint == (
        "the permission storage.objects.create is missing; an owner of the project grants what Cloudkite needs: "
        "uv run invoke up"
    )


@pytest.fixture(scope="module")
def ended(place: Place, local_cloud: Any) -> service.Job:
    """A job whose first tries to get its code failed: no token, a torn answer, a token that is refused."""
    principal = place.account.outputs().trainer
    for method, trouble in (
        ("metadata.google.internal/*", {"code": 503}),
        ("storage.objects.get", {"torn": -1, "principal": principal}),
        ("storage.objects.get", {"code": 401, "principal": principal}),
    ):
        launch.ask(local_cloud.root, local_cloud.server, "POST", "/faults", {"method": method, **trouble})
    made = place.submit("--epochs", "2")
    events = list(logs.follow(place.target, made))
    ended = service.get(place.target, made.id)
    assert ended.state == "SUCCEEDED", [event.text for event in events]
    assert launch.ask(local_cloud.root, local_cloud.server, "GET", "/faults")["faults"] == []
    return ended


@pytest.mark.slow
def test_it_starts_in_spite_of_three_failures(ended: service.Job) -> None:
    assert ended.state == "SUCCEEDED"


@pytest.mark.slow
@pytest.mark.parametrize("trouble", [{"cut": "before"}, {"code": 503}, {"code": 429, "retry_after": 2}])
def test_other_trouble_too(place: Place, fault: Break, trouble: dict[str, Any]) -> None:
    fault("storage.objects.get", principal=place.account.outputs().trainer, times=2, **trouble)
    made = place.submit("--epochs", "1")
    list(logs.follow(place.target, made))
    assert service.get(place.target, made.id).state == "SUCCEEDED"


@pytest.mark.slow
def test_a_refusal_ends_it_with_a_readable_line(place: Place, fault: Break) -> None:
    fault("storage.objects.get", principal=place.account.outputs().trainer, code=403)
    made = place.submit("--epochs", "1")
    said = [event.text for event in logs.follow(place.target, made)]
    assert service.get(place.target, made.id).state == "FAILED"
    assert any("trainer.whl can't be read: HTTP 403: " in text for text in said)


@pytest.mark.slow
def test_its_log_is_followed_through_an_outage(
    place: Place, ended: service.Job, fault: Break, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(logs, "pause", lambda _age: 0)
    fault("logging.entries.list", code=503, times=9)
    events = list(logs.follow(place.target, ended))
    assert any("the job goes on, trying again" in event.status for event in events)
    assert [e.text for e in events if e.fields.get("epoch")] == ["epoch 1/2 loss=1.00", "epoch 2/2 loss=0.50"]


@pytest.mark.slow
def test_an_outage_without_end_is_told(
    place: Place, ended: service.Job, fault: Break, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(logs, "_OUTAGE", -1)
    fault("logging.entries.list", code=503, times=4)
    with pytest.raises(UserError, match=r"read the log of .*The service is currently unavailable\.") as told:
        list(logs.follow(place.target, ended))
    hint = "the job goes on without this command; then: uv run invoke logs --follow --job"
    assert told.value.hint == f"{hint} {ended.id}"


@pytest.mark.slow
@pytest.mark.parametrize("trouble", [{"torn": -1}, {"cut": "before"}, {"code": 503, "times": 2}, {"expired": True}])
def test_its_model_is_fetched_whole(
    place: Place, ended: service.Job, fault: Break, tmp_path: Path, trouble: dict[str, Any]
) -> None:  # fmt: skip
    fault(f"GET storage.googleapis.com/*{ended.name}*", **trouble)
    fetched = fetching.fetch(place.target, ended, tmp_path / "model")
    assert fetched.files == 3
    assert (tmp_path / "model" / "variables" / "variables.index").read_bytes() == b"x" * 1000
    gc.collect()  # a connection that was left open fails this test, by the warning, and not one after it


@pytest.mark.slow
def test_a_cancel_that_was_heard_is_not_an_error(place: Place, fault: Break) -> None:
    made = place.submit("--epochs", "100", "--pause", "0.5")
    fault("aiplatform.customJobs.cancel", cut="after")
    service.cancel(place.target, made.id)
    list(logs.follow(place.target, made))
    assert service.get(place.target, made.id).state == "CANCELLED"


def test_submitting_is_one_job_also_when_staging_and_creating_fail(
    place: Place, fault: Break, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    fault("storage.objects.insert", cut="after")
    fault("storage.objects.get", code=503)
    fault("aiplatform.customJobs.create", cut="after")
    plan = dataclasses.replace(place.plan("--epochs", "1"), image="nobody/knows:1")
    (place.trainer.folder / "trainer" / "new.py").write_text(f"# {os.urandom(8).hex()}\n", encoding="utf-8")
    made = submit.submit(place.workspace, place.target, plan)
    assert [job.id for job in named(place, made.name)] == [made.id]


@pytest.mark.slow
def test_a_preempted_spot_job_starts_again_and_ends_well(place: Place, local_cloud: Any) -> None:
    plan = place.plan("--epochs", "6", "--pause", "0.5", spot=True)
    made = submit.submit(place.workspace, place.target, plan)
    preempted = False
    for event in logs.follow(place.target, made):
        if event.fields.get("epoch") == 1 and not preempted:
            done = subprocess.run(
                [sys.executable, "-m", "localcloud", "preempt", "--root", str(local_cloud.root), made.id],
                capture_output=True, text=True, encoding="utf-8",
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            preempted = True
    said = [line.text for line in logs.read(place.target, made)]
    assert service.get(place.target, made.id).state == "SUCCEEDED", said
    assert sum(text.startswith("epoch 1/6") for text in said) == 2
