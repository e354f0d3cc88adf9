"""Whether several workers are worth it: data parallel by the generated trainer, and parameter servers.

Each epoch is timed where its line arrives. The processes are on one machine, so what they send one another is as quick
as it gets; docs/performance.md says what that means.
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

import psutil

from cloudkite.bench.measure import Row
from cloudkite.bench.place import Place
from cloudkite.children import safe_environment
from cloudkite.workspace import CLONE

_ROWS, _BATCH, _UNITS, _EPOCHS, _ROUNDS = 40_000, 4096, 1024, 4, 3
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

    def run(workers: int, cores: Sequence[Sequence[int]]) -> float:
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

    times: dict[str, list[float]] = {"two": [], "one": [], "both": []}
    for _round in range(_ROUNDS):
        times["two"].append(run(2, [(0,), (1,)]))
        times["one"].append(run(1, [(0,)]))
        times["both"].append(run(1, [(0, 1)]))
    yield _row("epoch, 2 workers with a core each", times["two"], "1 worker with a core", times["one"])
    yield _row("epoch, 2 workers with a core each", times["two"], "1 worker with both cores", times["both"])


def parameter_servers(place: Place) -> Iterator[Row]:
    """An epoch of a custom loop over a parameter server and one or two workers, beside one process; and Keras' fit."""
    from cloudkite.trainers import folders

    python = str(folders.environment(place.trainer, place.space))
    words = [python, str(CLONE / "tests" / "bench" / "parameter_servers.py")]

    def run(how: str, workers: int) -> float:
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

    times: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for _round in range(_ROUNDS):
        for workers in times:
            times[workers].append(run("loop", workers))
    for workers in (1, 2):
        yield _row(f"epoch, parameter server and {workers}", times[workers], "one process", times[0])
    try:
        yield _row("epoch, parameter server, Keras' fit", [run("fit", 1)], "", [])
    except RuntimeError as problem:
        yield Row("parameter server, Keras' fit", "", 0, (0, 0), note=f"fails: {str(problem)[:160]}")


def _row(name: str, ours: list[float], peer_name: str, peer: list[float]) -> Row:
    ratio = median(a / b for a, b in zip(ours, peer, strict=True)) if peer else None
    return Row(name, "s", median(ours), (min(ours), max(ours)), peer_name, median(peer) if peer else None, ratio,
               runs=len(ours))  # fmt: skip


def _epoch(
    words: Sequence[str], folder: Path, environments: Sequence[dict[str, str]], cores: Sequence[Sequence[int]]
) -> float:
    """The median seconds of an epoch after the first, by the first of the processes; all are ended with it.

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
        return _listened(started[0])
    finally:
        for child in started:
            child.kill()
            child.wait()


def _listened(child: subprocess.Popen[str]) -> float:
    """Read a process' lines to its end, or for as long as a cluster may take."""
    times: list[float] = []
    watch = threading.Timer(_PATIENCE, child.kill)
    watch.start()
    try:
        assert child.stdout
        for line in child.stdout:
            told = {}
            with contextlib.suppress(ValueError):
                told = json.loads(line)
            if "problem" in told:
                raise RuntimeError(told["problem"])
            if "epoch" in told:
                times.append(time.perf_counter())
    finally:
        watch.cancel()
    if len(times) < 3:
        raise RuntimeError(f"no epochs after {_PATIENCE} seconds, or an end before the last")
    return median(after - before for before, after in pairwise(times))


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


ROWS: dict[str, Callable[[Place], Iterator[Row]]] = {
    "workers, data parallel": data_parallel,
    "workers, parameter servers": parameter_servers,
}
