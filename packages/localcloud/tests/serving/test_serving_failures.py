"""What serves fails or is ended: never ready, not healthy any more, unpaid; accounts that lack the access they need."""

from __future__ import annotations

import json
import textwrap
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clouds import PROJECT, LocalCloud, Start
from clouds.batches import body, ended
from clouds.serving import Api, container, prepare

pytestmark = pytest.mark.slow

ACCOUNTS = f"https://iam.googleapis.com/v1/projects/{PROJECT}/serviceAccounts"
LOGS = "https://logging.googleapis.com/v2/entries:list"

# Is healthy while the file SICK is not there.
MOODY = textwrap.dedent("""
    import json, os
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def answer(self, code, body):
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self.answer(503 if os.path.exists(os.environ["SICK"]) else 200, b"")

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(200, json.dumps({"predictions": [os.getpid()]}).encode())

    ThreadingHTTPServer(("127.0.0.1", int(os.environ["AIP_HTTP_PORT"])), Handler).serve_forever()
""")


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    last = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < last
        time.sleep(0.05)


def messages(session: Any, endpoint: str) -> list[str]:
    query = f'resource.type="aiplatform.googleapis.com/Endpoint" resource.labels.endpoint_id="{endpoint[-19:]}"'
    asked = {"resourceNames": [f"projects/{PROJECT}"], "filter": query}
    return [one.get("textPayload", "") for one in session.post(LOGS, json=asked).json().get("entries", [])]


def account(session: Any) -> str:
    """A new service account that may do nothing."""
    return session.post(ACCOUNTS, json={"accountId": f"a-{uuid.uuid4().hex[:12]}"}).json()["email"]


def test_a_server_that_never_becomes_ready(api: Any) -> None:
    for command in ("import time; time.sleep(600)", container()["command"][2].replace("200 if good else 404", "404")):
        spec = container(command=["python", "-c", command], deploymentTimeout="2s")
        endpoint = api.endpoint("never")
        told = api.wait(api.begin_deploy(endpoint, api.model("never", container=spec)))
        assert told["error"]["code"] == 9
        words = "Model server never became ready. Please validate that your model file or container configuration are"
        assert told["error"]["message"].startswith(words)
        assert "deployedModels" not in api.call("GET", endpoint)
        api.done(api.call("DELETE", endpoint))


def test_a_server_that_is_not_healthy_gets_no_calls_until_it_is(tmp_path: Path, new_cloud: Start) -> None:
    root = tmp_path / "own"
    root.mkdir(mode=0o700)
    (root / "vertex.json").write_text(json.dumps({"graceSeconds": 1, "healthSeconds": 0.1}), encoding="utf-8")
    cloud = new_cloud()
    session, sick = cloud.session(), tmp_path / "sick"
    api = prepare(cloud, session)
    spec = container(command=["python", "-c", MOODY], env=[{"name": "SICK", "value": str(sick)}])
    endpoint = api.endpoint()
    api.deploy(endpoint, api.model(container=spec))
    [pid] = api.predict(endpoint, 1)["predictions"]
    sick.touch()
    until(lambda: api.send("POST", f"{endpoint}:predict", {"instances": [1]}).status_code == 503)
    assert api.refused("POST", f"{endpoint}:predict", {"instances": [1]})[:2] == (503, "UNAVAILABLE")
    sick.unlink()
    until(lambda: api.send("POST", f"{endpoint}:predict", {"instances": [1]}).status_code == 200)
    assert api.predict(endpoint, 1)["predictions"] == [pid]  # it was not started again
    assert [text for text in messages(session, endpoint) if text] == [
        "The model server is not healthy: it gets no calls until it is.",
        "The model server is healthy again.",
    ]
    session.close()


def test_an_account_that_may_not_be_acted_as(api: Any, session: Any, local_cloud: LocalCloud, artifacts: Any) -> None:
    other, caller = account(session), account(session)
    local_cloud.grant("roles/aiplatform.user", f"serviceAccount:{caller}")
    model, endpoint, folder = api.model("acted"), api.endpoint("acted"), artifacts({"a.jsonl": "1\n"})
    theirs = Api(local_cloud.session(local_cloud.key(caller)))
    words = f"You do not have permission to act as service_account: {other}. (or it may not exist)."
    machine = {"machineSpec": {"machineType": "n1-standard-2"}, "minReplicaCount": 1}
    deployed = {"deployedModel": {"model": model, "dedicatedResources": machine, "serviceAccount": other}}
    job = body(model, f"{folder}/a.jsonl", folder, serviceAccount=other)
    for path, asked in ((f"{endpoint}:deployModel", deployed), ("batchPredictionJobs", job)):
        assert theirs.refused("POST", path, asked) == (400, "INVALID_ARGUMENT", words)
    policy = {"bindings": [{"role": "roles/iam.serviceAccountUser", "members": [f"serviceAccount:{caller}"]}]}
    assert session.post(f"{ACCOUNTS}/{other}:setIamPolicy", json={"policy": policy}).ok
    one = theirs.deploy(endpoint, model, serviceAccount=other)
    theirs.done(theirs.call("POST", f"{endpoint}:undeployModel", {"deployedModelId": one}))
    theirs.session.close()


def test_a_batch_under_an_account_without_its_bucket(api: Any, session: Any, artifacts: Any) -> None:
    email, folder = account(session), artifacts({"a.jsonl": "1\n"})
    job = body(api.model("no bucket"), f"{folder}/a.jsonl", folder, serviceAccount=email)
    found = ended(api, api.call("POST", "batchPredictionJobs", job))
    assert found["state"] == "JOB_STATE_FAILED"
    assert found["error"]["code"] == 7
    assert found["error"]["message"].startswith(f"{email} does not have storage.objects.get access to the Google Cloud")


def test_what_predicts_ends_when_nobody_pays(new_cloud: Start) -> None:
    cloud = new_cloud()
    session = cloud.session()
    api = prepare(cloud, session)
    cloud.enable("cloudbilling")
    buckets = "https://storage.googleapis.com/storage/v1/b"
    assert session.post(f"{buckets}?project={PROJECT}", json={"name": "unpaid-b", "location": "us-central1"}).ok
    address = "https://storage.googleapis.com/upload/storage/v1/b/unpaid-b/o?uploadType=media&name=a.jsonl"
    assert session.post(address, data=b'"sleep:600"\n').ok
    model, endpoint = api.model(), api.endpoint()
    api.deploy(endpoint, model)
    jobs = [
        api.call("POST", "batchPredictionJobs", body(model, "gs://unpaid-b/a.jsonl", "gs://unpaid-b/out"))["name"]
        for _ in range(3)
    ]
    until(lambda: [api.call("GET", job)["state"] for job in jobs].count("JOB_STATE_RUNNING") == 2)  # the third waits
    info = f"https://cloudbilling.googleapis.com/v1/projects/{PROJECT}/billingInfo"
    assert session.put(info, json={"billingAccountName": ""}).ok
    assert session.put(info, json={"billingAccountName": "billingAccounts/012345-6789AB-CDEF01"}).ok
    why = "The billing account of the project was unlinked."
    for job in jobs:
        found = api.call("GET", job)
        assert (found["state"], found["error"]) == ("JOB_STATE_FAILED", {"code": 9, "message": why})
    assert "deployedModels" not in api.call("GET", endpoint)
    assert why in messages(session, endpoint)
    session.close()
