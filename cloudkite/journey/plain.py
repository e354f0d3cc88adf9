"""`account.env`: a shell in which plain Pulumi works on an account."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from cloudkite.accounts import registry
from cloudkite.journey.reach import connect
from cloudkite.show import screen
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _
from cloudkite.workspace import Workspace, private_folder

SHELLS = ("bash", "fish", "powershell")


def show(workspace: Workspace, name: str, shell: str = "") -> None:
    """Print what a shell evaluates. What it sets can be secret: it goes through no command line and into no file."""
    from cloudkite.engine import plain

    shell = shell or ("powershell" if os.name == "nt" else "bash")
    if shell not in SHELLS:
        raise BadValue(_("--shell {shell} is not known").format(shell=shell), ", ".join(SHELLS))
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
    if shell == "powershell":
        lines = [f"$Env:{name} = {_single(value)}" for name, value in variables.items()]
        lines += [f"Remove-Item Env:{name} -ErrorAction SilentlyContinue" for name in gone]
        lines.append(f"$Env:PATH = {_single(os.pathsep.join(folders) + os.pathsep)} + $Env:PATH")
    elif shell == "fish":
        lines = [f"set -gx {name} {shlex.quote(value)};" for name, value in variables.items()]
        lines += [f"set -e {name};" for name in gone]
        lines.append(f"set -gx PATH {' '.join(map(shlex.quote, folders))} $PATH;")
    else:
        lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
        lines += [f"unset {name}" for name in gone]
        lines.append(f'export PATH={":".join(map(shlex.quote, folders))}:"$PATH"')
    return "\n".join(lines) + "\n"


def _single(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
