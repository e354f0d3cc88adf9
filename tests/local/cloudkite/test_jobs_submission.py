"""A tiny trainer through the whole of it on the local cloud: stage, submit, follow, cancel, fetch, costs, quotas."""

from __future__ import annotations

import dataclasses
import re
import shutil
import threading

import pytest

from cloudkite.jobs import choosing, logs, service, staging, submit
from cloudkite.jobs.plans import Wishes
from cloudkite.models import fetching
from cloudkite.money import costs, gate
from cloudkite.show.errors import UserError
from cloudkite.trainers.folders import Trainer
from tests.local.place import Place

pytestmark = pytest.mark.slow  # jobs are processes, with an environment of their own


@pytest.fixture(scope="module")
def finished(place: Place) -> tuple[submit.Submitted, list[logs.Event], service.Job]:
    """A job that ran to its end, and what following it gave."""
    made = place.submit("--epochs", "3")
    events = list(logs.follow(place.target, made))
    return made, events, service.get(place.target, made.id)


def test_a_job_runs_the_staged_wheel_on_the_staged_data(place, finished):
    made, events, ended = finished
    assert ended.state == "SUCCEEDED", [e.text for e in events]
    assert ended.name == made.name
    who = f"owner-{place.account.project}"
    labels = {"managed-by": "cloudkite", "account": "jobs-sub", "trainer": "tiny", "started-by": who}
    labels["content"] = submit.fingerprint(place.workspace, place.plan("--epochs", "3"))
    unique = ended.output.rstrip("/").rpartition("/")[2]
    assert ended.labels == labels | {"job": unique, "worst-case": f"{ended.gate}".replace(".", "_")}
    assert ended.gate is not None and ended.gate >= (ended.cost or 0) > 0
    assert made.arguments[0] == "--data"
    assert made.arguments[1].endswith("/rows.csv")
    assert ended.cost is not None and ended.cost > 0
    assert ended.limit_seconds == 3600


def test_following_gives_each_line_once_in_order_with_progress(finished):
    _made, events, _ended = finished
    lines = [e for e in events if e.fields.get("epoch")]
    assert [e.text for e in lines] == [f"epoch {n}/3 loss={1 / n:.2f}" for n in (1, 2, 3)]
    assert {e.task for e in lines} == {"workerpool0-0"}
    assert lines[-1].progress is not None and lines[-1].progress.epoch == 3
    ids = [e.id for e in events if e.text]
    assert len(set(ids)) == len(ids)
    assert any("running" in e.status for e in events)


def test_reading_again_gives_the_same_lines(place, finished):
    _made, events, ended = finished
    followed = [e.text for e in events if e.fields.get("epoch")]
    assert [line.text for line in logs.read(place.target, ended) if line.fields.get("epoch")] == followed
    assert [line.text for line in logs.read(place.target, ended.id) if line.fields.get("epoch")] == followed


def test_jobs_are_found_by_parts_of_their_names(place, finished):
    made, _events, _ended = finished
    for text in (made.id, made.id[:12], made.name, made.name[:20], made.name[-4:]):
        assert choosing.choose(place.target, text).id == made.id
    with pytest.raises(UserError, match="no job matches nonsense"):
        choosing.choose(place.target, "nonsense")
    assert made.id in {job.id for job in service.recent(place.target)}
    assert made.id in {job.id for job in service.recent(place.target, everything=True)}


def test_a_job_with_a_name_of_its_own_keeps_an_output_folder_of_its_own(place):
    made = submit.submit(place.workspace, place.target, place.plan("--epochs", "1", name="과제/../8"))
    service.cancel(place.target, made.id)
    assert made.name == "과제/../8"
    models = place.account.outputs().buckets["models"]
    assert re.fullmatch(rf"{re.escape(models)}/tiny/8-\d{{8}}-\d{{6}}-[0-9a-f]{{4}}/", made.output)
    assert choosing.choose(place.target, "과제/../8").id == made.id


def test_the_model_is_fetched_once(place, finished, tmp_path):
    made, _events, ended = finished
    folder = tmp_path / "models" / made.name
    first = fetching.fetch(place.target, ended, folder)
    assert sorted(first.names) == ["empty", "saved_model.pb", "variables/variables.index"]
    assert (folder / "saved_model.pb").read_bytes() == b"a,b"
    assert (first.files, first.bytes, first.received) == (3, 1003, 1003)
    again = fetching.fetch(place.target, ended, folder)
    assert again.received == 0
    assert [p.name for p in folder.parent.iterdir()] == [made.name]


def test_a_fetch_that_was_cut_off_goes_on(place, finished, tmp_path):
    _made, _events, ended = finished
    folder = tmp_path / "model"
    part = tmp_path / ".model.part"
    (part / "variables").mkdir(parents=True)
    (part / "variables" / "variables.index").write_bytes(b"x" * 1000)  # came before
    (part / "saved_model.pb").write_bytes(b"a")  # was cut off
    (part / "stray").write_bytes(b"?")
    folder.mkdir()
    for ours in (part, folder):
        (ours / ".cloudkite-fetched.json").write_text("{}", encoding="utf-8")
    (folder / "old").write_text("an earlier model", encoding="utf-8")
    fetched = fetching.fetch(place.target, ended, folder)
    assert fetched.received == 3
    assert (folder / "saved_model.pb").read_bytes() == b"a,b"
    assert not (folder / "stray").exists()
    assert not (folder / "old").exists()
    assert not part.exists()


