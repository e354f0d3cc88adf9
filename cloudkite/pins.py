"""The exact versions of all that is installed: what uv resolved, kept as constraints in the clone's pyproject.toml.

uv.lock is not committed, for it names the index of whoever made it. The constraints name none, and make every clone
resolve to the same versions.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from cloudkite.children import program
from cloudkite.show.errors import UserError
from cloudkite.show.text import _

_BLOCK = re.compile(r"^constraint-dependencies = \[(.*?)^\]\n", re.DOTALL | re.MULTILINE)
_PIN = re.compile(r'"([\w.-]+==[\w.]+)(?:"| ;)')


def kept(clone: Path) -> list[str]:
    """The constraints that stand in pyproject.toml."""
    found = _BLOCK.search((clone / "pyproject.toml").read_text(encoding="utf-8"))
    return re.findall(r'"(.+)"', found[1]) if found else []


def resolved(clone: Path) -> list[str]:
    """What uv.lock has, for all systems: `name==version`, with a marker where systems have different versions."""
    said = uv(clone, "export", "--frozen", "--all-packages", "--all-extras", "--all-groups", *_PLAIN)
    lines = sorted(set(_lines(said)))
    names = [_name(line) for line in lines]
    alone = [
        line.partition(" ;")[0] if names.count(name) == 1 else line for line, name in zip(lines, names, strict=True)
    ]
    return sorted(set(alone))


def group(clone: Path, name: str) -> list[str]:
    """The pins of one dependency group and of what it needs, with their markers."""
    return _lines(uv(clone, "export", "--frozen", "--only-group", name, *_PLAIN))


def of_trainers(clone: Path) -> list[str]:
    """What the templates pin for every trainer."""
    files = sorted((clone / "template").glob("*/*/pyproject.toml"))
    return sorted({pin for file in files for pin in _PIN.findall(file.read_text(encoding="utf-8"))})


def of_tools(clone: Path) -> list[str]:
    """What the code pins for environments of its own, such as LiteRT's: texts in it that are a pin and nothing else."""
    files = sorted((clone / "cloudkite").rglob("*.py"))
    return sorted({pin for file in files for pin in _PIN.findall(file.read_text(encoding="utf-8"))})


def renew(clone: Path, upgrade: bool = False) -> tuple[list[str], list[str]]:
    """Resolve without the constraints, and write what came of it as the new ones; gives (gone, new).

    What did not change its requirements keeps its version, unless `upgrade`. pyproject.toml stays as it was when uv
    can't resolve. Raises UserError.
    """
    path = clone / "pyproject.toml"
    before, old = path.read_text(encoding="utf-8"), kept(clone)
    try:
        path.write_text(_BLOCK.sub("constraint-dependencies = [\n]\n", before), encoding="utf-8", newline="\n")
        uv(clone, "lock", *(["--upgrade"] if upgrade else []))
        new = resolved(clone)
        lines = "".join(f'    "{line}",\n' for line in new)
        text = _BLOCK.sub(lambda _found: f"constraint-dependencies = [\n{lines}]\n", before)
        path.write_text(text, encoding="utf-8", newline="\n")
        uv(clone, "lock")
    except BaseException:
        path.write_text(before, encoding="utf-8", newline="\n")
        raise
    return sorted(set(old) - set(new)), sorted(set(new) - set(old))


_PLAIN = ("--no-hashes", "--no-header", "--no-annotate", "--no-emit-workspace")


def uv(clone: Path, *words: str) -> str:
    """What uv prints, run in the clone, whose settings it is to read. Raises UserError."""
    found = program("uv")
    if found is None:
        raise UserError(_("uv isn't on PATH"), "pip install uv")
    command = [found, *words, "--quiet", "--color", "never"]
    done = subprocess.run(command, cwd=clone, env=dict(os.environ), capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        said = (done.stderr.strip() or _("exit code {code}").format(code=done.returncode)).removeprefix("error: ")
        raise UserError(_("uv {verb}: {said}").format(verb=words[0], said=said), _("uv lock shows all it says"))
    return done.stdout


def _lines(said: str) -> list[str]:
    return [line.strip() for line in said.splitlines() if "==" in line and not line.startswith(("#", "-"))]


def _name(line: str) -> str:
    return line.partition("==")[0]
