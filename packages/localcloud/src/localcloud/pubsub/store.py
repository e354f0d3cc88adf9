"""Topics and subscriptions of one cloud, and publishing and pulling, also for other APIs in this process."""

from __future__ import annotations

import asyncio
import base64
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.counts import MESSAGES
from localcloud.core.asked.usage import Usage
from localcloud.core.errors import ApiError
from localcloud.core.state.documents import apply_mask
from localcloud.iam.store import Iam
from localcloud.pubsub import push, resources
from localcloud.pubsub.push import Pusher
from localcloud.pubsub.queue import Delivery, Queue, well_formed
from localcloud.pubsub.resources import SUBSCRIPTION, TOPIC, Body

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

# https://cloud.google.com/pubsub/quotas#resource_limits
_LARGEST = 10_000_000  # bytes of a message or a publish request
_MOST_MESSAGES = 1000
_LEAST_CHARGED = 1000  # bytes of a request: https://cloud.google.com/pubsub/pricing
_HEARING = 30.0  # seconds that a move of the clock waits for a subscriber
_MOST_ATTRIBUTES, _LONGEST_KEY, _LONGEST_VALUE = 100, 256, 1024


class PubSub:
    """Names are full and with the project's id: "projects/P/topics/T". All but `wait` may be called from any thread."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._queue = Queue(cloud.folder("pubsub") / "messages.sqlite")
        self._lock = threading.RLock()
        self._waiting: dict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = defaultdict(set)
        self._streams: Counter[str] = Counter()  # open ones of a subscription
        # While the clock moves: subscriptions at which somebody waited, and since when there is news.
        self._told: dict[str, float] = {}
        self._deaf: set[str] = set()  # those where nothing was acknowledged in time
        self._pusher = Pusher(cloud, self)
        for one in cloud.documents.list(SUBSCRIPTION):
            self._push(one)
        cloud.clock.on_forward(self._wake_all)
        cloud.clock.on_settle(self.settle)
        cloud.count("pubsub messages", self._queue.count)

    def get(self, name: str) -> Body:
        """A topic or subscription. Raises 404."""
        found = self._cloud.documents.find(name)
        if found is None:
            raise resources.missing(name)
        return found

    # topics

    def create_topic(self, name: str, body: Body | None = None) -> Body:
        """Raises 400, 409, 501 for a field that would have no effect."""
        resources.check_new(name)
        with self._lock:
            if self._cloud.documents.find(name):
                raise resources.exists(name)
            return self._cloud.documents.put(name, TOPIC, resources.topic(name, body or {}))

    def topics(self, project: str) -> list[Body]:
        return self._cloud.documents.list(TOPIC, f"projects/{project}/")

    def update(self, name: str, changes: Body, mask: str) -> Body:
        """Change fields of a topic or subscription. Raises 404, 400, 501."""
        with self._lock:
            present = self.get(name)
            if not mask:
                raise ApiError(400, "The update_mask in the request must be set.")
            merged = apply_mask(present, changes, mask) | {"name": name}
            if merged.get("topic") != present.get("topic"):
                raise ApiError(400, "Invalid update_mask: the topic of a subscription can't be changed.")
            if "/subscriptions/" not in name:
                return self._cloud.documents.put(name, TOPIC, resources.topic(name, merged))
            config: Any = merged.get("pushConfig") or {}
            changed = resources.subscription(name, merged, push.check(config))
            kept = self._cloud.documents.put(name, SUBSCRIPTION, changed)
        self._wake(name)
        self._push(kept)
        return kept

    def delete_topic(self, name: str) -> None:
        """Its subscriptions stay, with what waits in them. Raises 404."""
        with self._lock:
            self.get(name)
            for one in self._all_of(name):
                self._cloud.documents.put(one["name"], SUBSCRIPTION, one | {"topic": resources.DELETED_TOPIC})
            self._cloud.documents.delete(name)
            self._cloud.of(Iam).forget_policy(name)

    # subscriptions

    def create_subscription(self, name: str, body: Body) -> Body:
        """Raises 400, 404 for a topic that isn't there, 409, 501."""
        resources.check_new(name)
        with self._lock:
            self.get(body.get("topic", ""))
            if self._cloud.documents.find(name):
                raise resources.exists(name)
            made = resources.subscription(name, body, push.check(body.get("pushConfig") or {}))
            self._cloud.documents.put(name, SUBSCRIPTION, made)
        self._push(made)
        return made

    def _push(self, subscription: Body) -> None:
        """Push from now on what waits in a subscription that wants that."""
        if subscription["pushConfig"].get("pushEndpoint") and not subscription.get("detached"):
            self._pusher.follow(subscription["name"])

    def subscriptions(self, project: str) -> list[Body]:
        return self._cloud.documents.list(SUBSCRIPTION, f"projects/{project}/")

    def subscriptions_of(self, topic: str) -> list[Body]:
        """Of all projects: a subscription may be in another one than its topic. Without those that are detached."""
        return [one for one in self._all_of(topic) if not one.get("detached")]

    def _all_of(self, topic: str) -> list[Body]:
        return [one for one in self._cloud.documents.list(SUBSCRIPTION) if one["topic"] == topic]

    def detach(self, name: str) -> None:
        """Cut a subscription off from its topic, and drop what waits in it. Raises 404."""
        with self._lock:
            self._cloud.documents.put(name, SUBSCRIPTION, self.get(name) | {"detached": True})
            self._queue.forget(name)
        self._wake(name)

    def delete_subscription(self, name: str) -> None:
        """And all that waits in it. Raises 404."""
        with self._lock:
            self.get(name)
            self._cloud.documents.delete(name)
            self._cloud.of(Iam).forget_policy(name)
            self._queue.forget(name)
        self._wake(name)

    # messages

    def publish(self, topic: str, data: bytes = b"", attributes: dict[str, str] | None = None) -> str:
        """Publish one message to "projects/P/topics/T"; gives its id. Raises 404, 400 for one that is too large."""
        message: Body = {"data": base64.b64encode(data).decode()} if data else {}
        return self.publish_all(topic, [message | ({"attributes": attributes} if attributes else {})])[0]

    def publish_all(self, topic: str, messages: list[Body]) -> list[str]:
        """Publish PubsubMessages in JSON; what this gives ids for, survives a kill. Raises 404, 400."""
        if not messages:
            raise ApiError(
                400, "The value for message_count is too small. You passed 0 in the request, but the minimum is 1."
            )
        if len(messages) > _MOST_MESSAGES:
            raise _too_large("message_count", len(messages), _MOST_MESSAGES)
        checked = [_checked(message) for message in messages]
        if (size := sum(map(_size, checked))) > _LARGEST:
            raise _too_large("request_size", size, _LARGEST)
        with self._lock:
            self.get(topic)
            names = [one["name"] for one in self.subscriptions_of(topic)]
            now = self._cloud.clock.time()
            if self._cloud.clock.moves:
                heard = [name for name in names if self._follows(name)]
                self._told = {name: now for name in heard} | self._told
            ids = self._queue.publish(names, checked, self._cloud.clock.stamp(), now)
        for name in names:
            self._wake(name)
        owner = topic.split("/")[1]  # of what is published and of what is delivered to each subscription
        self._cloud.of(Usage).counts.of_project(MESSAGES, owner, max(size, _LEAST_CHARGED) * (1 + len(names)))
        return ids

    def pull(self, subscription: str, most: int, seconds: float | None = None) -> list[Delivery]:
        """What waits and nobody else has, at once; theirs for `seconds` or the subscription's deadline.

        Raises 404, 400 for one that pushes.
        """
        found = self.get(subscription)
        if found["pushConfig"]:
            raise ApiError(400, "This method is not supported for this subscription type.", "FAILED_PRECONDITION")
        return self._lease(found, most, seconds)

    def lease(self, subscription: str, most: int) -> list[Delivery]:
        """The same for whoever pushes. Raises 404."""
        return self._lease(self.get(subscription), most, None)

    def _lease(self, found: Body, most: int, seconds: float | None) -> list[Delivery]:
        subscription = found["name"]
        if found.get("detached"):
            raise ApiError(400, f"Subscription {subscription} is detached.", "FAILED_PRECONDITION")
        retention = resources.duration(found["messageRetentionDuration"])
        deadline = float(found["ackDeadlineSeconds"]) if seconds is None else seconds
        return self._queue.lease(subscription, most, deadline, retention, self._cloud.clock.time())

    async def wait(self, subscription: str, seconds: float) -> None:
        """Until there may be something to pull, at most so long in real time."""
        until = self._queue.next_end(subscription)
        if until is not None:
            seconds = min(seconds, max(until - self._cloud.clock.time(), 0))
        entry = (asyncio.get_running_loop(), asyncio.Event())
        self._waiting[subscription].add(entry)
        try:
            if not self._pullable(subscription):
                await asyncio.wait_for(entry[1].wait(), seconds)
        except TimeoutError:
            return
        finally:
            self._waiting[subscription].discard(entry)

    @contextmanager
    def following(self, subscription: str) -> Iterator[None]:
        """For as long as a stream is open, also while it hands over what it has and so doesn't wait for more."""
        self._streams[subscription] += 1
        try:
            yield
        finally:
            self._streams[subscription] -= 1

    def _follows(self, subscription: str) -> bool:
        """Whether somebody hears at once of what is published to it."""
        waits = self._streams[subscription] or self._waiting.get(subscription)
        return bool(waits) or self._pusher.follows(subscription)

    def acknowledge(self, subscription: str, ack_ids: list[str]) -> None:
        """Raises 404, 400 for an id that never was one."""
        self.get(subscription)
        self._queue.acknowledge(subscription, _ack_ids(ack_ids))
        self._deaf.discard(subscription)

    def extend(self, subscription: str, ack_ids: list[str], seconds: Any) -> None:
        """Raises 404, 400."""
        self.get(subscription)
        if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds <= 600:
            raise ApiError(
                400, f"Invalid ack deadline given (ackDeadlineSeconds={seconds}). It must be 0 to 600 seconds."
            )
        self._queue.extend(subscription, _ack_ids(ack_ids), seconds, self._cloud.clock.time())
        if not seconds:
            self._wake(subscription)

    def give_back(self, subscription: str, ack_id: str, seconds: float) -> None:
        """Let a message that could not be pushed wait so long. Raises 404."""
        self.get(subscription)
        self._queue.extend(subscription, [ack_id], seconds, self._cloud.clock.time())

    async def settle(self) -> None:
        """Until subscribers that waited when something was published have acknowledged it, and so have acted on it.

        Who lets too much time pass is waited for again only after it has acknowledged something.
        """
        with self._lock:
            told, self._told = self._told, {}
        ends = time.monotonic() + _HEARING
        while left := {
            name for name, since in told.items() if name not in self._deaf and self._queue.holds(name, since)
        }:
            if time.monotonic() > ends:
                self._deaf |= left
            await asyncio.sleep(0.01)

    def _pullable(self, subscription: str) -> bool:
        until = self._queue.next_end(subscription)
        return until is not None and until <= self._cloud.clock.time()

    def _wake(self, subscription: str) -> None:
        for loop, event in list(self._waiting.get(subscription, ())):
            loop.call_soon_threadsafe(event.set)

    def _wake_all(self) -> None:
        for name in list(self._waiting):
            self._wake(name)


