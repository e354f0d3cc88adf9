"""Plain trainers as jobs of a local cloud: the first steps on Vertex AI, a wrapped program on Cloud Run."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from pathlib import Path

import pytest

from cloudkite.jobs import earlier, logs, service, submit
from cloudkite.jobs.plans import Wishes
from cloudkite.models import fetching
from cloudkite.show.errors import BadValue
from cloudkite.trainers import folders, making
from cloudkite.trainers.folders import Trainer
from cloudkite.trainers.wrapping import wrap
from tests import programs
from tests.local.place import Place

pytestmark = pytest.mark.slow

LOAD = """
import sys, keras, tensorflow as tf
model = keras.saving.load_model(sys.argv[1])
print(model.predict(tf.constant([["a good film"]]), verbose=0).shape)
"""


def submitted(place: Place, trainer: Trainer, *words: str, on: str = "") -> submit.Submitted:
    wishes = Wishes(arguments=words, on=on) if on else Wishes(arguments=words)
    plan = dataclasses.replace(submit.plan(place.account, trainer, wishes), image="python:3.11")
    return submit.submit(place.workspace, place.target, plan)


def ended(place: Place, job: submit.Submitted) -> tuple[str, service.Job]:
    said = "\n".join(event.text for event in logs.follow(place.target, job) if event.text)
    end = service.get(place.target, job.id)
    assert end.state == "SUCCEEDED", said
    return said, end


def test_both_run_as_jobs_and_what_one_saved_is_fetched_and_loaded(place: Place, session, tmp_path: Path) -> None:
    project = place.account.project
    url = f"https://serviceusage.googleapis.com/v1/projects/{project}/services/run.googleapis.com:enable"
    assert session.post(url, json={}).ok
    first = Trainer("first-steps", making.first_steps(place.workspace, "first-steps"))
    lesson = programs.write(tmp_path / "lessons")["text"]
    wrapped = Trainer("text", wrap.make(place.workspace, "text", wrap.look(lesson)))
    jobs = [submitted(place, first), submitted(place, wrapped, "--epochs", "2", on="run")]

    said, _end = ended(place, jobs[0])
    buckets = place.account.outputs().buckets
    staging, models = (re.escape(buckets[name]) for name in ("staging", "models"))
    assert re.fullmatch(rf"{staging}/data/[0-9a-f]{{64}}", jobs[0].data)
    assert "6 x 7 = 42" in said and "8 planets, from Mercury to Neptune" in said and "Neptune  0.0389" in said
    assert re.search(rf"2\.6779 read back from {models}/first-steps/\S+/checkpoints/first\n2\.9654 after", said)

    said, end = ended(place, jobs[1])
    assert "Epoch 2/2" in said and "Epoch 3" not in said and "(1, 1)" in said
    fetched = fetching.fetch(place.target, end, wrapped.folder / "models" / end.name)
    assert fetched.names == ("reviews_model.keras",)
    python = folders.environment(wrapped, place.workspace)
    line = [str(python), "-c", LOAD, str(fetched.folder / "reviews_model.keras")]
    done = subprocess.run(line, env={"CUDA_VISIBLE_DEVICES": "-1"}, capture_output=True, text=True, timeout=120)
    assert done.stdout == "(1, 1)\n", done.stderr


def test_a_program_learns_on_by_itself(place: Place) -> None:
    trainer = Trainer("first-again", making.first_steps(place.workspace, "first-again"))
    with pytest.raises(BadValue, match="can't learn on by --continue"):
        earlier.find(place.target, trainer, "first-again")
