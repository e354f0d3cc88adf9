"""What can be done with an account: look, set up, take down, and say what is there."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cloudkite import locks
from cloudkite.accounts import settings
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.engine import backup, cli, failures, room, state
from cloudkite.engine.claim import claim
from cloudkite.engine.folder import ATTACHED, Folder
from cloudkite.engine.results import Failed, OnStep, Outcome, Preview, Resource, Status
from cloudkite.engine.shared import Shared, share
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import write_atomically

if TYPE_CHECKING:
    from cloudkite.engine.stack import Stack

Progress = Callable[[str], Any]

_TRIES = 3  # of `up`: after each, what existed already is taken over


def silent(_line: str) -> None:
    """Where nobody is told of the progress."""
    return None


def preview(account: Account, target: Target, progress: Progress = silent) -> Preview:
    """What `up` would change, and all that there would be then. Changes nothing in the cloud.

    `progress` is called with lines such as those of a CLI that has to be built first. Raises UserError.
    """
    with opened(account, target, progress) as (_folder, stack):
        events, outcome = stack.run("preview")
        found = Preview(events.changes(), events.same(), events.resources(), tuple(events.warnings), outcome.seconds)
        if not found.changes:
            _write_outputs(account, outcome.outputs)  # in case a run was cut off between the cloud and this file
        return found


def up(
    account: Account,
    target: Target,
    on_step: OnStep | None = None,
    progress: Progress = silent,
) -> Outcome:
    """Make what is missing, change what differs; then write outputs.json and copy the state.

    Can be cut off at any moment and called again. Raises Failed with what was done until then, or UserError.
    """
    with opened(account, target, progress, make=True) as (folder, stack):
        outcome = _up(stack, target, on_step)
        _write_outputs(account, outcome.outputs)
        warning = backup.keep(folder, target, outcome.outputs)
        backup.prune(folder)
        return replace(outcome, warnings=(*outcome.warnings, warning)) if warning else outcome


def _up(stack: Stack, target: Target, on_step: OnStep | None) -> Outcome:
    from cloudkite.engine import recovery

    changes: Counter[str] = Counter()
    seconds = 0.0
    for tries in range(1, _TRIES + 1):
        try:
            # What doesn't depend on a failure is made all the same: one run tells all that is wrong.
            last = stack.run("up", on_step, continue_on_error=True)[1]
            return replace(last, changes=dict(changes + Counter(last.changes)), seconds=seconds + last.seconds)
        except failures.Foreign as foreign:
            recovery.remove(stack, foreign)
            raise
        except Failed as failed:
            changes.update(failed.outcome.changes)
            seconds += failed.outcome.seconds
            taken = recovery.take_over(stack, target, failed) if tries < _TRIES else 0
            if not taken:
                raise
            changes["adopt"] += taken
    raise AssertionError("the last try returns or raises")


def down(
    account: Account,
    target: Target,
    everything: bool = False,
    on_step: OnStep | None = None,
    progress: Progress = silent,
    *,
    watched: bool = False,
) -> Outcome:
    """Delete what `up` made; protected resources (data, models) and what they need stay unless `everything`.

    `watched` leaves what watches over money too: budget, alert, and whom they tell.

    Can be cut off and called again; with nothing left `changes` is empty. Raises Failed or UserError.
    """
    if not account.shared and not state.read(Folder(account)).rows:
        return Outcome({}, {}, (), 0.0)
    with opened(account, target, progress) as (folder, stack):
        rows = state.read(folder).rows
        if not rows:
            if everything and stack.shared:
                stack.shared.remove()
            return Outcome({}, {}, (), 0.0)
        account.outputs_file.unlink(missing_ok=True)
        if everything or any(state.stays(row, everything, watched) != bool(row.get("protect")) for row in rows):
            _protect(stack, everything, watched)
        kept = any(state.stays(row, everything, watched) for row in rows)
        outcome = stack.run("destroy", on_step, exclude_protected=kept, continue_on_error=True)[1]
        warning = backup.keep(folder)
        backup.prune(folder)
        if everything and stack.shared and not state.read(folder).resources:
            stack.shared.remove()
        return replace(outcome, warnings=(*outcome.warnings, warning)) if warning else outcome


def _protect(stack: Stack, everything: bool, watched: bool) -> None:
    """Protect what stays and nothing else; with `everything`, buckets are deleted with what is in them.

    The next `up` protects again what the program says.
    """
    document = stack.export()
    changed = False
    for row in document["deployment"].get("resources") or ():
        stays = state.stays(row, everything, watched)
        changed = changed or stays != bool(row.get("protect"))
        row["protect"] = stays
        emptied = everything and row["type"] == "gcp:storage/bucket:Bucket"
        if emptied and not (row.get("outputs") or {}).get("forceDestroy"):
            row.setdefault("inputs", {})["forceDestroy"] = row.setdefault("outputs", {})["forceDestroy"] = changed = (
                True
            )
    if changed:
        stack.replace(document)


def fetch(account: Account, target: Target, progress: Progress = silent) -> None:
    """Get what a team knows of the account, for all below that only reads the state. Raises UserError."""
    if account.shared:
        share(Folder(account), target, progress, make=False)


def learn(account: Account, target: Target) -> None:
    """Write outputs.json on a computer that never set up an account which a team shares: a runner, or a new member's.

    Raises UserError when the state can't be read.
    """
    there = account.outputs_file.is_file() or not account.shared
    if not there and (outputs := Shared(Folder(account), target, silent).outputs()):
        _write_outputs(account, outputs)


def left(account: Account) -> list[Resource]:
    """Resources of the cloud that are in the state. Raises UserError when it can't be read."""
    return list(state.read(Folder(account)).resources)


