"""A move of the clock waits for a stream that hears what is published on the way, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from google.pubsub_v1.types import StreamingPullRequest, StreamingPullResponse

from localcloud.apis import assemble
from localcloud.core.asked.callers import Caller
from localcloud.core.ports import Ports
from localcloud.projects.store import Projects
from localcloud.pubsub import rpc
from localcloud.pubsub.store import PubSub

TOPIC, SUBSCRIPTION = "projects/test-project/topics/told", "projects/test-project/subscriptions/told"
OWNER = "owner@test-project.iam.gserviceaccount.com"


def test_a_stream_is_waited_for_also_while_it_hands_over_what_it_has(tmp_path: Path) -> None:
    cloud = assemble(tmp_path, tmp_path / "envs", Ports(1, 2, 3, 4, 5))
    cloud.of(Projects).create("test-project")
    cloud.of(Projects).enable("test-project", "pubsub.googleapis.com")
    pubsub = cloud.of(PubSub)
    pubsub.create_topic(TOPIC)
    pubsub.create_subscription(SUBSCRIPTION, {"topic": TOPIC})
    said: asyncio.Queue[StreamingPullRequest] = asyncio.Queue()
    moments: list[int] = []

    async def client() -> AsyncIterator[bytes]:
        while True:
            yield StreamingPullRequest.serialize(await said.get())

    async def hear(stream: AsyncIterator[bytes]) -> list[str]:
        found = StreamingPullResponse.deserialize(await anext(stream)).received_messages
        return [one.ack_id for one in found]

    def publish() -> None:
        if cloud.clock.ahead and not moments:
            moments.append(1)
            pubsub.publish_all(TOPIC, [{"data": "Yg=="}])

    async def story() -> None:
        said.put_nowait(StreamingPullRequest(subscription=SUBSCRIPTION, stream_ack_deadline_seconds=60))
        stream = rpc._stream(cloud, client(), Caller(OWNER, "test-project"))
        pubsub.publish_all(TOPIC, [{"data": "YQ=="}])
        first = await hear(stream)  # and there it stands: it neither waits nor pulls until it is asked again
        said.put_nowait(StreamingPullRequest(ack_ids=first))
        cloud.clock.on_forward(publish)
        moving = asyncio.ensure_future(cloud.clock.forward(timedelta(hours=1)))
        await asyncio.wait([moving], timeout=0.3)
        assert moments and not moving.done()
        said.put_nowait(StreamingPullRequest(ack_ids=await hear(stream)))
        await asyncio.wait_for(moving, 20)
        await stream.aclose()  # pyright: ignore[reportAttributeAccessIssue]
        assert not pubsub._follows(SUBSCRIPTION)

    asyncio.run(story())
