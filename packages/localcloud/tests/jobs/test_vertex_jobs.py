"""Custom jobs over REST: what runs, what it is given, how it ends, and what is refused."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from google.auth.transport.requests import AuthorizedSession

from clouds import PROJECT
from clouds.vertex import HOST, LOCATION, PLACE, PLAIN, created, entries, lines, prepare, wait


@pytest.fixture(scope="module")
def vertex(local_cloud: Any, session: AuthorizedSession) -> AuthorizedSession:
    """The session, in a project where the API is on; the local cloud has an image without packages."""
    prepare(local_cloud, "some-bucket")
    return session


def pool(script: str = "", *args: str, **extra: Any) -> dict[str, Any]:
    command = {"command": ["python", "-c", script], "args": list(args)} if script else {}
    return {
        "machineSpec": {"machineType": "n1-standard-4"},
        "replicaCount": 1,
        "containerSpec": {"imageUri": PLAIN, **command},
        **extra,
    }


def body(*pools: dict[str, Any], name: str = "", labels: Any = None, **spec: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "displayName": name or f"job-{uuid.uuid4().hex[:8]}",
        "jobSpec": {"workerPoolSpecs": list(pools), **spec},
    }
    return made | ({"labels": labels} if labels else {})


def submit(session: AuthorizedSession, job: dict[str, Any]) -> dict[str, Any]:
    return created(session, "customJobs", job)


def test_a_job_runs_and_its_output_is_logged(vertex: AuthorizedSession) -> None:
    job = submit(vertex, body(pool("print('hello')"), labels={"team": "a"}))
    assert job["state"] in ("JOB_STATE_PENDING", "JOB_STATE_QUEUED")
    ended = wait(vertex, job)
    assert ended["state"] == "JOB_STATE_SUCCEEDED"
    assert ended["createTime"] <= ended["startTime"] <= ended["endTime"] <= ended["updateTime"]
    assert ended["jobSpec"]["workerPoolSpecs"][0]["diskSpec"] == {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100}
    assert lines(vertex, job) == ["hello"]
    assert lines(vertex, job, "service")[-1] == "Job completed successfully."
    labels = entries(vertex, job)[0]["resource"]["labels"]
    assert labels == {"project_id": PROJECT, "job_id": job["name"].rpartition("/")[2], "task_name": "workerpool0-0"}


def test_the_environment_of_a_single_replica(vertex: AuthorizedSession, local_cloud: Any) -> None:
    script = "import json, os; print(json.dumps({'message': 'env', 'env': dict(os.environ), 'cwd': os.listdir()}))"
    one = pool(script)
    one["containerSpec"]["env"] = [{"name": "OWN", "value": "a"}, {"name": "NEXT", "value": "$(OWN)-$$(OWN)-$(NONE)"}]
    job = submit(vertex, body(one, baseOutputDirectory={"outputUriPrefix": "gs://some-bucket/out/"}))
    wait(vertex, job)
    printed = entries(vertex, job)[0]["jsonPayload"]
    found = printed["env"]
    number = job["name"].split("/")[1]
    assert printed["cwd"] == []
    assert found["AIP_MODEL_DIR"] == "gs://some-bucket/out/model/"
    assert found["AIP_CHECKPOINT_DIR"] == "gs://some-bucket/out/checkpoints/"
    assert found["AIP_TENSORBOARD_LOG_DIR"] == "gs://some-bucket/out/logs/"
    assert (found["CLOUD_ML_PROJECT_ID"], found["CLOUD_ML_JOB_ID"]) == (number, job["name"].rpartition("/")[2])
    assert "TF_CONFIG" not in found
    cluster = json.loads(found["CLUSTER_SPEC"])
    assert cluster["task"] == {"type": "workerpool0", "index": 0}
    assert [address.partition(":")[0] for address in cluster["cluster"]["workerpool0"]] == ["127.0.0.1"]
    assert cluster["job"]["workerPoolSpecs"][0]["containerSpec"]["imageUri"] == PLAIN
    assert (found["OWN"], found["NEXT"]) == ("a", "a-$(OWN)-$(NONE)")
    assert found["https_proxy"] == local_cloud.environment["https_proxy"]
    assert "VIRTUAL_ENV" not in found
    assert "PYTEST_CURRENT_TEST" not in found


def test_without_a_base_directory_there_are_no_output_variables(vertex: AuthorizedSession) -> None:
    job = submit(vertex, body(pool("import os; print([name for name in os.environ if name.startswith('AIP_')])")))
    wait(vertex, job)
    assert lines(vertex, job) == ["[]"]


def test_a_job_is_its_service_account_everywhere(vertex: AuthorizedSession) -> None:
    accounts = f"https://iam.googleapis.com/v1/projects/{PROJECT}/serviceAccounts"
    name = f"trainer-{uuid.uuid4().hex[:8]}"
    email = vertex.post(accounts, json={"accountId": name}).json()["email"]
    script = """
        import json, os, urllib.request
        print(json.load(open(os.environ["GOOGLE_APPLICATION_CREDENTIALS"]))["client_email"])
        print(oct(os.stat(os.environ["GOOGLE_APPLICATION_CREDENTIALS"]).st_mode & 0o777))
        print(os.environ["GOOGLE_APPLICATION_CREDENTIALS"] in open(os.environ["BOTO_CONFIG"]).read())
        address = f"http://{os.environ['GCE_METADATA_HOST']}/computeMetadata/v1/instance/service-accounts/default/email"
        request = urllib.request.Request(address, headers={"Metadata-Flavor": "Google"})
        print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).read().decode())
    """
    import textwrap

    job = submit(vertex, body(pool(textwrap.dedent(script)), serviceAccount=email))
    assert wait(vertex, job)["state"] == "JOB_STATE_SUCCEEDED", lines(vertex, job)
    assert lines(vertex, job) == [email, "0o600", "True", email]
    assert vertex.get(f"{accounts}/{email}/keys").json().get("keys", []) == []


def test_json_lines_become_structured_entries(vertex: AuthorizedSession) -> None:
    script = """
