"""Tells Pub/Sub topics what happens to the objects of a bucket: https://cloud.google.com/storage/docs/pubsub-notifications

A change and the messages about it are committed together, so that none is lost by a kill; one may come twice.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from localcloud.core.errors import ApiError
from localcloud.iam.access import Access
from localcloud.iam.store import Iam
from localcloud.pubsub.store import PubSub
from localcloud.storage.errors import StorageError, invalid, required
from localcloud.storage.metadata import Metadata, Resource
from localcloud.storage.objects import ARCHIVE, FINALIZE, GONE, UPDATE
from localcloud.storage.records import ObjectRecord

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud
    from localcloud.storage.buckets import Buckets

log = logging.getLogger(__name__)
_EVENTS = (FINALIZE, UPDATE, GONE, ARCHIVE)  # in the order that Google shows them
_FORMATS = ("JSON_API_V1", "NONE")
_TOPIC = re.compile(r"(?://pubsub\.googleapis\.com/)?(projects/[^/]+/topics/[^/]+)")
_MOST, _MOST_OF_AN_EVENT = 100, 10
_MOST_ATTRIBUTES, _LONGEST_KEY, _LONGEST_VALUE = 5, 256, 1024  # characters
_MISSING = "The requested resource was not found."


class Notifications:
    """The notification configurations of all buckets, and the messages that are on their way."""

    def __init__(self, cloud: Cloud, metadata: Metadata) -> None:
        self._cloud = cloud
        self._metadata = metadata
        self._sender = ThreadPoolExecutor(1, "storage-notifications")
        self._pending = threading.Event()
        self._known: dict[str, list[Resource]] = {}
        for bucket, text in metadata.rows("SELECT bucket, resource FROM notifications ORDER BY bucket, id"):
            self._known.setdefault(bucket, []).append(json.loads(text))
        cloud.on_start(self._start)

    def list(self, bucket: str) -> list[Resource]:
        """The configurations of a bucket, oldest first."""
        return list(self._known.get(bucket, ()))

    def get(self, bucket: str, config: str) -> Resource:
        """Raises 404."""
        for one in self.list(bucket):
            if one["id"] == config:
                return one
        raise StorageError(404, _MISSING, "notFound")

    def insert(self, buckets: Buckets, bucket: str, body: Resource) -> Resource:
        """A new configuration. Raises 404, 400, and 403 when Storage's own account may not publish to the topic."""
        wanted = self._checked(body, buckets.project_of(bucket))
        with self._metadata.transaction() as database:
            there = self.list(bucket)
            for event in wanted.get("event_types", _EVENTS):
                if sum(event in one.get("event_types", _EVENTS) for one in there) >= _MOST_OF_AN_EVENT:
                    raise invalid("Too many overlapping notifications. The maximum is 10.")
            if len(there) >= _MOST:
                raise invalid(f"Too many notifications. The maximum is {_MOST}.")
            number = buckets.bump(bucket)
            made = {
                "kind": "storage#notification",
                "selfLink": f"https://www.googleapis.com/storage/v1/b/{bucket}/notificationConfigs/{number}",
                "id": str(number),
                "etag": str(number),
                **wanted,
            }
            database.execute("INSERT INTO notifications VALUES (?, ?, ?)", (bucket, number, json.dumps(made)))
            self._metadata.after_commit(lambda: self._known.update({bucket: [*there, made]}))
        return made

    def delete(self, buckets: Buckets, bucket: str, config: str) -> None:
        """Raises 404."""
        with self._metadata.transaction() as database:
            gone = self.get(bucket, config)
            left = [one for one in self.list(bucket) if one["id"] != config]
            buckets.bump(bucket)
            database.execute("DELETE FROM notifications WHERE bucket = ? AND id = ?", (bucket, int(gone["id"])))
            self._metadata.after_commit(lambda: self._known.update({bucket: left}))

    def forget(self, bucket: str) -> None:
        """Called inside of the transaction in which a bucket goes."""
        with self._metadata.transaction() as database:
            database.execute("DELETE FROM notifications WHERE bucket = ?", (bucket,))
            self._metadata.after_commit(lambda: self._known.update({bucket: []}))

    def note(self, event: str, record: ObjectRecord, other: int) -> None:
        """Called inside of the transaction that makes the change; `other` is the generation that took its place.

        With FINALIZE it is the generation whose place was taken; 0 for none.
        """
        for config in self._known.get(record.bucket, ()):
            if event not in config.get("event_types", _EVENTS):
                continue
            if not record.name.startswith(config.get("object_name_prefix", "")):
                continue
            data = json.dumps(record.resource()) if config["payload_format"] == "JSON_API_V1" else ""
            attributes = self._attributes(config, event, record, other)
            topic = config["topic"].partition(".com/")[2]
            with self._metadata.transaction() as database:
                sql = "INSERT INTO outbox (topic, data, attributes) VALUES (?, ?, ?)"
                database.execute(sql, (topic, data, json.dumps(attributes)))
                self._metadata.after_commit(self._wake)

    def close(self) -> None:
        """End the sender; what is not sent yet is at the next start."""
        self._sender.shutdown(cancel_futures=True)

    def _attributes(self, config: Resource, event: str, record: ObjectRecord, other: int) -> dict[str, str]:
        found = {
            **config.get("custom_attributes", {}),
            "notificationConfig": f"projects/_/buckets/{record.bucket}/notificationConfigs/{config['id']}",
            "eventType": event,
            "payloadFormat": config["payload_format"],
            "bucketId": record.bucket,
            "objectId": record.name,
            "objectGeneration": str(record.generation),
            "eventTime": self._cloud.clock.stamp(),
        }
        if other:
            found["overwroteGeneration" if event == FINALIZE else "overwrittenByGeneration"] = str(other)
        return found

    async def _start(self) -> None:
        self._wake()

    def _wake(self) -> None:
        if not self._pending.is_set():
            self._pending.set()
            self._sender.submit(self._send)

    def _send(self) -> None:
        self._pending.clear()
        while rows := self._metadata.rows("SELECT id, topic, data, attributes FROM outbox ORDER BY id LIMIT 100"):
            for number, topic, data, attributes in rows:
                try:
                    self._publish(topic, data.encode(), json.loads(attributes))
                except ApiError as error:  # the topic is gone, or the right to publish to it
                    log.warning("no notification to %s: %s", topic, error.message)
                except Exception:
                    log.exception("the notification to %s waits for the next change", topic)
                    return
                with self._metadata.transaction() as database:
                    database.execute("DELETE FROM outbox WHERE id = ?", (number,))

    def _publish(self, topic: str, data: bytes, attributes: dict[str, str]) -> None:
        """As Storage's own account of the bucket's project. Raises 403, 404."""
        from localcloud.core.asked.callers import Caller
        from localcloud.pubsub import resources

        if project := self._metadata.bucket_project(attributes["bucketId"]):  # a bucket that is gone has none
            agent = Caller(self._cloud.of(Iam).service_agent(project, "gs-project-accounts"), project)
            resources.allow(self._cloud, agent, "pubsub.topics.publish", resources.resource(topic))
        self._cloud.of(PubSub).publish(topic, data, attributes)

    def _checked(self, body: Resource, project: str) -> Resource:
        """What a client says of a configuration, as it is kept. Raises 400, 403."""
        form = body.get("payload_format")
        if form not in _FORMATS:
            raise required("You must specify a payload format in the 'payload_format' field.")
        made: Resource = {"topic": self._topic(body.get("topic"), project)}
        events = body.get("event_types") or []
        if not isinstance(events, list):
            raise invalid("Invalid argument.")
        if known := [event for event in _EVENTS if event in events]:
            made["event_types"] = known
        if attributes := body.get("custom_attributes"):
            made["custom_attributes"] = _checked_attributes(attributes)
        if prefix := body.get("object_name_prefix"):
            if not isinstance(prefix, str):
                raise invalid("Invalid argument.")
            made["object_name_prefix"] = prefix
        return made | {"payload_format": form}

    def _topic(self, given: Any, project: str) -> str:
        from localcloud.core.asked.callers import Caller
        from localcloud.pubsub import resources

        found = _TOPIC.fullmatch(given) if isinstance(given, str) else None
        if found is None:
            raise invalid(
                "Invalid Google Cloud Pub/Sub topic. It should look like '//pubsub.googleapis.com/projects/*/topics/*.'"
            )
        agent = self._cloud.of(Iam).service_agent(project, "gs-project-accounts")
        shown = f"//pubsub.googleapis.com/{found[1]}"
        try:
            name = resources.full_name(self._cloud, found[1])
            self._cloud.of(PubSub).get(name)
        except ApiError:
            raise invalid(
                f"Cloud Pub/Sub topic '{shown}' not found, or user '{agent}' does not have permission to it."
            ) from None
        on = resources.resource(name)
        if not self._cloud.of(Access).allows(Caller(agent, project), "pubsub.topics.publish", on):
            raise StorageError(
                403,
                f"The service account '{agent}' does not have permission to publish messages to to the Cloud Pub/Sub "
                f"topic '{shown}', or that topic does not exist.",
                "forbidden",
            )
        return f"//pubsub.googleapis.com/{name}"


def _checked_attributes(attributes: Any) -> dict[str, str]:
    if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
        raise invalid("Invalid argument.")
    if len(attributes) > _MOST_ATTRIBUTES:
        raise invalid(f"Maximum of 5 custom attributes, notification config had {len(attributes)}")
    for key, value in attributes.items():
        if not key:
            raise invalid("Custom attribute keys may not be empty")
        if len(key) > _LONGEST_KEY:
            raise invalid(
                f"Notification keys may not be longer than 256 characters, but key '{key}' contains {len(key)} "
                "characters."
            )
        if len(value) > _LONGEST_VALUE:
            raise invalid(
                f"Notification values may not be longer than 1024 characters, but value '{value}' contains "
                f"{len(value)} characters."
            )
    return attributes
