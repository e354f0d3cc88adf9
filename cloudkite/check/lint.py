"""A trainer's code read by ruff: what can't run is a failure, what its own settings call bad style a warning."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import tokenize
import tomllib
from pathlib import Path

from cloudkite.check.findings import FAILED, WARNING, Findings
from cloudkite.children import safe_environment
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.trainers.folders import PACKAGE, Trainer, package_links

# Syntax errors, comparisons that can't be meant, undefined names: https://docs.astral.sh/ruff/rules/
_SYNTAX = "invalid-syntax"  # what ruff calls it; older ones gave no code
_BROKEN = ["--isolated", "--no-respect-gitignore", "--target-version", "py311", "--select", "E9,F63,F7,F82"]


def lint(trainer: Trainer) -> Findings:
    """All findings in the trainer's folder; what can't run counts in the package only."""
    findings = Findings()
    broken = _ruff(trainer.folder, [*_BROKEN, PACKAGE])
    unreadable = {line.partition(":")[0] for line in broken if _SYNTAX in line.split(" ")[1:2]}
    # One bracket that is missing makes many lines wrong: the place that Python itself names is where to look.
    broken = [line for line in broken if line.partition(":")[0] not in unreadable]
    broken += [_syntax(trainer.folder, name) for name in sorted(unreadable)]
    for line in broken:
        findings.add(FAILED, line)
    for path in package_links(trainer):
        said = _("{path}: a symbolic link, which is not packed: put what it leads to there itself")
        level = FAILED if path.is_dir() or path.suffix == ".py" else WARNING  # without code the job would not run
        findings.add(level, said.format(path=path.relative_to(trainer.folder).as_posix()))
    # Named, or it would get the settings of the folders above, which are about another project or by another person.
    own = _settings(trainer.folder)
    for line in _ruff(trainer.folder, ["--config", str(own), "."] if own else ["--isolated", "."]):
        if line not in broken and line.partition(":")[0] not in unreadable:
            findings.repeat(WARNING, line, line.split(" ")[1])
    return findings


def _syntax(folder: Path, name: str) -> str:
    """What Python says of a file that it can't read, as `file:line: message`."""
    source = (folder / name).read_bytes()
    try:
        ast.parse(source, name)
    except SyntaxError as error:
        line, said = error.lineno or 1, error.msg
        if said.startswith("invalid syntax") and (found := _open(source)):  # what follows a bracket is told instead
            line, said = found[0], _("{bracket!r} was never closed").format(bracket=found[1])
        return f"{name}:{line}: {said}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"{name}:1: {error}"
    return _("{name}:1: Python 3.11 can't read it").format(name=name)


def _open(source: bytes) -> tuple[int, str] | None:
    """The first bracket that is still open at the end, and its line; None when all are closed."""
    brackets: list[tuple[int, str]] = []
    try:
        for token in tokenize.tokenize(io.BytesIO(source).readline):
            if token.type == tokenize.OP and token.string in "([{":
                brackets.append((token.start[0], token.string))
            elif token.type == tokenize.OP and token.string in ")]}" and brackets:
                brackets.pop()
    except (tokenize.TokenError, SyntaxError, ValueError):  # the end, in the middle of a statement
        return brackets[0] if brackets else None
    return None


def _settings(folder: Path) -> Path | None:
    """The file that has the trainer's own settings, the first that ruff would take; None when it has none."""
    for path in (folder / ".ruff.toml", folder / "ruff.toml"):
        if path.is_file():
            return path
    path = folder / "pyproject.toml"
    try:
        return path if "ruff" in tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}) else None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return path  # ruff tells what is wrong with it


def _ruff(folder: Path, arguments: list[str]) -> list[str]:
    """What ruff says, as `file:line: CODE message`."""
    # -P: ruff itself, and not a ruff.py of the trainer.
    command = [sys.executable, "-P", "-m", "ruff", "check", "--no-cache", "--output-format", "json", *arguments]
    done = subprocess.run(command, cwd=folder, env=safe_environment(), capture_output=True, text=True, encoding="utf-8")
    if done.returncode > 1:
        said = (done.stderr.strip().splitlines() or [_("ruff failed")])[-1]
        raise UserError(_("ruff: {said}").format(said=said), _("check [tool.ruff] in the trainer's pyproject.toml"))
    found = []
    for one in json.loads(done.stdout or "[]"):
        path = Path(one["filename"])
        place = path.relative_to(folder.resolve()) if path.is_relative_to(folder.resolve()) else path
        code = one.get("code") or _SYNTAX
        found.append(f"{place.as_posix()}:{one['location']['row']}: {code} {one['message']}")
    return sorted(found)
