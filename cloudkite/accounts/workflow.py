"""A workflow for GitHub Actions that checks, previews and trains on an account, and signs in without a key."""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from pathlib import Path

from cloudkite.accounts.registry import Account
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _
from cloudkite.workspace import Workspace, write_atomically

_TEMPLATE = Path(__file__).with_name("workflow.yml")
_PLACE = Path(".github", "workflows", "cloudkite-train.yml")
_OURS = re.compile(r"# Written by `uv run invoke ci\.workflow .+`; unchanged since: (?P<digest>[0-9a-f]{16})\n")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")  # needs no quotes, for a shell or in YAML


def write(workspace: Workspace, account: Account, trainer: str, folder: Path, max_cost: Decimal) -> tuple[Path, bool]:
    """Write the workflow for a trainer in `folder`; gives its path, and whether it was not there like this already.

    Raises UserError for an account without `cloudkite:ci`, BadValue for a trainer outside the clone, and for a file
    that somebody else wrote or changed.
    """
    text = _text(workspace, account, trainer, folder, max_cost)
    path = workspace.home / _PLACE
    try:
        there = path.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")  # git on Windows writes CRLF
    except FileNotFoundError:
        there = ""
    if there == text:
        return path, False
    if there and not _is_ours(there):
        raise BadValue(
            _("{path} isn't as ci.workflow wrote it: it is left alone").format(path=path),
            _("move it away, then run the same command again"),
        )
    write_atomically(path, text, 0o644)
    return path, True


def _text(workspace: Workspace, account: Account, trainer: str, folder: Path, max_cost: Decimal) -> str:
    ci = account.outputs().ci
    if ci is None:
        raise UserError(
            _("account {name} lets no repository in").format(name=account.name),
            _(
                "put `cloudkite:state: bucket` and `cloudkite:ci: {{repository: OWNER/NAME}}` into {path}, "
                "then: uv run invoke up --account {name}"
            ).format(path=account.settings, name=account.name),
        )
    if not folder.is_relative_to(workspace.home):
        raise BadValue(
            _("the trainer {folder} isn't in {home}: a runner has only what is there").format(
                folder=folder, home=workspace.home
            ),
            _("move it to {place}").format(place=workspace.trainers / folder.name),
        )
    values = {
        "ACCOUNT": account.name,
        "BRANCH": ci.branch,
        "FOLDER": folder.relative_to(workspace.home).as_posix(),
        "MAX_COST": f"{max_cost:f}",
        "PREVIEWS": ci.previews,
        "PROVIDER": ci.provider,
        "TRAINER": trainer,
        "TRAINS": ci.trains,
    }
    for value in values.values():
        if not _PLAIN.fullmatch(value.replace("@", "")):
            raise BadValue(
                _("{value!r} can't stand in a workflow: letters, digits, . _ - and / can").format(value=value)
            )
    body = re.sub(r"@([A-Z_]+)@", lambda found: values[found[1]], _TEMPLATE.read_text(encoding="utf-8"))
    command = f"uv run invoke ci.workflow {trainer} --max-cost {max_cost:f} --account {account.name}"
    return f"# Written by `{command}`; unchanged since: {_digest(body)}\n{body}"


def _is_ours(text: str) -> bool:
    found = _OURS.match(text)
    return bool(found) and found["digest"] == _digest(text[found.end() :])


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]
