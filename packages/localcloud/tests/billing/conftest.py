"""Clouds of one's own, on a paid account and on a trial."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clouds import Start
from clouds.charged import Place, place_in
from localcloud import launch


@pytest.fixture
def place(new_cloud: Start) -> Iterator[Place]:
    made = place_in(new_cloud())
    yield made
    made.session.close()


@pytest.fixture
def trial(tmp_path: Path, make_cloud: Start) -> Iterator[Place]:
    """The same, on a free trial."""
    root = tmp_path / "trial"
    launch.start(root, root / "envs", (), ["test-project"])
    made = place_in(make_cloud(root))  # which asks for a paid project of the same name: the trial's stays as it is
    yield made
    made.session.close()
