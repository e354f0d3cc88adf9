"""Tries an hour, beside a plain Optuna script over the same trainer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import count
from statistics import median

from cloudkite.bench.measure import Row, process, seconds
from cloudkite.bench.place import Place

_TRIES, _PARALLEL, _EPOCHS, _PAIRS = 6, 2, 3, 3

# As Optuna's own tutorial does it: an objective that runs the trainer, and threads for several at once.
_PLAIN = """
import json, os, subprocess, sys, tempfile
from pathlib import Path
import optuna

def objective(trial):
    output = tempfile.mkdtemp(dir=sys.argv[2])
    metrics = Path(output, "metrics")
    words = ["--rate", str(trial.suggest_float("rate", 1e-4, 1e-2, log=True)),
             "--units", str(trial.suggest_categorical("units", [32, 64, 128])),
             "--layers", str(trial.suggest_int("layers", 1, 3)),
             "--model", trial.suggest_categorical("model", ["linear", "mlp", "wide"])]
    subprocess.run([sys.argv[1], "-m", "trainer.task", "--epochs", sys.argv[5], "--output", output, *words], check=True,
                   env={**os.environ, "CLOUD_ML_HP_METRIC_FILE": str(metrics)}, stdout=subprocess.DEVNULL)
    told = map(json.loads, metrics.read_text().splitlines())
    return [float(one["accuracy"]) for one in told if "accuracy" in one][-1]

study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
study.optimize(objective, n_trials=int(sys.argv[3]), n_jobs=int(sys.argv[4]))
"""


def tune(place: Place) -> Iterator[Row]:
    """Whole commands in turn, each with as many tries; the linear baseline is one of ours. None lasts to be pruned."""
    from cloudkite.check import steps
    from cloudkite.children import safe_environment
    from cloudkite.trainers import folders

    trainer = place.trainer
    python = folders.environment(trainer, place.space)
    if not steps.check(place.space, trainer).ok:
        raise RuntimeError("the check failed")
    outputs, names = place.folder / "plain", count()
    outputs.mkdir()
    words = ["-c", _PLAIN, str(python), str(outputs), str(_TRIES), str(_PARALLEL), str(_EPOCHS)]
    plain = process([sys.executable, *words], safe_environment({"TF_CPP_MIN_LOG_LEVEL": "2"}), trainer.folder)

    def ours() -> None:
        place.invoke(
            "tune", str(trainer.folder), "--tries", str(_TRIES - 1), "--parallel", str(_PARALLEL), "--name",
            f"bench-{next(names)}", "--", "--epochs", str(_EPOCHS),
        )()  # fmt: skip

    mine, theirs = [], []
    for _round in range(_PAIRS):
        mine.append(3600 * _TRIES / seconds(ours))
        theirs.append(3600 * _TRIES / seconds(plain))
    yield Row(
        "tune, 2 at once", "tries/h", median(mine), (min(mine), max(mine)), "plain Optuna script", median(theirs),
        median(a / b for a, b in zip(mine, theirs, strict=True)), ">= 0.9", _PAIRS, samples=mine,
    )  # fmt: skip


ROWS: dict[str, Callable[[Place], Iterator[Row]]] = {"tune": tune}
