"""Goes on after an engine that died: clears its lock and takes over what it had begun to make.

A create whose result was lost is the danger: without care the next run makes the resource twice, or fails for ever
because it exists. So its id is worked out, put into the state, and the provider asked whether it is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from cloudkite.accounts.target import Target
from cloudkite.engine import adopt, failures, state
from cloudkite.engine.events import makes
from cloudkite.engine.folder import Folder
from cloudkite.engine.results import Failed
from cloudkite.engine.stack import Stack
from cloudkite.show.errors import UserError
from cloudkite.show.text import _

_ORPHAN = 10.0  # seconds that an engine may take to end after its parent died
_SETTLE = 1.0  # seconds for a create that was sent, and may still be at work in the cloud
_CREATING = "creating"
_HOLDS = ("protect", "retainOnDelete", "deletedWith", "dependencies", "propertyDependencies")  # what keeps a row

Row = dict[str, Any]


def mend(folder: Folder, stack: Stack, target: Target, progress: Callable[[str], Any]) -> None:
    """Make the account ready for a run. Raises UserError when a living engine holds it."""
    if stack.shared:
        stack.shared.settle()
    else:
        _clear_locks(folder, progress)
    before = state.read(folder)
    doubtful = [row for row in before.rows if _is_doubtful(row)]
    if not before.pending and not doubtful:
        return
    progress(_("an earlier run was cut off; looking for what it had begun to make ..."))
    time.sleep(_SETTLE)
    begun = [operation["resource"] for operation in before.pending if operation.get("type") == _CREATING]
    doubtful += _put_in(stack, target, begun)
    _verify(stack, doubtful, {})


def take_over(stack: Stack, target: Target, failed: Failed) -> int:
    """After creates that were refused because the resource exists: take over what is ours. Gives how many."""
    existing = [f.urn for f in failed.outcome.failures if f.code == 409 and f.op == "create"]
    rows = [row for urn in existing if (row := _planned(stack, urn))]
    doubtful = _put_in(stack, target, rows)
    return _verify(stack, doubtful, {"target": [row["urn"] for row in doubtful]}) if doubtful else 0


def remove(stack: Stack, foreign: failures.Foreign) -> None:
    """Undo what somebody else wrote into a run: what was made there is deleted, the rest only leaves the state.

    What was taken over instead of made may be ours, or a third party's. Raises Foreign when it can't be deleted.
    """
    made = {step.urn for step in foreign.steps if makes(step)}
    others = {step.urn for step in foreign.steps} - made
    document = stack.export()
    rows = [row for row in document["deployment"].get("resources") or () if row["urn"] not in others]
    for row in rows:
        for hold in _HOLDS if row["urn"] in made else ():
            row.pop(hold, None)
        _forget(row, others)
    document["deployment"]["resources"] = rows
    there = [row["urn"] for row in rows if row["urn"] in made]
    try:
        stack.replace(document)
        if there:
            stack.run("destroy", target=there)
    except UserError as problem:
        raise failures.Foreign(
            foreign.message,
            _("it could not be removed ({problem}): {hint}").format(problem=problem.message, hint=foreign.hint),
            foreign.steps,
        ) from None


def _forget(row: Row, gone: set[str]) -> None:
    """Take out of a row what refers to rows that are gone: the engine takes no state that does."""
    needs = row.get("propertyDependencies") or {}
    row["propertyDependencies"] = {name: [urn for urn in urns or () if urn not in gone] for name, urns in needs.items()}
    row["dependencies"] = [urn for urn in row.get("dependencies") or () if urn not in gone]
    for name in ("parent", "deletedWith"):
        if row.get(name) in gone:
            del row[name]


def _clear_locks(folder: Folder, progress: Callable[[str], Any]) -> None:
    found = state.locks(folder)
    if any(found.alive):
        # We hold the account's own lock, so this engine's parent is dead and it is about to end - or it was
        # started by hand.
        progress(_("waiting for the engine of an earlier run (process {pid}) to end ...").format(pid=found.alive[0]))
        deadline = time.monotonic() + _ORPHAN
        while any(found.alive) and time.monotonic() < deadline:
            time.sleep(0.2)
            found = state.locks(folder)
    if found.alive:
        raise failures.held(folder, found.alive[0] or None)
    for lock in found.dead:  # `pulumi cancel` does the same, but not for a stack whose making was cut off
        lock.unlink(missing_ok=True)


def _is_doubtful(row: Row) -> bool:
    """Put in by us and not verified, because we were cut off, too: a resource that was made has outputs."""
    return bool(row.get("custom")) and not row["type"].startswith("pulumi:") and not row.get("outputs")


def _planned(stack: Stack, urn: str) -> Row | None:
    step = stack.events.planned.get(urn)
    if step is None or step.new is None:
        return None
    new = step.new
    return {"urn": urn, "type": step.type, "parent": new.parent, "provider": new.provider, "inputs": new.inputs or {}}


def _put_in(stack: Stack, target: Target, begun: Iterable[Row]) -> list[Row]:
    """Add to the state what may exist, and drop the creates that were pending. Gives the added rows."""
    added = []
    for row in begun:
        found = adopt.find(target, row["type"], row.get("inputs") or {})
        if found:
            added.append({**row, "custom": True, "id": found, "outputs": {}})
    document = stack.export()
    deployment = document["deployment"]
    there = {row["urn"] for row in deployment.get("resources") or ()}
    added = [row for row in added if row["urn"] not in there]
    pending = deployment.get("pending_operations") or []
    left = [operation for operation in pending if operation.get("type") != _CREATING]
    if added or len(left) != len(pending):
        deployment.setdefault("resources", []).extend(added)
        deployment["pending_operations"] = left
        stack.replace(document)
    return added


def _verify(stack: Stack, doubtful: list[Row], options: dict[str, Any]) -> int:
    """Ask the cloud about the doubtful rows; those that are not there, or not ours, leave the state. Gives the rest."""
    try:
        stack.run("refresh", clear_pending_creates=True, **options)
    except UserError:
        # Perhaps somebody else's of the same name, that we may not even read: never leave that in our state.
        _drop(stack, {row["urn"] for row in doubtful})
        if options:
            return 0
        stack.run("refresh", clear_pending_creates=True)
        return 0
    wanted = {row["urn"]: row.get("inputs") or {} for row in doubtful}
    found = [row for row in stack.export()["deployment"].get("resources") or () if row["urn"] in wanted]
    foreign = {row["urn"] for row in found if not _is_ours(wanted[row["urn"]], row)}
    _drop(stack, foreign)
    return len(found) - len(foreign)


def _is_ours(wanted: dict[str, Any], row: Row) -> bool:
    known = {**(row.get("outputs") or {}), **(row.get("inputs") or {})}
    keys = adopt.OURS_BY.get(row["type"], tuple(wanted))
    return adopt.same_where_both_say({key: wanted[key] for key in keys if key in wanted}, known)


def _drop(stack: Stack, urns: set[str]) -> None:
    if urns:
        document = stack.export()
        rows = document["deployment"].get("resources") or []
        document["deployment"]["resources"] = [row for row in rows if row["urn"] not in urns]
        stack.replace(document)
