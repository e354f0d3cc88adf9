"""What a local cloud's owner may set for its jobs, in the file `vertex.json` of its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.core.state.kept import Damaged, number, parsed, whole


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
_MOST = 10**9


def load(root: Path) -> Settings:
    """Read `vertex.json`, such as {"parallel": 1, "graceSeconds": 2}. Raises Damaged for what isn't valid."""
    path = root / "vertex.json"
    try:
        return parsed(path.read_bytes(), _shape)
    except FileNotFoundError:
        return Settings()
    except (ValueError, IsADirectoryError) as error:
        raise Damaged(path, f"correct it, or delete it; it may have {', '.join(_FIELDS)}", str(error)) from None


def _shape(given: Any) -> Settings:
    if unknown := set(given) - set(_FIELDS):
        raise ValueError(f"unknown setting {min(unknown)}")
    found = {field: given[name] for name, field in _FIELDS.items() if name in given}
    for name, value in found.items():
        if name in ("parallel", "submissions"):
            whole(value, 1, _MOST)
        else:
            number(value, 0, _MOST)
    return Settings(**found)
