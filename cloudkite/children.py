"""Child processes: what they may see of this one, and that they leave nothing behind, also after Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudkite.workspace import make_folder, private_file

TOO_LONG = 124  # the exit code of a child that was ended because its time was over, as `timeout` has it


# What a child process may see of this one. Proxies, certificates, GOOGLE_*, CLOUDSDK_* and PULUMI_* are left out on
# purpose: they would lead a process that works on one cloud to another. Who needs the world gets network.variables().
_SAFE = frozenset(
    "PATH HOME USER LOGNAME SHELL LANG LANGUAGE LC_ALL LC_CTYPE TZ TERM COLORTERM NO_COLOR COLUMNS TMPDIR TEMP TMP "
    "SYSTEMROOT SYSTEMDRIVE WINDIR COMSPEC PATHEXT USERPROFILE USERNAME APPDATA LOCALAPPDATA PROGRAMDATA "
    "XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME PYTHONUTF8 PYTHONPYCACHEPREFIX".split()
)


def safe_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The part of this process' environment that a child may have, plus `extra`."""
    kept = {k: v for k, v in os.environ.items() if k.upper() in _SAFE}
    return {**kept, **(extra or {})}


def program(name: str) -> str | None:
    """The path of a program, from the folders that PATH names in full; None when there is none.

    Windows looks into the working directory first, and so does a `.` in PATH: what lies there is anybody's.
    """
    endings = os.environ.get("PATHEXT", ".COM;.EXE;.BAT;.CMD").split(";") if os.name == "nt" else [""]
    places = [Path(folder, name + ending) for folder in os.get_exec_path() for ending in endings]
    return next((found for place in places if place.is_absolute() and (found := shutil.which(str(place)))), None)


def run(command: Sequence[str], cwd: Path, environment: Mapping[str, str], log: Path, seconds: float) -> int:
    """Run a command with all its output in the file `log`; its exit code, negative for a signal.

    After `seconds` it is ended and the code is 124.
    """
    make_folder(log.parent)
    with private_file(log) as file:
        child = subprocess.Popen(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            return child.wait(seconds)
        except subprocess.TimeoutExpired:
            return TOO_LONG
        finally:
            end(child)


def end(child: subprocess.Popen[Any]) -> None:
    """End a child and all its descendants, and wait until they are gone."""
    import psutil

    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        if child.poll() is None:
            parent = psutil.Process(child.pid)
            family = [parent, *parent.children(recursive=True)]
    for one in family:
        with contextlib.suppress(psutil.Error):
            one.kill()
    child.wait()
