"""One preview or `up` in as many tries as it needs: each looks at the cloud first, and what isn't ready is waited for.

The engine reads every resource of its state (`--refresh`), in parallel and by the provider as the program declares it
now (`--run-program`): the one in the state is signed in with a token of the last run. So what others changed since is
seen and repaired (docs/decisions/0027).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from cloudkite.accounts.patience import Patience
from cloudkite.accounts.target import Target
from cloudkite.engine import failures, recovery, state
from cloudkite.engine.events import Events
from cloudkite.engine.folder import Folder
from cloudkite.engine.results import Failed, Failure, OnStep, Outcome
from cloudkite.engine.stack import Stack
from cloudkite.show.text import _

Progress = Callable[[str], Any]

_TAKES = 2  # times that what existed already is taken over
_LOOK = "refresh"
_API = "gcp:projects/service:Service"


def preview(folder: Folder, stack: Stack, progress: Progress, look: bool = True) -> tuple[Events, Outcome]:
    """What `up` would do. What can't be looked at, because its API was turned off, is left out.

    So is what whoever looks may not read, which is told: a budget is the billing account's, and no runner's.
    """
    patience, blind, unread = Patience(progress), frozenset[str](), dict[str, str]()
    while True:
        try:
            events, outcome = stack.run("preview", refresh=look, run_program=look, exclude=sorted(blind))
            events.warnings += unread.values()
            return events, outcome
        except Failed as failed:
            denied = [one for one in failed.outcome.failures if one.op in ("", _LOOK) and one.code == 403]
            unread |= {
                one.urn: _("{kind} {name} was not looked at: {why}").format(
                    kind=one.kind, name=one.name, why=one.message
                )
                for one in denied
                if not failures.is_off(one)
            }
            more = _behind_apis(folder, failed.outcome.failures) | unread.keys()
            if more > blind:
                blind |= more
            elif not _wait(patience, failed.outcome.failures):
                raise


def up(folder: Folder, stack: Stack, target: Target, on_step: OnStep | None, progress: Progress) -> Outcome:
    """Make what is missing, change what differs, repair what others changed. Raises Failed, UserError."""
    changes: Counter[str] = Counter()
    seconds, takes, patience = 0.0, _TAKES, Patience(progress)
    blind, seeing = frozenset[str](), False
    look = not stack.shared or _differs(folder, stack)
    while True:
        try:
            # What doesn't depend on a failure is made all the same: one run tells all that is wrong.
            last = stack.run(
                "up", on_step, refresh=look, run_program=look, exclude=sorted(blind), continue_on_error=True
            )[1]
        except failures.Foreign as foreign:
            recovery.remove(stack, foreign)
            raise
        except Failed as failed:
            changes.update(failed.outcome.changes)
            seconds += failed.outcome.seconds
            more = frozenset() if seeing else _behind_apis(folder, failed.outcome.failures)
            if more > blind:
                blind |= more
                continue
            taken = recovery.take_over(stack, target, failed) if takes else 0
            changes["adopt"] += taken
            takes -= bool(taken)
            if not taken and not _wait(patience, failed.outcome.failures):
                told = replace(failed.outcome, changes=dict(+changes), seconds=seconds)
                raise Failed(failed.message, failed.hint, failed.code, told) from None
            continue
        changes.update(last.changes)
        seconds += last.seconds
        if not blind:
            return replace(last, changes=dict(+changes), seconds=seconds)
        blind, seeing = frozenset(), True  # their APIs are on again


def _differs(folder: Folder, stack: Stack) -> bool:
    """Whether the cloud isn't as the state has it, or can't be looked at: then the run itself must look.

    In a run each look writes the state, in a preview none does. Cloud Storage takes about one write a second to an
    object: with the state in a bucket, looking at what is as it should be would take longer than all else.
    """
    if not state.read(folder).resources:
        return False
    try:
        return bool(stack.run("preview", refresh=True, run_program=True)[0].drift)
    except Failed:
        return True


def not_yet(one: Failure) -> str:
    """What of Google's isn't ready, "" for a refusal that waiting doesn't change."""
    if failures.is_off(one):
        api = re.search(r"([A-Z][\w()/ -]+ API) has not been used", one.message)
        return api[1] if api else _("an API")
    if re.search(r"[Ss]ervice account \S+ does not exist|Unknown service account", one.message):
        return _("a service account")
    if "enabled billing for this project recently" in one.message:
        return _("the project's billing")
    return ""


def _wait(patience: Patience, refused: Iterable[Failure]) -> bool:
    """Whether another try may do better, after waiting for it."""
    waited = sorted({what for one in refused if (what := not_yet(one))})
    return bool(waited) and patience.wait(", ".join(waited))


def _behind_apis(folder: Folder, refused: Iterable[Failure]) -> frozenset[str]:
    """What can't be read because its API is off, and whatever else of the state needs the same APIs.

    The engine tells the first such refusals alone. The APIs themselves can be read, and are turned on again.
    """
    unseen = {one.urn for one in refused if one.op == _LOOK and failures.is_off(one)}
    needs = {row["urn"]: set(row.get("dependencies") or ()) for row in state.read(folder).rows}
    apis = {urn for one in unseen for urn in needs.get(one, ()) if _API in urn}
    return frozenset(urn for urn, needed in needs.items() if needed & apis)
