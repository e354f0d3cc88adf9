"""Reading an account's state and the locks beside it, without the engine."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudkite.engine import failures
from cloudkite.engine.events import kind_of, name_of
from cloudkite.engine.folder import Folder
from cloudkite.engine.results import Resource
from cloudkite.show.errors import UserError
from cloudkite.show.text import _


@dataclass(frozen=True)
class State:
    """What the last run knew. `pending` are operations that were begun and whose result is not known."""

    resources: tuple[Resource, ...] = ()
    pending: tuple[dict[str, Any], ...] = ()
    rows: tuple[dict[str, Any], ...] = ()


def read(folder: Folder) -> State:
    """The account's state; empty when it was never set up. Raises UserError for a file that can't be read."""
    try:
        return parse(folder.checkpoint.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return State()
    except json.JSONDecodeError as error:
        raise failures.corrupt(folder, _("line {line}: {said}").format(line=error.lineno, said=error.msg)) from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise failures.corrupt(folder, type(error).__name__) from None
    except OSError as error:
        raise UserError(
            _("the state {path} can't be read: {problem}").format(path=folder.checkpoint, problem=error.strerror),
            _("check the disk and the folder's permissions"),
        ) from None


# What watches over money: of no use once nothing bills any more, and not to be missed before.
WATCHES = frozenset({"Budget", "NotificationChannel", "AlertPolicy"})


def staying(known: State, everything: bool = False, watched: bool = False) -> frozenset[str]:
    """The URNs of what `down` leaves: what is protected unless `everything`, WATCHES if `watched`, what those need."""
    rows = {row["urn"]: row for row in known.rows}
    left, found = [urn for urn, row in rows.items() if stays(row, everything, watched)], set()
    while left:
        urn = left.pop()
        if urn in rows and urn not in found:
            found.add(urn)
            needs = rows[urn].get("propertyDependencies") or {}
            left += [*(rows[urn].get("dependencies") or ()), *(one for each in needs.values() for one in each or ())]
    return frozenset(found)


def stays(row: Mapping[str, Any], everything: bool, watched: bool) -> bool:
    """Whether `down` leaves a resource for its own sake."""
    watches = kind_of(row["type"]) in WATCHES
    return watched if watches else bool(row.get("protect")) and not everything


def parse(text: str) -> State:
    """The state that a file's text is of. Raises ValueError, TypeError, KeyError or AttributeError for no state."""
    # Where the making of a stack was cut off there is a checkpoint, and nothing in it yet.
    latest = json.loads(text)["checkpoint"].get("latest") or {}
    rows = tuple(latest.get("resources") or ())
    resources = tuple(_resource(r) for r in rows if r.get("custom") and not r["type"].startswith("pulumi:"))
    return State(resources, tuple(latest.get("pending_operations") or ()), rows)


def _resource(row: dict[str, Any]) -> Resource:
    return Resource(
        kind_of(row["type"]),
        name_of(row["urn"]),
        row["type"],
        row["urn"],
        row.get("id", ""),
        bool(row.get("protect")),
        row.get("inputs") or {},
    )


@dataclass(frozen=True)
class Locks:
    """Locks that engines left: `alive` are process ids at work here (or 0 for another machine's), `dead` are files."""

    alive: tuple[int, ...] = ()
    dead: tuple[Path, ...] = ()


def locks(folder: Folder) -> Locks:
    """Who holds Pulumi's own lock on the account."""
    alive, dead = [], []
    for path in sorted(folder.engine_locks.glob("*.json")):
        try:
            lock = json.loads(path.read_text(encoding="utf-8"))
            pid = int(lock["pid"])
        except (OSError, ValueError, TypeError, KeyError):
            dead.append(path)  # torn: its engine died while it wrote it
            continue
        if lock.get("hostname") not in (None, socket.gethostname()):
            alive.append(0)
        elif is_engine(pid):
            alive.append(pid)
        else:
            dead.append(path)
    return Locks(tuple(alive), tuple(dead))


def is_engine(pid: int) -> bool:
    """Whether the process of that number on this computer is an engine, or may be one."""
    import psutil

    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.name().lower().startswith("pulumi")
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # somebody else's process of that number: it may be one
        return True
