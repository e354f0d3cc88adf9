"""artifactregistry.googleapis.com/v1: repositories and their policies.

https://cloud.google.com/artifact-registry/docs/reference/rest
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from catalog.regions import regions
from localcloud.artifacts import store
from localcloud.core.asked.permits import Resource
from localcloud.core.paging import page
from localcloud.iam import access, policies
from localcloud.iam.access import Access
from localcloud.iam.store import Iam
from localcloud.services.enabled import require
from localcloud.transport.rest import App, Call, Router
from localcloud.transport.transcoding import Table, transcoded

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

router = Router()
Body = dict[str, Any]
SERVICE = "artifactregistry.googleapis.com"
_MULTI_REGIONS = ("asia", "europe", "us")
_LOCATION = "/v1/projects/{project}/locations/{location}"
_REPOSITORY = f"{_LOCATION}/repositories/{{repository}}"


def app(cloud: Cloud) -> App:
    return router.app(cloud)


def table(cloud: Cloud) -> Table:
    return transcoded(cloud, "google.cloud.artifactregistry_v1", router)


def _parent(call: Call) -> str:
    project = require(call.cloud, call.params["project"], SERVICE)["projectId"]
    return f"projects/{project}/locations/{call.params['location']}"


def _name(call: Call) -> str:
    return f"{_parent(call)}/repositories/{call.params['repository']}"


def _place(call: Call) -> Resource:
    """What a permission to make or list repositories is asked on, by the name that Google tells."""
    name = _parent(call)
    policies_of = ("/".join(name.split("/")[:2]),)
    return Resource(name, policies_of, SERVICE, "cloudresourcemanager.googleapis.com/Project")


def _where(call: Call) -> Resource:
    return access.repository(_name(call))


# gcloud asks the older version for them before it lists repositories.
@router.route("GET", "/v1/projects/{project}/locations", needs="artifactregistry.locations.list")
@router.route("GET", "/v1beta2/projects/{project}/locations", needs="artifactregistry.locations.list")
async def list_locations(call: Call) -> Body:
    project = require(call.cloud, call.params["project"], SERVICE)["projectId"]
    found = [
        {"name": f"projects/{project}/locations/{region}", "locationId": region, "displayName": region}
        for region in sorted({*_MULTI_REGIONS, *regions()})
    ]
    return page("locations", found, call.query, default=len(found))


@router.route("GET", f"{_LOCATION}/repositories", needs="artifactregistry.repositories.list", on=_place)
async def list_repositories(call: Call) -> Body:
    return page("repositories", call.cloud.documents.list(store.KIND, f"{_parent(call)}/"), call.query)


@router.route("POST", f"{_LOCATION}/repositories", needs="artifactregistry.repositories.create", on=_place)
async def create_repository(call: Call) -> Body:
    made = store.create_repository(call.cloud, _parent(call), call.query.get("repositoryId", ""), call.body)
    return _done(call, {"@type": "type.googleapis.com/google.devtools.artifactregistry.v1.Repository", **made})


@router.route("GET", _REPOSITORY, needs="artifactregistry.repositories.get", on=_where)
async def get_repository(call: Call) -> Body:
    return store.get_repository(call.cloud, _name(call))


@router.route("PATCH", _REPOSITORY, needs="artifactregistry.repositories.update", on=_where)
async def patch_repository(call: Call) -> Body:
    return store.update_repository(call.cloud, _name(call), call.body, call.query.get("updateMask"))


@router.route("DELETE", _REPOSITORY, needs="artifactregistry.repositories.delete", on=_where)
async def delete_repository(call: Call) -> Body:
    store.delete_repository(call.cloud, _name(call))
    return _done(call, {"@type": "type.googleapis.com/google.protobuf.Empty"})


@router.route("GET", f"{_REPOSITORY}:getIamPolicy", needs="artifactregistry.repositories.getIamPolicy", on=_where)
async def get_policy(call: Call) -> Body:
    store.get_repository(call.cloud, _name(call))
    kept = call.cloud.of(Iam).get_policy(_name(call))
    return policies.shown(kept, policies.requested_version(call.body, call.query))


@router.route("POST", f"{_REPOSITORY}:setIamPolicy", needs="artifactregistry.repositories.setIamPolicy", on=_where)
async def set_policy(call: Call) -> Body:
    store.get_repository(call.cloud, _name(call))
    return call.cloud.of(Iam).set_policy(_name(call), call.body.get("policy", {}))


@router.route("POST", f"{_REPOSITORY}:testIamPermissions", open="tells the caller its own permissions")
async def test_permissions(call: Call) -> Body:
    return {"permissions": call.cloud.of(Access).permitted(call.caller, call.body.get("permissions", []), _where(call))}


def _done(call: Call, response: Body) -> Body:
    """An operation that has ended: what takes Google seconds is done at once here."""
    return {"name": f"{_parent(call)}/operations/{uuid.uuid4()}", "done": True, "response": response}
