"""What a local cloud's owner may set for its jobs, in the file `vertex.json` of its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """`parallel`: how many jobs run at once. `grace`: seconds between SIGTERM and SIGKILL when a job is ended.

    `patience`: seconds between two tries to get machines that are out of stock. `submissions`: how many jobs of a
    project and region may be created in a minute. `health`: seconds between two looks at a model server's health.
    """

    parallel: int = 2
    grace: float = 10.0
    patience: float = 5.0
    submissions: int = 60  # https://cloud.google.com/vertex-ai/docs/quotas
    health: float = 10.0


_FIELDS = {"parallel": "parallel", "graceSeconds": "grace", "stockoutSeconds": "patience"}
_FIELDS |= {"submissionsPerMinute": "submissions", "healthSeconds": "health"}


def load(root: Path) -> Settings:
    """Read `vertex.json`, such as {"parallel": 1, "graceSeconds": 2}. Raises ValueError for what can't be."""
    path = root / "vertex.json"
    if not path.exists():
        return Settings()
    given = json.loads(path.read_text(encoding="utf-8"))
    if unknown := set(given) - set(_FIELDS):
        raise ValueError(f"{path}: unknown setting {min(unknown)}; there are {', '.join(_FIELDS)}")
    found = {field: given[name] for name, field in _FIELDS.items() if name in given}
    made = Settings(
        int(found.get("parallel", Settings.parallel)),
        float(found.get("grace", Settings.grace)),
        float(found.get("patience", Settings.patience)),
        int(found.get("submissions", Settings.submissions)),
        float(found.get("health", Settings.health)),
    )
    if made.parallel < 1 or made.submissions < 1 or min(made.grace, made.patience, made.health) < 0:
        raise ValueError(f"{path}: numbers must be at least 1, and seconds not negative")
    return made
