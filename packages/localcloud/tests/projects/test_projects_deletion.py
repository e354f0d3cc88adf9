"""A project is deleted: what runs in it ends, its APIs refuse, and an undelete brings back what it holds."""

from __future__ import annotations

import time
from typing import Any

import psutil
import pytest

from clouds import PROJECT, Start
from clouds.batches import MACHINE
from clouds.serving import PLACE, container, prepare
from localcloud import launch
from localcloud.core.state.documents import Documents

MANAGER = "https://cloudresourcemanager.googleapis.com"
JOBS = f"{PLACE}/customJobs"
HOLD = "import time; time.sleep(600)"


def job(session: Any, image: str) -> str:
    pool = {
        "machineSpec": {"machineType": "n1-standard-4"},
        "replicaCount": 1,
        "containerSpec": {"imageUri": image, "command": ["python", "-c", HOLD]},
    }
    answer = session.post(JOBS, json={"displayName": "held", "jobSpec": {"workerPoolSpecs": [pool]}})
    assert answer.ok, answer.text
    return answer.json()["name"]


@pytest.mark.slow
def test_all_ends_with_its_project_and_what_it_holds_comes_back(new_cloud: Start) -> None:
    cloud = new_cloud()
    session = cloud.session()
    api = prepare(cloud, session)
    bucket = "https://storage.googleapis.com/storage/v1/b"
    assert session.post(f"{bucket}?project={PROJECT}", json={"name": "deleted-b", "location": "us-central1"}).ok
    address = "https://storage.googleapis.com/upload/storage/v1/b/deleted-b/o?uploadType=media&name=a.jsonl"
    assert session.post(address, data=b'"sleep:60"\n').ok
    model, endpoint = api.model(), api.endpoint()
    api.deploy(endpoint, model)
    waiting = api.begin_deploy(
        api.endpoint("two"), api.model("slow", container=container(command=["python", "-c", HOLD]))
    )
    held = job(session, container()["imageUri"])
    batch = api.call(
        "POST",
        "batchPredictionJobs",
        {
            "displayName": "b",
            "model": model,
            "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": ["gs://deleted-b/a.jsonl"]}},
            "outputConfig": {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": "gs://deleted-b/o"}},
            "dedicatedResources": MACHINE,
        },
    )["name"]
    for name in (held, batch):
        until = time.monotonic() + 60
        while api.call("GET", name)["state"] != "JOB_STATE_RUNNING":
            assert time.monotonic() < until
            time.sleep(0.05)

    gone = session.delete(f"{MANAGER}/v3/projects/{PROJECT}").json()["response"]
    assert gone["state"] == "DELETE_REQUESTED"
    why = f"Project #{gone['name'].partition('/')[2]} has been deleted."
    for method, url, body in (
        ("GET", f"{PLACE}/endpoints", None),
        ("GET", f"{PLACE}/customJobs", None),
        ("GET", f"{bucket}/deleted-b", None),
        ("GET", f"{bucket}?project={PROJECT}", None),
        ("GET", f"{bucket}/deleted-b/o/a.jsonl?alt=media", None),
        ("GET", f"https://iam.googleapis.com/v1/projects/{PROJECT}/serviceAccounts", None),
        ("POST", "https://logging.googleapis.com/v2/entries:list", {"resourceNames": [f"projects/{PROJECT}"]}),
        (
            "POST",
            f"https://serviceusage.googleapis.com/v1/projects/{PROJECT}/services/pubsub.googleapis.com:enable",
            {},
        ),
    ):
        answer = session.request(method, url, json=body)
        refused = answer.text if "alt=media" in url else answer.json()["error"]["message"]
        assert (answer.status_code, why in refused) == (403, True), (url, answer.text)
    [error] = [one for one in session.get(JOBS).json()["error"]["details"] if "reason" in one]
    assert (error["reason"], error["metadata"]["service"]) == ("CONSUMER_INVALID", "aiplatform.googleapis.com")
    assert session.delete(f"{MANAGER}/v1/projects/{PROJECT}").json()["error"]["status"] == "FAILED_PRECONDITION"
    assert session.get(f"{MANAGER}/v1/projects/{PROJECT}").json()["lifecycleState"] == "DELETE_REQUESTED"
    before = launch.control(cloud.root, "GET", "/bill")["cost"]
    launch.forward(cloud.root, 10 * 86_400)
    assert launch.control(cloud.root, "GET", "/bill")["cost"] == before

    launch.stop(cloud.root)  # a start with a project that is being deleted goes well
    launch.start(cloud.root, cloud.root / "envs", [PROJECT])
    assert session.get(JOBS).status_code == 403
    assert session.post(f"{MANAGER}/v1/projects/{PROJECT}:undelete").ok
    assert session.post(f"{MANAGER}/v3/projects/{PROJECT}:undelete").json()["error"]["status"] == "FAILED_PRECONDITION"
    for name in (held, batch):
        found = api.call("GET", name)
        assert (found["state"], found["error"]) == ("JOB_STATE_FAILED", {"code": 9, "message": why})
    assert "deployedModels" not in api.call("GET", endpoint)
    assert api.wait(waiting)["error"] == {"code": 9, "message": why}
    assert session.get(f"{bucket}/deleted-b/o/a.jsonl?alt=media").text == '"sleep:60"\n'
    deployed = api.deploy(endpoint, model)
    assert api.predict(endpoint, 4)["predictions"] == [8]
    api.done(api.call("POST", f"{endpoint}:undeployModel", {"deployedModelId": deployed}))
    session.close()


@pytest.mark.slow
def test_a_kill_in_the_middle_of_a_deletion_lets_nothing_run_on(new_cloud: Start) -> None:
    cloud = new_cloud()
    session = cloud.session()
    api = prepare(cloud, session)
    endpoint = api.endpoint()
    api.deploy(endpoint, api.model())
    [server] = api.predict(endpoint, "pid")["predictions"]
    process = psutil.Process(cloud.server["pid"])
    process.kill()
    process.wait(10)
    assert psutil.pid_exists(int(server))
    kept = Documents(cloud.root / "projects" / "projects.sqlite")
    kept.patch(f"projects/{PROJECT}", {"state": "DELETE_REQUESTED"})  # as far as the killed server came
    kept.close()
    launch.start(cloud.root, cloud.root / "envs", [PROJECT])
    until = time.monotonic() + 30
    while psutil.pid_exists(int(server)):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert session.post(f"{MANAGER}/v1/projects/{PROJECT}:undelete").ok
    assert "deployedModels" not in api.call("GET", endpoint)
    session.close()
