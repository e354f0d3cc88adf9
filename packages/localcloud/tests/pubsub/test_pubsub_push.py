"""Subscriptions that push, by Google's own client: to a server of this machine, with tokens that Google's library
takes."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any

import psutil
import pytest
from google.auth.transport.requests import AuthorizedSession

from clouds import LocalCloud, Start
from localcloud import launch

pytestmark = pytest.mark.slow
BASE = "https://pubsub.googleapis.com/v1"


class Receiver(ThreadingHTTPServer):
    """A push endpoint that answers with the statuses of a list, and then 204."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: Queue[tuple[str, dict[str, str], bytes]] = Queue()
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hear"

    def next(self) -> tuple[str, dict[str, str], Any]:
        return self.got.get(timeout=30)


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.got.put((self.path, headers, body))

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def topic(local_cloud: LocalCloud, session: AuthorizedSession) -> str:
    local_cloud.enable("pubsub", "iam")
    name = f"projects/{local_cloud.project}/topics/pushed"
    assert session.put(f"{BASE}/{name}", json={}).ok
    return name


def _publish(session: AuthorizedSession, topic: str, **attributes: str) -> str:
    body = {"messages": [{"data": "aGVsbG8=", "attributes": attributes}]}
    return session.post(f"{BASE}/{topic}:publish", json=body).json()["messageIds"][0]


def test_the_real_client_makes_one_and_the_token_is_one_that_googles_library_takes(
    local_cloud: LocalCloud, session: AuthorizedSession, topic: str, receiver: Receiver
) -> None:
    project = local_cloud.project
    accounts = f"https://iam.googleapis.com/v1/projects/{project}/serviceAccounts"
    assert session.post(accounts, json={"accountId": "pusher"}).ok
    email, name = f"pusher@{project}.iam.gserviceaccount.com", f"projects/{project}/subscriptions/real-push"
    script = f"""
    from google.cloud import pubsub_v1
    from google.pubsub_v1.types import PushConfig
    subscriber = pubsub_v1.SubscriberClient()
    config = PushConfig(push_endpoint={receiver.url!r}, oidc_token=PushConfig.OidcToken(
        service_account_email={email!r}, audience="https://hear.example"))
    made = subscriber.create_subscription(name={name!r}, topic={topic!r}, push_config=config)
    assert made.push_config.oidc_token.audience == "https://hear.example"
    assert dict(made.push_config.attributes) == {{"x-goog-version": "v1"}}
    """
    local_cloud.run(script)
    number = _publish(session, topic, kind="greeting")
    path, headers, body = receiver.next()
    told = json.loads(body)
    assert (path, told["subscription"], headers["content-type"]) == ("/hear", name, "application/json")
    message = told["message"]
    assert (message["data"], message["attributes"]) == ("aGVsbG8=", {"kind": "greeting"})
    assert message["messageId"] == message["message_id"] == number
    assert message["publishTime"] == message["publish_time"]
    token = headers["authorization"].removeprefix("Bearer ")
    local_cloud.run(f"""
    import google.auth.transport.requests
    from google.oauth2 import id_token
    claims = id_token.verify_oauth2_token({token!r}, google.auth.transport.requests.Request(), "https://hear.example")
    assert (claims["email"], claims["email_verified"]) == ({email!r}, True)
    """)
    answer = session.post(f"{BASE}/{name}:pull", json={"maxMessages": 1})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "This method is not supported for this subscription type."
    # A config that says nothing makes it one that is pulled from.
    assert session.post(f"{BASE}/{name}:modifyPushConfig", json={"pushConfig": {}}).ok
    _publish(session, topic)
    pulled = session.post(f"{BASE}/{name}:pull", json={"maxMessages": 1}).json()["receivedMessages"]
    assert pulled[0]["message"]["data"] == "aGVsbG8=" and receiver.got.empty()
    assert session.delete(f"{BASE}/{name}").ok


def test_what_is_not_acknowledged_comes_again_and_what_is_does_not(
    local_cloud: LocalCloud, session: AuthorizedSession, topic: str, receiver: Receiver
) -> None:
    name = f"projects/{local_cloud.project}/subscriptions/again"
    receiver.answers = [500, 302, 404]
    body = {"topic": topic, "pushConfig": {"pushEndpoint": receiver.url}}
    assert session.put(f"{BASE}/{name}", json=body).ok
    number = _publish(session, topic)
    tries = [json.loads(receiver.next()[2])["message"]["messageId"] for _ in range(4)]
    assert tries == [number] * 4
    assert _publish(session, topic) == json.loads(receiver.next()[2])["message"]["messageId"]
    assert session.delete(f"{BASE}/{name}").ok


