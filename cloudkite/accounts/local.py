"""The local cloud beside the seam: started for an account that lives there, and its own command line run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from cloudkite.accounts.registry import Account
from cloudkite.children import safe_environment
from cloudkite.show import screen
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import Workspace


def started(workspace: Workspace, account: Account) -> tuple[dict[str, str], dict[str, Any]]:
    """The environment of the account's clients and what the server wrote about itself; started unless it runs.

    Raises UserError when it can't start.
    """
    root = workspace.localcloud
    home = root / "projects" / account.project
    server = _running(root)
    if server is None or not (home / "environment.json").is_file():
        killed = server is None and (root / "server.json").is_file()  # a clean stop takes that file away
        run(workspace, "start", project_option(account))
        server = _running(root)
        if killed:
            screen.note(
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
    return json.loads((home / "environment.json").read_text(encoding="utf-8")), server


def project_option(account: Account) -> str:
    """The option of the local cloud's start that makes the account's project: paid for, or on a free trial."""
    return f"--{'trial' if account.tier == 'trial' else 'project'}={account.project}"


def _running(root: Path) -> dict[str, Any] | None:
    """What the running local cloud of `root` wrote about itself; None when it isn't running."""
    import psutil

    try:
        server = json.loads((root / "server.json").read_text(encoding="utf-8"))
        process = psutil.Process(server["pid"])
        same = abs(process.create_time() - server["created"]) < 2
        # In a container without an init process, one that ended stays as a zombie.
        return server if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, KeyError, psutil.Error):
        return None


def run(workspace: Workspace, *arguments: str) -> str:
    """Run the local cloud's own command line on this workspace's root and give its standard output."""
    verb, *rest = arguments
    command = [sys.executable, "-m", "localcloud", verb, "--root", str(workspace.localcloud), *rest]
    if verb == "start":
        command += ["--envs", str(workspace.envs)]
    # uv's settings are let through: the local cloud builds the jobs' environments with it.
    uv = {k: v for k, v in os.environ.items() if k.startswith(("UV_", "PIP_"))}
    done = subprocess.run(
        command, cwd=workspace.home, env=safe_environment(uv), capture_output=True, text=True, encoding="utf-8"
    )
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip()
        message, _blank, hint = said.removeprefix("error: ").partition("\n\nhint: ")
        raise UserError(
            message or _("the local cloud failed"), _as_tasks(hint), done.returncode if done.returncode < 5 else 1
        )
    return done.stdout


def _as_tasks(hint: str) -> str:
    """A hint of the local cloud's own command line with the commands that a reader of this one types."""
    hint = re.sub(r"python -m localcloud (\w+)[^,]*", r"uv run invoke local.\1", hint)
    hint = re.sub(r"\bfault --list", "uv run invoke local.faults", hint)
    hint = re.sub(r"\bfault --clear", "uv run invoke local.faults --clear", hint)
    return re.sub(r"(?<![.\w])fault (?=\w)", "uv run invoke local.fault ", hint)
