"""Who asks whose a bucket is holds no lock that whoever makes buckets waits for: each would wait for the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from localcloud.core.asked.directory import Buckets, Directory
from localcloud.core.cloud import Cloud
from localcloud.core.ports import Ports
from localcloud.iam.store import Iam

READER = "roles/storage.objectViewer"
CUSTOM = "projects/my-project/roles/reader"
KIM = "user:kim@example.com"


class Making:
    """Buckets one of which is being made: its maker sets the policy, and whoever asks meanwhile waits for that."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.waited: list[bool] = []

    def bucket_project(self, name: str) -> str:
        if name == "asked":
            policy = {"bindings": [{"role": READER, "members": [KIM]}]}
            maker = threading.Thread(target=self._cloud.of(Iam).set_policy, args=("buckets/made", policy), daemon=True)
            maker.start()
            maker.join(10)
            self.waited.append(maker.is_alive())
        return "my-project"


class OneProject:
    def __init__(self, _cloud: Cloud) -> None:
        pass

    def find(self, _id: str) -> dict[str, Any]:
        return {"projectId": "my-project"}


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    made = Cloud(tmp_path / "cloud", tmp_path / "envs", cast("Ports", None))
    made.provide(Buckets, Making)
    made.provide(Directory, cast("Callable[[Cloud], Directory]", OneProject))
    return made


@pytest.mark.parametrize("role", [READER, CUSTOM])
def test_a_grant_on_a_bucket_lets_another_bucket_be_made_meanwhile(cloud: Cloud, role: str) -> None:
    iam = cloud.of(Iam)
    iam.custom_roles.create("my-project", "reader", {"includedPermissions": ["storage.objects.get"]})
    iam.add_member("buckets/asked", role, KIM)
    iam.set_policy("buckets/asked", iam.get_policy("buckets/asked"))
    iam.remove_member("buckets/asked", role, KIM)
    assert cast("Making", cloud.of(Buckets)).waited == [False] * 3
    assert iam.get_policy("buckets/made")["bindings"] == [{"role": READER, "members": [KIM]}]
