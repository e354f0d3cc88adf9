"""What serves outlives the server: killed, stopped, started again, in the middle of everything."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from clouds import PROJECT
from clouds.batches import body, ended, lines
from clouds.serving import SERVER, Api, container, prepare
from localcloud import launch

pytestmark = pytest.mark.slow

# Gets ready only when a file is there; says by another that it runs.
HELD = """
import os, time
open(os.environ["HOLD"] + ".up", "w").close()
while not os.path.exists(os.environ["HOLD"]):
    time.sleep(0.05)
"""


class Own:
    """A server of one's own that can be killed."""

    def __init__(self, new_cloud: Any) -> None:
        self._start = new_cloud
        self.start()
        prepare(self.cloud, self.cloud.session())
        launch.stop(self.cloud.root)  # so that vertex.json counts
        self.start()

    def start(self) -> None:
        self.cloud = self._start()
        self.session = self.cloud.session()
        self.api = Api(self.session)

    def kill(self) -> None:
        os.kill(self.cloud.server["pid"], signal.SIGKILL)
        until = time.monotonic() + 10
        while launch.running(self.cloud.root):
            assert time.monotonic() < until
            time.sleep(0.05)

    def stop(self) -> None:
        launch.stop(self.cloud.root)

    def family(self) -> list[psutil.Process]:
        """All processes of its model servers, by the mark in their environment."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("LOCALCLOUD_REPLICA", "").startswith(str(self.cloud.root)):
                    found.append(process)
            except psutil.Error:
                continue
        return [one for one in found if one.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def own(new_cloud: Any) -> Iterator[Own]:
    made = Own(new_cloud)
    yield made
    if launch.running(made.cloud.root):
        launch.stop(made.cloud.root)
    assert made.family() == []


def eventually(look: Callable[[], Any], seconds: float = 30) -> Any:
    until = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def held(tmp_path: Any) -> tuple[Any, dict[str, Any]]:
    hold = tmp_path / "hold"
    spec = container(command=["python", "-c", HELD + SERVER], env=[{"name": "HOLD", "value": str(hold)}])
    return hold, spec


def test_a_deployed_model_outlives_a_kill_and_comes_back_after_a_stop(own: Own) -> None:
    endpoint = own.api.endpoint()
    model = own.api.model()
    deployed = own.api.deploy(endpoint, model)
    [pid] = own.api.predict(endpoint, "pid")["predictions"]
    own.kill()
    assert psutil.pid_exists(int(pid))
    own.start()

    def answered() -> Any:
        answer = own.api.send("POST", f"{endpoint}:predict", {"instances": ["pid"]})
        return answer.json() if answer.ok else None

    answer = eventually(answered)
    assert answer["predictions"] == [pid] and answer["deployedModelId"] == deployed
    own.stop()
    assert own.family() == []
    own.start()
    assert eventually(answered)["predictions"] != [pid]
    psutil.Process(int(own.api.predict(endpoint, "pid")["predictions"][0])).kill()
    eventually(lambda: not answered())
    eventually(answered)
    own.kill()
    for process in own.family():  # and what it was, while nobody looked
        process.kill()
    own.start()
    assert eventually(answered)["deployedModelId"] == deployed
    own.api.done(own.api.call("POST", f"{endpoint}:undeployModel", {"deployedModelId": deployed}))
    assert own.family() == []
    servers = own.cloud.root / "vertex" / "serving" / "servers"
    assert [*servers.iterdir()] == []


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_deployment_goes_on_after_a_restart(own: Own, tmp_path: Any, end: str) -> None:
    hold, spec = held(tmp_path)
    endpoint = own.api.endpoint()
    operation = own.api.begin_deploy(endpoint, own.api.model(container=spec))
    eventually((tmp_path / "hold.up").exists)
    assert "has deployed or being-deployed" in own.api.refused("DELETE", endpoint)[2]
    getattr(own, end)()
    own.start()
    assert not own.api.call("GET", operation["name"]).get("done")
    hold.touch()
    own.api.done(operation)
    assert own.api.predict(endpoint, 4)["predictions"] == [8]


def test_an_upload_in_the_middle_ends(own: Own, artifacts: Any) -> None:
    bucket = "durable-models"
    address = f"https://storage.googleapis.com/storage/v1/b?project={PROJECT}"
    assert own.session.post(address, json={"name": bucket, "location": "us-central1"}).ok
    upload = f"https://storage.googleapis.com/upload/storage/v1/b/{bucket}/o?uploadType=media"
    for number in range(20):
        assert own.session.post(upload, params={"name": f"m/{number}"}, data=bytes(2_000_000)).ok
    spec = {"displayName": "x", "containerSpec": container(), "artifactUri": f"gs://{bucket}/m"}
    operations = [own.api.call("POST", "models:upload", {"model": spec}) for _ in range(3)]
    own.kill()
    own.start()
    listed = {one["name"] for one in own.api.call("GET", "models").get("models", [])}
    for operation in operations:
        found = own.api.wait(operation)
        if "error" in found:
            assert found["error"]["code"] == 10 and "upload the model again" in found["error"]["message"]
            assert found["name"].partition("/operations/")[0] not in listed
        else:
            assert found["response"]["model"] in listed


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_batch_goes_on_after_a_restart(own: Own, tmp_path: Any, end: str) -> None:
    address = f"https://storage.googleapis.com/storage/v1/b?project={PROJECT}"
    assert own.session.post(address, json={"name": "durable-batches", "location": "us-central1"}).ok
    upload = "https://storage.googleapis.com/upload/storage/v1/b/durable-batches/o?uploadType=media"
    assert own.session.post(upload, params={"name": "in.jsonl"}, data=b"1\n2\n3\n").ok
    hold, spec = held(tmp_path)
    model = own.api.model(container=spec)
    job = own.api.call(
        "POST", "batchPredictionJobs", body(model, "gs://durable-batches/in.jsonl", "gs://durable-batches/out")
    )
    eventually((tmp_path / "hold.up").exists)
    getattr(own, end)()
    own.start()
    hold.touch()
    job = ended(own.api, own.api.call("GET", job["name"]))
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    assert [one["prediction"] for one in lines(own.session, job, "results")] == [2, 4, 6]


def test_a_reset_leaves_nothing_even_after_a_kill(own: Own) -> None:
    own.api.deploy(own.api.endpoint(), own.api.model())
    own.kill()
    assert own.family()
    launch.reset(own.cloud.root)
    eventually(lambda: own.family() == [])


def test_the_bill_names_what_served(own: Own) -> None:
    endpoint, model = own.api.endpoint(), own.api.model()
    deployed = own.api.deploy(endpoint, model)
    launch.forward(own.cloud.root, 7200)
    own.api.done(own.api.call("POST", f"{endpoint}:undeployModel", {"deployedModelId": deployed}))
    launch.forward(own.cloud.root, 7200)
    command = [sys.executable, "-m", "localcloud", "bill", "--root", str(own.cloud.root), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    charged = [one for one in json.loads(done.stdout)["lines"] if "Online/Batch Prediction" in one["sku"]]
    assert all("n1-standard-2 in us-central1" in one["sku"] for one in charged)
    assert 2 <= sum(float(one["amount"]) for one in charged) < 2.5  # two lines where a day ends


def test_nothing_serves_where_nobody_pays(own: Own) -> None:
    endpoint = own.api.endpoint()
    own.api.deploy(endpoint, own.api.model())
    assert len(own.family()) > 0
    services = f"https://serviceusage.googleapis.com/v1/projects/{PROJECT}/services"
    assert own.session.post(f"{services}/cloudbilling.googleapis.com:enable").ok
    billing = f"https://cloudbilling.googleapis.com/v1/projects/{PROJECT}/billingInfo"
    assert own.session.put(billing, json={"billingAccountName": ""}).ok
    eventually(lambda: own.family() == [])
    assert own.api.refused("POST", f"{endpoint}:predict", {"instances": [1]})[:2] == (403, "PERMISSION_DENIED")
