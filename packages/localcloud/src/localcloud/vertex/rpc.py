"""Vertex AI over gRPC: the methods of the same table, by Google's own message types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from localcloud.core import strict_json
from localcloud.core.errors import NotEmulated
from localcloud.transport.grpc_front import HOST
from localcloud.transport.rest import CONSUMER
from localcloud.vertex import operations
from localcloud.vertex.methods import OPERATIONS, Method, services
from localcloud.vertex.store import Vertex
from localcloud.vertex.wire import messages

if TYPE_CHECKING:
    from localcloud.core.asked.callers import Caller
    from localcloud.core.cloud import Cloud

Unary = Callable[[bytes, "Caller"], Awaitable[bytes]]
_OPERATIONS = OPERATIONS.items()
_LOGGING = ("DeployedModel", 12)  # v1beta1's enable_container_logging: here all log, as in v1


def table(cloud: Cloud) -> dict[str, Unary]:
    """gRPC path -> method. v1beta1 has the same fields with the same numbers, so v1's types read it too."""
    assert cloud.of(Vertex)  # jobs that outlived the last server are taken up
    loaded = messages.load()
    shared = {f"/google.longrunning.Operations/{name}": _shared(_unary(cloud, loaded, m)) for name, m in _OPERATIONS}
    made: dict[str, Unary] = {}
    for service, methods in services().items():
        for name, method in methods.items():
            for version in ("v1", "v1beta1"):
                made[f"/google.cloud.aiplatform.{version}.{service}/{name}"] = _unary(cloud, loaded, method, version)
    return made | shared


def _shared(method: Unary) -> Unary:
    """A method that other APIs have under the same path: what is named otherwise than here is theirs."""
    from google.longrunning.operations_pb2 import GetOperationRequest

    async def answer(raw: bytes, caller: Caller) -> bytes:
        name = GetOperationRequest.FromString(raw).name  # that is field 1 of all these requests but a list's
        if name.startswith("operations/") or (HOST.get() and "aiplatform" not in HOST.get()):
            raise NotEmulated(name)
        return await method(raw, caller)

    return answer


def _unary(cloud: Cloud, loaded: messages.Messages, method: Method, version: str = "v1") -> Unary:
    request_class, response_class = loaded.message(method.request), loaded.message(method.response)

    async def answer(raw: bytes, caller: Caller) -> bytes:
        message = request_class.FromString(raw)
        _refuse_unknown(message)
        request = strict_json.of_message(message)
        operations.VERSION.set(version)
        result = await method.answer(cloud, caller, HOST.get(), request, CONSUMER.get())
        message, kinds = messages.filled(result, response_class())
        for one, kind in zip(_carried(message) if kinds else (), kinds, strict=True):
            one.type_url = kind
        return message.SerializeToString()

    return answer


def _refuse_unknown(message: Any) -> None:
    """Raises 501 for a field that only v1beta1 has, such as the monitoring of batch predictions: it would be lost."""
    from google.protobuf.unknown_fields import UnknownFieldSet

    name = message.DESCRIPTOR.name
    for unknown in UnknownFieldSet(message):
        if (name, unknown.field_number) != _LOGGING:
            raise NotEmulated(f"the field with number {unknown.field_number} of {name}, which v1 does not have")
    for field, value in message.ListFields():
        if field.message_type is None or not field.message_type.full_name.startswith("google.cloud.aiplatform."):
            continue  # user's values may be many
        if field.message_type.GetOptions().map_entry:
            values = value.values() if field.message_type.fields_by_name["value"].message_type else ()
        else:
            values = value if field.is_repeated else (value,)
        for one in values:
            _refuse_unknown(one)


def _carried(message: Any) -> list[Any]:
    """As messages.carried, of a message."""
    every = message.operations if hasattr(message, "operations") else [message]
    return [getattr(one, field) for one in every for field in ("metadata", "response") if one.HasField(field)]
