"""Building the Pulumi CLI from its Go modules, pinned in infra/cli: about three minutes and 1.4 GB of modules, once."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import environments
from cloudkite import children
from cloudkite.show.text import _
from cloudkite.workspace import CLONE, private_folder

MODULE = CLONE / "infra" / "cli"
_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
_OLDEST_GO = (1, 26)  # as in go.mod
_EVERY = 1.0  # seconds between two lines of progress


class BuildFailed(Exception):
    """Go is missing, too old, or could not build; the text says which."""


def build(output: Path, version: str, progress: Callable[[str], Any]) -> None:
    """Write the CLI to `output`. Raises BuildFailed. An interruption ends the compiler, too."""
    go = _go()
    private_folder(output.parent)
    environment = _environment()
    modules = _expected_modules()
    count = _Counter(progress)
    packages = 0
    with _run([go, "list", "-deps", _PACKAGE], environment) as lines:
        for line in lines:
            if line.startswith("go: downloading"):
                count.one(_("Pulumi CLI: {done} of at most {total} modules downloaded"), modules)
            elif not line.startswith("go: "):
                packages += 1
    flags = f"-s -w -X {_VERSION_VARIABLE}=v{version}"
    command = [go, "build", "-v", "-buildvcs=false", "-trimpath", "-ldflags", flags, "-o", str(output), _PACKAGE]
    count = _Counter(progress)
    with _run(command, environment) as lines:
        for line in lines:
            if not line.startswith("go: "):
                count.one(_("Pulumi CLI: {done} of at most {total} packages compiled"), packages)


def _environment() -> dict[str, str]:
    """The person's own on purpose: it says how Go reaches its modules here. No go.work of a folder above has a say."""
    own = environments.package_index_environment(os.environ)
    return {**own, "CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "local"}


def _go() -> str:
    go = children.program("go")
    if not go:
        raise BuildFailed(_("Go, which would build it, isn't on PATH"))
    try:
        said = subprocess.run(
            [go, "env", "GOVERSION"], cwd=MODULE, env=_environment(),
            capture_output=True, text=True, encoding="utf-8", timeout=30,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildFailed(_("{path} can't be run: {error}").format(path=go, error=error)) from None
    numbers = re.match(r"go(\d+)\.(\d+)", said)
    if not numbers or (int(numbers[1]), int(numbers[2])) < _OLDEST_GO:
        oldest = ".".join(str(n) for n in _OLDEST_GO)
        raise BuildFailed(
            _("{path} is {version}; Go {oldest} or newer builds it").format(
                path=go, version=said.removeprefix("go") or _("of an unknown version"), oldest=oldest
            )
        )
    return go


def _expected_modules() -> int:
    """How many modules go.sum knows with their content; a few of them are not needed on every system."""
    lines = (MODULE / "go.sum").read_text(encoding="utf-8").splitlines()
    return sum(1 for line in lines if line and "/go.mod " not in line)


class _Counter:
    """Counts, and tells the count at most once a second."""

    def __init__(self, progress: Callable[[str], Any]) -> None:
        self._progress, self._done, self._told = progress, 0, 0.0

    def one(self, text: str, total: int) -> None:
        self._done += 1
        if time.monotonic() - self._told >= _EVERY:
            self._told = time.monotonic()
            self._progress(text.format(done=self._done, total=total))


@contextmanager
def _run(command: list[str], environment: dict[str, str]) -> Iterator[Iterator[str]]:
    """The lines that a command prints while it runs. Raises BuildFailed with its last words when it fails."""
    process = subprocess.Popen(
        command,
        cwd=MODULE,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    last: list[str] = []

    def lines() -> Iterator[str]:
        assert process.stdout is not None
        for line in process.stdout:
            last[:] = [*last[-2:], line.strip()]
            yield line.strip()

    try:
        yield lines()
        if process.wait():
            raise BuildFailed(_("Go could not build it: {said}").format(said=" ".join(last)[-400:]))
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """End a compiler that still runs (after an interruption) together with its children."""
    if process.poll() is None:
        import psutil

        try:
            whole = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        except psutil.NoSuchProcess:
            whole = []
        for each in whole:
            try:
                each.kill()
            except psutil.NoSuchProcess:
                continue
        process.wait()
    if process.stdout:
        process.stdout.close()