def test_without_a_wrapper_the_body_is_the_data(
    local_cloud: LocalCloud, session: AuthorizedSession, topic: str, receiver: Receiver
) -> None:
    name = f"projects/{local_cloud.project}/subscriptions/bare"
    config = {"pushEndpoint": receiver.url, "noWrapper": {"writeMetadata": True}}
    assert session.put(f"{BASE}/{name}", json={"topic": topic, "pushConfig": config}).ok
    number = _publish(session, topic, kind="greeting")
    _path, headers, body = receiver.next()
    assert body == b"hello"
    assert (headers["kind"], headers["x-goog-pubsub-message-id"]) == ("greeting", number)
    assert session.delete(f"{BASE}/{name}").ok


def test_eventarcs_mode_gives_the_headers_of_a_cloud_event(
    local_cloud: LocalCloud, session: AuthorizedSession, topic: str, receiver: Receiver
) -> None:
    name = f"projects/{local_cloud.project}/subscriptions/event"
    endpoint = f"{receiver.url}?__GCP_CloudEventsMode=CUSTOM_PUBSUB_{topic.replace('/', '%2F')}"
    assert session.put(f"{BASE}/{name}", json={"topic": topic, "pushConfig": {"pushEndpoint": endpoint}}).ok
    number = _publish(session, topic)
    _path, headers, _body = receiver.next()
    assert headers["ce-type"] == "google.cloud.pubsub.topic.v1.messagePublished"
    assert (headers["ce-id"], headers["ce-source"]) == (number, f"//pubsub.googleapis.com/{topic}")
    assert session.delete(f"{BASE}/{name}").ok


def test_what_was_not_pushed_is_after_a_kill_and_a_move_of_the_clock_waits_for_it(
    new_cloud: Start, receiver: Receiver
) -> None:
    cloud = new_cloud()
    session = cloud.session()
    cloud.enable("pubsub")
    topic, name = (f"projects/{cloud.project}/{kind}/kept" for kind in ("topics", "subscriptions"))
    assert session.put(f"{BASE}/{topic}", json={}).ok
    receiver.answers = [503] * 1000
    body = {"topic": topic, "pushConfig": {"pushEndpoint": receiver.url}}
    assert session.put(f"{BASE}/{name}", json=body).ok
    number = _publish(session, topic)
    receiver.next()
    server = psutil.Process(launch.status(cloud.root)["pid"])
    server.send_signal(signal.SIGKILL)
    server.wait(30)
    receiver.answers = []
    session.close()
    with receiver.got.mutex:
        receiver.got.queue.clear()
    cloud = new_cloud()
    launch.forward(cloud.root, 120)  # its pause before the next try is over
    assert json.loads(receiver.next()[2])["message"]["messageId"] == number


REFUSED = [
    ({"pushEndpoint": "http://example.com"}, 400, "Invalid push endpoint given (endpoint=http://example.com)"),
    ({"pushEndpoint": "gopher"}, 400, "Invalid push endpoint given (endpoint=gopher)"),
    ({"pushEndpoint": "https://example.com/x"}, 501, "a push to https://example.com/x: only services of"),
    ({"pushEndpoint": "https://metadata.google.internal"}, 501, "only services of this local cloud"),
    ({"oidcToken": {"serviceAccountEmail": "a@b.c"}}, 400, "The push endpoint must be set"),
    ({"pushEndpoint": "http://127.0.0.1:1", "oidcToken": {"audience": "x"}}, 400, "service_account_email"),
    ({"pushEndpoint": "http://127.0.0.1:1", "oidcToken": {"serviceAccountEmail": "a@b.c"}}, 403,
     "User not authorized to act as service account a@b.c"),
    ({"pushEndpoint": "http://127.0.0.1:1", "attributes": {"x-goog-version": "v1beta1"}}, 501, "pushes in the format"),
]  # fmt: skip


@pytest.mark.parametrize(("config", "code", "words"), REFUSED)
def test_what_is_refused(
    local_cloud: LocalCloud, session: AuthorizedSession, topic: str, config: dict[str, Any], code: int, words: str
) -> None:
    url = f"{BASE}/projects/{local_cloud.project}/subscriptions/refused"
    answer = session.put(url, json={"topic": topic, "pushConfig": config})
    assert (answer.status_code, words in answer.json()["error"]["message"]) == (code, True), answer.text
