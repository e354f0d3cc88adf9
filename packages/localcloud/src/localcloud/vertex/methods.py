"""The emulated methods of Vertex AI: one table, of which REST and gRPC are two views."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from localcloud.vertex import operations
from localcloud.vertex.place import Call, enter

if TYPE_CHECKING:
    from localcloud.core.asked.callers import Caller
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
Handler = Callable[[Call, Body], Body | Awaitable[Body]]


@dataclass(frozen=True)
class Method:
    """Names of the request and response messages (of aiplatform_v1 unless full), what answers, and who may ask.

    A handler takes the call and the request as Google's JSON, and gives the response as JSON, at once or awaited. It
    runs in the server's event loop. `permission` is asked on the location before the handler is called; it is "" only
    where a handler asks for others itself.
    """

    request: str
    response: str
    handler: Handler
    permission: str

    async def answer(self, cloud: Cloud, caller: Caller, host: str, request: Body, consumer: str = "") -> Body:
        """The response in JSON; `consumer` is the project that the call names to be charged. Raises ApiError."""
        result = self.handler(enter(cloud, caller, host, request, self.permission, consumer), request)
        return await result if inspect.isawaitable(result) else result


Methods = Mapping[str, Method]
_OPERATION, _EMPTY = "google.longrunning.Operation", "google.protobuf.Empty"


class Jobs(Protocol):
    """What answers for one kind of jobs."""

    def create(self, call: Call, request: Body) -> Body: ...
    def get(self, call: Call, request: Body) -> Body: ...
    def list(self, call: Call, request: Body) -> Body: ...
    def cancel(self, call: Call, request: Body) -> Body: ...
    def delete(self, call: Call, request: Body) -> Body: ...


def of_jobs(message: str, part: Callable[[Cloud], Jobs]) -> Methods:
    """The methods that each kind of jobs has; `message` is the resource ("CustomJob"), `part` finds who answers."""

    def handler(verb: str) -> Handler:
        return lambda call, request: getattr(part(call.cloud), verb)(call, request)

    collection = f"aiplatform.{message[0].lower()}{message[1:]}s"
    return {
        name: Method(f"{name}Request", response, handler(verb), f"{collection}.{verb}")
        for name, response, verb in (
            (f"Create{message}", message, "create"),
            (f"Get{message}", message, "get"),
            (f"List{message}s", f"List{message}sResponse", "list"),
            (f"Cancel{message}", _EMPTY, "cancel"),
            (f"Delete{message}", _OPERATION, "delete"),
        )
    }


# Service -> the modules that each have a table METHODS of some of its methods. They are imported with the types.
_TABLES: Mapping[str, tuple[str, ...]] = {
    "JobService": (
        "localcloud.vertex.jobs.methods",
        "localcloud.vertex.tuning.methods",
        "localcloud.vertex.serving.batch.methods",
    ),
    "PipelineService": ("localcloud.vertex.pipelines.methods",),
    "ModelService": ("localcloud.vertex.serving.model_methods",),
    "EndpointService": ("localcloud.vertex.serving.endpoint_methods",),
    "PredictionService": ("localcloud.vertex.serving.prediction_methods",),
}

_LOOK = "aiplatform.operations.list"  # the only permission on operations that Google's roles have
OPERATIONS: Methods = {
    "GetOperation": Method("google.longrunning.GetOperationRequest", _OPERATION, operations.get, _LOOK),
    "WaitOperation": Method("google.longrunning.WaitOperationRequest", _OPERATION, operations.wait, _LOOK),
    "DeleteOperation": Method("google.longrunning.DeleteOperationRequest", _EMPTY, operations.delete, _LOOK),
    "ListOperations": Method(
        "google.longrunning.ListOperationsRequest",
        "google.longrunning.ListOperationsResponse",
        operations.of_place,
        _LOOK,
    ),
}


def services() -> dict[str, Methods]:
    """All methods by service ("JobService")."""
    return {
        service: {
            name: method for module in modules for name, method in importlib.import_module(module).METHODS.items()
        }
        for service, modules in _TABLES.items()
    }
