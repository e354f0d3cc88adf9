"""The emulated methods of the JobService: one table, of which REST and gRPC are two views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.vertex.store import Vertex

Handler = Callable[[Vertex, dict[str, Any], str], dict[str, Any]]


@dataclass(frozen=True)
class Method:
    """Names of the request and response messages (of aiplatform_v1 unless full), and what answers.

    A handler takes the Vertex, the request as JSON, and the host that it was sent to ("" when not known).
    """

    request: str
    response: str
    handler: Handler


METHODS: Mapping[str, Method] = {
    "CreateCustomJob": Method("CreateCustomJobRequest", "CustomJob", Vertex.create),
    "GetCustomJob": Method("GetCustomJobRequest", "CustomJob", Vertex.get),
    "ListCustomJobs": Method("ListCustomJobsRequest", "ListCustomJobsResponse", Vertex.list),
    "CancelCustomJob": Method("CancelCustomJobRequest", "google.protobuf.Empty", Vertex.cancel),
    "DeleteCustomJob": Method("DeleteCustomJobRequest", "google.longrunning.Operation", Vertex.delete),
}

_OPERATION, _EMPTY = "google.longrunning.Operation", "google.protobuf.Empty"
OPERATIONS: Mapping[str, Method] = {
    "GetOperation": Method("google.longrunning.GetOperationRequest", _OPERATION, Vertex.operation),
    # What is here is done already, so that there is nothing to wait for.
    "WaitOperation": Method("google.longrunning.WaitOperationRequest", _OPERATION, Vertex.operation),
    "DeleteOperation": Method("google.longrunning.DeleteOperationRequest", _EMPTY, Vertex.delete_operation),
    "ListOperations": Method(
        "google.longrunning.ListOperationsRequest", "google.longrunning.ListOperationsResponse", Vertex.operations
    ),
}
