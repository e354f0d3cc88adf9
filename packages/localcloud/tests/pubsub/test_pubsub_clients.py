"""Pub/Sub by Google's own client, over gRPC and REST: what is published is pulled once, and survives a kill."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import Any

import psutil
import pytest
from google.auth.transport.requests import AuthorizedSession

from clouds import LocalCloud, Start
from localcloud import launch

pytestmark = pytest.mark.slow

BASE = "https://pubsub.googleapis.com/v1"


@pytest.fixture(scope="module")
def pubsub_on(local_cloud: LocalCloud, session: AuthorizedSession) -> str:
    """The project, with the API turned on."""
    local_cloud.enable("pubsub")
    return f"projects/{local_cloud.project}"


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_the_real_client_publishes_pulls_and_acknowledges(
    local_cloud: LocalCloud, pubsub_on: str, transport: str
) -> None:
    script = f"""
    from google.api_core import exceptions
    from google.cloud import pubsub_v1
    publisher = pubsub_v1.PublisherClient(transport={transport!r})
    subscriber = pubsub_v1.SubscriberClient(transport={transport!r})
    topic, subscription = "{pubsub_on}/topics/client-{transport}", "{pubsub_on}/subscriptions/client-{transport}"
    assert publisher.create_topic(name=topic, retry=None).name == topic
    made = subscriber.create_subscription(name=subscription, topic=topic)
    assert (made.topic, made.ack_deadline_seconds, made.message_retention_duration.days) == (topic, 10, 7)
    try:
        publisher.create_topic(name=topic)
    except exceptions.Conflict as error:
        assert "Resource already exists in the project (resource=client-{transport})." in str(error), error
    else:
        raise AssertionError
    sent = publisher.publish(topic, b"hello", kind="greeting").result(20)
    got = subscriber.pull(subscription=subscription, max_messages=5).received_messages
    assert [(m.message.data, dict(m.message.attributes), m.message.message_id) for m in got] == [
        (b"hello", {{"kind": "greeting"}}, sent)]
    assert got[0].message.publish_time.year > 2020
    assert not subscriber.pull(subscription=subscription, max_messages=5, return_immediately=True).received_messages
    subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[got[0].ack_id], ack_deadline_seconds=0)
    again = subscriber.pull(subscription=subscription, max_messages=5).received_messages
    assert again[0].message.message_id == sent and again[0].ack_id != got[0].ack_id
    subscriber.acknowledge(subscription=subscription, ack_ids=[again[0].ack_id])
    assert topic in [t.name for t in publisher.list_topics(project="{pubsub_on}")]
    assert list(publisher.list_topic_subscriptions(topic=topic)) == [subscription]
    policy = publisher.get_iam_policy(request={{"resource": topic}})
    policy.bindings.add(role="roles/pubsub.publisher", members=["user:someone@example.com"])
    assert publisher.set_iam_policy(request={{"resource": topic, "policy": policy}}).bindings
    updated = subscriber.update_subscription(
        subscription={{"name": subscription, "ack_deadline_seconds": 60}},
        update_mask={{"paths": ["ack_deadline_seconds"]}})
    assert updated.ack_deadline_seconds == 60
    publisher.detach_subscription(request={{"subscription": subscription}})
    assert subscriber.get_subscription(subscription=subscription).detached
    assert list(publisher.list_topic_subscriptions(topic=topic)) == []
    try:
        subscriber.pull(subscription=subscription, max_messages=5)
    except exceptions.BadRequest as error:
        assert f"Subscription {{subscription}} is detached." in str(error), error
    else:
        raise AssertionError
    publisher.delete_topic(topic=topic)
    assert subscriber.get_subscription(subscription=subscription).topic == "_deleted-topic_"
    subscriber.delete_subscription(subscription=subscription)
    try:
        subscriber.get_subscription(subscription=subscription)
    except exceptions.NotFound as error:
        assert "Resource not found (resource=client-{transport})." in str(error)
    else:
        raise AssertionError
    """
    # The client warns of return_immediately itself.
    local_cloud.run(script, env={"PYTHONWARNINGS": "ignore"})


@pytest.mark.slow
def test_a_streaming_subscriber_gets_each_message_once(local_cloud: LocalCloud, pubsub_on: str) -> None:
    script = f"""
    import queue
    from google.cloud import pubsub_v1
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    topic, subscription = "{pubsub_on}/topics/streamed", "{pubsub_on}/subscriptions/streamed"
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic)
    got = queue.Queue()
    def take(message):
        got.put(message.data)
        message.ack()
    future = subscriber.subscribe(subscription, callback=take)
    sent = [str(i).encode() for i in range(200)]
    for data in sent:
        publisher.publish(topic, data)
    assert sorted(got.get(timeout=30) for _ in sent) == sorted(sent)
    future.cancel()
    future.result(20)
    subscriber.close()
    left = pubsub_v1.SubscriberClient().pull(subscription=subscription, max_messages=5, return_immediately=True)
    assert got.empty() and not left.received_messages
    """
    local_cloud.run(script, env={"PYTHONWARNINGS": "ignore"})


def _made(session: AuthorizedSession, parent: str, name: str) -> tuple[str, str]:
    topic, subscription = f"{BASE}/{parent}/topics/{name}", f"{BASE}/{parent}/subscriptions/{name}"
    assert session.put(topic, json={}).status_code == 200
    answer = session.put(subscription, json={"topic": f"{parent}/topics/{name}"})
    assert answer.status_code == 200, answer.text
    return topic, subscription


def _pulled(session: AuthorizedSession, subscription: str) -> list[dict[str, Any]]:
    answer = session.post(f"{subscription}:pull", json={"maxMessages": 10, "returnImmediately": True})
    assert answer.status_code == 200, answer.text
    return answer.json().get("receivedMessages", [])


@pytest.mark.slow
def test_what_was_published_survives_a_kill_and_comes_again_after_its_deadline(new_cloud: Start) -> None:
    cloud = new_cloud()
    session = cloud.session()
    cloud.enable("pubsub")
    topic, subscription = _made(session, f"projects/{cloud.project}", "kept")
    answer = session.post(f"{topic}:publish", json={"messages": [{"data": "aGk="}]})
    [sent] = answer.json()["messageIds"]
    [first] = _pulled(session, subscription)
    process = psutil.Process(cloud.server["pid"])
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    session.close()
    session = new_cloud().session()
    assert _pulled(session, subscription) == []  # somebody has it
    launch.forward(cloud.root, timedelta(seconds=11).total_seconds())
    [again] = _pulled(session, subscription)
    assert (again["message"], first["message"]["messageId"]) == (first["message"], sent)
    session.post(f"{subscription}:acknowledge", json={"ackIds": [again["ackId"]]})
    session.post(f"{topic}:publish", json={"messages": [{"data": "aGk="}]})
    launch.forward(cloud.root, timedelta(days=8).total_seconds())
    assert _pulled(session, subscription) == []  # older than its retention
    session.close()


REFUSED = [
    ("PUT", "/topics/x", {}, 400, "Invalid resource name given (name=projects/test-project/topics/x)"),
    ("PUT", "/topics/goog-mine", {}, 400, "Invalid resource name given"),
    ("PUT", "/topics/refused", {"kmsKeyName": "k"}, 501, "topics with kmsKeyName"),
    ("GET", "/subscriptions/123", None, 400, "Invalid resource name given (name=projects/test-project/subscriptions/"),
    ("POST", "/subscriptions/123:pull", {"maxMessages": 1}, 400, "Invalid resource name given"),
    ("GET", "/topics/nothing", None, 404, "Resource not found (resource=nothing)."),
    ("POST", "/topics/nothing:publish", {"messages": [{"data": "aGk="}]}, 404, "not found (resource=nothing)."),
    ("POST", "/topics/table:publish", {}, 400, "message_count is too small"),
    ("POST", "/topics/table:publish", {"messages": [{}]}, 400, "non-empty data, or at least one attribute"),
    ("POST", "/topics/table:publish", {"messages": [{"data": "%"}]}, 400, "Base64 decoding failed"),
    ("POST", "/topics/table:publish", {"messages": [{"attributes": {"k" * 257: "v"}}]}, 400, "attribute_key_size"),
    ("PUT", "/subscriptions/other", {"topic": "projects/test-project/topics/nothing"}, 404, "(resource=nothing)"),
    ("PUT", "/subscriptions/other", {"topic": "projects/test-project/topics/table", "ackDeadlineSeconds": 5}, 400,
     "Invalid ack deadline given (ackDeadlineSeconds=5)"),
    ("PUT", "/subscriptions/other",
     {"topic": "projects/test-project/topics/table", "pushConfig": {"pushEndpoint": "https://example.com"}}, 501,
     "a push to https://example.com"),
    ("PUT", "/subscriptions/other", {"topic": "projects/test-project/topics/table", "filter": "attributes.a"}, 501,
     "subscriptions with filter"),
    ("POST", "/subscriptions/table:pull", {}, 400, "max_messages is too small"),
    ("POST", "/subscriptions/table:acknowledge", {"ackIds": ["nonsense"]}, 400, "invalid ack ID"),
    ("POST", "/subscriptions/table:modifyAckDeadline", {"ackIds": ["1-1"], "ackDeadlineSeconds": 601}, 400,
     "ack deadline"),
    ("POST", "/subscriptions/table:seek", {"time": "2026-01-01T00:00:00Z"}, 501, "not emulated"),
    ("GET", "/snapshots", None, 501, "not emulated"),
]  # fmt: skip


@pytest.mark.parametrize(("verb", "path", "body", "code", "words"), REFUSED)
def test_what_google_refuses_or_this_cloud_has_not(
    session: AuthorizedSession, pubsub_on: str, verb: str, path: str, body: Any, code: int, words: str
) -> None:
    for what, content in (("topics", {}), ("subscriptions", {"topic": f"{pubsub_on}/topics/table"})):
        session.put(f"{BASE}/{pubsub_on}/{what}/table", json=content)
    answer = session.request(verb, f"{BASE}/{pubsub_on}{path}", json=body)
    assert (answer.status_code, words in answer.json()["error"]["message"]) == (code, True), answer.text


def test_an_api_that_is_off_and_an_account_without_a_role_are_refused(new_cloud: Start) -> None:
    cloud = new_cloud()
    session = cloud.session()
    parent = f"projects/{cloud.project}"
    answer = session.put(f"{BASE}/{parent}/topics/early", json={})
    assert answer.status_code == 403
    assert answer.json()["error"]["message"].startswith("Cloud Pub/Sub API has not been used in project test-project")
    cloud.enable("pubsub")
    topic, _ = _made(session, parent, "guarded")
    stranger = cloud.session(cloud.key(cloud.account("stranger")))
    answer = stranger.post(f"{topic}:publish", json={"messages": [{"data": "aGk="}]})
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        403, "User not authorized to perform this action."
    )  # fmt: skip
    session.close()
    stranger.close()
