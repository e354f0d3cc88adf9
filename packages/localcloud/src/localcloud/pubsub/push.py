"""Subscriptions that push: each message is a POST to the endpoint, acknowledged by the status of its answer.

https://cloud.google.com/pubsub/docs/push. Only endpoints of this cloud's own are pushed to: services that it runs
(*.a.run.app), and this machine by its loopback address.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, urlsplit

from localcloud.core.errors import ApiError, NotEmulated
from localcloud.identity.tokens import Tokens
from localcloud.pubsub import resources
from localcloud.pubsub.queue import Delivery
from localcloud.pubsub.resources import Body

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_ACKNOWLEDGES = frozenset({102, 200, 201, 202, 204})  # https://cloud.google.com/pubsub/docs/push#receive_push
_SERVED = re.compile(r"[a-z0-9-]+\.a\.run\.app")
_LOOPBACK = ("127.0.0.1", "localhost")
_AT_ONCE = 10  # messages of one subscription that are on their way at the same time
_LOOK = 30.0  # seconds until a subscription is looked at again without news
# Between two tries: https://cloud.google.com/pubsub/docs/push#push_backoff
_SHORTEST, _LONGEST = 0.1, 60.0
_EVENTS = "__GCP_CloudEventsMode"  # in an endpoint's query: how Eventarc asks for the headers of a CloudEvent
_AGENT = "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google)"


class Source(Protocol):
    """What a pusher takes messages from: see PubSub."""

    def get(self, name: str) -> Body: ...
    def lease(self, subscription: str, most: int) -> list[Delivery]: ...
    def acknowledge(self, subscription: str, ack_ids: list[str]) -> None: ...
    def give_back(self, subscription: str, ack_id: str, seconds: float) -> None: ...
    def wait(self, subscription: str, seconds: float) -> Awaitable[None]: ...


def check(config: Body) -> Body:
    """A pushConfig as Google shows it, {} for one that says nothing. Raises 400, or 501 for an endpoint elsewhere."""
    endpoint = config.get("pushEndpoint", "")
    if not endpoint:
        if any(config.get(name) for name in ("oidcToken", "noWrapper", "pubsubWrapper", "attributes")):
            raise ApiError(400, "The push endpoint must be set when other fields of push_config are.")
        return {}
    parts = urlsplit(str(endpoint))
    if parts.hostname not in _LOOPBACK and (parts.scheme != "https" or not parts.hostname):
        words = f"Invalid push endpoint given (endpoint={endpoint}). Refer to "
        raise ApiError(400, words + "https://cloud.google.com/pubsub/docs/push for more information.")
    if parts.hostname not in _LOOPBACK and not _SERVED.fullmatch(parts.hostname or ""):
        words = f"a push to {endpoint}: only services of this local cloud (*.a.run.app) and 127.0.0.1 are reached"
        raise NotEmulated(words)
    token = config.get("oidcToken") or {}
    if token and not token.get("serviceAccountEmail"):
        raise ApiError(400, "The service_account_email of push_config.oidc_token must be set.")
    if config.get("noWrapper") is not None and config.get("pubsubWrapper") is not None:
        raise ApiError(400, "Only one of pubsub_wrapper and no_wrapper can be set.")
    version = (config.get("attributes") or {}).get("x-goog-version", "v1")
    if version != "v1":
        raise NotEmulated(f"pushes in the format {version}")
    kept = {name: config[name] for name in ("oidcToken", "noWrapper", "pubsubWrapper") if config.get(name) is not None}
    return {"pushEndpoint": endpoint, "attributes": {"x-goog-version": version}, **kept}


def backoff(policy: Body, tries: int) -> float:
    """Seconds until a message that was not acknowledged comes again, by a subscription's retryPolicy if it has one."""
    least = resources.duration(policy.get("minimumBackoff", "10s")) if policy else _SHORTEST
    most = resources.duration(policy.get("maximumBackoff", "600s")) if policy else _LONGEST
    return min(least * 2 ** min(tries - 1, 30), most)


