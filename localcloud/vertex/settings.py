"""What a local cloud's owner may set for its jobs, in the file `vertex.json` of its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """`parallel`: how many jobs run at once. `grace`: seconds between SIGTERM and SIGKILL when a job is ended."""

    parallel: int = 2
    grace: float = 10.0


def load(root: Path) -> Settings:
    """Read `vertex.json`, such as {"parallel": 1, "graceSeconds": 2}. Raises ValueError for what can't be."""
    path = root / "vertex.json"
    if not path.exists():
        return Settings()
    given = json.loads(path.read_text(encoding="utf-8"))
    if unknown := set(given) - {"parallel", "graceSeconds"}:
        raise ValueError(f"{path}: unknown setting {min(unknown)}; there are parallel and graceSeconds")
    made = Settings(int(given.get("parallel", Settings.parallel)), float(given.get("graceSeconds", Settings.grace)))
    if made.parallel < 1 or made.grace < 0:
        raise ValueError(f"{path}: parallel must be at least 1, and graceSeconds not negative")
    return made
