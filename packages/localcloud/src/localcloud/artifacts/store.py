"""Repositories for images and packages: what is kept, and what Google refuses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from localcloud.core.errors import ApiError
from localcloud.core.state.documents import apply_mask
from localcloud.iam.store import Iam

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
KIND = "artifacts.repository"
# https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories
FORMATS = ("DOCKER", "MAVEN", "NPM", "APT", "YUM", "PYTHON", "KFP", "GO", "GENERIC")
_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_FIXED = ("name", "format", "mode", "createTime")


def create_repository(cloud: Cloud, parent: str, repository_id: str, body: Body) -> Body:
    """A new repository in `parent` ("projects/p/locations/r"). Raises 400, 409."""
    if not _ID.fullmatch(repository_id):
        raise ApiError(400, f"Invalid repository id '{repository_id}'. It must match [a-z]([a-z0-9-]{{0,61}}[a-z0-9])?")
    if body.get("format") not in FORMATS:
        raise ApiError(400, f"Repository format {body.get('format')!r} is not supported.")
    name = f"{parent}/repositories/{repository_id}"
    if cloud.documents.find(name):
        raise ApiError(409, "the repository already exists", reason="alreadyExists")
    location = parent.rpartition("/")[2]
    now = cloud.clock.stamp()
    made = _checked(body)
    if made.get("mode", "MODE_UNSPECIFIED") == "MODE_UNSPECIFIED":
        made = made | {"mode": "STANDARD_REPOSITORY"}
    made |= {
        "name": name,
        "createTime": now,
        "updateTime": now,
        "sizeBytes": "0",
        "registryUri": f"{location}-docker.pkg.dev/{parent.split('/')[1]}/{repository_id}",
    }
    return cloud.documents.create(name, KIND, made)


def get_repository(cloud: Cloud, name: str) -> Body:
    """The repository. Raises 404."""
    found = cloud.documents.find(name)
    if found is None:
        raise ApiError(404, f'Repository "{name}" does not exist.')
    return found


def update_repository(cloud: Cloud, name: str, changes: Body, mask: str | None = None) -> Body:
    """Change description, labels, cleanup policies and the like. Raises 404, 400 for what can't change."""
    present = get_repository(cloud, name)
    merged = apply_mask(present, changes, mask)
    for field in _FIXED:
        if merged.get(field) != present.get(field):
            raise ApiError(400, f"{field} of a repository can't be changed.")
    return cloud.documents.put(name, KIND, _checked(merged) | {"updateTime": cloud.clock.stamp()})


def delete_repository(cloud: Cloud, name: str) -> None:
    """Forget the repository and its policy. Raises 404."""
    get_repository(cloud, name)
    cloud.documents.delete(name)
    cloud.of(Iam).forget_policy(name)


def _checked(body: Body) -> Body:
    for key, policy in (body.get("cleanupPolicies") or {}).items():
        if policy.get("id", key) != key or policy.get("action") not in ("KEEP", "DELETE"):
            raise ApiError(400, f"Cleanup policy {key!r} needs an action, KEEP or DELETE, and its own key as id.")
        if len({"condition", "mostRecentVersions"} & policy.keys()) > 1:
            raise ApiError(400, f"Cleanup policy {key!r} has both condition and mostRecentVersions.")
        if policy["action"] == "DELETE" and not policy.get("condition"):
            raise ApiError(400, f"Cleanup policy {key!r} needs a condition: DELETE is for the versions that fit one.")
    scanning = body.get("vulnerabilityScanningConfig")
    if scanning:
        wanted = scanning.get("enablementConfig", "INHERITED")
        state = "SCANNING_DISABLED" if wanted == "DISABLED" else "SCANNING_ACTIVE"
        body = body | {"vulnerabilityScanningConfig": {"enablementConfig": wanted, "enablementState": state}}
    return body