class Pusher:
    """Follows every subscription that pushes, in the server's event loop; methods may be called from any thread."""

    def __init__(self, cloud: Cloud, source: Source) -> None:
        self._cloud = cloud
        self._source = source
        self._lock = threading.Lock()
        self._followed: set[str] = set()
        self._senders = ThreadPoolExecutor(_AT_ONCE, "push")
        self._pools: tuple[Any, Any] | None = None

    def follows(self, subscription: str) -> bool:
        """Whether a subscription's messages are pushed."""
        return subscription in self._followed

    def follow(self, subscription: str) -> None:
        """Push a subscription's messages from now on, once the server is ready."""
        with self._lock:
            if subscription in self._followed:
                return
            self._followed.add(subscription)
        self._cloud.on_start(lambda: self._through(subscription))

    async def _through(self, subscription: str) -> None:
        """Until the subscription is gone, or pushes no more."""
        under_way: set[asyncio.Task[None]] = set()
        try:
            while config := self._config(subscription):
                found = self._source.lease(subscription, _AT_ONCE - len(under_way))
                for one in found:
                    task = asyncio.ensure_future(self._deliver(subscription, config, one))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                if len(under_way) >= _AT_ONCE:
                    await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                elif not found:
                    await self._source.wait(subscription, _LOOK)
        finally:
            with self._lock:
                self._followed.discard(subscription)
            for task in under_way:
                task.cancel()
            if self._config(subscription):  # it was made to push again in this moment
                self.follow(subscription)

    def _config(self, subscription: str) -> Body:
        try:
            found = self._source.get(subscription)
        except ApiError:
            return {}
        if found.get("detached"):
            return {}
        return found if found["pushConfig"].get("pushEndpoint") else {}

    async def _deliver(self, subscription: str, found: Body, one: Delivery) -> None:
        loop = asyncio.get_running_loop()
        status = await loop.run_in_executor(self._senders, self._send, subscription, found, one)
        try:
            if status in _ACKNOWLEDGES:
                self._source.acknowledge(subscription, [one.ack_id])
            else:
                pause = backoff(found.get("retryPolicy") or {}, one.attempt)
                self._source.give_back(subscription, one.ack_id, pause)
        except ApiError:  # the subscription went meanwhile
            return

    def _send(self, subscription: str, found: Body, one: Delivery) -> int:
        """The status of the answer, 0 for none."""
        import urllib3

        config = found["pushConfig"]
        endpoint = config["pushEndpoint"]
        body, headers = pushed(subscription, found, one)
        if token := config.get("oidcToken"):
            audience = token.get("audience") or endpoint
            try:
                signed = self._cloud.of(Tokens).identity(token["serviceAccountEmail"], audience)
            except ApiError:  # the account is gone
                return 0
            headers["Authorization"] = f"Bearer {signed}"
        try:
            answer = self._pool(endpoint).request(
                "POST",
                endpoint,
                body=body,
                headers=headers,
                timeout=float(found["ackDeadlineSeconds"]),
                retries=False,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError:
            return 0
        return answer.status

    def _pool(self, endpoint: str) -> Any:
        import urllib3

        if self._pools is None:
            bundle, proxy = str(self._cloud.root / "ca.pem"), f"http://127.0.0.1:{self._cloud.ports.proxy}"
            self._pools = (
                urllib3.PoolManager(maxsize=_AT_ONCE),
                urllib3.ProxyManager(proxy, ca_certs=bundle, maxsize=_AT_ONCE),
            )
        return self._pools[urlsplit(endpoint).hostname not in _LOOPBACK]


def pushed(subscription: str, found: Body, one: Delivery) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of a push."""
    message: Body = one.message  # type: ignore[assignment]
    number, moment = str(message["messageId"]), str(message["publishTime"])
    headers = {"Content-Type": "application/json", "User-Agent": _AGENT, "Accept": "application/json"}
    config = found["pushConfig"]
    mode = parse_qs(urlsplit(config["pushEndpoint"]).query).get(_EVENTS, [""])[0]
    if mode.startswith("CUSTOM_PUBSUB_"):
        # https://cloud.google.com/eventarc/docs/cloudevents: the mode names the topic
        headers |= {
            "ce-id": number,
            "ce-source": f"//pubsub.googleapis.com/{mode.removeprefix('CUSTOM_PUBSUB_')}",
            "ce-specversion": "1.0",
            "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
            "ce-time": moment,
        }
    if config.get("noWrapper") is not None:
        del headers["Content-Type"]
        if config["noWrapper"].get("writeMetadata"):
            headers |= {
                "x-goog-pubsub-subscription-name": subscription,
                "x-goog-pubsub-message-id": number,
                "x-goog-pubsub-publish-time": moment,
            }
            headers |= {str(name): str(value) for name, value in (message.get("attributes") or {}).items()}
        return base64.b64decode(message.get("data", "")), headers
    # Both spellings are there: https://cloud.google.com/pubsub/docs/push#receive_push
    wrapped = {**message, "message_id": number, "publish_time": moment}
    return json.dumps({"message": wrapped, "subscription": subscription}).encode(), headers