import json, sys
print(json.dumps({"severity": "WARNING", "message": "epoch 1/2", "epoch": 1, "metrics": {"loss": 0.5}}))
print('{"severity": "loud", "message": "kept"}')
print("{not json}")
print("[1, 2]")
"""
    job = submit(vertex, body(pool(script)))
    wait(vertex, job)
    found = entries(vertex, job)
    assert [e["severity"] for e in found] == ["WARNING", "INFO", "INFO", "INFO"]
    assert found[0]["jsonPayload"] == {"message": "epoch 1/2", "epoch": 1, "metrics": {"loss": 0.5}}
    assert [e["jsonPayload"]["message"] for e in found[1:]] == ["kept", "{not json}", "[1, 2]"]


@pytest.mark.slow
def test_both_streams_keep_their_order(vertex: AuthorizedSession) -> None:
    script = """
import sys, time
for n in range(10):
    print(n, file=sys.stderr if n % 3 == 0 else sys.stdout, flush=True)
    time.sleep(0.1)
sys.stdout.write("unfinished")
"""
    job = submit(vertex, body(pool(script)))
    wait(vertex, job)
    assert lines(vertex, job) == [*map(str, range(10)), "unfinished"]
    assert [e["severity"] for e in entries(vertex, job)][:4] == ["ERROR", "INFO", "INFO", "ERROR"]


def test_much_output_is_complete(vertex: AuthorizedSession) -> None:
    job = submit(vertex, body(pool("for n in range(900): print(n, 'x' * 3000)")))
    wait(vertex, job)
    assert [int(line.split()[0]) for line in lines(vertex, job)] == list(range(900))


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("raise SystemExit(3)", 3),
        ("raise ValueError('no such column')", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137),
        ("import os; os.abort()", 134),
    ],
)
def test_a_job_that_fails_says_why(vertex: AuthorizedSession, script: str, status: int) -> None:
    job = submit(vertex, body(pool(script)))
    ended = wait(vertex, job)
    message = ended["error"]["message"]
    assert (ended["state"], ended["error"]["code"]) == ("JOB_STATE_FAILED", 3)
    assert message.startswith(
        f"The replica workerpool0-0 exited with a non-zero status of {status}. Termination reason: Error. \n"
    )
    if "column" in script:
        assert "Traceback (most recent call last):" in message
        assert "ValueError: no such column\n\nTo find out more" in message
    number, job_id = job["name"].split("/")[1], job["name"].rpartition("/")[2]
    assert message.endswith(
        "\n\nTo find out more about why your job exited please check the logs: "
        f"https://console.cloud.google.com/logs/viewer?project={number}&resource=ml_job%2Fjob_id%2F{job_id}"
        f"&advancedFilter=resource.type%3D%22ml_job%22%0Aresource.labels.job_id%3D%22{job_id}%22"
    )
    assert entries(vertex, job, "service")[-1]["severity"] == "ERROR"


def test_a_command_that_is_not_there(vertex: AuthorizedSession) -> None:
    one = pool()
    one["containerSpec"]["command"] = ["no-such-program"]
    ended = wait(vertex, submit(vertex, body(one)))
    assert ended["error"]["code"] == 3
    assert "can't start no-such-program: executable file not found in $PATH" in ended["error"]["message"]


def test_an_unknown_image_fails_and_names_the_known_ones(vertex: AuthorizedSession) -> None:
    one = pool("print(1)")
    one["containerSpec"]["imageUri"] = "somebody/else:1"
    ended = wait(vertex, submit(vertex, body(one)))
    assert ended["state"] == "JOB_STATE_FAILED"
    assert "somebody/else:1" in ended["error"]["message"]
    assert PLAIN in ended["error"]["message"]
    assert "tensorflow/tensorflow:2.21.0" in ended["error"]["message"]


@pytest.mark.slow
def test_a_job_that_takes_too_long_is_ended(vertex: AuthorizedSession) -> None:
    job = submit(vertex, body(pool("import time; time.sleep(600)"), scheduling={"timeout": "1s"}))
    ended = wait(vertex, job)
    assert ended["state"] == "JOB_STATE_FAILED"
    assert ended["error"] == {"code": 4, "message": "The job was ended because it ran longer than its timeout of 1s."}


def test_a_running_job_can_be_cancelled(vertex: AuthorizedSession) -> None:
    job = submit(vertex, body(pool("import time; print('up', flush=True); time.sleep(600)")))
    wait(vertex, job, "JOB_STATE_RUNNING")
    while "up" not in lines(vertex, job):
        time.sleep(0.05)
    assert vertex.delete(f"{HOST}/{job['name']}").json()["error"]["status"] == "FAILED_PRECONDITION"
    assert vertex.post(f"{HOST}/{job['name']}:cancel", json={}).json() == {}
    ended = wait(vertex, job)
    assert (ended["state"], ended["error"]) == ("JOB_STATE_CANCELLED", {"code": 1, "message": "CANCELED"})
    again = vertex.post(f"{HOST}/{job['name']}:cancel", json={})
    assert (again.status_code, again.json()["error"]["status"]) == (400, "FAILED_PRECONDITION")


def test_a_path_under_gcs_is_warned_about(vertex: AuthorizedSession) -> None:
    job = submit(vertex, body(pool("print(1)", "--data=/gcs/bucket/data.csv")))
    wait(vertex, job)
    warnings = [e["textPayload"] for e in entries(vertex, job, "service") if e["severity"] == "WARNING"]
    assert warnings == ["The job names a path under /gcs, which the local cloud does not emulate: use gs:// instead."]


def test_several_replicas_find_each_other(vertex: AuthorizedSession) -> None:
    script = """
