"""Pub/Sub over gRPC: its REST routes, and the stream by which Google's subscriber clients pull."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from localcloud.pubsub.http import router
from localcloud.pubsub.resources import SERVICE, allow, full_name, resource
from localcloud.pubsub.store import PubSub
from localcloud.services.enabled import require_named
from localcloud.transport.grpc_front import StreamHandler, Table
from localcloud.transport.rest import CONSUMER
from localcloud.transport.transcoding import transcoded

if TYPE_CHECKING:
    from localcloud.core.asked.callers import Caller
    from localcloud.core.cloud import Cloud

_MOST = 1000  # messages in one answer
_USUAL_DEADLINE = 10  # seconds
_LOOK = 30.0  # seconds until a stream looks again whether its subscription is still there


def table(cloud: Cloud) -> Table:
    made: Table = dict(transcoded(cloud, "google.pubsub_v1", router))
    if made:  # else Google's library isn't installed, and nobody can stream

        def streaming_pull(messages: AsyncIterator[bytes], caller: Caller) -> AsyncIterator[bytes]:
            return _stream(cloud, messages, caller)

        made["/google.pubsub.v1.Subscriber/StreamingPull"] = StreamHandler(streaming_pull)
    return made


async def _stream(cloud: Cloud, messages: AsyncIterator[bytes], caller: Caller) -> AsyncIterator[bytes]:
    """Messages as they come, for as long as the client keeps its side of the stream open."""
    from google.pubsub_v1.types import StreamingPullRequest

    request: Any = StreamingPullRequest.pb()
    first = request.FromString(await anext(messages))
    require_named(cloud, caller, CONSUMER.get(), SERVICE)
    name = full_name(cloud, first.subscription)
    allow(cloud, caller, "pubsub.subscriptions.consume", resource(name))
    deadline = first.stream_ack_deadline_seconds or _USUAL_DEADLINE
    cloud.of(PubSub).get(name)
    reader = asyncio.ensure_future(_read(cloud, name, messages, request))
    try:
        with cloud.of(PubSub).following(name):
            while not reader.done():
                found = cloud.of(PubSub).pull(name, _MOST, deadline)
                if found:
                    yield _answer(found)
                    continue
                waiting = asyncio.ensure_future(cloud.of(PubSub).wait(name, _LOOK))
                await asyncio.wait([waiting, reader], return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
        reader.result()
    finally:
        reader.cancel()


async def _read(cloud: Cloud, name: str, messages: AsyncIterator[bytes], request: Any) -> None:
    """What the client says on its stream: acknowledgements, longer or shorter deadlines, or only that it is there."""
    async for raw in messages:
        said = request.FromString(raw)
        if said.ack_ids:
            cloud.of(PubSub).acknowledge(name, list(said.ack_ids))
        for ack_id, seconds in zip(said.modify_deadline_ack_ids, said.modify_deadline_seconds, strict=False):
            cloud.of(PubSub).extend(name, [ack_id], seconds)


def _answer(found: list[Any]) -> bytes:
    from google.protobuf import json_format
    from google.pubsub_v1.types import StreamingPullResponse

    body = {"receivedMessages": [{"ackId": one.ack_id, "message": one.message} for one in found]}
    message: Any = StreamingPullResponse.pb()
    return json_format.ParseDict(body, message()).SerializeToString()
