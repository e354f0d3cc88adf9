"""The methods of endpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.vertex.methods import Body, Handler, Method, Methods
from localcloud.vertex.place import Call
from localcloud.vertex.serving.deployer import Deployer
from localcloud.vertex.serving.endpoints import Endpoints
from localcloud.vertex.serving.store import Serving


def _of(method: Callable[[Endpoints, Call, Body], dict[str, Any]]) -> Handler:
    return lambda call, request: method(call.cloud.of(Serving).endpoints, call, request)


def _to(method: Callable[[Deployer, Call, Body], dict[str, Any]]) -> Handler:
    return lambda call, request: method(call.cloud.of(Serving).deployer, call, request)


_OPERATION, _ENDPOINTS = "google.longrunning.Operation", "aiplatform.endpoints"
METHODS: Methods = {
    "CreateEndpoint": Method("CreateEndpointRequest", _OPERATION, _of(Endpoints.create), f"{_ENDPOINTS}.create"),
    "GetEndpoint": Method("GetEndpointRequest", "Endpoint", _of(Endpoints.get), f"{_ENDPOINTS}.get"),
    "ListEndpoints": Method("ListEndpointsRequest", "ListEndpointsResponse", _of(Endpoints.list), f"{_ENDPOINTS}.list"),
    "UpdateEndpoint": Method("UpdateEndpointRequest", "Endpoint", _of(Endpoints.update), f"{_ENDPOINTS}.update"),
    "DeleteEndpoint": Method("DeleteEndpointRequest", _OPERATION, _of(Endpoints.delete), f"{_ENDPOINTS}.delete"),
    "DeployModel": Method("DeployModelRequest", _OPERATION, _to(Deployer.deploy), f"{_ENDPOINTS}.deploy"),
    "UndeployModel": Method("UndeployModelRequest", _OPERATION, _to(Deployer.undeploy), f"{_ENDPOINTS}.undeploy"),
    "MutateDeployedModel": Method(
        "MutateDeployedModelRequest", _OPERATION, _to(Deployer.mutate), f"{_ENDPOINTS}.deploy"
    ),
}