def test_unchanged_code_and_data_send_nothing(place, finished):
    outputs = place.account.outputs()
    before = _generations(place)
    staged = staging.stage_data(
        place.target, outputs.buckets["staging"], place.plan().data, place.workspace.state / "hashes.json"
    )
    wheel = submit.folders.build_wheel(place.trainer, place.workspace)
    code = staging.stage_wheel(place.target, outputs.buckets["staging"], wheel)
    assert (staged.sent_bytes, staged.skipped, code.sent_bytes, code.skipped) == (0, 1, 0, 1)
    assert _generations(place) == before


def _generations(place: Place) -> dict[str, str]:
    bucket = place.account.outputs().buckets["staging"].removeprefix("gs://")
    found = place.target.session().get(f"https://storage.googleapis.com/storage/v1/b/{bucket}/o").json()
    return {item["name"]: item["generation"] for item in found["items"]}


def test_a_failed_job_tells_why_and_has_no_model(place, tmp_path):
    made = place.submit("--epochs", "1", "--fail", "yes")
    events = list(logs.follow(place.target, made))
    ended = service.get(place.target, made.id)
    assert ended.state == "FAILED"
    assert "workerpool0-0 exited with a non-zero status of 1" in ended.error
    assert any("the trainer failed on purpose" in e.text for e in events)
    with pytest.raises(UserError, match="left no model"):
        fetching.fetch(place.target, ended, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_running_job_holds_its_worst_case_until_it_is_cancelled(place, tmp_path):
    made = place.submit("--epochs", "1000", "--pause", "0.2")
    seen = threading.Event()
    assert choosing.choose(place.target, "tiny", choosing.CANCEL).id == made.id
    for event in logs.follow(place.target, made):
        if event.fields.get("epoch"):
            seen.set()
            break
    assert seen.is_set()
    assert made.id in {job.id for job in service.running(place.target)}
    held = costs.spent(place.target).committed.amount
    assert held >= made.worst_case
    with pytest.raises(UserError, match="has not ended"):
        fetching.fetch(place.target, service.get(place.target, made.id), tmp_path / "model")
    service.cancel(place.target, made.id)
    for _event in logs.follow(place.target, made):
        pass
    ended = service.get(place.target, made.id)
    assert ended.state == "CANCELLED"
    service.cancel(place.target, made.id)  # twice does no harm
    month = costs.spent(place.target)
    assert month.spent.amount > 0
    assert made.id not in {job.id for job in service.running(place.target)}


def test_a_job_has_what_its_trainer_pins_also_one_for_gpus_that_is_rehearsed(place, tmp_path):
    """Priced and counted as on Google; it runs on this machine's CPU, with packages that its image lacks."""
    folder = shutil.copytree(place.trainer.folder, tmp_path / "tiny")
    pyproject, task = folder / "pyproject.toml", folder / "trainer" / "task.py"
    pins = """dependencies = ["six==1.17.0", 'colorama==0.4.6; sys_platform == "never"']"""
    pyproject.write_text(pyproject.read_text().replace("dependencies = []", pins), encoding="utf-8")
    proof = "\nimport importlib.util, six\nprint('six', six.__version__, importlib.util.find_spec('colorama'))\n"
    task.write_text(task.read_text() + proof, encoding="utf-8")
    wishes = Wishes(gpu="t4", rehearse=True)
    plan = submit.on_this_machine(place.workspace, submit.plan(place.account, Trainer("tiny", folder), wishes))
    assert plan.notes[-1].startswith("a rehearsal: everything is as on Google but the T4.")
    made = submit.submit(place.workspace, place.target, plan)
    told = [event.text for event in logs.follow(place.target, made)]
    ended = service.get(place.target, made.id)
    assert ended.state == "SUCCEEDED", told
    assert "six 1.17.0 None" in told
    assert ended.accelerator == "NVIDIA_TESLA_T4"
    assert ended.hourly == plan.price.amount


def test_the_gate_reads_quota_and_spending(place, finished):
    verdict = gate.judge(place.target, place.plan())
    assert verdict.left is not None and verdict.left < 10
    assert [r.limit for r in verdict.readings] == [2200]
    with pytest.raises(UserError, match=r"the quota in us-central1 is too small \(L4: needs 1, has 0\)"):
        gate.judge(place.target, place.plan(gpu="l4"))


def test_a_budget_that_is_used_up_stops_the_next_job(place):
    small = dataclasses.replace(place.account, budget=0.05)
    with pytest.raises(UserError, match="this job may cost"):
        gate.judge(place.target, dataclasses.replace(place.plan(), account=small))


def test_a_wheel_for_nobody(place):
    """Without the bucket the refusal names it as Google does."""
    wheel = submit.folders.build_wheel(place.trainer, place.workspace)
    with pytest.raises(UserError, match="stage the trainer: The specified bucket does not exist"):
        staging.stage_wheel(place.target, "gs://no-such-bucket-of-ours", wheel)
