"""Whose state it is: the target on record, so that the same state is never used on another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

from cloudkite.accounts.target import Target
from cloudkite.engine.folder import Folder, write_if_new
from cloudkite.show.errors import UserError
from cloudkite.show.text import _


def claim(folder: Folder, target: Target, progress: Callable[[str], Any]) -> None:
    """Record the state's target. Raises UserError when it has another: a run would delete in one, make in the other.

    A cloud on this machine may have been emptied since: then nothing that the state tells of exists any more, and it
    is put aside.
    """
    account = folder.account
    record = account.state / "target.json"
    now = {"target": account.target, "project": account.project, "cloud": target.cloud}
    try:
        before = json.loads(record.read_text(encoding="utf-8"))
        there, project, cloud = before["target"], before["project"], before.get("cloud", "")
    except FileNotFoundError:
        there, project, cloud = now.values()
    except (ValueError, TypeError, KeyError):
        raise UserError(
            _("{path} can't be read").format(path=record),
            _("it says which project the state beside it describes; write it again: {text}").format(
                text=json.dumps({"target": account.target, "project": account.project})
            ),
        ) from None
    if (there, project) != (account.target, account.project):
        raise UserError(
            _("the state of account {name} is of project {before} ({there}); its settings name {now} ({here})").format(
                name=account.name, before=project, there=there, now=account.project, here=account.target
            ),
            _("put gcp:project and cloudkite:target back, or describe another account: uv run invoke account.add"),
        )
    if cloud and cloud != target.cloud and folder.checkpoint.exists():
        _put_aside(folder, progress)
    write_if_new(record, json.dumps(now) + "\n")


def _put_aside(folder: Folder, progress: Callable[[str], Any]) -> None:
    aside = folder.account.state / "state.of-an-emptied-cloud"
    shutil.rmtree(aside, ignore_errors=True)
    folder.backend.replace(aside)
    for stale in (folder.account.outputs_file, folder.settings, folder.last_good):
        stale.unlink(missing_ok=True)
    progress(
        _("the cloud of account {name} was emptied since the last run; its old state is in {path}").format(
            name=folder.account.name, path=aside
        )
    )
