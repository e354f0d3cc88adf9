"""Measures the generated trainer's input: run it in a trainer's folder, with that trainer's environment.

Prints progress on standard error and, as its last line, a JSON list of rows for `invoke bench`: rows per second of the
trainer ("ours") and of a yardstick ("peer"), medians of runs in turn, and the median ratio ours / peer.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import tensorflow as tf
from trainer import data, experiment
from trainer import model as models
from trainer.kit import job as jobs
from trainer.kit import resume, tell
from trainer.kit import rows as rows_of

BATCH, EPOCHS = 1024, 3
LETTERS = "abcdefghijklmnopqrst"  # the words of a column: about as many as people's have
NUMBERS, WORDS = 10, 5
Measure = Callable[[], float]  # runs once and gives rows per second


def declare(numbers: int, words: int) -> dict[str, str]:
    """Have data.py declare so many columns of each kind."""
    global NUMBERS, WORDS
    NUMBERS, WORDS = numbers, words
    data.COLUMNS = {**{f"n{i}": "number" for i in range(NUMBERS)}, **{f"c{i}": "category" for i in range(WORDS)}}
    data.LABEL, data.CLASSES, data.RANGES = "label", (0, 1), {}
    return data.COLUMNS


def make(path: Path, rows: int) -> None:
    """Write `rows` rows of numbers and one-letter words, with a label that follows from them."""
    random = np.random.default_rng(0)
    numbers = random.normal(size=(rows, NUMBERS)).round(4)
    words = random.integers(0, len(LETTERS), size=(rows, WORDS))
    labels = (numbers.sum(1) + words.sum(1) > WORDS * len(LETTERS) / 2).astype(int)
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join([*data.COLUMNS, data.LABEL]) + "\n")
        for a, b, label in zip(numbers.tolist(), words.tolist(), labels.tolist(), strict=True):
            file.write(",".join([*map(str, a), *(LETTERS[i] for i in b), str(label)]) + "\n")


def paired(name: str, ours: Measure, peer_name: str, peer: Measure, target: str, runs: int) -> dict:
    """Run both in turn, A B A B ..., after one uncounted pair."""
    pairs = [(ours(), peer()) for _ in range(runs + 1)][1:]
    mine = [a for a, _ in pairs]
    row = {
        "name": name, "unit": "rows/s", "ours": statistics.median(mine), "spread": [min(mine), max(mine)],
        "peer_name": peer_name, "peer": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(a / b for a, b in pairs), "target": target, "runs": runs,
    }  # fmt: skip
    print(f"{name}: {row['ours']:,.0f} rows/s, {row['ratio']:.2f} x {peer_name}", file=sys.stderr, flush=True)
    return row


def timed(batches, use: Callable, count: int) -> float:
    """Rows per second of `count` batches, the first ones left out: they fill the buffers."""
    for _ in range(5):
        use(batches)
    began = time.perf_counter()
    for _ in range(count):
        use(batches)
    return count * BATCH / (time.perf_counter() - began)


class Clock(keras.callbacks.Callback):
    """Times a fit from its second epoch on: the first one also builds what is built once. It comes last of all."""

    seconds = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start."""
        if epoch == 1:
            self.began = time.perf_counter()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Stop, when the others are done, too."""
        self.seconds = time.perf_counter() - self.began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--wide", action="store_true", help="30 numbers and no words, instead of 10 and 5")
    options = parser.parse_args()
    declare(*((30, 0) if options.wide else (10, 5)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.csv")
        make(path, options.rows)
        print(json.dumps(measure(str(path), options.rows, options.runs)))


def measure(path: str, rows: int, runs: int) -> list[dict]:
    """The rows of the report, for the CSV file `path`."""
    source = rows_of.read(path, 0.2, 0.0)
    training, held = source.parts["training"], source.parts["validation"]
    together = models.TOGETHER
    steps = len(training) // BATCH // together * together
    seed = iter(range(10**6))

    def batches():
        return rows_of.stream(source.table, training, BATCH, steps, next(seed), 0)

    how = argparse.Namespace(model="mlp", layers=models.LAYERS, units=models.UNITS, rate=1e-3)
    model = models.build(source.statistics, how, 10_000)
    model._symbolic_build(data_batch=batches().element_spec)
    model.optimizer.build(model.trainable_variables)
    model.steps_per_execution = together
    checked = rows_of.held(source.table, experiment.watched(held, len(training)), experiment.held_batch(BATCH))

    def fit(whole: bool) -> float:
        """Bare, or with all that the trainer adds: checkpoints, validation and logs."""
        clock, added, more = Clock(), [], {}
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            if whole:
                job, plan = jobs.read(folder, {}), resume.Plan(EPOCHS * steps, steps, 0, 0)
                keep = resume.Resume(model, job, plan, [], {}, {})
                added, more = [tell.Tell(job, keep), keep], {"validation_data": checked}
            model.fit(
                batches().prefetch(tf.data.AUTOTUNE), steps_per_epoch=steps, epochs=EPOCHS, shuffle=False, verbose=0,
                callbacks=[*added, clock], **more,
            )  # fmt: skip
        return (EPOCHS - 1) * steps * BATCH / clock.seconds

    defaults = [0.0] * NUMBERS + [""] * WORDS + [0]

    def peer():
        return tf.data.experimental.make_csv_dataset(path, BATCH, column_defaults=defaults, label_name=data.LABEL)

    def read_and_deal() -> float:
        """Rows per second of three epochs, the reading of the file included."""
        began = time.perf_counter()
        again = rows_of.read(path, 0.0, 0.0)
        chosen, count = again.parts["training"], 0
        for _ in rows_of.stream(again.table, chosen, BATCH, rows // BATCH, next(seed), 0).take(EPOCHS * rows // BATCH):
            count += BATCH
        return count / (time.perf_counter() - began)

    bare, target = f"bare fit, same dataset, {together} steps together", ">= 0.91"  # 1.1 times its time
    return [
        paired("whole trainer", lambda: fit(True), bare, lambda: fit(False), target, runs),
        paired(
            "input of 3 epochs, file read", read_and_deal, "make_csv_dataset",
            lambda: timed(iter(peer()), next, max(10, rows // BATCH // 8)), ">= 5", runs,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