def leaving(account: Account, everything: bool = False, watched: bool = False) -> tuple[list[Resource], list[Resource]]:
    """What `down` would delete, and what it would leave. Raises UserError when the state can't be read."""
    known = state.read(Folder(account))
    stay = state.staying(known, everything, watched)
    return [r for r in known.resources if r.urn not in stay], [r for r in known.resources if r.urn in stay]


def status(account: Account) -> Status:
    """What the state says, and which engine is at work on it. Raises UserError when it can't be read."""
    folder = Folder(account)
    known, found = state.read(folder), state.locks(folder)
    return Status(known.resources, len(known.pending), found.alive[0] if found.alive else None)


@contextmanager
def opened(
    account: Account, target: Target, progress: Progress, *, make: bool = False
) -> Iterator[tuple[Folder, Stack]]:
    """The account's stack, ready for a run and ours alone. `make` lets it make the bucket that a team's state is in."""
    folder = Folder(account)
    config = settings.read(account.settings)
    settings.check(config, account.name)
    _probe(account, target)
    room.check(folder)
    program = cli.find(progress)
    try:
        with locks.exclusive(folder.lock):
            if not account.shared:
                backup.restore(folder, progress)
            shared = share(folder, target, progress, make=make)
            claim(folder, target, progress)
            folder.prepare(config)  # what was checked, whatever the file says by now
            # Imported here, for `invoke --list` and whatever is refused above must not wait for the Automation API.
            from cloudkite.engine import recovery
            from cloudkite.engine.stack import Stack

            stack = Stack(folder, target, program, shared)
            recovery.mend(folder, stack, target, progress)
            yield folder, stack
    except locks.Held as other:
        raise failures.held(folder, other.pid) from None


def _probe(account: Account, target: Target) -> None:
    """Refuse at once when an attached provider is dead: the engine would try for ten seconds and not say why."""
    attached = target.pulumi_environment.get(ATTACHED, "")
    for one in filter(None, attached.split(",")):
        port = int(one.rpartition(":")[2])
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.5).close()
        except OSError:
            raise UserError(
                _("the local cloud of account {name} does not answer on port {port}").format(
                    name=account.name, port=port
                ),
                _("uv run invoke local.stop, then run the same command again: it starts the local cloud"),
            ) from None


def _write_outputs(account: Account, outputs: Mapping[str, Any]) -> None:
    """outputs.json, for the tasks; numbers come from the engine as floats, whole ones are written as such."""
    text = json.dumps(_whole(outputs), indent=2, sort_keys=True) + "\n"
    try:
        if account.outputs_file.read_text(encoding="utf-8") == text:
            return
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    write_atomically(account.outputs_file, text, 0o600)


def _whole(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _whole(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_whole(v) for v in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
