"""A shell pointed at the local cloud, and away from it again; and one in which plain Pulumi works on an account."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from cloudkite.accounts import local, registry
from cloudkite.accounts.registry import Account
from cloudkite.journey.reach import connect
from cloudkite.show import screen
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _
from cloudkite.workspace import Workspace, private_folder

_USUAL = "cmd" if os.name == "nt" else "bash"
_UNSET = {
    "bash": "unset {names}",
    "fish": "set -e {names}",
    "powershell": "Remove-Item -ErrorAction SilentlyContinue {names}",
}
_COMMENT = {"cmd": "rem"}
SHELLS = ("bash", "fish", "powershell", "cmd")
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


def show_pulumi(workspace: Workspace, name: str, shell: str = "") -> None:
    """Print what makes plain Pulumi work on an account. It can be secret: it is on no command line and in no file."""
    from cloudkite.engine import plain

    shell = shell or _USUAL
    if shell not in SHELLS:
        raise BadValue(_("--shell {shell} isn't a known shell").format(shell=shell), ", ".join(SHELLS))
    account = registry.load(workspace, name or None)
    target = connect(workspace, account)
    with screen.waiting(_("preparing the state of account {name} ...").format(name=account.name), live=True) as tell:
        variables, gone, places = plain.environment(account, target, progress=tell)
    # What Pulumi kept of an earlier state would not fit a new one: see infra/Pulumi.yaml.
    (private_folder(workspace.home / ".cloudkite" / "plain") / account.settings.name).unlink(missing_ok=True)
    screen.relay(script(shell, variables, gone, places))
    screen.note(
        _("plain Pulumi works on account {name} now: in the folder {folder}, as stack {name}").format(
            name=account.name, folder=workspace.accounts
        )
    )


def script(shell: str, variables: Mapping[str, str], gone: Sequence[str], places: Sequence[Path]) -> str:
    """Lines for one of SHELLS that set and unset variables and put folders before PATH."""
    folders = [str(place) for place in places]
    path = os.pathsep.join(folders) + os.pathsep
    write, before = {
        "bash": ("export {name}={quoted}", f'export PATH={shlex.quote(path)}"$PATH"'),
        "fish": ("set -gx {name} {quoted};", f"set -gx PATH {' '.join(map(shlex.quote, folders))} $PATH;"),
        "powershell": ("$Env:{name} = {single}", f"$Env:PATH = {_single(path)} + $Env:PATH"),
        "cmd": ('set "{name}={value}"', f'set "PATH={path}%PATH%"'),
    }[shell]
    lines = [
        write.format(name=name, value=value, quoted=shlex.quote(value), single=_single(value))
        for name, value in variables.items()
    ]
    return "\n".join([*lines, *([_unset(shell, list(gone))] if gone else []), before]) + "\n"


def _single(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