import json, os, socket, time
config = json.loads(os.environ["TF_CONFIG"])
kind, index = config["task"]["type"], config["task"]["index"]
host, port = config["cluster"].get(kind, ["127.0.0.1:0"] * 9)[index].split(":")
if kind == "chief":
    server = socket.create_server((host, int(port)))
    said = sorted(server.accept()[0].recv(100).decode() for _ in range(2))
    print(said)
else:
    chief = config["cluster"]["chief"][0].split(":")
    while True:
        try:
            socket.create_connection((chief[0], int(chief[1]))).sendall(f"{kind} {index}".encode())
            break
        except OSError:
            time.sleep(0.05)
    time.sleep(600)
"""
    job = submit(vertex, body(pool(script), {**pool(script), "replicaCount": 2}))
    ended = wait(vertex, job)
    assert ended["state"] == "JOB_STATE_SUCCEEDED", ended
    assert lines(vertex, job) == ["['worker 0', 'worker 1']"]


def test_a_worker_that_fails_ends_the_job(vertex: AuthorizedSession) -> None:
    job = submit(vertex, body(pool("import time; time.sleep(600)"), pool("raise SystemExit(5)")))
    ended = wait(vertex, job)
    assert ended["state"] == "JOB_STATE_FAILED"
    assert ended["error"]["message"].startswith("The replica workerpool1-0 exited with a non-zero status of 5.")


def test_jobs_are_listed_newest_first_by_filter_and_page(vertex: AuthorizedSession) -> None:
    group = f"g{uuid.uuid4().hex[:8]}"
    jobs = [submit(vertex, body(pool("print(1)"), name=f"{group}-{n}", labels={"group": group})) for n in range(3)]
    for job in jobs:
        wait(vertex, job)

    def listed(filter: str = "", **query: Any) -> dict[str, Any]:
        matching = f"labels.group={group}" + (f" AND {filter}" if filter else "")
        return vertex.get(f"{PLACE}/customJobs", params={"filter": matching, **query}).json()

    names = [job["displayName"] for job in jobs]
    assert [job["displayName"] for job in listed()["customJobs"]] == names[::-1]
    first = listed(pageSize=2)
    assert [job["displayName"] for job in first["customJobs"]] == names[:0:-1]
    second = listed(pageSize=2, pageToken=first["nextPageToken"])
    assert [job["displayName"] for job in second["customJobs"]] == names[:1]
    assert "nextPageToken" not in second
    for text, count in [
        ('state="JOB_STATE_SUCCEEDED"', 3),
        ('state!="JOB_STATE_SUCCEEDED"', 0),
        ('(state="JOB_STATE_FAILED" OR state="JOB_STATE_SUCCEEDED")', 3),
        (f'display_name="{names[0]}"', 1),
        (f'NOT display_name="{names[0]}"', 2),
        (f'display_name:"{group}-*"', 3),
        ("labels.group:*", 3),
        ("labels.other:*", 0),
        ("has_error=false", 3),
        ("has_error=true", 0),
        ("hasError!=true", 3),
        ('create_time>="2020-01-01T00:00:00Z"', 3),
        ('create_time<"2020-01-01T00:00:00Z"', 0),
    ]:
        assert len(listed(text).get("customJobs", [])) == count, text
    masked = listed(readMask="name,displayName")["customJobs"][0]
    assert sorted(masked) == ["displayName", "name"]


@pytest.mark.parametrize(
    "text",
    [
        "colour=red",
        "state=RUNNING_FAST",
        "state>JOB_STATE_FAILED",
        "display_name>a",
        "create_time>=yesterday",
        "has_error=perhaps",
        "has_error>true",
        "just words",
        "labels=a",
        "state=",
        "(state=JOB_STATE_FAILED",
    ],
)
def test_a_filter_that_cant_be_understood_is_refused(vertex: AuthorizedSession, text: str) -> None:
    answer = vertex.get(f"{PLACE}/customJobs", params={"filter": text})
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.slow
def test_a_worker_cluster_has_its_own_ports(vertex: AuthorizedSession) -> None:
    """Several jobs at once, each with a parameter server that all its replicas reach, and that ends with its chief."""
    script = """
