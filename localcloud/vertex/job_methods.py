"""The methods of custom jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.vertex.methods import Body, Handler, Method, Methods
from localcloud.vertex.place import Call
from localcloud.vertex.store import Vertex


def _of(method: Callable[[Vertex, Call, Body], dict[str, Any]]) -> Handler:
    return lambda call, request: method(call.cloud.vertex, call, request)


_JOBS = "aiplatform.customJobs"
METHODS: Methods = {
    "CreateCustomJob": Method("CreateCustomJobRequest", "CustomJob", _of(Vertex.create), f"{_JOBS}.create"),
    "GetCustomJob": Method("GetCustomJobRequest", "CustomJob", _of(Vertex.get), f"{_JOBS}.get"),
    "ListCustomJobs": Method("ListCustomJobsRequest", "ListCustomJobsResponse", _of(Vertex.list), f"{_JOBS}.list"),
    "CancelCustomJob": Method("CancelCustomJobRequest", "google.protobuf.Empty", _of(Vertex.cancel), f"{_JOBS}.cancel"),
    "DeleteCustomJob": Method(
        "DeleteCustomJobRequest", "google.longrunning.Operation", _of(Vertex.delete), f"{_JOBS}.delete"
    ),
}
