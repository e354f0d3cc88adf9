"""A tiny trainer that is tuned, and the journey that tunes it: here, or in a process of its own that is killed."""

from __future__ import annotations

import dataclasses
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloudkite.accounts.target import Target
from cloudkite.check import steps
from cloudkite.jobs import service
from cloudkite.jobs.plans import Wishes
from cloudkite.journey import results, training, tuning_google
from cloudkite.trainers import arguments
from cloudkite.trainers.folders import Trainer
from cloudkite.tuning import google
from cloudkite.tuning.space import Parameter, Space
from cloudkite.tuning.study import Try
from tests.local.place import TASK, Place, make_trainer

SPACE = Space(
    "val_accuracy",
    "maximize",
    (Parameter("rate", "real", 0.0001, 0.01, log=True), Parameter("units", "choice", choices=(32, 64)),
     Parameter("model", "choice", choices=("wide", "mlp"))),
)  # fmt: skip
# As the generated trainer: a line of cloudml-hypertune after each epoch, the model at the end; a bad rate breaks it.
TUNED = (
    TASK.partition("bucket, name = parts")[0]
    + """
given = dict(word[2:].split("=", 1) for word in sys.argv if "=" in word)
fixed = [word for word in sys.argv[1:] if "=" not in word]
arguments = dict(zip(fixed[0::2], fixed[1::2]))
units, rate = int(given["units"]), float(given["rate"])
if arguments.get("--break") == os.environ["CLOUD_ML_TRIAL_ID"]:
    time.sleep(1.2)
    sys.exit("the rate is too large")
rows = []
for epoch in (1, 2):
    row = {"timestamp": time.time(), "trial": os.environ["CLOUD_ML_TRIAL_ID"], "checkpoint_path": ""}
    rows.append({**row, "global_step": str(epoch), "accuracy": str(min(rate * 50, 0.5) + units / 200)})
    path = os.environ["CLOUD_ML_HP_METRIC_FILE"]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write("".join(json.dumps(one) + "\\n" for one in rows))
    print(json.dumps({"severity": "INFO", "message": f"epoch {epoch}/2", "epoch": epoch, "epochs": 2}), flush=True)
    time.sleep(float(arguments.get("--pause", "0.7")))  # a job within one second costs nothing here
bucket, prefix = parts(os.environ["AIP_MODEL_DIR"])
place = urllib.parse.quote(prefix.rstrip("/") + "/saved_model.pb", safe="")
storage("POST", f"upload/storage/v1/b/{bucket}/o?uploadType=media&name={place}", given["rate"].encode())
"""
)


def tuned(place: Place) -> Place:
    """The place with that trainer."""
    trainer = make_trainer(place.workspace.trainers / "tuned")
    (trainer.folder / "trainer" / "task.py").write_text(TUNED, encoding="utf-8")
    return dataclasses.replace(place, trainer=Trainer("tuned", trainer.folder))


def prepare(place: Place, patch: pytest.MonkeyPatch) -> None:
    """Let the journey take the place's account as it is, and its trainer, which needs no TensorFlow, as checked."""
    patch.setattr(tuning_google, "connect", lambda *_: place.target)
    patch.setattr(tuning_google, "check_set_up", lambda *_: None)
    patch.setattr(results, "connect", lambda *_: place.target)
    patch.setattr(training, "environment", lambda *_: Path(sys.executable))
    patch.setattr(steps, "passed", lambda *_: object())
    patch.setattr(arguments, "refuse_bad", lambda *_: None)


def tune(place: Place, *words: str, tries: int = 4, parallel: int = 2, budget: float = 10.0, name: str = "",
         follow: bool = True, **more: Any) -> list[Try]:  # fmt: skip
    """All tries of a tuning job that is begun, or gone on with, as `invoke tune --engine google` does."""
    wishes = Wishes(image="python:3.11", arguments=words, name=name)
    account = dataclasses.replace(place.account, budget=budget)
    found = tuning_google.begin(
        place.workspace, account, place.target, place.trainer, SPACE, wishes, tries, parallel, **more
    )
    job = found.running
    before = found.before(job) if job else found.tries
    seen = [own for _job, own in google.watch(place.target, job, len(before))] if job and follow else []
    return [*before, *(seen[-1] if seen else ())]


def killed(place: Place, folder: Path, stage: str, name: str) -> None:
    """Tune in another process, which is killed before the job is created, after that, or while it is followed."""
    file = folder / "place.pickle"
    what = (place.workspace, place.account, place.target.environment, place.trainer)
    file.write_bytes(pickle.dumps(what))
    words = [sys.executable, "-m", "tests.local.tuned", str(file), stage, name]
    done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr


def _main(file: str, stage: str, name: str) -> None:
    workspace, account, environment, trainer = pickle.loads(Path(file).read_bytes())
    place = Place(workspace, account, Target(account, environment, {}), trainer)
    with pytest.MonkeyPatch.context() as patch:
        prepare(place, patch)

        def dies(make: Any) -> Any:
            def call(*words: Any) -> None:
                if make:
                    made = make(*words)
                    next(iter(made), None) if stage == "followed" else made
                os.kill(os.getpid(), signal.SIGKILL)

            return call

        if stage == "followed":
            patch.setattr(google, "watch", dies(google.watch))
        else:
            patch.setattr(service, "create", dies(service.create if stage == "created" else None))
        tune(place, "--pause", "1.5", name=name)


if __name__ == "__main__":
    _main(*sys.argv[1:])
