"""What Cloud Run refuses, in its words where they are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clouds import PROJECT, Start
from clouds.run import HOST, PLACE, PLAIN, WORKER, RunCloud, body

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunCloud]:
    from clouds import end, started

    folder = tmp_path_factory.mktemp("refusals")

    def start(name: str = "own", project: str = PROJECT) -> Any:
        return started(folder / name, project)

    yield RunCloud(start, folder)
    end(folder / "own")


def job(container: dict | None = None, task: dict | None = None, **template: Any) -> dict[str, Any]:
    given = body("print(1)", task=task, **template)
    for one in given["template"]["template"]["containers"]:
        one |= container or {}
    return given


def limits(cpu: str, memory: str) -> dict[str, Any]:
    return {"resources": {"limits": {"cpu": cpu, "memory": memory}}}


MEMORY = (
    "inclusive.\nFor more troubleshooting guidance, see https://cloud.google.com/run/docs/configuring/memory-limits"
)
CPU = "Invalid value specified for cpu. The following values are supported: 1, 2, 4, 6, 8."
CASES = {
    "memory for one cpu": (job(limits("1", "8Gi")), f"For 1.0 CPU, memory must be between 512Mi and 4Gi {MEMORY}"),
    "memory for four": (job(limits("4", "1Gi")), "For 4.0 CPU, memory must be between 2Gi and 16Gi inclusive."),
    "too little memory": (job(limits("1", "128Mi")), "memory must be between 512Mi and 4Gi"),
    "three cpus": (job(limits("3", "4Gi")), CPU),
    "sixteen cpus": (job(limits("16", "32Gi")), CPU),
    "half a cpu": (job(limits("500m", "512Mi")), "Total cpu < 1 is not supported with gen2 execution environment."),
    "no number of cpus": (job(limits("many", "1Gi")), CPU),
    "a week and a second": (job(task={"timeout": "604801s"}), "template.template.timeout: must be a whole number"),
    "no time": (job(task={"timeout": "0s"}), "template.template.timeout"),
    "a timeout that is none": (job(task={"timeout": "soon"}), "Illegal duration format; duration must end with 's'"),
    "eleven retries": (job(task={"maxRetries": 11}), "max_retries: must be between 0 and 10."),
    "too many tasks": (job(taskCount=10_001), "task_count: must be between 1 and 10000."),
    "more at once than tasks": (job(taskCount=2, parallelism=3), "parallelism: must be between 0 and task_count."),
    "another registry": (job({"image": "ghcr.io/me/it:1"}), "but obtained ghcr.io/me/it:1. To deploy container images"),
    "no image": (job({"image": ""}), "Expected an image path like [host/]repo-path"),
    "a reserved variable": (
        job({"env": [{"name": "CLOUD_RUN_JOB", "value": "x"}]}),
        "The following reserved env names were provided: CLOUD_RUN_JOB.",
    ),
    "twice the same": (job({"env": [{"name": "A"}, {"name": "A"}]}), "Duplicate environment variable A."),
    "the first generation": (
        job(task={"executionEnvironment": "EXECUTION_ENVIRONMENT_GEN1"}), "Jobs only support the second generation"
    ),
    "a label of Google's": (job() | {"labels": {"run.googleapis.com/x": "1"}}, "Invalid label key"),
    "a capital label": (job() | {"labels": {"Big": "1"}}, "Invalid label key 'Big'."),
    "a field that isn't": (job(task={"retries": 1}), "\"retries\" at 'job.template.template': Cannot find field."),
    "no container": (job(task={"containers": []}), "At least one container is required."),
    "what isn't a list": (job({"args": "one"}), "Invalid value at 'job.template.template.containers[0].args'"),
    "an account of nobody": (
        job(task={"serviceAccount": "nobody@elsewhere.iam.gserviceaccount.com"}),
        "Permission 'iam.serviceaccounts.actAs' denied on service account nobody@elsewhere.iam.gserviceaccount.com "
        "(or it may not exist).",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_job_that_can_not_be(here: RunCloud, case: str) -> None:
    given, words = CASES[case]
    answer = here.create("refused", given)
    assert answer.status_code == (403 if "account" in case else 400), answer.text
    assert words in answer.json()["error"]["message"]
    assert here.session.get(f"{HOST}/{PLACE}/jobs/refused").status_code == 404


@pytest.mark.parametrize("job_id", ["", "Job", "1st", "with_underscore", "ends-", "x" * 64])
def test_a_name_that_no_job_has(here: RunCloud, job_id: str) -> None:
    answer = here.create(job_id, job())
    assert answer.status_code == 400
    assert "must use only lowercase alphanumeric characters and dashes" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}, "volumes"),
        ({"resources": {"limits": {"nvidia.com/gpu": "1"}}}, "GPUs of jobs"),
        ({"env": [{"name": "A", "valueSource": {"secretKeyRef": {"secret": "s", "version": "1"}}}]}, "secrets"),
    ],
)
def test_what_is_not_here_is_said(here: RunCloud, more: dict[str, Any], what: str) -> None:
    answer = here.create("elsewhere", job(more))
    assert answer.status_code == 501
    assert what in answer.json()["error"]["message"]


def test_an_image_that_is_not_there(here: RunCloud) -> None:
    answer = here.create("pictures", job({"image": "docker.io/none/such:1"})).json()
    assert answer["error"]["code"] == 5
    assert answer["error"]["message"].startswith("Image 'docker.io/none/such:1' not found. The local cloud has no")
    ready = here.get(f"{PLACE}/jobs/pictures")["terminalCondition"]
    assert (ready["state"], ready["reason"]) == ("CONDITION_FAILED", "CONTAINER_MISSING")
    refused = here.session.post(f"{HOST}/{PLACE}/jobs/pictures:run", json={})
    assert (refused.status_code, refused.json()["error"]["status"]) == (400, "FAILED_PRECONDITION")
    own = here.create("own", job({"image": f"us-central1-docker.pkg.dev/{PROJECT}/none/it:1"})).json()
    assert own["error"]["code"] == 13
    assert "@serverless-robot-prod.iam.gserviceaccount.com must have permission to read" in own["error"]["message"]
    plain = here.create("hub", job({"image": f"docker.io/{PLAIN}"})).json()
    assert "error" not in plain


def test_permissions(here: RunCloud) -> None:
    assert here.create("theirs", job()).ok
    name = f"{HOST}/{PLACE}/jobs/theirs"
    viewer = here.cloud.session(here.cloud.key(here.cloud.account("run-viewer", "roles/run.viewer")))
    invoker = here.cloud.session(here.cloud.key(here.cloud.account("run-invoker", "roles/run.invoker")))
    maker = here.cloud.session(here.cloud.key(here.cloud.account("run-maker", "roles/run.developer")))
    stranger = here.cloud.session(here.cloud.key(here.cloud.account("run-stranger")))

    def refused(answer: Any, permission: str) -> None:
        assert answer.status_code == 403, answer.text
        assert f"Permission '{permission}' denied on resource '{PLACE}" in answer.json()["error"]["message"]

    assert viewer.get(name).ok
    refused(viewer.post(f"{name}:run", json={}), "run.jobs.run")
    refused(viewer.delete(name), "run.jobs.delete")
    refused(viewer.post(f"{HOST}/{PLACE}/jobs?jobId=mine", json=job()), "run.jobs.create")
    ran = invoker.post(f"{name}:run", json={})
    assert ran.ok, ran.text
    execution = ran.json()["metadata"]["name"]
    refused(invoker.post(f"{name}:run", json={"overrides": {"taskCount": 2}}), "run.jobs.runWithOverrides")
    refused(viewer.post(f"{HOST}/{execution}:cancel", json={}), "run.executions.cancel")
    refused(stranger.get(name), "run.jobs.get")
    # May make jobs, but not as that account.
    actas = maker.post(f"{HOST}/{PLACE}/jobs?jobId=mine", json=job())
    assert actas.json()["error"]["message"] == (
        f"Permission 'iam.serviceaccounts.actAs' denied on service account {WORKER} (or it may not exist)."
    )
    # The policy of one job lets a stranger run that job and no other.
    policy = {
        "bindings": [
            {"role": "roles/run.invoker", "members": [f"serviceAccount:run-stranger@{PROJECT}.iam.gserviceaccount.com"]}
        ]
    }
    assert here.session.post(f"{name}:setIamPolicy", json={"policy": policy}).ok
    assert stranger.post(f"{name}:run", json={}).ok
    assert here.create("others", job()).ok
    refused(stranger.post(f"{HOST}/{PLACE}/jobs/others:run", json={}), "run.jobs.run")


def test_places(here: RunCloud) -> None:
    nowhere = here.session.get(f"{HOST}/projects/{PROJECT}/locations/moon-1/jobs")
    assert (nowhere.status_code, nowhere.json()["error"]["status"]) == (404, "NOT_FOUND")
    assert here.session.get(f"{HOST}/projects/nobodys-project/locations/us-central1/jobs").status_code == 403
    assert here.session.get(f"{HOST}/{PLACE}/services").status_code == 501
    # The older API by namespaces has the same jobs, and is as strict.
    old = "https://us-central1-run.googleapis.com/apis/run.googleapis.com/v1/namespaces"
    assert here.session.get(f"{old}/{PROJECT}/jobs").json()["kind"] == "JobList"
    assert here.session.get(f"{old}/{PROJECT}/services").status_code == 501
    assert here.session.get(f"{old}/nobodys-project/jobs").status_code == 403
    task = {"containers": [{"image": PLAIN}], "maxRetries": "many"}
    spec = {"template": {"spec": {"template": {"spec": task}}}}
    answer = here.session.post(f"{old}/{PROJECT}/jobs", json={"metadata": {"name": "old"}, "spec": spec})
    assert (answer.status_code, "maxRetries" in answer.text or "max_retries" in answer.text) == (400, True)
    for odd in ({"spec": "x"}, {"spec": {"template": {"spec": {"template": {"spec": {"containers": "x"}}}}}}):
        assert here.session.post(f"{old}/{PROJECT}/jobs", json=odd).status_code == 400


def test_the_api_is_off_at_first(new_cloud: Start) -> None:
    with new_cloud("off").session() as session:
        answer = session.get(f"{HOST}/{PLACE}/jobs")
    error = answer.json()["error"]
    assert (answer.status_code, error["details"][0]["reason"]) == (403, "SERVICE_DISABLED")
    assert error["message"].startswith(f"Cloud Run Admin API has not been used in project {PROJECT} before")
