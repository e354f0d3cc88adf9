"""The generated trainer's input, measured in the trainer's own environment; and predictions with its model."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from statistics import median
from typing import Any

from cloudkite.bench.measure import Row, process
from cloudkite.bench.place import Place
from cloudkite.children import safe_environment
from cloudkite.workspace import CLONE


def trainer_input(place: Place) -> Iterator[Row]:
    """Rows per second of the whole trainer beside a bare fit on the same dataset, and of its input."""
    return _measured(place, "trainer_input.py")


def trainer_end_to_end(place: Place) -> Iterator[Row]:
    """Seconds and memory from a file of 1,000,000 rows to the exported model, beside a script with pandas."""
    return _measured(place, "trainer_end_to_end.py")


def _measured(place: Place, script: str) -> Iterator[Row]:
    from cloudkite.trainers import folders

    python = folders.environment(place.trainer, place.space)
    done = subprocess.run(
        [str(python), str(CLONE / "tests" / "bench" / script)],
        cwd=place.trainer.folder, env=safe_environment({"TF_CPP_MIN_LOG_LEVEL": "2"}),
        capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    for row in json.loads(done.stdout.strip().splitlines()[-1]):
        yield Row(
            row["name"], row["unit"], row["ours"], tuple(row["spread"]), row["peer_name"], row["peer"], row["ratio"],
            row["target"], row["runs"],
        )  # fmt: skip


def predict(place: Place) -> Iterator[Row]:
    """Rows per second of `predict --csv FILE --output FILE`, from the first answers on: a start takes what it takes."""
    from cloudkite.models import beside, predictions
    from cloudkite.trainers import folders

    trainer = place.trainer
    python, output = folders.environment(trainer, place.space), place.folder / "predicted"
    words = [str(python), "-m", "trainer.task", "--epochs", "1", "--output", str(output)]
    process(words, safe_environment({"TF_CPP_MIN_LOG_LEVEL": "2"}), trainer.folder)()
    header, *rows = (trainer.folder / "data" / "penguins.csv").read_text(encoding="utf-8").splitlines()
    asked, written = output / "rows.csv", output / "answers.csv"
    asked.write_text("\n".join([header, *islice(cycle(rows), _ASKED)]) + "\n", encoding="utf-8")
    rates = []
    for _round in range(4):
        began: list[tuple[float, int]] = []

        def timed(began: list[tuple[float, int]] = began) -> Iterator[Any]:
            for batch, answers in predictions.ask(place.space, trainer, output / "model", asked):
                began.append((time.perf_counter(), batch.rows))
                yield batch, answers

        count = beside.write(timed(), written)
        start, first = began[0]
        rates.append((count - first) / (time.perf_counter() - start))
        written.unlink()
    kept = rates[1:]
    yield Row("predict --csv --output", "rows/s", median(kept), (min(kept), max(kept)), target=">= 50000", runs=3)


_ASKED = 300_000  # rows of seven columns, of which the model takes six
ROWS: dict[str, Callable[[Place], Iterator[Row]]] = {
    "trainer input": trainer_input,
    "trainer end to end": trainer_end_to_end,
    "predict": predict,
}
