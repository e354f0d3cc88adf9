"""The local cloud beside the seam: started for an account that lives there, and its own command line run."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import environments
from cloudkite.accounts.registry import Account
from cloudkite.children import safe_environment
from cloudkite.show.errors import FAILED, UserError
from cloudkite.show.text import _
from cloudkite.workspace import Workspace, private_folder, read_json


def started(workspace: Workspace, account: Account) -> tuple[dict[str, str], dict[str, Any], list[str]]:
    """The environment of the account's clients, what the server wrote about itself, and notes; started unless it runs.

    Raises UserError when it can't start.
    """
    root = workspace.localcloud
    home = root / "projects" / account.project
    server, notes = _running(root), []
    if server is None or not (home / "environment.json").is_file() or _knows_another_network(root):
        killed = server is None and (root / "server.json").is_file()  # a clean stop takes that file away
        run(workspace, "start", *start_options(account))
        server = _running(root)
        if killed:
            notes.append(
                _(
                    "the local cloud had ended without being stopped and was started again: what it had acknowledged "
                    "is there, jobs went on meanwhile"
                )
            )
    if server is None:
        raise UserError(
            _("the local cloud in {root} does not answer").format(root=root),
            _("see {root}/server.log").format(root=root),
        )
    try:
        environment = read_json(home / "environment.json")
    except ValueError:
        environment = None
    if not isinstance(environment, dict) or not all(isinstance(value, str) for value in environment.values()):
        raise UserError(
            _("{path} can't be read").format(path=home / "environment.json"),
            _("uv run invoke local.stop, then run the same command again: it writes the file again"),
        )
    return environment, server, notes


def ahead(root: Path) -> datetime.timedelta:
    """By how much the clock of the local cloud in `root` is ahead of this machine's, as it wrote down at its last move.

    Nothing where it was never moved, or where that can't be read.
    """
    try:
        return datetime.timedelta(seconds=float(read_json(root / "clock.json")["ahead"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return datetime.timedelta()


def start_options(account: Account) -> list[str]:
    """The options of the local cloud's start that make the account's project, paid for or on a free trial, and open
    the billing account that its settings name.
    """
    project = f"--{'trial' if account.tier == 'trial' else 'project'}={account.project}"
    payer = f"--billing-account={account.project}={account.payer}:{account.currency or 'USD'}"
    return [project, payer] if account.payer else [project]


def _knows_another_network(root: Path) -> bool:
    """Whether the local cloud was told of other proxies, certificates or another package index than there are now."""
    if environments.is_client_of_local_cloud(os.environ):
        return False
    try:
        known = (root / "network.sha256").read_text(encoding="ascii")
    except (OSError, ValueError):  # of an older version, which can't be told
        return False
    return known != environments.told(environments.index_settings(os.environ))


def _running(root: Path) -> dict[str, Any] | None:
    """What the running local cloud of `root` wrote about itself; None when it isn't running."""
    import psutil

    try:
        server = read_json(root / "server.json")
        process = psutil.Process(server["pid"])
        same = abs(process.create_time() - server["created"]) < 2
        # In a container without an init process, one that ended stays as a zombie.
        return server if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, KeyError, TypeError, OverflowError, psutil.Error):
        return None


def run(workspace: Workspace, *arguments: str) -> str:
    """Run the local cloud's own command line on this workspace's root and give its standard output.

    Raises UserError.
    """
    verb, *rest = arguments
    command = [
        sys.executable,
        "-P",
        "-m",
        "localcloud",
        verb,
        "--root",
        str(workspace.localcloud),
        "--errors=json",
        *rest,
    ]
    if verb == "start":
        command += ["--envs", str(private_folder(workspace.envs))]
    # The way to a package index is let through: the local cloud builds the jobs' environments.
    variables = safe_environment(environments.index_settings(os.environ))
    done = subprocess.run(command, cwd=workspace.home, env=variables, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        code = done.returncode if 0 < done.returncode < 5 else FAILED
        told = _told(done.stderr)
        if told is None:  # it died, or was killed, before it could tell
            said = done.stderr.strip() or done.stdout.strip()
            raise UserError(
                _("the local cloud failed: {said}").format(said=said) if said else _("the local cloud failed"), "", code
            )
        raise UserError(told["message"], "".join(map(_as_task, told["parts"])), code)
    return done.stdout


def _told(stderr: str) -> dict[str, Any] | None:
    """What the local cloud tells of its failure on the last line; None when it told nothing."""
    try:
        told = json.loads(stderr.rstrip().rpartition("\n")[2])
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) and {"message", "parts"} <= set(told) else None


# What the tasks say themselves: where the local cloud is, and whose projects are in it.
_KNOWN = {"root", "envs", "project", "trial", "billing-account"}


def _as_task(part: Any) -> str:
    """A piece of a hint: words as they are, a command of the local cloud as the task that people type here."""
    if isinstance(part, str):
        return part
    task, options = part["verb"], {name: value for name, value in part["options"].items() if name not in _KNOWN}
    if task == "fault" and options.keys() & {"list", "clear"}:
        task = "faults"
        options.pop("list", None)
    task = "pay" if task == "upgrade" else task
    words = ["uv run invoke", f"local.{task}", *part["arguments"]]
    for name, value in options.items():
        words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return " ".join(words)
