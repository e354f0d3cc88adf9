"""Buckets that tell Pub/Sub topics what happens to their objects, set up with the official client."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from google.api_core import exceptions
from google.cloud.storage import Bucket, Client
from google.cloud.storage.notification import JSON_API_V1_PAYLOAD_FORMAT, BucketNotification

from clouds import LocalCloud, Start
from localcloud import launch

pytestmark = pytest.mark.slow

HOST = "https://storage.googleapis.com"
PUBSUB = "https://pubsub.googleapis.com/v1"
PATIENCE = 20  # seconds


def subscribe(session: Any, project: str, topic: str, agent: str) -> None:
    """A topic that Storage's own account may publish to, with a subscription of the same name."""
    name = f"projects/{project}/topics/{topic}"
    assert session.put(f"{PUBSUB}/{name}", json={}).status_code == 200
    policy = {"bindings": [{"role": "roles/pubsub.publisher", "members": [f"serviceAccount:{agent}"]}]}
    assert session.post(f"{PUBSUB}/{name}:setIamPolicy", json={"policy": policy}).status_code == 200
    made = session.put(f"{PUBSUB}/projects/{project}/subscriptions/{topic}", json={"topic": name})
    assert made.status_code == 200, made.text


def messages(session: Any, project: str, subscription: str, wanted: int) -> list[dict[str, Any]]:
    """The next messages in the order of their publication, acknowledged."""
    found: list[dict[str, Any]] = []
    url = f"{PUBSUB}/projects/{project}/subscriptions/{subscription}"
    ends = time.monotonic() + PATIENCE
    while len(found) < wanted and time.monotonic() < ends:
        pulled = session.post(f"{url}:pull", json={"maxMessages": 100, "returnImmediately": True}).json()
        received = pulled.get("receivedMessages", [])
        if received:
            acks = [one["ackId"] for one in received]
            assert session.post(f"{url}:acknowledge", json={"ackIds": acks}).status_code == 200
            found += [one["message"] for one in received]
    assert len(found) == wanted, found
    return sorted(found, key=lambda message: int(message["messageId"]))


@pytest.fixture(scope="module")
def told(session: Any, client: Client, local_cloud: LocalCloud) -> Iterator[str]:
    """A topic, by its id."""
    local_cloud.enable("pubsub")
    agent = client.get_service_account_email()
    subscribe(session, local_cloud.project, "storage-tells", agent)
    yield "storage-tells"


def test_nothing_is_told_once_the_right_to_publish_is_taken_away(
    bucket: Bucket, client: Client, session: Any, local_cloud: LocalCloud
) -> None:
    local_cloud.enable("pubsub")
    subscribe(session, local_cloud.project, "storage-told", client.get_service_account_email())
    bucket.notification("storage-told").create()
    topic = f"{PUBSUB}/projects/{local_cloud.project}/topics/storage-told"
    bucket.blob("before").upload_from_string("x")
    assert messages(session, local_cloud.project, "storage-told", 1)[0]["attributes"]["objectId"] == "before"
    policy = session.get(f"{topic}:getIamPolicy").json()
    assert session.post(f"{topic}:setIamPolicy", json={"policy": {}}).ok
    bucket.blob("without").upload_from_string("x")
    time.sleep(0.5)  # for it to be sent, and refused
    assert session.post(f"{topic}:setIamPolicy", json={"policy": {"bindings": policy["bindings"]}}).ok
    bucket.blob("after").upload_from_string("x")
    assert messages(session, local_cloud.project, "storage-told", 1)[0]["attributes"]["objectId"] == "after"


def test_each_event_is_told_with_what_google_says_of_it(
    bucket: Bucket, session: Any, told: str, local_cloud: LocalCloud
) -> None:
    made = bucket.notification(
        told,
        custom_attributes={"mine": "yes"},
        blob_name_prefix="in/",
        payload_format=JSON_API_V1_PAYLOAD_FORMAT,
    )
    made.create()
    config = f"projects/_/buckets/{bucket.name}/notificationConfigs/{made.notification_id}"
    bucket.blob("out/side").upload_from_string("x")
    blob = bucket.blob("in/side")
    blob.upload_from_string("one")
    first = blob.generation
    blob.metadata = {"k": "v"}
    blob.patch()
    blob.upload_from_string("two")
    bucket.versioning_enabled = True
    bucket.patch()
    bucket.blob("in/side").delete()
    bucket.delete_blob("in/side", generation=blob.generation)
    got = messages(session, local_cloud.project, told, 6)
    kinds = ["OBJECT_FINALIZE", "OBJECT_METADATA_UPDATE", "OBJECT_DELETE", "OBJECT_FINALIZE"]
    kinds += ["OBJECT_ARCHIVE", "OBJECT_DELETE"]
    assert [one["attributes"]["eventType"] for one in got] == kinds
    for one, generation in zip(got, [first] * 3 + [blob.generation] * 3, strict=True):
        said, payload = one["attributes"], json.loads(base64.b64decode(one["data"]))
        assert said.pop("eventTime").endswith("Z") and said.pop("eventType")
        other = {key: said.pop(key) for key in list(said) if key.startswith("overwr")}
        assert said == {
            "mine": "yes",
            "notificationConfig": config,
            "payloadFormat": "JSON_API_V1",
            "bucketId": bucket.name,
            "objectId": "in/side",
            "objectGeneration": str(generation),
        }
        assert (payload["kind"], payload["generation"]) == ("storage#object", str(generation))
        one["other"] = other
    assert got[2]["other"] == {"overwrittenByGeneration": str(blob.generation)}
    assert got[3]["other"] == {"overwroteGeneration": str(first)}
    assert all(not got[number]["other"] for number in (0, 1, 4, 5))
    made.delete()


