"""What a look at one thing gives: all is well, what is wrong and the one step that fixes it, or that nobody can tell.

And the looks at this machine: its programs, versions, processor, disk, memory.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import environments
from catalog import images
from cloudkite.accounts import signing
from cloudkite.check import machine
from cloudkite.children import program
from cloudkite.engine import cli, plugin
from cloudkite.show import amounts
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import Workspace

Verdict = Literal["ok", "wrong", "unknown"]
Progress = Callable[[str], Any]


@dataclass(frozen=True)
class Look:
    """One thing that was looked at. `mend` does what `fix` says, where that costs nothing and deletes nothing."""

    name: str
    verdict: Verdict
    said: str = ""
    fix: str = ""
    mend: Callable[[Progress], Any] | None = field(default=None, repr=False, compare=False)


def ok(name: str, said: str = "") -> Look:
    """All is well."""
    return Look(name, "ok", said)


def wrong(name: str, said: str, fix: str, mend: Callable[[Progress], Any] | None = None) -> Look:
    """Something is to be fixed."""
    return Look(name, "wrong", said, fix, mend)


def unknown(name: str, said: str) -> Look:
    """It could not be looked at."""
    return Look(name, "unknown", said)


def refused(name: str, problem: UserError) -> Look:
    """The same, by what was answered."""
    return unknown(name, problem.message.strip().partition("\n")[0])


def of_machine(workspace: Workspace, google: bool) -> list[Callable[[], list[Look]]]:
    """The looks at this machine, to be called in any order. `google`: whether the account needs what Google needs."""
    return [
        lambda: [_python(), _program("uv", "pip install uv"), _program("git", "https://git-scm.com/downloads")],
        lambda: [_gcloud()] if google else [],
        lambda: _engine(google),
        lambda: _room(workspace),
    ]


def _python() -> Look:
    name, version = "Python", platform.python_version()
    if sys.version_info[:2] == (3, 11):
        return ok(name, version)
    return wrong(name, _("{version}; 3.11 is needed").format(version=version), "uv sync --python 3.11")


def _program(name: str, fix: str) -> Look:
    path = program(name)
    return ok(name, path) if path else wrong(name, _("not found on PATH"), fix)


def _gcloud() -> Look:
    path = signing.gcloud()
    return ok("gcloud", path) if path else wrong("gcloud", _("not found on PATH"), signing.ways()[0][1])


def _engine(google: bool) -> list[Look]:
    name = _("Pulumi CLI")
    try:
        found = cli.there()
    except UserError as problem:
        return [wrong(name, problem.message, problem.hint)]
    if found is None:
        fix = "uv run invoke doctor --fix"
        return [wrong(name, _("not found; it is installed at the first `up`, too"), fix, cli.find)]
    looks = [ok(name, f"{found.version} ({amounts.short(found.path)})")]
    if google:
        there = _("there") if plugin.there() else _("not there yet: the first `up` fetches it")
        looks.append(ok(_("Pulumi plug-in"), f"gcp {plugin.version()}, {there}"))
    return looks


def _room(workspace: Workspace) -> list[Look]:
    image = images.image(images.DEFAULT_CPU)
    ready = environments.is_ready(workspace.envs, image.requirements)
    here = machine.here(workspace.envs, ready)
    avx = {True: _(", AVX"), False: "", None: ""}[here.avx]
    looks = [
        _lack(_("processor"), replace(here, ready=True, memory=None), f"{here.processor}{avx}"),
        _lack(_("disk"), replace(machine.ABLE, free=here.free, ready=ready), _free(here.free)),
    ]
    if here.memory is not None:
        looks.append(_lack(_("memory"), replace(machine.ABLE, memory=here.memory), amounts.size(here.memory)))
    built = _("its environment is built") if ready else _("its environment is built at the first check")
    looks.append(ok("TensorFlow", f"{image.tensorflow}, {built}"))
    return looks


def _free(count: int) -> str:
    return _("{size} free").format(size=amounts.size(count))


def _lack(name: str, alone: machine.Machine, said: str) -> Look:
    """A look at one property; all others are those of a machine that can train."""
    found = machine.lacks(alone)
    return wrong(name, found[0].what, found[0].way) if found else ok(name, said)
