"""Measures the generated trainer's input: run it in a trainer's folder, with that trainer's environment.

Prints progress on standard error and, as its last line, a JSON list of rows for `invoke bench`: rows per second of the
trainer ("ours") and of a yardstick ("peer"), medians of runs in turn, and the median ratio ours / peer.
"""

from __future__ import annotations

import argparse
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
from trainer import arrays, csv_files, data, experiment, loop
from trainer import job as jobs
from trainer import model as models

NUMBERS, WORDS, BATCH = 10, 5, 1024
Measure = Callable[[], float]  # runs once and gives rows per second


def make(path: Path, rows: int) -> None:
    """Write `rows` rows of numbers and one-letter words, with a label that follows from them."""
    random = np.random.default_rng(0)
    numbers = random.normal(size=(rows, NUMBERS)).round(4)
    words = random.integers(0, 5, size=(rows, WORDS))
    labels = (numbers.sum(1) + words.sum(1) > 10).astype(int)
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join([*data.COLUMNS, data.LABEL]) + "\n")
        for a, b, label in zip(numbers.tolist(), words.tolist(), labels.tolist(), strict=True):
            file.write(f"{','.join(map(str, a))},{','.join('abcde'[i] for i in b)},{label}\n")


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
    """Times the last epoch of a fit: the first one also builds what is built once."""

    seconds = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start anew."""
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Stop."""
        self.seconds = time.perf_counter() - self.began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    numbers = {f"n{i}": float("nan") for i in range(NUMBERS)}
    data.COLUMNS = {**numbers, **{f"c{i}": "" for i in range(WORDS)}}
    data.LABEL, data.CLASSES, data.RANGES = "label", (0, 1), {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.csv")
        make(path, options.rows)
        print(json.dumps(measure(str(path), options.rows, options.runs)))


def measure(path: str, rows: int, runs: int) -> list[dict]:
    """The rows of the report, for the CSV file `path`."""
    files = csv_files.find(path, data.COLUMNS, data.LABEL, data.CLASSES)
    table = arrays.join([block[1:] for block in csv_files.once(files)])
    where = tf.distribute.get_strategy()
    model = models.build(experiment.describe([table]), 1e-3, 10_000)
    looped = loop.Loop(
        model, jobs.read("", {}), where, lambda start: arrays.endless(table, BATCH, 0, start), None, BATCH
    )
    steps = rows // BATCH
    defaults = [0.0] * NUMBERS + [""] * WORDS + [0]
    seed = iter(range(10**6))

    def in_memory() -> float:
        return timed(iter(arrays.endless(table, BATCH, next(seed), 0)), looped.model.train_function, steps)

    def fit() -> float:
        clock = Clock()
        model.fit(*table, batch_size=BATCH, epochs=2, verbose=0, callbacks=[clock])
        return rows / clock.seconds

    def stream():
        return iter(csv_files.endless(files, 0.2, int(rows * 0.79), BATCH, next(seed), 0))

    def peer():
        return tf.data.experimental.make_csv_dataset(path, BATCH, column_defaults=defaults, label_name=data.LABEL)

    def fit_peer() -> float:
        few, clock = max(10, steps // 8), Clock()
        model.fit(peer(), steps_per_epoch=few, epochs=2, shuffle=False, verbose=0, callbacks=[clock])
        return few * BATCH / clock.seconds

    return [
        paired("training, rows in memory", in_memory, "Keras fit in memory", fit, ">= 0.95", runs),
        paired(
            "training, files streamed", lambda: timed(stream(), looped.model.train_function, steps // 2),
            "fit on make_csv_dataset", fit_peer, ">= 5", runs,
        ),
        paired(
            "input alone, files streamed", lambda: timed(stream(), next, steps // 2),
            "make_csv_dataset", lambda: timed(iter(peer()), next, max(10, steps // 8)), ">= 5", runs,
        ),
        paired(
            "training, files streamed", lambda: timed(stream(), looped.model.train_function, steps // 2),
            "Keras fit in memory", fit, "", runs,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
