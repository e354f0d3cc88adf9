"""Calls over a session against a small server: what is tried again, what is not, and what is said at the end."""

import ast
import http.server
import json
import socket
import threading
from types import SimpleNamespace

import pytest
import requests

from cloudkite.accounts import api
from cloudkite.accounts.asked import preferences, services
from cloudkite.jobs import service
from cloudkite.jobs.places import vertex
from cloudkite.money import inventory
from cloudkite.show.errors import UserError
from cloudkite.workspace import CLONE
from tests.jobs import NOW, SPEC


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(api, "_PAUSES", (0, 0, 0))


@pytest.fixture
def server():
    """Answers requests with `answers` (code, JSON) in turn and notes what was `asked`."""
    state = SimpleNamespace(answers=[], asked=[], url="")

    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            state.asked.append(f"{self.command} {self.path}")
            code, body = state.answers.pop(0)
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        state.url = f"http://127.0.0.1:{made.server_address[1]}"
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield state
        made.shutdown()
        thread.join()


@pytest.fixture
def target():
    with requests.Session() as session:
        session.trust_env = False
        account = SimpleNamespace(region="us-central1", also=(), project="my-project", tier="paid")
        yield SimpleNamespace(session=lambda: session, account=account, unpaid="", now=lambda: NOW)


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_a_read_is_tried_again(server, target, code):
    server.answers = [(code, {}), (code, {}), (200, {"a": 1})]
    assert api.call(target, "GET", server.url, "look") == {"a": 1}
    assert len(server.asked) == 3


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_write_is_not(server, target, code):
    server.answers = [(code, {"error": {"code": code, "message": "not now", "status": "X"}})]
    with pytest.raises(UserError, match="write it: not now"):
        api.call(target, "POST", server.url, "write it", body={})
    assert len(server.asked) == 1


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 412])
def test_a_refusal_is_final(server, target, code):
    server.answers = [(code, {"error": {"code": code, "message": "no", "status": "X"}})]
    with pytest.raises(UserError, match="look: no"):
        api.call(target, "GET", server.url, "look")
    assert len(server.asked) == 1


def test_it_gives_up_with_the_last_answer(server, target):
    server.answers = [(503, {"error": {"code": 503, "message": "down", "status": "UNAVAILABLE"}})] * 4
    with pytest.raises(UserError, match="look: down"):
        api.call(target, "GET", server.url, "look")


def test_all_pages_are_read(server, target):
    server.answers = [
        (200, {"x": [{"n": 1}], "nextPageToken": "t"}),
        (200, {"nextPageToken": "u"}),
        (200, {"x": [{"n": 2}]}),
    ]
    assert [item["n"] for item in api.pages(target, server.url, "x", "list")] == [1, 2]
    assert server.asked == ["GET /", "GET /?pageToken=t", "GET /?pageToken=u"]


def test_no_network_is_told_as_such(target):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(api.NoAnswer) as caught:
            api.call(target, "GET", f"http://127.0.0.1:{taken.getsockname()[1]}/", "look")
    assert caught.value.hint == "check the network and try again; `--debug` shows the whole story"


def test_a_lost_answer_to_a_submission_warns_of_a_second_job(target, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(vertex, "url", lambda *_place, **_region: f"http://127.0.0.1:{taken.getsockname()[1]}/")
        with pytest.raises(UserError) as caught:
            service.create(target, SPEC)
    assert caught.value.hint == "it may have been submitted: look with `uv run invoke jobs` before you try again"


PAGE = b"<html>Sign in to the network of Example Ltd.</html>"


@pytest.fixture
def behind_a_login_page(server, target):
    """A target whose network answers whatever is asked with 200 and a page of its own."""
    server.answers = [(200, PAGE)] * 100
    elsewhere = SimpleNamespace(
        request=lambda method, _url, **more: target.session().request(method, server.url, **more)
    )
    return SimpleNamespace(session=lambda: elsewhere, account=target.account, unpaid="", now=target.now)


@pytest.mark.parametrize(
    "ask",
    [
        lambda target: api.call(target, "GET", "https://example.com", "look"),
        services.read,
        lambda target: preferences.read(target, {"aiplatform.googleapis.com"}),
    ],
    ids=["call", "services", "preferences"],
)
def test_a_page_in_the_place_of_an_answer_is_told(behind_a_login_page, ask):
    with pytest.raises(UserError, match="the answer is not what Google's API gives: '<html>Sign in to") as told:
        ask(behind_a_login_page)
    assert told.value.hint == "is a proxy or a login page in between?"


def test_what_stands_could_not_be_looked_at_behind_a_login_page(behind_a_login_page):
    found = inventory.take(behind_a_login_page, everywhere=False)
    assert found.found == () and found.unseen
    assert all("the answer is not what Google's API gives" in problem for problem in found.unseen)


def test_answers_are_read_in_one_place():
    """Where a page that isn't JSON becomes words; the drills of `bench` talk to a local cloud alone."""
    found = {
        path.relative_to(CLONE).as_posix()
        for path in (CLONE / "cloudkite").rglob("*.py")
        if "bench" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "json"
    }
    assert found == {"cloudkite/show/errors.py"}
