"""Twenty accounts of one owner: set up, one of them in vain, and looked at again after others changed three."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil

from cloudkite.accounts import local, registry
from cloudkite.accounts import target as targets
from cloudkite.bench.measure import Row
from cloudkite.bench.place import Place
from cloudkite.workspace import CLONE, Workspace, throw_away

_COUNT, _CHANGED = 20, 3
_MIB = 2**20

# In a process of its own, so that its memory is told from that of the measurement.
_UP = """
import sys
from pathlib import Path
from cloudkite.journey import several
from cloudkite.show import mistakes
from cloudkite.workspace import throw_away
with mistakes.told():
    several.up(throw_away(Path(sys.argv[1])), sys.argv[2:], yes=True)
"""


def several(place: Place) -> Iterator[Row]:
    """`up --all`, once each: the first takes a minute, and a second one would not be a first."""
    space = throw_away(place.folder / "several")
    text = (CLONE / "infra" / "Pulumi.local.yaml").read_text(encoding="utf-8")
    names = [f"shop-{number:02d}" for number in range(_COUNT)]
    for name in names:
        settings = text.replace("cloudkite-local", f"cloudkite-{name}")
        (space.accounts / f"Pulumi.{name}.yaml").write_text(settings, encoding="utf-8")
    try:
        _storage(space, names[0]).create_bucket(f"cloudkite-{names[7]}-data", location="us-central1")
        yield from _measured(space, names, "up --all, first", "<= 60 s")
        for name in names[1 : 1 + _CHANGED]:
            bucket = _storage(space, name).get_bucket(f"cloudkite-{name}-models")
            bucket.iam_configuration.public_access_prevention = "inherited"
            bucket.patch()
        yield from _measured(space, names, f"up --all, again, {_CHANGED} changed by others", "<= 25 s")
    finally:
        local.run(space, "stop")


def _storage(space: Workspace, name: str) -> Any:
    return targets.connect(space, registry.load(space, name)).storage()


def _measured(space: Workspace, names: list[str], name: str, target: str) -> Iterator[Row]:
    began = time.perf_counter()
    run = subprocess.Popen([sys.executable, "-c", _UP, str(space.state), *names], cwd=CLONE, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)  # fmt: skip
    most = _watch(run)
    if run.wait() != 1:  # one account fails, and no other
        raise RuntimeError(f"up of {len(names)} accounts ended with {run.returncode}")
    took = time.perf_counter() - began
    yield Row(f"{name} ({len(names)} accounts, one fails)", "s", took, (took, took), target=target, runs=1)
    held = most() / _MIB
    yield Row(f"{name}: memory with engines", "MiB", held, (held, held), runs=1)


def _watch(run: subprocess.Popen[bytes]) -> Callable[[], float]:
    """Looks at what a process and its children hold until it ends; gives what tells the most of it."""
    most = 0.0

    def look() -> None:
        nonlocal most
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(run.pid)
            while process.status() != psutil.STATUS_ZOMBIE:
                family = [process, *process.children(recursive=True)]
                most = max(most, sum(map(_held, family)))
                time.sleep(0.1)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()

    def told() -> float:
        thread.join(5)
        return most

    return told


def _held(one: psutil.Process) -> float:
    try:
        return one.memory_info().rss
    except psutil.Error:  # it has just ended
        return 0.0


ROWS: dict[str, Callable[[Place], Iterator[Row]]] = {"accounts": several}
