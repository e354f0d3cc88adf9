"""Whether several workers are worth it: data parallel by the generated trainer, and parameter servers.

Each epoch is timed where its line arrives, in seconds and in CPU seconds of all processes, which other work on the
machine changes less. The processes are on one machine, so what they send one another is as quick as it gets.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice, pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from cloudkite.bench.measure import Row
from cloudkite.bench.place import Place
from cloudkite.children import safe_environment
from cloudkite.workspace import CLONE

_ROWS, _BATCH, _UNITS, _EPOCHS, _ROUNDS = 20_000, 2048, 1024, 5, 3
_SERVED = ("20480", "1024", "512", "5")  # rows, batch, units, epochs for parameter servers
_PATIENCE = 300  # seconds that a cluster may take
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "PYTHONUNBUFFERED": "1"}


def data_parallel(place: Place) -> Iterator[Row]:
    """The trainer's epoch by two workers with a core each, beside one worker with one core, and with both."""
    from cloudkite.trainers import folders

    trainer = place.trainer
    python = str(folders.environment(trainer, place.space))
    header, *lines = (trainer.folder / "data" / "penguins.csv").read_text(encoding="utf-8").splitlines()
    table = place.folder / "rows.csv"
    table.write_text("\n".join([header, *islice(cycle(lines), _ROWS)]) + "\n", encoding="utf-8")
    words = [python, "-m", "trainer.task", "--data", str(table), "--batch", str(_BATCH), "--layers", "3", "--units",
             str(_UNITS), "--epochs", str(_EPOCHS), "--output"]  # fmt: skip

    def run(workers: int, cores: Sequence[Sequence[int]]) -> Epoch:
        hosts = [f"127.0.0.1:{_free_port()}" for _ in range(workers)]
        tasks = [("workerpool0" if not number else "workerpool1", max(number - 1, 0)) for number in range(workers)]
        cluster = {"workerpool0": hosts[:1], **({"workerpool1": hosts[1:]} if workers > 1 else {})}
        environments = [
            {
                "CLUSTER_SPEC": json.dumps({"cluster": cluster, "task": {"type": pool, "index": index}}),
                "CLOUD_ML_JOB_ID": "1",
            }
            for pool, index in tasks
        ]
        output = [*words, str(place.folder / f"out-{time.monotonic_ns()}")]
        return _epoch(output, trainer.folder, environments if workers > 1 else [{"CLOUD_ML_JOB_ID": "1"}], cores)

    times: dict[str, list[Epoch]] = {"two": [], "one": [], "both": []}
    for _round in range(_ROUNDS):
        times["two"].append(run(2, [(0,), (1,)]))
        times["one"].append(run(1, [(0,)]))
        times["both"].append(run(1, [(0, 1)]))
    yield from _rows("2 workers with a core each", times["two"], "1 worker with a core", times["one"])
    yield from _rows("2 workers with a core each", times["two"], "1 worker with both cores", times["both"])


def parameter_servers(place: Place) -> Iterator[Row]:
    """An epoch of a custom loop over a parameter server and one or two workers, beside one process; and Keras' fit."""
    from cloudkite.trainers import folders

    python = str(folders.environment(place.trainer, place.space))
    words = [python, str(CLONE / "tests" / "bench" / "parameter_servers.py")]

    def run(how: str, workers: int) -> Epoch:
        if not workers:
            return _epoch([*words, how, *_SERVED], place.folder, [{}], [])
        roles = [("chief", 0), *(("worker", number) for number in range(workers)), ("ps", 0)]
        cluster: dict[str, list[str]] = {}
        for role, _index in roles:
            cluster.setdefault(role, []).append(f"127.0.0.1:{_free_port()}")
        environments = [
            {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": role, "index": index}})}
            for role, index in roles
        ]
        return _epoch([*words, how, *_SERVED], place.folder, environments, [])

    times: dict[int, list[Epoch]] = {0: [], 1: [], 2: []}
    for _round in range(_ROUNDS):
        for workers in times:
            times[workers].append(run("loop", workers))
    for workers in (1, 2):
        yield from _rows(f"a parameter server, workers: {workers}", times[workers], "one process", times[0])
    try:
        yield from _rows("a parameter server, Keras' fit", [run("fit", 1)], "", [])
    except RuntimeError as problem:
        yield Row("parameter server, Keras' fit", "", 0, (0, 0), note=f"fails: {str(problem)[:160]}")


class Epoch(NamedTuple):
    """How long an epoch took, and what it took of the cores."""

    seconds: float
    cpu_seconds: float


def _rows(name: str, ours: list[Epoch], peer_name: str, peer: list[Epoch]) -> Iterator[Row]:
    for unit, number in (("s", 0), ("CPU s", 1)):
        mine, theirs = [epoch[number] for epoch in ours], [epoch[number] for epoch in peer]
        ratio = median(a / b for a, b in zip(mine, theirs, strict=True)) if peer else None
        yield Row(f"an epoch by {name}", unit, median(mine), (min(mine), max(mine)), peer_name,
                  median(theirs) if peer else None, ratio, runs=len(ours))  # fmt: skip


def _epoch(
    words: Sequence[str], folder: Path, environments: Sequence[dict[str, str]], cores: Sequence[Sequence[int]]
) -> Epoch:
    """The median epoch after the first, by the lines of the first of the processes; all are ended with it.

    Raises RuntimeError for one that says that it has a problem, or no two epochs.
    """
    started: list[subprocess.Popen[str]] = []
    try:
        for number, environment in enumerate(environments):
            child = subprocess.Popen(
                list(words), cwd=folder, env=safe_environment({**_QUIET, **environment}), text=True, encoding="utf-8",
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL if number else subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
            started.append(child)
            if cores and hasattr(psutil.Process, "cpu_affinity"):
                psutil.Process(child.pid).cpu_affinity(list(cores[number]))  # before it counts its cores
        return _listened(started)
    finally:
        for child in started:
            child.kill()
            child.wait()


def _listened(started: list[subprocess.Popen[str]]) -> Epoch:
    """Read the first process' lines to its end, or for as long as a cluster may take."""
    times: list[tuple[float, float]] = []
    first, cluster = started[0], [psutil.Process(child.pid) for child in started]
    watch = threading.Timer(_PATIENCE, first.kill)
    watch.start()
    try:
        assert first.stdout
        for line in first.stdout:
            told = {}
            with contextlib.suppress(ValueError):
                told = json.loads(line)
            if "problem" in told:
                raise RuntimeError(told["problem"])
            if "epoch" in told:
                times.append((time.perf_counter(), sum(sum(one.cpu_times()[:2]) for one in cluster)))
    finally:
        watch.cancel()
    if len(times) < 3:
        raise RuntimeError(f"no epochs after {_PATIENCE} seconds, or an end before the last")
    steps = list(pairwise(times))
    return Epoch(*(median(after[number] - before[number] for before, after in steps) for number in (0, 1)))


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


ROWS: dict[str, Callable[[Place], Iterator[Row]]] = {
    "workers, data parallel": data_parallel,
    "workers, parameter servers": parameter_servers,
}
