"""The audit tells who was granted, used and was refused what; and which grants nobody used."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from localcloud import launch

pytestmark = pytest.mark.slow

OWNER = "owner@test-project.iam.gserviceaccount.com"
READER = "reader@test-project.iam.gserviceaccount.com"
CONDITION = {"title": "soon over", "expression": 'request.time < timestamp("2100-01-01T00:00:00Z")'}


@pytest.fixture(scope="module")
def used(local_cloud: Any) -> Iterator[Any]:
    """A reader is made, granted two roles, uses one, and is refused a change."""
    key = local_cloud.key(local_cloud.account("reader"))
    with local_cloud.session() as owner:
        accounts = "https://iam.googleapis.com/v1/projects/test-project/serviceAccounts"
        url = "https://cloudresourcemanager.googleapis.com/v3/projects/test-project"
        policy = owner.post(f"{url}:getIamPolicy", json={"options": {"requestedPolicyVersion": 3}}).json()
        member = f"serviceAccount:{READER}"
        policy["bindings"] += [
            {"role": "roles/resourcemanager.projectIamAdmin", "members": [member], "condition": CONDITION},
            {"role": "roles/pubsub.publisher", "members": [member]},
        ]
        policy["version"] = 3
        owner.post(f"{url}:setIamPolicy", json={"policy": policy}).raise_for_status()
    with local_cloud.session(key) as reader:
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
    assert re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", text) == (
        f"{READER}\n"
        "  granted\n"
        "    on projects/test-project\n"
        "      roles/resourcemanager.projectIamAdmin\n"
        f"        if {CONDITION['expression']}\n"
        "      roles/pubsub.publisher  (nothing of it was used)\n"
        "  used\n"
        "    on projects/test-project\n"
        "      resourcemanager.projects.get  2 x  last TIME\n"
        "  refused\n"
        f"    on projects/test-project/serviceAccounts/{READER}\n"
        "      iam.serviceAccounts.delete  1 x  last TIME\n"
    )
    assert OWNER not in text
    assert OWNER in audit(used)
    assert audit(used, "--principal", "nobody@x.com") == "nobody@x.com was granted nothing and asked for nothing\n"


@pytest.fixture(scope="module")
def bucket(local_cloud: Any) -> str:
    """A bucket that the owner wrote to and that the owner, a stranger and everybody may read; the stranger did."""
    name = "audited-bucket"
    url = f"https://storage.googleapis.com/storage/v1/b/{name}"
    stranger = local_cloud.key(local_cloud.account("stranger"))
    with local_cloud.session() as owner:
        owner.post(url.rpartition("/")[0], params={"project": "test-project"}, json={"name": name}).raise_for_status()
        policy = owner.get(f"{url}/iam").json()
        policy["bindings"] += [
            {"role": "roles/storage.objectViewer", "members": ["allUsers", "allAuthenticatedUsers"]},
            {"role": "roles/storage.legacyBucketReader", "members": ["allUsers"]},
        ]
        owner.put(f"{url}/iam", json=policy).raise_for_status()
        upload = url.replace("/storage/v1", "/upload/storage/v1") + "/o"
        owner.post(upload, params={"uploadType": "media", "name": "x"}, data=b"x").raise_for_status()
        owner.get(url).raise_for_status()
    with local_cloud.session(stranger) as session:
        session.get(f"{url}/o/x").raise_for_status()
    return f"buckets/{name}"


def test_a_grant_to_the_owners_of_a_project_is_used_by_its_owner(local_cloud: Any, bucket: str) -> None:
    assert "roles/storage.legacyBucketOwner" not in unused(local_cloud, "projectOwner:test-project", bucket)
    assert "roles/storage.legacyBucketOwner" in unused(local_cloud, "projectEditor:test-project", bucket)


def test_a_grant_to_everybody_is_used_by_who_has_no_other(local_cloud: Any, bucket: str) -> None:
    """Not by the owner, who read the bucket as such; by the stranger's reading, though it was under a name."""
    assert unused(local_cloud, "allUsers", bucket) == {"roles/storage.legacyBucketReader"}
    assert unused(local_cloud, "allAuthenticatedUsers", bucket) == set()


def unused(cloud: Any, member: str, resource: str) -> set[str]:
    (one,) = json.loads(audit(cloud, "--principal", member, "--json"))["principals"]
    # What was done stands under the names of those who did it.
    assert not [use for use in one["used"] if f"/{resource}/" in f"{use['resource']}/"]
    return {grant["role"] for grant in one["unused"] if grant["resource"] == resource}


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
