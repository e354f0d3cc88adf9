"""Local clouds for tests: one that all tests of a process share, and some of a test's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.auth.transport.requests import AuthorizedSession

from clouds import PROJECT, LocalCloud, Start, end, started


@pytest.fixture(scope="session")
def local_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """One server for all tests of a session; tests use names of their own in it."""
    root = tmp_path_factory.mktemp("cloud") / "root"
    root.mkdir(mode=0o700)
    (root / "vertex.json").write_text(json.dumps({"submissionsPerMinute": 10_000}), encoding="utf-8")
    yield started(root, PROJECT)
    end(root)


@pytest.fixture(scope="session")
def client_environment(local_cloud: LocalCloud) -> dict[str, str]:
    """The environment variables of a client of `local_cloud`."""
    return local_cloud.environment


@pytest.fixture(scope="session")
def session(local_cloud: LocalCloud) -> Iterator[AuthorizedSession]:
    """An authorised session of the owner of `local_cloud`'s project."""
    made = local_cloud.session()
    yield made
    made.close()


@pytest.fixture
def make_cloud() -> Iterator[Start]:
    """Starts servers in folders of one's choice: `cloud = make_cloud(folder, project)`."""
    roots: set[Path] = set()

    def start(root: Path, project: str = PROJECT) -> LocalCloud:
        roots.add(root)
        return started(root, project)

    yield start
    for root in roots:
        end(root)


@pytest.fixture
def new_cloud(tmp_path: Path, make_cloud: Start) -> Start:
    """Starts servers of one's own: `cloud = new_cloud()`; the same name again starts the same folder again."""

    def start(name: str = "own", project: str = PROJECT) -> LocalCloud:
        return make_cloud(tmp_path / name, project)

    return start