import json, os, socket, time
config = json.loads(os.environ["TF_CONFIG"])
assert config["environment"] == "cloud" and config["task"]["cloud"] == os.environ["CLOUD_ML_JOB_ID"]
spec = json.loads(os.environ["CLUSTER_SPEC"])
assert {len(v) for v in spec["cluster"].values()} == {1} and spec["job"]["workerPoolSpecs"]
kind = config["task"]["type"]
host, port = config["cluster"]["ps"][0].split(":")
if kind == "ps":
    server = socket.create_server((host, int(port)))
    while True:
        one = server.accept()[0]
        one.sendall(os.environ["CLOUD_ML_JOB_ID"].encode())
        one.close()
while True:
    try:
        said = socket.create_connection((host, int(port))).recv(100).decode()
        break
    except OSError:
        time.sleep(0.05)
print(f"{kind} {said == os.environ['CLOUD_ML_JOB_ID']}", flush=True)  # as one piece: a worker is ended with its chief
if kind == "worker":
    time.sleep(600)
"""
    jobs = [submit(vertex, body(pool(script), pool(script), pool(script))) for _ in range(3)]
    for job in jobs:
        ended = wait(vertex, job)
        assert ended["state"] == "JOB_STATE_SUCCEEDED", ended
        assert lines(vertex, job) == ["chief True"]
        assert set(lines(vertex, job, "workerpool1-0")) <= {"worker True"}


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_jobs_by_the_project_s_number_and_in_both_versions(vertex: AuthorizedSession, version: str) -> None:
    job = submit(vertex, body(pool("print(1)")))
    wait(vertex, job)
    base = HOST.replace("/v1", f"/{version}")
    by_number, job_id = job["name"], job["name"].rpartition("/")[2]
    by_id = f"{LOCATION}/customJobs/{job_id}"
    found = [vertex.get(f"{base}/{name}").json() for name in (by_number, by_id)]
    assert found[0] == found[1]
    assert found[0]["name"] == by_number
    place = by_number.rpartition("/customJobs/")[0]
    for name in (place, LOCATION):
        page = vertex.get(f"{base}/{name}/customJobs", params={"filter": f'display_name="{job["displayName"]}"'}).json()
        assert [one["name"] for one in page["customJobs"]] == [by_number]
    operation = vertex.delete(f"{base}/{by_id}").json()
    assert vertex.delete(f"{base}/{operation['name']}").json() == {}
    assert vertex.get(f"{base}/{operation['name']}").status_code == 404


def test_an_ended_job_is_deleted(vertex: AuthorizedSession) -> None:
    job = submit(vertex, body(pool("print(1)")))
    wait(vertex, job)
    operation = vertex.delete(f"{HOST}/{job['name']}").json()
    assert operation["done"] is True
    assert vertex.get(f"{HOST}/{operation['name']}").json() == operation
    assert vertex.post(f"{HOST}/{operation['name']}:wait", json={}).json() == operation
    gone = vertex.get(f"{HOST}/{job['name']}")
    assert (gone.status_code, gone.json()["error"]["status"]) == (404, "NOT_FOUND")
