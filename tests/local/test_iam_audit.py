"""The audit tells who was granted, used and was refused what; and which grants nobody used."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from localcloud import launch

OWNER = "owner@test-project.iam.gserviceaccount.com"
READER = "reader@test-project.iam.gserviceaccount.com"
CONDITION = {"title": "soon over", "expression": 'request.time < timestamp("2100-01-01T00:00:00Z")'}


@pytest.fixture(scope="module")
def used(local_cloud: Any) -> Iterator[Any]:
    """A reader is made, granted two roles, uses one, and is refused a change."""
    with local_cloud.session() as owner:
        accounts = "https://iam.googleapis.com/v1/projects/test-project/serviceAccounts"
        owner.post(accounts, json={"accountId": "reader"}).raise_for_status()
        made = owner.post(f"{accounts}/{READER}/keys", json={}).json()
        url = "https://cloudresourcemanager.googleapis.com/v3/projects/test-project"
        policy = owner.post(f"{url}:getIamPolicy", json={"options": {"requestedPolicyVersion": 3}}).json()
        member = f"serviceAccount:{READER}"
        policy["bindings"] += [
            {"role": "roles/resourcemanager.projectIamAdmin", "members": [member], "condition": CONDITION},
            {"role": "roles/pubsub.publisher", "members": [member]},
        ]
        policy["version"] = 3
        owner.post(f"{url}:setIamPolicy", json={"policy": policy}).raise_for_status()
    with local_cloud.session(json.loads(base64.b64decode(made["privateKeyData"]))) as reader:
        for _ in range(2):
            assert reader.get(url).status_code == 200
        assert reader.delete(f"{accounts}/{READER}").status_code == 403
    public = local_cloud.plain_session().get("https://storage.googleapis.com/storage/v1/b/some-bucket/o/x")
    assert public.status_code in (401, 404)
    yield local_cloud
    with local_cloud.session() as owner:  # who reads the policy next may know no conditions
        policy = owner.post(f"{url}:getIamPolicy", json={"options": {"requestedPolicyVersion": 3}}).json()
        policy["bindings"] = [binding for binding in policy["bindings"] if not binding.get("condition")]
        owner.post(f"{url}:setIamPolicy", json={"policy": policy}).raise_for_status()


def audit(cloud: Any, *options: str) -> str:
    command = [sys.executable, "-m", "localcloud", "audit", "--root", str(cloud.root), *options]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def counts(rows: list[dict[str, Any]]) -> dict[str, int]:
    return {row["permission"]: row["count"] for row in rows}


def test_what_a_principal_did(used: Any) -> None:
    (one,) = json.loads(audit(used, "--principal", READER, "--json"))["principals"]
    assert counts(one["used"]) == {"resourcemanager.projects.get": 2}
    assert counts(one["refused"]) == {"iam.serviceAccounts.delete": 1}
    admin = {"role": "roles/resourcemanager.projectIamAdmin", "resource": "projects/test-project"}
    publisher = {"role": "roles/pubsub.publisher", "resource": "projects/test-project"}
    assert one["granted"] == [admin | {"condition": CONDITION}, publisher]
    assert one["unused"] == [publisher]


def test_a_table_for_people(used: Any) -> None:
    text = audit(used, "--principal", READER)
    assert text.startswith(f"{READER}\n  granted  roles/resourcemanager.projectIamAdmin on projects/test-project if ")
    assert "roles/pubsub.publisher on projects/test-project  (nothing of it was used)" in text
    assert "refused  iam.serviceAccounts.delete       1 x" in text
    assert OWNER not in text
    assert OWNER in audit(used)


def test_it_is_kept_over_a_restart(used: Any) -> None:
    before = json.loads(audit(used, "--principal", READER, "--json"))
    launch.stop(used.root)
    launch.start(used.root, used.root / "envs")
    assert json.loads(audit(used, "--principal", READER, "--json")) == before


def test_it_is_for_the_owner_of_the_folder(used: Any) -> None:
    with used.session() as session:
        session.trust_env = False
        session.proxies = {}
        address = f"https://127.0.0.1:{used.server['https']}/audit"
        assert session.get(address).status_code == 401
