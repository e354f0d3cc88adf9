"""A shell pointed at the local cloud, and away from it again."""

from __future__ import annotations

import json
import os

from cloudkite.accounts import local
from cloudkite.accounts.registry import Account
from cloudkite.show import screen
from cloudkite.show.text import _
from cloudkite.workspace import Workspace

_USUAL = "cmd" if os.name == "nt" else "bash"
_UNSET = {
    "bash": "unset {names}",
    "fish": "set -e {names}",
    "powershell": "Remove-Item -ErrorAction SilentlyContinue {names}",
}
_COMMENT = {"cmd": "rem"}
_UNDO = {
    "bash": 'eval "$(uv run invoke local.env --unset)"',
    "fish": "uv run invoke local.env --unset --shell fish | source",
    "powershell": "uv run invoke local.env --unset --shell powershell | Out-String | Invoke-Expression",
    "cmd": "uv run invoke local.env --unset --shell cmd",
}


def show_environment(workspace: Workspace, account: Account, shell: str, *, unset: bool, as_json: bool) -> None:
    """Print the lines for `shell` that make its Google clients use the local cloud; with `unset`, that end it.

    The first line says what else they do: everything in that shell that asks a proxy can reach nothing else.
    """
    options = ["--json"] if as_json else [f"--shell={shell}"] if shell else []
    said = local.run(workspace, "env", "--project", account.project, *options)
    if as_json:
        screen.relay(said, as_json=True)
        return
    shell = shell or _USUAL
    if unset:
        names = list(json.loads(local.run(workspace, "env", "--project", account.project, "--json")))
        screen.relay(_unset(shell, names) + "\n")
        return
    note = _("what uses a proxy (pip, curl, git) reaches the local cloud only in this shell; to undo it: {undo}")
    screen.relay(f"{_COMMENT.get(shell, '#')} {note.format(undo=_UNDO[shell])}\n{said}")


def _unset(shell: str, names: list[str]) -> str:
    if shell == "cmd":
        return "\n".join(f'set "{name}="' for name in names)
    return _UNSET[shell].format(
        names=", ".join(f"Env:{name}" for name in names) if shell == "powershell" else " ".join(names)
    )
