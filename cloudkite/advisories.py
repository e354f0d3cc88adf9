"""Known vulnerabilities of the pins, as pip-audit reads them from an index of advisories."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environments
from cloudkite import pins
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import Workspace, private_folder

_SECONDS = 600


@dataclass(frozen=True)
class Advisory:
    """One vulnerability of one pin; `fixed` are the versions without it."""

    package: str
    version: str
    id: str
    aliases: tuple[str, ...]
    fixed: tuple[str, ...]
    summary: str


@dataclass(frozen=True)
class Audit:
    """What was found. `unknown` are pins about which the index said nothing, each with the reason."""

    looked: int
    advisories: tuple[Advisory, ...]
    unknown: tuple[tuple[str, str], ...]


class CouldNotLook(UserError):
    """Nobody knows whether there are vulnerabilities: the index of advisories did not answer."""


def tool(workspace: Workspace, progress: Callable[[str], None] | None = None) -> list[str]:
    """The command of pip-audit, in an environment of its own. Raises CouldNotLook."""
    try:
        python = environments.environment(
            private_folder(workspace.envs), pins.group(workspace.home, "audit"), progress=progress
        )
    except environments.EnvironmentFailed as error:
        raise CouldNotLook(_("pip-audit could not be installed: {error}").format(error=error), _HINT) from None
    return [str(python), "-P", "-m", "pip_audit"]


def look(command: Sequence[str], pinned: Sequence[str]) -> Audit:
    """Ask about each of `pinned` (`name==version`; markers don't count). Raises CouldNotLook."""
    wanted = sorted({pin.partition(" ;")[0].strip() for pin in pinned})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own:
        listed = Path(own, "pins.txt")
        listed.write_text("\n".join(wanted) + "\n", encoding="utf-8")
        options = ["--requirement", str(listed), "--no-deps", "--disable-pip", "--format", "json"]
        options += ["--progress-spinner", "off", "--timeout", "30"]
        # The person's own variables: they say how their network is left.
        variables = environments.package_index_environment(os.environ)
        try:
            done = subprocess.run(
                [*command, *options], cwd=own, env=variables, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, encoding="utf-8", timeout=_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise CouldNotLook(
                _("the advisories could not be read: no end after {seconds} seconds").format(seconds=_SECONDS), _HINT
            ) from None
    try:
        found = [_read(one) for one in json.loads(done.stdout)["dependencies"]]
    except (ValueError, KeyError, TypeError):
        said = (done.stderr.strip().splitlines() or [_("exit code {code}").format(code=done.returncode)])[-1]
        raise CouldNotLook(_("the advisories could not be read: {said}").format(said=said[:500]), _HINT) from None
    unknown = tuple((name, why) for name, _version, why, _advisories in found if why)
    answered = {f"{_normal(name)}=={version}" for name, version, why, _advisories in found if not why}
    silent = [pin for pin in wanted if _normal(pin) not in answered | {_normal(name) for name, _why in unknown}]
    told = {_normal(name) for name, _why in unknown}
    unknown += tuple(
        (pin, _("nothing was said about it")) for pin in silent if _normal(pin).partition("==")[0] not in told
    )
    if not answered:
        raise CouldNotLook(_("the index of advisories knows none of the packages"), _HINT)
    return Audit(len(answered), tuple(a for *_rest, advisories in found for a in advisories), unknown)


_HINT = _("the index must be within reach: see your proxy and certificates, or run it in another network")


def _read(one: dict[str, Any]) -> tuple[str, str, str, list[Advisory]]:
    """(name, version, why nothing is known, advisories) of one package."""
    name, version = str(one["name"]), str(one.get("version", ""))
    advisories = [
        Advisory(
            name,
            version,
            str(found["id"]),
            tuple(found.get("aliases", ())),
            tuple(found.get("fix_versions", ())),
            " ".join(str(found.get("description", "")).split())[:300],
        )
        for found in one.get("vulns", ())
    ]
    return name, version, str(one.get("skip_reason", "")), advisories


def _normal(name: str) -> str:
    return name.lower().replace("_", "-")