def test_configurations_are_shown_and_go(bucket: Bucket, told: str, session: Any, local_cloud: LocalCloud) -> None:
    assert list(bucket.list_notifications()) == []
    before = bucket.metageneration
    assert before is not None
    made = bucket.notification(told, event_types=["OBJECT_DELETE", "OBJECT_FINALIZE", "NO_SUCH_EVENT"])
    made.create()
    assert made.notification_id == str(before) and made.payload_format == "NONE"
    bucket.reload()
    assert bucket.metageneration == before + 1
    (listed,) = bucket.list_notifications()
    assert isinstance(listed, BucketNotification)
    assert listed.event_types == ["OBJECT_FINALIZE", "OBJECT_DELETE"] and listed.topic_name == told
    shown = bucket.get_notification(made.notification_id)
    assert shown.topic_project == local_cloud.project and shown.etag == shown.notification_id
    bucket.blob("x").upload_from_string("x")
    (one,) = messages(session, local_cloud.project, told, 1)
    assert "data" not in one and one["attributes"]["payloadFormat"] == "NONE"
    made.delete()
    for call in (made.delete, made.reload, lambda: bucket.get_notification("77")):
        with pytest.raises(exceptions.NotFound, match="The requested resource was not found"):
            call()
    assert list(bucket.list_notifications()) == []


def test_configurations_that_can_not_be(
    bucket: Bucket, session: Any, told: str, local_cloud: LocalCloud, client: Client
) -> None:
    url, agent = f"{HOST}/storage/v1/b/{bucket.name}/notificationConfigs", client.get_service_account_email()
    topic = f"//pubsub.googleapis.com/projects/{local_cloud.project}/topics/"
    session.put(f"{PUBSUB}/projects/{local_cloud.project}/topics/not-granted", json={})

    def refused(**body: Any) -> tuple[int, str, str]:
        answer = session.post(url, json={"topic": topic + told, "payload_format": "NONE"} | body)
        error = answer.json()["error"]
        return answer.status_code, error["errors"][0]["reason"], error["message"]

    missing = f"Cloud Pub/Sub topic '{topic}nobody' not found, or user '{agent}' does not have permission to it."
    assert refused(topic=topic + "nobody") == (400, "invalid", missing)
    ungranted = (
        f"The service account '{agent}' does not have permission to publish messages to to the Cloud Pub/Sub topic "
        f"'{topic}not-granted', or that topic does not exist."
    )
    assert refused(topic=topic + "not-granted") == (403, "forbidden", ungranted)
    form = "Invalid Google Cloud Pub/Sub topic. It should look like '//pubsub.googleapis.com/projects/*/topics/*.'"
    assert refused(topic="my-topic") == (400, "invalid", form)
    payload = "You must specify a payload format in the 'payload_format' field."
    assert refused(payload_format="XML") == (400, "required", payload)
    many = {f"k{number}": "v" for number in range(6)}
    five = "Maximum of 5 custom attributes, notification config had 6"
    assert refused(custom_attributes=many) == (400, "invalid", five)
    for _ in range(10):
        assert session.post(url, json={"topic": topic + told, "payload_format": "NONE"}).status_code == 200
    overlapping = "Too many overlapping notifications. The maximum is 10."
    assert refused(event_types=["OBJECT_DELETE"]) == (400, "invalid", overlapping)
    for one in bucket.list_notifications():
        one.delete()


@pytest.mark.slow
def test_a_message_is_not_lost_by_a_kill_and_a_topic_that_is_gone_holds_up_nobody(new_cloud: Start) -> None:
    cloud = new_cloud()
    session = cloud.session()
    cloud.enable("pubsub")
    agent = session.get(f"{HOST}/storage/v1/projects/{cloud.project}/serviceAccount").json()["email_address"]
    for topic in ("stays", "goes"):
        subscribe(session, cloud.project, topic, agent)
    bucket = f"{HOST}/storage/v1/b/told-over-a-kill"
    session.post(f"{HOST}/storage/v1/b?project={cloud.project}", json={"name": "told-over-a-kill"})
    for topic in ("goes", "stays"):
        body = {"topic": f"projects/{cloud.project}/topics/{topic}", "payload_format": "NONE"}
        assert session.post(f"{bucket}/notificationConfigs", json=body).status_code == 200
    assert session.delete(f"{PUBSUB}/projects/{cloud.project}/topics/goes").status_code == 200
    upload = f"{HOST}/upload/storage/v1/b/told-over-a-kill/o?uploadType=media&name="
    for number in range(20):
        assert session.post(f"{upload}{number}", data=b"x").status_code == 200
    process = psutil.Process(cloud.server["pid"])
    process.kill()
    process.wait(10)
    cloud = new_cloud()
    session = cloud.session()
    objects: set[str] = set()
    url = f"{PUBSUB}/projects/{cloud.project}/subscriptions/stays:pull"
    ends = time.monotonic() + PATIENCE
    while len(objects) < 20 and time.monotonic() < ends:
        pulled = session.post(url, json={"maxMessages": 100, "returnImmediately": True}).json()
        objects |= {one["message"]["attributes"]["objectId"] for one in pulled.get("receivedMessages", [])}
    assert objects == {str(number) for number in range(20)}
    launch.stop(cloud.root)
