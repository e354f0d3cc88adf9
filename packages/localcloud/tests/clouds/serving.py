"""A small model server of one's own, and what tests of serving ask of a local cloud."""

from __future__ import annotations

import json
import textwrap
import time
from typing import Any

from clouds import LocalCloud
from clouds.vertex import HOST, PLACE

IMAGE = "us-central1-docker.pkg.dev/elsewhere/models/echo:1"

# Answers with each instance doubled, and with what its instance asks of it.
SERVER = textwrap.dedent("""
    import json, os, sys, time
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    print("up", os.environ.get("GREETING", ""), flush=True)
    if os.environ.get("FAIL"):
        print("can't load", file=sys.stderr, flush=True)
        raise SystemExit(3)

    class Handler(BaseHTTPRequestHandler):
        def answer(self, code, body, kind="application/json"):
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            good = self.path == os.environ["AIP_HEALTH_ROUTE"]
            self.answer(200 if good else 404, b"")

        def do_POST(self):
            data = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == os.environ["AIP_PREDICT_ROUTE"], self.path
            if not self.headers["Content-Type"].startswith("application/json"):
                return self.answer(200, data[::-1], "text/x-reversed")
            body = json.loads(data)
            made = []
            for one in body["instances"]:
                if one == "die":
                    os._exit(9)
                if one == "refuse":
                    return self.answer(422, b'{"error": "no such thing"}\\n')
                if one == "long":
                    one = "x" * 1_600_000
                if one == "pid":
                    one = os.getpid()
                if isinstance(one, str) and one.startswith("env:"):
                    one = os.environ.get(one[4:], "")
                if isinstance(one, str) and one.startswith("sleep:"):
                    time.sleep(float(one[6:]))
                made.append(one * 2 if isinstance(one, float) or (isinstance(one, int) and one < 100) else one)
            self.answer(200, json.dumps({"predictions": made, "metadata": {"got": body.get("parameters")}}).encode())

        def log_message(self, *_):
            pass

    ThreadingHTTPServer(("127.0.0.1", int(os.environ["AIP_HTTP_PORT"])), Handler).serve_forever()
""")


def container(**more: Any) -> dict[str, Any]:
    """A containerSpec of the small server."""
    return {"imageUri": IMAGE, "command": ["python", "-c", SERVER]} | more


class Api:
    """Calls of one cloud's owner; `call` gives the answer, `refused` (code, status, message)."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def send(self, verb: str, path: str, body: Any = None, **query: Any) -> Any:
        address = f"{HOST}/{path}" if path.startswith("projects/") else f"{PLACE}/{path}"
        return self.session.request(verb, address, json=body, params=query)

    def call(self, verb: str, path: str, body: Any = None, **query: Any) -> Any:
        answer = self.send(verb, path, body, **query)
        assert answer.ok, answer.text
        return answer.json()

    def refused(self, verb: str, path: str, body: Any = None, **query: Any) -> tuple[int, str, str]:
        error = self.send(verb, path, body, **query).json()["error"]
        return error["code"], error["status"], error["message"]

    def wait(self, operation: dict[str, Any], seconds: float = 60) -> dict[str, Any]:
        """The operation when it is done."""
        until = time.monotonic() + seconds
        while not operation.get("done"):
            assert time.monotonic() < until, operation
            operation = self.call("POST", f"{operation['name']}:wait", {"timeout": "5s"})
        return operation

    def done(self, operation: dict[str, Any]) -> dict[str, Any]:
        """What the operation answers in the end."""
        ended = self.wait(operation)
        assert "error" not in ended, ended
        return ended["response"]

    def model(self, name: str = "echo", **more: Any) -> str:
        """Upload a model of the small server; gives its name."""
        spec = more.pop("container", container())
        body = {"model": {"displayName": name, "containerSpec": spec, **more}}
        return self.done(self.call("POST", "models:upload", body))["model"]

    def endpoint(self, name: str = "end") -> str:
        return self.done(self.call("POST", "endpoints", {"displayName": name}))["name"]

    def begin_deploy(self, endpoint: str, model: str, split: Any = None, **more: Any) -> dict[str, Any]:
        machine = {"machineSpec": {"machineType": "n1-standard-2"}, "minReplicaCount": 1}
        body = {"deployedModel": {"model": model, "dedicatedResources": machine, **more}}
        body["trafficSplit"] = {"0": 100} if split is None else split
        return self.call("POST", f"{endpoint}:deployModel", body)

    def deploy(self, endpoint: str, model: str, split: Any = None, **more: Any) -> str:
        """Deploy, wait; gives the deployed model's id."""
        return self.done(self.begin_deploy(endpoint, model, split, **more))["deployedModel"]["id"]

    def predict(self, endpoint: str, *instances: Any, **more: Any) -> Any:
        return self.call("POST", f"{endpoint}:predict", {"instances": [*instances], **more})


def prepare(cloud: LocalCloud, session: Any) -> Api:
    """Let a cloud know the image, and turn the API on."""
    root = cloud.root
    (root / "images.json").write_text(json.dumps({IMAGE: {}}), encoding="utf-8")
    settings = root / "vertex.json"  # may be read now or later: what it says already stays
    given = json.loads(settings.read_text(encoding="utf-8")) if settings.exists() else {}
    settings.write_text(json.dumps(given | {"graceSeconds": 1}), encoding="utf-8")
    cloud.enable("aiplatform")
    return Api(session)
