"""Copies of an account's state: one beside it, one in the account's models bucket, and few of the engine's own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from cloudkite.accounts.target import Target
from cloudkite.engine.folder import Folder
from cloudkite.show.text import _
from cloudkite.workspace import private_file
from infra.outputs import Outputs

_KEPT = 5  # runs whose history stays: each is a copy of the whole state, and nothing here reads it


def keep(folder: Folder, target: Target, outputs: Mapping[str, Any]) -> str:
    """Copy the state; gives "" or a warning, for what `up` made is made, with or without the copy."""
    try:
        copy(folder)
        _upload(folder, target, Outputs.read(outputs).buckets["models"])
    except Exception as problem:  # whatever it is, the account is set up
        said = str(problem).strip().splitlines()[:1] or [type(problem).__name__]
        return _("the state of account {name} could not be copied: {problem}").format(
            name=folder.account.name, problem=said[0]
        )
    return ""


def copy(folder: Folder) -> None:
    """Copy the state beside itself."""
    temporary = folder.last_good.with_suffix(".new")
    with folder.checkpoint.open("rb") as source, private_file(temporary) as target:
        shutil.copyfileobj(source, target)
    temporary.replace(folder.last_good)


def prune(folder: Folder) -> None:
    """Delete the engine's history but for the last few runs; their names begin with their time."""
    for kind in ("history", "checkpoint"):
        for old in sorted(folder.history.glob(f"*.{kind}.json"))[:-_KEPT]:
            old.unlink(missing_ok=True)


def _upload(folder: Folder, target: Target, bucket: str) -> None:
    account = folder.account
    blob = target.storage().bucket(bucket.removeprefix("gs://")).blob(f".cloudkite/state/{account.name}.json")
    blob.metadata = {"account": account.name, "project": account.project, "target": account.target}
    blob.upload_from_filename(str(folder.checkpoint), content_type="application/json", timeout=30)
