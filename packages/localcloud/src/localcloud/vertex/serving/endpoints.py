"""Endpoints: created, read, listed, changed, deleted.

https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from localcloud.core.errors import ApiError
from localcloud.core.state.documents import apply_mask
from localcloud.vertex import operations
from localcloud.vertex.jobs.validation import REQUIRED, Violation, found, refuse, texts
from localcloud.vertex.place import Call
from localcloud.vertex.serving import deployments, endpoint_rules
from localcloud.vertex.serving.listing import camel, page

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]

ENDPOINT = "vertex-endpoint"  # kind of document
_GIVEN = ("displayName", "description", "labels", "clientConnectionConfig")
_CHANGEABLE = {*_GIVEN, "trafficSplit"}


class Endpoints:
    """The endpoints of one cloud. Methods are called in the server's event loop."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def create(self, call: Call, request: Body) -> Body:
        """A new endpoint without a model."""
        given, endpoint_id = request.get("endpoint", {}), request.get("endpointId", "")
        endpoint_rules.check_endpoint(given, endpoint_id)
        name = f"{call.place.name}/endpoints/{endpoint_id or 10**18 + secrets.randbelow(8 * 10**18)}"
        if self._cloud.documents.find(name):
            raise ApiError(409, f"Endpoint `{name}` already exists.")
        now = self._cloud.clock.stamp()
        body = {"name": name, **{f: given[f] for f in _GIVEN if f in given}, "createTime": now, "updateTime": now}
        self.put(body)
        operation = operations.begin(self._cloud, name, "CreateEndpointOperationMetadata")
        return operations.succeed(self._cloud, operation, "Endpoint", {"name": name})

    def get(self, call: Call, request: Body) -> Body:
        """Raises 404."""
        return self.find(call, request.get("name", ""))

    def find(self, call: Call, name: str, text: str = "The Endpoint does not exist.") -> Body:
        """The endpoint in the call's place. Raises 404 with `text`, in which {} is its full name."""
        full = f"{call.place.name}/endpoints/{call.resource('endpoints', name)}"
        body = self._cloud.documents.find(full)
        if body is None:
            raise ApiError(404, text.replace("{}", full))
        return body

    def list(self, call: Call, request: Body) -> Body:
        """A page of a place's endpoints."""
        rows = self._cloud.documents.list(ENDPOINT, f"{call.place.name}/endpoints/")
        return page("endpoints", rows, request)

    def update(self, call: Call, request: Body) -> Body:
        """Change what may be changed. Raises 400, 404."""
        given, mask = request.get("endpoint", {}), request.get("updateMask", "")
        if not mask:
            raise found([Violation("update_mask", REQUIRED)])
        fields = {camel(path.strip().partition(".")[0]) for path in mask.split(",")}
        if other := sorted(fields - _CHANGEABLE):
            raise found([Violation("update_mask", f"The field `{other[0]}` can't be changed.")])
        body = apply_mask(self.find(call, given.get("name", "")), given, mask)
        refuse(texts(body, "endpoint."))
        endpoint_rules.check_traffic(body.get("trafficSplit", {}), deployed_ids(body), "endpoint.traffic_split")
        return self.put(body | {"updateTime": self._cloud.clock.stamp()})

    def delete(self, call: Call, request: Body) -> Body:
        """Forget an endpoint that has no model. Raises 400, 404."""
        name = self.find(call, request.get("name", ""))["name"]
        if deployments.deployments(self._cloud, f"{name}/"):
            words = f"Endpoint `{name}` has deployed or being-deployed DeployedModel(s)."
            raise ApiError(400, words, "FAILED_PRECONDITION")
        self._cloud.documents.delete(name)
        return operations.deleted(self._cloud, name)

    def put(self, body: Body) -> Body:
        """Keep an endpoint, with a new etag."""
        return self._cloud.documents.put(body["name"], ENDPOINT, body | {"etag": f"AMEw9y{secrets.token_hex(8)}"})


def deployed_ids(endpoint: Body) -> list[str]:
    """The ids of the models that an endpoint has."""
    return [one["id"] for one in endpoint.get("deployedModels", [])]
