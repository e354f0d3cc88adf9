"""gcloud as a client of a local cloud."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any


def gcloud(cloud: Any, *arguments: str, fails: str = "", **env: str) -> Any:
    """The JSON that a command prints; with `fails`, its standard error, which must have that in it."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        ["gcloud", *arguments, "--format=json"],
        env={**kept, **cloud.environment, **env},
        capture_output=True,
        text=True,
        timeout=180,
    )
    if fails:
        assert done.returncode == 1
        assert fails in done.stderr, done.stderr
        return done.stderr
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None
