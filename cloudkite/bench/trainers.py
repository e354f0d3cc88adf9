"""The generated trainer's input, measured in the trainer's own environment."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator

from cloudkite.bench.measure import Row
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


ROWS: dict[str, Callable[[Place], Iterator[Row]]] = {
    "trainer input": trainer_input,
    "trainer end to end": trainer_end_to_end,
}
