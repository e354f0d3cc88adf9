"""A trainer's code read by ruff: what can't run is a failure, what its own settings call bad style a warning."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from cloudkite.check.findings import FAILED, WARNING, Findings
from cloudkite.children import safe_environment
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.trainers.folders import PACKAGE, Trainer

# Syntax errors, comparisons that can't be meant, undefined names: https://docs.astral.sh/ruff/rules/
_BROKEN = ["--isolated", "--target-version", "py311", "--select", "E9,F63,F7,F82"]


def lint(trainer: Trainer) -> Findings:
    """All findings in the trainer's folder; what can't run counts in the package only."""
    findings = Findings()
    broken = _ruff(trainer.folder, [*_BROKEN, PACKAGE])
    for line in broken:
        findings.add(FAILED, line)
    own = "[tool.ruff" in (trainer.folder / "pyproject.toml").read_text(encoding="utf-8", errors="replace")
    own = own or any((trainer.folder / name).is_file() for name in ("ruff.toml", ".ruff.toml"))
    # Without settings of its own it would get those of the folders above, which are about another project.
    for line in _ruff(trainer.folder, ["."] if own else ["--isolated", "."]):
        if line not in broken:
            findings.repeat(WARNING, line, line.split(" ")[1])
    return findings


def _ruff(folder: Path, arguments: list[str]) -> list[str]:
    """What ruff says, as `file:line: CODE message`."""
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "json", *arguments]
    done = subprocess.run(command, cwd=folder, env=safe_environment(), capture_output=True, text=True, encoding="utf-8")
    if done.returncode > 1:
        said = (done.stderr.strip().splitlines() or [_("ruff failed")])[-1]
        raise UserError(_("ruff: {said}").format(said=said), _("check [tool.ruff] in the trainer's pyproject.toml"))
    found = []
    for one in json.loads(done.stdout or "[]"):
        path = Path(one["filename"])
        place = path.relative_to(folder.resolve()) if path.is_relative_to(folder.resolve()) else path
        code = one.get("code") or "syntax"
        found.append(f"{place.as_posix()}:{one['location']['row']}: {code} {one['message']}")
    return sorted(found)