def _checked(message: Any) -> Body:
    """Raises 400 for a message that Google refuses."""
    if not isinstance(message, dict):
        raise ApiError(400, "Invalid JSON payload received.")
    attributes = message.get("attributes") or {}
    if message.get("orderingKey") and len(str(message["orderingKey"]).encode()) > _LONGEST_VALUE:
        raise _too_large("ordering_key_size", len(str(message["orderingKey"]).encode()), _LONGEST_VALUE)
    if not message.get("data") and not attributes:
        raise ApiError(400, "One or more messages in the publish request is empty. Each message must contain either "
                            "non-empty data, or at least one attribute.")  # fmt: skip
    if len(attributes) > _MOST_ATTRIBUTES:
        raise _too_large("attribute_count", len(attributes), _MOST_ATTRIBUTES)
    for key, value in attributes.items():
        if not isinstance(value, str):
            raise ApiError(400, f"Invalid value at 'messages[0].attributes[0].value' (TYPE_STRING), {value}")
        if not key or key.startswith("goog"):
            raise ApiError(400, f"Invalid attribute key {key!r}: it must not be empty or begin with goog.")
        if len(key.encode()) > _LONGEST_KEY:
            raise _too_large("attribute_key_size", len(key.encode()), _LONGEST_KEY)
        if len(value.encode()) > _LONGEST_VALUE:
            raise _too_large("attribute_value_size", len(value.encode()), _LONGEST_VALUE)
    if not re.fullmatch(r"[A-Za-z0-9+/_-]*={0,2}", str(message.get("data") or "")):
        raise ApiError(400, "Invalid value at 'messages[0].data' (TYPE_BYTES), Base64 decoding failed.")
    return {name: message[name] for name in ("data", "attributes", "orderingKey") if message.get(name)}


def _size(message: Body) -> int:
    attributes: dict[str, str] = message.get("attributes", {})
    named = sum(len(key.encode()) + len(value.encode()) for key, value in attributes.items())
    return len(message.get("data", "")) * 3 // 4 + named


def _ack_ids(given: Any) -> list[str]:
    if not isinstance(given, list) or not given:
        raise ApiError(400, "No ack ids specified.")
    if not all(map(well_formed, given)):
        raise ApiError(400, "You have passed an invalid ack ID to the service.")
    return given


def _too_large(what: str, passed: int, most: int) -> ApiError:
    return ApiError(
        400,
        f"The value for {what} is too large. You passed {passed} in the request, but the maximum value is {most}.",
    )
