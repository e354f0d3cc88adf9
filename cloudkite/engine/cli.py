"""Finding the Pulumi CLI, or getting it: on PATH, installed before, by the official installer, built from Go modules.

No registry for Python packages carries the CLI, so it can't be a dependency (docs/decisions/0008).
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudkite import locks
from cloudkite.children import program, safe_environment
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _
from cloudkite.workspace import private_folder, tools

PINNED = "3.259.0"  # as in infra/cli/go.mod; everything here was proven with it, so nothing older is taken
_PROGRAM = "pulumi.exe" if os.name == "nt" else "pulumi"
_BUILD_MINUTES = 3
_PATIENCE = 1800.0  # seconds to wait for another process that is installing

Progress = Callable[[str], Any]


@dataclass(frozen=True)
class Cli:
    """The program to run. `source` says where it came from: given, path, installed, installer or go."""

    path: Path
    version: str
    source: str


class Unavailable(Exception):
    """One way of getting the CLI did not work; the text says why."""


def installed() -> Path:
    """Where the pinned version is, or would be, installed: a folder for each version, system and processor."""
    return tools() / f"pulumi-{PINNED}-{sys.platform}-{platform.machine().lower()}" / "bin" / _PROGRAM


def find(progress: Progress = lambda _line: None) -> Cli:
    """The CLI to use; gets it when there is none, which can take minutes. Never asks.

    CLOUDKITE_PULUMI: a path, `installer` or `go`. Raises BadValue when it names no usable program, UserError when
    no way leads to a CLI.
    """
    given = os.environ.get("CLOUDKITE_PULUMI", "")
    ways: dict[str, Callable[[Path, Progress], None]] = {"installer": _by_installer, "go": _by_go}
    if given and given not in ways:
        return _given(given)
    refused: list[str] = []
    if not given:
        found = _on_path(refused)
        if found:
            return found
    place = installed()
    if place.is_file():
        return Cli(place, PINNED, "installed")
    for line in refused:
        progress(line)
    for name, way in ways.items():
        if given in ("", name):
            try:
                _install(place, way, progress)
                return Cli(place, PINNED, name)
            except Unavailable as reason:
                refused.append(str(reason))
                progress(str(reason))
    raise UserError(
        _("the Pulumi CLI is needed and could not be found or installed: {reasons}").format(reasons="; ".join(refused)),
        _(
            "install it (https://www.pulumi.com/docs/install), or Go 1.26 or newer (https://go.dev/dl) to have it "
            "built, or set CLOUDKITE_PULUMI=PATH"
        ),
    )


def there() -> Cli | None:
    """The CLI that `find` would use, as long as nothing has to be got for it. Raises BadValue as `find`."""
    given = os.environ.get("CLOUDKITE_PULUMI", "")
    if given not in ("", "installer", "go"):
        return _given(given)
    found = _on_path([]) if not given else None
    return found or (Cli(installed(), PINNED, "installed") if installed().is_file() else None)


def _given(given: str) -> Cli:
    path = Path(given).expanduser().resolve()
    hint = _("CLOUDKITE_PULUMI is the path of the program, `installer` or `go`")
    if not path.is_file():
        raise BadValue(_("CLOUDKITE_PULUMI names {path}, which isn't a file").format(path=path), hint)
    try:
        return Cli(path, _new_enough(path), "given")
    except Unavailable as reason:
        raise BadValue(_("CLOUDKITE_PULUMI: {reason}").format(reason=reason), hint) from None


def _on_path(refused: list[str]) -> Cli | None:
    found = program("pulumi")
    if not found:
        refused.append(_("pulumi isn't on PATH"))
        return None
    try:
        return Cli(Path(found), _new_enough(Path(found)), "path")
    except Unavailable as reason:
        refused.append(str(reason))
        return None


def _new_enough(path: Path) -> str:
    """The version of the program at `path`. Raises Unavailable when it is too old or is no Pulumi CLI."""
    environment = safe_environment({"PULUMI_SKIP_UPDATE_CHECK": "1", "PULUMI_HOME": str(tools() / "home")})
    try:
        with tempfile.TemporaryDirectory() as own:  # it reads the settings of the folder that it runs in
            said = subprocess.run(
                [str(path.absolute()), "version"], cwd=own, env=environment,
                capture_output=True, text=True, encoding="utf-8", timeout=30,
            ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as error:
        raise Unavailable(_("{path} can't be run: {error}").format(path=path, error=error)) from None
    numbers = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)(?:[-+].*)?", said)
    if not numbers:
        raise Unavailable(_("{path} does not tell its version").format(path=path))
    version = ".".join(numbers.groups())
    if _parts(version) < _parts(PINNED):
        raise Unavailable(
            _("{path} is {version}; {oldest} or newer is needed").format(path=path, version=version, oldest=PINNED)
        )
    if _parts(version)[0] > _parts(PINNED)[0]:
        raise Unavailable(_("{path} is {version}; 3.x is needed").format(path=path, version=version))
    return version


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in version.split("."))


def _install(place: Path, way: Callable[[Path, Progress], None], progress: Progress) -> None:
    """Let `way` put the CLI into a folder of its own, then move that folder into place as a whole."""
    folder = place.parent.parent
    private_folder(tools())
    lock = tools() / "install.lock"
    try:
        with locks.exclusive(lock):
            _install_alone(place, folder, way, progress)
            return
    except locks.Held as other:
        progress(_("process {pid} is installing the Pulumi CLI; waiting for it").format(pid=other.pid))
    try:
        with locks.exclusive(lock, _PATIENCE):
            _install_alone(place, folder, way, progress)
    except locks.Held as other:
        raise Unavailable(_("process {pid} has been installing for too long").format(pid=other.pid)) from None


def _install_alone(place: Path, folder: Path, way: Callable[[Path, Progress], None], progress: Progress) -> None:
    if place.is_file():
        return
    for torn in tools().glob(".new-*"):  # of a process that was killed: we hold the lock, so nobody is using it
        shutil.rmtree(torn, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=tools()))
    try:
        way(new, progress)
        # The installer brings plug-ins for languages that nothing here uses, and one that runs any Python that it is
        # given: whoever finds the port of an engine at work could use it.
        for other in (new / "bin").iterdir():
            if other.name != _PROGRAM:
                other.unlink()
        _new_enough(new / "bin" / _PROGRAM)
        shutil.rmtree(folder, ignore_errors=True)
        new.replace(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _by_installer(root: Path, progress: Progress) -> None:
    import requests

    from cloudkite.engine import release

    progress(_("installing the Pulumi CLI {version} with its installer ...").format(version=PINNED))
    try:
        release.install(root, PINNED)
    except (requests.RequestException, OSError) as error:
        raise Unavailable(
            _("the official installer can't be reached ({error})").format(error=type(error).__name__)
        ) from None
    except release.NotInstalled as error:
        raise Unavailable(_("the official installer failed: {said}").format(said=error)) from None


def _by_go(root: Path, progress: Progress) -> None:
    from cloudkite.engine import gobuild

    try:
        progress(
            _("building the Pulumi CLI {version} from its Go modules: about {minutes} minutes, once").format(
                version=PINNED, minutes=_BUILD_MINUTES
            )
        )
        gobuild.build(root / "bin" / _PROGRAM, PINNED, progress)
    except gobuild.BuildFailed as reason:
        raise Unavailable(str(reason)) from None
