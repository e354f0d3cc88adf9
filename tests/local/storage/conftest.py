"""The official Cloud Storage client, in this process, against a real local cloud."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from google.cloud import storage
from google.cloud.storage import Bucket, Client

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
