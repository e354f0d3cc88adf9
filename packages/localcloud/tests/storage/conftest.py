"""The official Cloud Storage client, in this process, against a real local cloud."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.cloud import storage
from google.cloud.storage import Bucket, Client

from clouds import LocalCloud
from localcloud import launch
from localcloud.apis import assemble
from localcloud.core.cloud import Cloud
from localcloud.core.ports import Ports
from localcloud.projects.store import Projects
from localcloud.storage.store import Storage

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def client(local_cloud, session) -> Client:
    """A client as the owner of the shared cloud's project."""
    return storage.Client(project=local_cloud.project, credentials=session.credentials, _http=session)


@pytest.fixture
def bucket(client: Client) -> Iterator[Bucket]:
    """A new bucket, removed afterwards with all that is in it."""
    made = client.create_bucket(f"bucket-{next(_numbers)}", location="us-central1")
    yield made
    for blob in client.list_blobs(made, versions=True):
        made.delete_blob(blob.name, generation=blob.generation)
    made.delete()


@pytest.fixture(scope="module")
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A cloud of the module's own, whose clock its tests may move, with the project that the module names PROJECT."""
    project = request.module.PROJECT
    root = tmp_path_factory.mktemp(project) / "root"
    launch.start(root, root / "envs", [project])
    yield LocalCloud(root, project)
    launch.stop(root)


@pytest.fixture(scope="module")
def owner(cloud: LocalCloud) -> Iterator[Client]:
    """A client as the owner of the module's own project."""
    with cloud.session() as session:
        yield storage.Client(project=cloud.project, credentials=session.credentials, _http=session)


@pytest.fixture
def inside(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cloud]:
    """A cloud without a server, with the project that the module names PROJECT."""
    made = assemble(tmp_path / "root", tmp_path / "envs", Ports(1, 2, 3, 4, 5))
    made.of(Projects).create(request.module.PROJECT)
    yield made
    made.of(Storage).close()
