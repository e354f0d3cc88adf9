"""Cloud Logging over gRPC: the methods of the same table, by Google's own message types."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from localcloud.core import strict_json
from localcloud.core.errors import ApiError
from localcloud.logging import permissions
from localcloud.logging.messages import message
from localcloud.logging.methods import Method, by_rpc
from localcloud.logging.tailing import Tail
from localcloud.transport.grpc_front import StreamHandler
from localcloud.transport.rest import CONSUMER

if TYPE_CHECKING:
    from localcloud.core.asked.callers import Caller
    from localcloud.core.cloud import Cloud

Unary = Callable[[bytes, "Caller"], Awaitable[bytes]]


def table(cloud: Cloud) -> dict[str, Unary | StreamHandler]:
    """gRPC path -> method. Imports the message types."""
    return {
        **{path: _unary(cloud, method) for path, method in by_rpc().items()},
        "/google.logging.v2.LoggingServiceV2/TailLogEntries": _tail(cloud),
    }


def _tail(cloud: Cloud) -> StreamHandler:
    from google.protobuf import json_format

    request_class = message("google.logging.v2.TailLogEntriesRequest")
    response_class = message("google.logging.v2.TailLogEntriesResponse")

    async def call(messages: AsyncIterator[bytes], caller: Caller) -> AsyncIterator[bytes]:
        raw = b""
        async for one in messages:  # the first says what is wanted
            raw = one
            break
        request = strict_json.of_message(request_class.FromString(raw))
        permissions.require_on(cloud, caller, CONSUMER.get())
        permissions.require(cloud, caller, "logging.logEntries.list", iter(request.get("resourceNames", [])))
        tail = Tail(cloud, request)
        try:
            async for answer in tail.answers():
                yield json_format.ParseDict(answer, response_class(), ignore_unknown_fields=True).SerializeToString()
        finally:
            tail.close()

    return StreamHandler(call)


def _unary(cloud: Cloud, method: Method) -> Unary:
    from google.protobuf import json_format

    request_class, response_class = message(method.request), message(method.response)

    async def answer(raw: bytes, caller: Caller) -> bytes:
        try:
            request = strict_json.of_message(request_class.FromString(raw))
        except TypeError as error:  # an Any of a type that nobody here knows
            raise ApiError(400, f"Request contains an invalid argument: {error}") from None
        permissions.admit(cloud, caller, method, request, CONSUMER.get())
        result = await method.handler(cloud, request)
        return json_format.Parse(json.dumps(result), response_class(), ignore_unknown_fields=True).SerializeToString()

    return answer
