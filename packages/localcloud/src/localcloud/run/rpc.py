"""Cloud Run jobs over gRPC: the methods of the same table, by Google's own message types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from localcloud.core import strict_json
from localcloud.core.errors import NotEmulated
from localcloud.run import messages
from localcloud.run.methods import OPERATIONS, SERVICES, Method
from localcloud.run.store import RunJobs
from localcloud.transport.grpc_front import HOST
from localcloud.transport.rest import CONSUMER

if TYPE_CHECKING:
    from localcloud.core.asked.callers import Caller
    from localcloud.core.cloud import Cloud

Unary = Callable[[bytes, "Caller"], Awaitable[bytes]]


def table(cloud: Cloud) -> dict[str, Unary]:
    """gRPC path -> method."""
    assert cloud.of(RunJobs)  # executions that outlived the last server are taken up
    made = {
        f"/google.cloud.run.v2.{service}/{name}": _unary(cloud, method)
        for service, methods in SERVICES.items()
        for name, method in methods.items()
    }
    shared = {f"/google.longrunning.Operations/{name}": _shared(_unary(cloud, one)) for name, one in OPERATIONS.items()}
    return made | shared


def _shared(method: Unary) -> Unary:
    """A method that other APIs have under the same path: the host tells whose it is, or a name of another form."""
    from google.longrunning.operations_pb2 import GetOperationRequest

    async def answer(raw: bytes, caller: Caller) -> bytes:
        name = GetOperationRequest.FromString(raw).name  # that is field 1 of all these requests
        if name.startswith("operations/") or (HOST.get() and not HOST.get().endswith("run.googleapis.com")):
            raise NotEmulated(name)
        return await method(raw, caller)

    return answer


def _unary(cloud: Cloud, method: Method) -> Unary:
    request_class, response_class = messages.message(method.request), messages.message(method.response)

    async def answer(raw: bytes, caller: Caller) -> bytes:
        from google.protobuf import json_format

        request = strict_json.of_message(request_class.FromString(raw))
        result = await method.answer(cloud, caller, request, CONSUMER.get())
        return json_format.ParseDict(result, response_class()).SerializeToString()

    return answer
