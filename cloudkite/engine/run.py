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
from cloudkite.accounts.asked import services
from cloudkite.accounts.asked.preflight import Made
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.engine import backup, cli, failures, room, state
from cloudkite.engine.claim import claim
from cloudkite.engine.folder import ATTACHED, Folder
from cloudkite.engine.results import Change, Failed, Incomplete, OnStep, Outcome, Preview, Resource, Status
from cloudkite.engine.shared import Shared, share
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import write_atomically
from infra.outputs import OtherSchema, Outputs

if TYPE_CHECKING:
    from cloudkite.engine.stack import Stack

Progress = Callable[[str], Any]

# What the engine writes for a value that isn't known:
# https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/plugin/rpc.go
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_BESIDES = {"Budget", "NotificationChannel", "AlertPolicy", "SQuotaPreference"}  # kinds without which jobs run


def silent(_line: str) -> None:
    """Where nobody is told of the progress."""
    return None


def preview(account: Account, target: Target, progress: Progress = silent) -> Preview:
    """What `up` would change, and all that there would be then. Changes nothing in the cloud.

    `progress` is called with lines such as those of a CLI that has to be built first. Raises UserError.
    """
    with opened(account, target, progress) as (folder, stack):
        from cloudkite.engine import facts, tries

        found = facts.read(folder, target, stack.settings)
        stack.known = found.expected
        events, outcome = tries.preview(folder, stack, progress, look=not found.blind)
        changes = events.changes()
        if found.blind:
            changes = (*_turned_on(state.read(folder)), *changes)
        drift = tuple(one for change in changes if (one := events.drift.get(change.urn)))
        warnings = (*found.choice.warnings, *events.warnings)
        if not changes:
            write_outputs(account, outcome.outputs)  # in case a run was cut off between the cloud and this file
        return Preview(changes, events.same(), events.resources(), warnings, outcome.seconds, drift)


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
        from cloudkite.engine import facts

        found = facts.read(folder, target, stack.settings)
        services.turn_on_first(target, found.services, progress)
        if not found.choice.ready:
            found = facts.read(folder, target, stack.settings)
        stack.known = found.known
        try:
            outcome = _made(folder, stack, target, on_step, progress)
        except Incomplete as incomplete:
            if found.choice.ready:
                raise
            outcome = incomplete.outcome
        if not found.choice.ready:
            found = facts.again(folder, target, stack.settings, progress)
            stack.known = found.known
            more = _made(folder, stack, target, on_step, progress)
            done = Counter(outcome.changes) + Counter(more.changes)
            outcome = replace(more, changes=dict(done), seconds=outcome.seconds + more.seconds)
        return replace(outcome, warnings=(*found.choice.warnings, *outcome.warnings))


def _made(folder: Folder, stack: Stack, target: Target, on_step: OnStep | None, progress: Progress) -> Outcome:
    """One `up` of the program, its outputs written. Raises Failed, Incomplete where jobs can run all the same."""
    from cloudkite.engine import tries

    try:
        return _keep(folder, target, tries.up(folder, stack, target, on_step, progress))
    except Failed as failed:
        raise _all_but(folder, target, failed) from None


def _turned_on(known: state.State) -> tuple[Change, ...]:
    """The first API, without which no other can be looked at, as a change: the state says that it is on."""
    first = next((one for one in known.resources if one.inputs.get("service") == services.MANAGER), None)
    return (Change("create", first.kind, first.name, first.urn),) if first else ()


def _keep(folder: Folder, target: Target, outcome: Outcome) -> Outcome:
    """Write what the tasks read, and copy the state."""
    write_outputs(folder.account, outcome.outputs)
    warning = backup.keep(folder, target, outcome.outputs)
    backup.prune(folder)
    return replace(outcome, warnings=(*outcome.warnings, warning)) if warning else outcome


def _all_but(folder: Folder, target: Target, failed: Failed) -> Failed:
    """The failure; where only what no job needs is missing, all else is ready to be used, and it is said so."""
    missing = {one.kind for one in failed.outcome.failures}
    # What isn't known, because the resource that says it could not be made, is left out.
    outputs = {name: value for name, value in failed.outcome.outputs.items() if _UNKNOWN not in json.dumps(value)}
    try:
        Outputs.read(outputs)
    except (KeyError, OtherSchema):
        return failed
    if not missing or not missing <= _BESIDES:
        return failed
    outcome = _keep(folder, target, replace(failed.outcome, outputs=outputs))
    said = _("account {name} can be used, but isn't complete:\n  {missing}")
    told = said.format(name=folder.account.name, missing=failed.message)
    return Incomplete(told, failed.hint, failed.code, outcome)


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
        write_outputs(account, outputs)


def left(account: Account) -> list[Resource]:
    """Resources of the cloud that are in the state. Raises UserError when it can't be read."""
    return list(state.read(Folder(account)).resources)


def made(account: Account) -> Made:
    """What the state has of the things that settings can't move or forget. Raises UserError when it can't be read."""
    from cloudkite.engine import facts

    buckets = {one.name: (one.id, str(one.inputs.get("location", ""))) for one in left(account) if one.kind == "Bucket"}
    return Made(buckets, facts.kept(Folder(account)))


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
    wanted = settings.check(config, account.name)
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
            # Imported here, and by who uses it: `invoke --list` and whatever is refused above must not wait for it.
            from cloudkite.engine import recovery
            from cloudkite.engine.stack import Stack

            stack = Stack(folder, target, program, wanted, shared)
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


def write_outputs(account: Account, outputs: Mapping[str, Any]) -> None:
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
