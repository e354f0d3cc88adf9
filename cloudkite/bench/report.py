"""The report of `invoke bench`: a table for people and for docs/performance.md, JSON for scripts."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cloudkite.bench.measure import Row
from cloudkite.bench.place import Place
from cloudkite.show import screen
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _
from cloudkite.workspace import CLONE, private_folder


def run(only: str = "", as_json: bool = False) -> None:
    """Measure all rows, or those whose name contains `only`; on a throw-away account of an own local cloud."""
    rows = []
    for row in _rows(only):
        rows.append(row)
        screen.note(_line(row))
    if not rows:
        raise BadValue(_("no measurement is called {name!r}").format(name=only), _("uv run invoke bench --only up"))
    if as_json:
        screen.as_json(rows)
        return
    screen.say(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    screen.say()
    screen.say("| what | median | min - max | peer | ratio | target | runs |")
    screen.say("|---|---|---|---|---|---|---|")
    for row in rows:
        screen.say(_line(row))


def _rows(only: str) -> Iterator[Row]:
    from cloudkite.bench import accounts, commands, kills, localcloud, reliability, trainers, tuning, workers

    measurements = {**commands.ROWS, **localcloud.ROWS, **trainers.ROWS, **tuning.ROWS}
    if only:  # drills take many minutes: only by their name
        measurements |= {**reliability.ROWS, **accounts.ROWS}
    if "workers" in only:
        measurements |= workers.ROWS
    if "kill" in only:  # `--only up` means how long `up` takes
        measurements |= kills.ROWS
    chosen = {name: measure for name, measure in measurements.items() if only in name}
    if not chosen:
        return
    folder = Path(tempfile.mkdtemp(dir=private_folder(CLONE / ".cloudkite" / "bench")))
    here = Place(folder)
    try:
        for name, measure in chosen.items():
            screen.note(_("measuring {name} ...").format(name=name))
            yield from measure(here)
    finally:
        here.close()
        shutil.rmtree(folder, ignore_errors=True)


def _line(row: Row) -> str:
    peer = f"{row.peer_name} {_number(row.peer)} {row.unit}" if row.peer is not None else row.peer_name or "-"
    ratio = f"{row.ratio:.2f}" if row.ratio is not None else "-"
    spread = f"{_number(row.spread[0])} - {_number(row.spread[1])}"
    name = f"{row.name} ({row.note})" if row.note else row.name
    return f"| {name} | {_number(row.ours)} {row.unit} | {spread} | {peer} | {ratio} | {row.target} | {row.runs} |"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"
