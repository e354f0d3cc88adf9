"""What a local cloud's owner may set for its jobs, in the file `vertex.json` of its folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from localcloud.core.state.kept import chosen, number, whole


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


_COUNT, _SECONDS = partial(whole, least=1, most=10**9), partial(number, least=0, most=10**9)
_FIELDS = {
    "parallel": ("parallel", _COUNT),
    "graceSeconds": ("grace", _SECONDS),
    "stockoutSeconds": ("patience", _SECONDS),
    "submissionsPerMinute": ("submissions", _COUNT),
    "healthSeconds": ("health", _SECONDS),
}


def load(root: Path) -> Settings:
    """Read `vertex.json`, such as {"parallel": 1, "graceSeconds": 2}. Raises Damaged for what isn't valid."""
    return Settings(**chosen(root / "vertex.json", _FIELDS))
