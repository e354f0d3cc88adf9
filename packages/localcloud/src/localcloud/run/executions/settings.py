"""What a local cloud's owner may set for its Cloud Run jobs, in the file `run.json` of its folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from localcloud.core.state.kept import chosen, number, whole


@dataclass(frozen=True)
class Settings:
    """`parallel`: how many tasks run at once. `grace`: seconds between SIGTERM and SIGKILL, Google's own by default.

    https://docs.cloud.google.com/run/docs/container-contract#jobs-shutdown
    """

    parallel: int = 2
    grace: float = 10.0


_FIELDS = {
    "parallel": ("parallel", partial(whole, least=1, most=10**9)),
    "graceSeconds": ("grace", partial(number, least=0, most=10**9)),
}


def load(root: Path) -> Settings:
    """Read `run.json`, such as {"parallel": 1, "graceSeconds": 2}. Raises Damaged for what isn't valid."""
    return Settings(**chosen(root / "run.json", _FIELDS))
