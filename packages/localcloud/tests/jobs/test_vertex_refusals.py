"""What Vertex AI refuses, in Google's words and shapes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from google.auth.transport.requests import AuthorizedSession

from clouds import PROJECT, LocalCloud
from clouds.vertex import HOST, LOCATION, PLACE

BOTH = "Both `accelerator_type` and `accelerator_count` should be specified or none."
POOL = "job_spec.worker_pool_specs[0]"
OUTPUT = "job_spec.base_output_directory"
NUL = "The value must not contain the NUL character."
GOOD: dict[str, Any] = {
    "displayName": "good",
    "jobSpec": {
        "workerPoolSpecs": [
            {
                "machineSpec": {"machineType": "n1-standard-4"},
                "replicaCount": 1,
                "containerSpec": {"imageUri": "python:3.11", "command": ["python", "-c", "print(1)"]},
            }
        ]
    },
}
Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def vertex(local_cloud: LocalCloud, session: AuthorizedSession) -> AuthorizedSession:
    local_cloud.enable("aiplatform")
    return session


def first(job: dict[str, Any]) -> dict[str, Any]:
    return job["jobSpec"]["workerPoolSpecs"][0]


def machine(**spec: Any) -> Change:
    return lambda job: first(job).update(machineSpec=spec)


def field(path: str, value: Any) -> Change:
    def change(job: dict[str, Any]) -> None:
        target: Any = job
        *parents, last = path.split(".")
        for parent in parents:
            target = target[int(parent)] if parent.isdigit() else target.setdefault(parent, {})
        target[last] = value

    return change


def package(**spec: Any) -> Change:
    def change(job: dict[str, Any]) -> None:
        del first(job)["containerSpec"]
        first(job)["pythonPackageSpec"] = spec

    return change


L4 = {"machineType": "g2-standard-4", "acceleratorType": "NVIDIA_L4", "acceleratorCount": 1}
T4 = {"machineType": "n1-standard-4", "acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 1}


def flex(*machines: dict[str, Any], **scheduling: Any) -> Change:
    def change(job: dict[str, Any]) -> None:
        pools = [{**first(job), "machineSpec": spec} for spec in machines or [L4]]
        job["jobSpec"] = {"workerPoolSpecs": pools, "scheduling": {"strategy": "FLEX_START", **scheduling}}

    return change


FIELDS = [
    (field("displayName", ""), "display_name", "Required field is not set."),
    (field("displayName", "x" * 129), "display_name", "The display name can be up to 128 characters long."),
    (field("labels", {"Team": "a"}), "labels", "The label key `Team` must start with a lowercase letter"),
    (field("labels", {"1a": "a"}), "labels", "The label key `1a` must start with a lowercase letter"),
    (field("labels", {"team": "A b"}), "labels", "The label value `A b` must have at most 63"),
    (field("labels", {"team": "x" * 64}), "labels", f"The label value `{'x' * 64}` must have at most 63"),
    (field("labels", {f"k{n}": "" for n in range(65)}), "labels", "No more than 64 labels are allowed."),
    (field("jobSpec", {}), "job_spec.worker_pool_specs", "Required field is not set."),
    (machine(), f"{POOL}.machine_spec.machine_type", "Required field is not set."),
    (
        machine(machineType="n1-standard-4", acceleratorType="NVIDIA_TESLA_T4"),
        f"{POOL}.machine_spec.accelerator_type",
        BOTH,
    ),
    (machine(machineType="n1-standard-4", acceleratorCount=1), f"{POOL}.machine_spec.accelerator_type", BOTH),
    (machine(machineType="g2-standard-4"), f"{POOL}.machine_spec.accelerator_type", BOTH),
    (
        lambda job: first(job).update(replicaCount=2),
        f"{POOL}.replica_count",
        "The primary worker pool must have exactly one replica.",
    ),
    (lambda job: first(job).update(replicaCount=-1), f"{POOL}.replica_count", "The replica count must be positive."),
    (
        lambda job: first(job).update(diskSpec={"bootDiskSizeGb": 10}),
        f"{POOL}.disk_spec.boot_disk_size_gb",
        "The boot disk size must be from 100 to 64000 GB.",
    ),
    (
        lambda job: first(job).update(diskSpec={"bootDiskType": "floppy"}),
        f"{POOL}.disk_spec.boot_disk_type",
        "The boot disk type `floppy` must be one of pd-ssd, pd-standard, hyperdisk-balanced.",
    ),
    (
        machine(machineType="n1-standard-4", tpuTopology="2x2"),
        f"{POOL}.machine_spec.tpu_topology",
        "The machine type n1-standard-4 has no TPU topology.",
    ),
    (lambda job: first(job).pop("containerSpec"), f"{POOL}.task", "One of `container_spec` and `python_package_spec`"),
    *(
        (field(f"jobSpec.workerPoolSpecs.0.containerSpec.{name}", value), f"{POOL}.container_spec.{path}", NUL)
        for name, value, path in (
            ("command", ["python", "-c", "a\0b"], "command[2]"),
            ("args", ["\0"], "args[0]"),
            ("env", [{"name": "A", "value": "a\0"}], "env[0].value"),
            ("imageUri", "python\0:3.11", "image_uri"),
        )
    ),
    (field("jobSpec.baseOutputDirectory.outputUriPrefix", "gs://b-b/\0"), f"{OUTPUT}.output_uri_prefix", NUL),
    *(
        (
            field("jobSpec.workerPoolSpecs.0.containerSpec.env", [{"name": name, "value": "x"}]),
            f"{POOL}.container_spec.env[0].name",
            f"The name `{name}` must be a valid C identifier.",
        )
        for name in ("A=B", "=A", "A B", "1A", "")
    ),
    (
        lambda job: first(job)["containerSpec"].pop("imageUri"),
        f"{POOL}.container_spec.image_uri",
        "Required field is not set.",
    ),
    (
        lambda job: first(job)["containerSpec"].update(env=[{"name": "1 2"}]),
        f"{POOL}.container_spec.env[0].name",
        "The name `1 2` must be a valid C identifier.",
    ),
    (package(packageUris=["gs://b/a.whl"]), f"{POOL}.python_package_spec.executor_image_uri", "Required field"),
    (
        package(executorImageUri="python:3.11", pythonModule="a", packageUris=["gs://b/a.zip"]),
        f"{POOL}.python_package_spec.package_uris[0]",
        "`gs://b/a.zip` must be a .tar.gz or .whl file in Google Cloud Storage.",
    ),
    (
        field("jobSpec.baseOutputDirectory", {"outputUriPrefix": "/tmp/out"}),
        "job_spec.base_output_directory.output_uri_prefix",
        "The Google Cloud Storage path `/tmp/out` must start with `gs://`",
    ),
    (field("jobSpec.scheduling", {"timeout": "0s"}), "job_spec.scheduling.timeout", "The timeout must be positive."),
    (
        field("jobSpec.scheduling", {"strategy": "SPOT", "maxWaitDuration": "60s"}),
        "job_spec.scheduling.max_wait_duration",
        "`max_wait_duration` can only be set when `strategy` is FLEX_START.",
    ),
    (flex(maxWaitDuration="-5s"), "job_spec.scheduling.max_wait_duration", "The maximum wait duration must not be"),
    (flex(timeout="604801s"), "job_spec.scheduling.timeout", "The timeout must be at most 7 days when"),
    (flex(T4), "job_spec.scheduling.strategy", "FLEX_START is only for jobs that request L4, A100, H100, H200 or B200"),
    (flex(L4, {**L4, "machineType": "g2-standard-8"}), "job_spec.worker_pool_specs", "All worker pools must have the"),
    (field("jobSpec.serviceAccount", "me"), "job_spec.service_account", "Invalid service account email: me"),
]


@pytest.mark.parametrize(("change", "path", "said"), FIELDS)
def test_a_field_that_cant_be(vertex: AuthorizedSession, change: Change, path: str, said: str) -> None:
    job = copy.deepcopy(GOOD)
    change(job)
    answer = vertex.post(f"{PLACE}/customJobs", json=job)
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["message"].startswith(f"List of found errors:\t1.Field: {path}; Message: {said}")
    assert error["message"].endswith("\t")
    assert error["details"][0]["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert error["details"][0]["fieldViolations"][0]["field"] == path


def test_all_errors_are_listed(vertex: AuthorizedSession) -> None:
    error = vertex.post(f"{PLACE}/customJobs", json={}).json()["error"]
    assert error["message"] == (
        "List of found errors:\t1.Field: display_name; Message: Required field is not set.\t"
        "2.Field: job_spec.worker_pool_specs; Message: Required field is not set.\t"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (machine(machineType="n1-standard-1"), 'Machine type "n1-standard-1" is not supported.'),
        (machine(machineType="potato"), 'Machine type "potato" is not supported.'),
        (
            machine(machineType="e2-standard-4", acceleratorType="NVIDIA_TESLA_T4", acceleratorCount=1),
            'Accelerator "NVIDIA_TESLA_T4" is not supported for machine type "e2-standard-4"',
        ),
        (
            machine(machineType="n1-standard-4", acceleratorType="NVIDIA_TESLA_T4", acceleratorCount=3),
            'Accelerator "NVIDIA_TESLA_T4" is not supported for machine type "n1-standard-4"',
        ),
        (
            field("jobSpec.serviceAccount", "never-made@test-project.iam.gserviceaccount.com"),
            "You do not have permission to act as service_account: never-made@test-project.iam.gserviceaccount.com. "
            "(or it may not exist).",
        ),
        (
            field("colour", "red"),
            "Invalid JSON payload received. Unknown name \"colour\" at 'custom_job': Cannot find field.",
        ),
        (
            field("jobSpec.colour", "red"),
            "Invalid JSON payload received. Unknown name \"colour\" at 'custom_job.job_spec': Cannot find field.",
        ),
    ],
)
def test_a_job_that_cant_be(vertex: AuthorizedSession, change: Change, message: str) -> None:
    job = copy.deepcopy(GOOD)
    change(job)
    answer = vertex.post(f"{PLACE}/customJobs", json=job)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert answer.json()["error"]["message"] == message


TYPES = "type.googleapis.com/google.cloud.aiplatform.v1"
DURATION = "type.googleapis.com/google.protobuf.Duration"
VALUES = [
    (field("displayName", 5), "custom_job.display_name", "(TYPE_STRING), 5"),
    (field("labels", {"a": 1}), "custom_job.labels[0].value", "(TYPE_STRING), 1"),
    (field("jobSpec.workerPoolSpecs", 1), "custom_job.job_spec.worker_pool_specs", f"({TYPES}.WorkerPoolSpec), 1"),
    (field("jobSpec.workerPoolSpecs.0.replicaCount", "x"), f"custom_job.{POOL}.replica_count", '(TYPE_INT64), "x"'),
    (
        machine(machineType="n1-standard-4", acceleratorType="NVIDIA_T4", acceleratorCount=1),
        f"custom_job.{POOL}.machine_spec.accelerator_type",
        f'({TYPES}.AcceleratorType), "NVIDIA_T4"',
    ),
    (
        field("jobSpec.scheduling", {"timeout": "1h"}),
        "custom_job.job_spec.scheduling.timeout",
        f"({DURATION}), Field 'timeout', Illegal duration format; duration must end with 's'",
    ),
    *(
        (
            field("jobSpec.scheduling", {"timeout": given}),
            "custom_job.job_spec.scheduling.timeout",
            f"({DURATION}), Field 'timeout', {said}",
        )
        for given, said in (
            (60, "Illegal duration format; duration must end with 's'"),
            ("xs", "Invalid duration format, failed to parse seconds"),
            ("9e9s", "Invalid duration format, failed to parse seconds"),
            ("1.5.5s", "Invalid duration format, failed to parse nano seconds"),
            ("99999999999999999s", "Duration value exceeds limits"),
        )
    ),
    (field("jobSpec.workerPoolSpecs", {}), "custom_job.job_spec.worker_pool_specs", f"({TYPES}.WorkerPoolSpec), {{}}"),
    (
        field("jobSpec.workerPoolSpecs.0.replicaCount", 2**70),
        f"custom_job.{POOL}.replica_count",
        f"(TYPE_INT64), {2**70}",
    ),
    (
        machine(machineType="n1-standard-4", acceleratorCount=2**31),
        f"custom_job.{POOL}.machine_spec.accelerator_count",
        f"(TYPE_INT32), {2**31}",
    ),
    (
        field("jobSpec.workerPoolSpecs.0.containerSpec.args", "--x"),
        f"custom_job.{POOL}.container_spec.args",
        '(TYPE_STRING), "--x"',
    ),
    (
        field("jobSpec.workerPoolSpecs.0.pythonPackageSpec", {}),
        f"custom_job.{POOL}",
        "(oneof), oneof field 'task' is already set. Cannot set 'pythonPackageSpec'",
    ),
    (field("labels", "x"), "custom_job.labels", f'({TYPES}.CustomJob.LabelsEntry), "x"'),
    (field("createTime", "x"), "custom_job.create_time", '(type.googleapis.com/google.protobuf.Timestamp), "x"'),
    (
        field("jobSpec.scheduling", {"disableRetries": "yes"}),
        "custom_job.job_spec.scheduling.disable_retries",
        '(TYPE_BOOL), "yes"',
    ),
]


@pytest.mark.parametrize(("change", "path", "said"), VALUES)
def test_a_value_of_another_type(vertex: AuthorizedSession, change: Change, path: str, said: str) -> None:
    job = copy.deepcopy(GOOD)
    change(job)
    answer = vertex.post(f"{PLACE}/customJobs", json=job | {"colour": "red", "error": [1]})
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
    unknown = "Invalid JSON payload received. Unknown name"
    assert sorted(error["message"].splitlines()) == [
        f"{unknown} \"colour\" at 'custom_job': Cannot find field.",
        f"{unknown} \"error\" at 'custom_job': Proto field is not repeating, cannot start list.",
        f"Invalid value at '{path}' {said}",
    ]
    assert path in [one["field"] for one in error["details"][0]["fieldViolations"]]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"displayName": ', "Unexpected end of string. Expected a value."),
        (b'{"displayName": "a", "labels": x}', 'Unexpected token.\nme": "a", "labels": x}\n                    ^'),
        (b'{"displayName": "\xff"}', "Encountered non UTF-8 code points."),
        (b"[]", 'Unknown name "": Root element must be a message.'),
    ],
)
def test_a_body_that_is_none(vertex: AuthorizedSession, raw: bytes, said: str) -> None:
    answer = vertex.post(f"{PLACE}/customJobs", data=raw, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert answer.json()["error"]["message"] == f"Invalid JSON payload received. {said}"


def test_a_value_of_another_type_in_other_resources(vertex: AuthorizedSession) -> None:
    """Numbers that are none, maps, masks: nothing is told in the words of the parser that is used here."""
    double = "hyperparameter_tuning_job.study_spec.parameters[0].double_value_spec.min_value"
    job = "hyperparameterTuningJobs"
    for method, path, body, said in (
        *(
            (
                "POST", job, {"studySpec": {"parameters": [{"doubleValueSpec": {"minValue": value}}]}},
                f"Invalid value at '{double}' (TYPE_DOUBLE), {shown}",
            )
            for value, shown in (("abc", '"abc"'), (True, "true"), ({}, "{}"), ("1e400", '"1e400"'))
        ),
        (
            "POST", "endpoints/1:predict", {"instances": "x"},
            "Invalid value at 'instances' (type.googleapis.com/google.protobuf.Value), \"x\"",
        ),
        (
            "POST", "endpoints/1:deployModel", {"trafficSplit": [1]},
            "Invalid JSON payload received. Unknown name \"trafficSplit\": Cannot bind a list to map for field "
            "'trafficSplit'.",
        ),
        (
            "POST", "endpoints/1:undeployModel", {"trafficSplit": {"1": 2**40}},
            f"Invalid value at 'traffic_split[0].value' (TYPE_INT32), {2**40}",
        ),
        (
            "PATCH", "endpoints/1?updateMask=a.B_", {},
            "Invalid value at 'update_mask' (type.googleapis.com/google.protobuf.FieldMask), \"a.B_\"",
        ),
    ):  # fmt: skip
        error = vertex.request(method, f"{PLACE}/{path}", json=body).json()["error"]
        assert (error["code"], error["status"], error["message"]) == (400, "INVALID_ARGUMENT", said)


def test_a_value_with_nul_in_a_model_and_in_a_study(vertex: AuthorizedSession) -> None:
    container = {"imageUri": "python:3.11", "args": ["a\0"]}
    study = {"parameters": [{"parameterId": "a\0", "categoricalValueSpec": {"values": ["b", "c\0"]}}]}
    for path, body, fields in (
        (
            "models:upload", {"model": {"displayName": "m", "containerSpec": container}},
            ["model.container_spec.args[0]"],
        ),
        (
            "hyperparameterTuningJobs", {"displayName": "h", "studySpec": study, "trialJobSpec": GOOD["jobSpec"]},
            [f"study_spec.parameters[0].{name}" for name in ("parameter_id", "categorical_value_spec.values[1]")],
        ),
    ):  # fmt: skip
        error = vertex.post(f"{PLACE}/{path}", json=body).json()["error"]
        told = [one["field"] for one in error["details"][0]["fieldViolations"] if one["description"] == NUL]
        assert (error["status"], told) == ("INVALID_ARGUMENT", fields)


def test_another_region_than_the_endpoint(vertex: AuthorizedSession) -> None:
    answer = vertex.get(f"{HOST}/projects/{PROJECT}/locations/europe-west4/customJobs")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == (
        "List of found errors:\t1.Field: parent; Message: The provided location ID doesn't match the endpoint. "
        "The valid location ID is `us-central1`.\t"
    )


def test_a_region_that_is_none(vertex: AuthorizedSession) -> None:
    answer = vertex.get(f"https://mars-aiplatform.googleapis.com/v1/projects/{PROJECT}/locations/mars/customJobs")
    error = answer.json()["error"]
    assert (error["code"], error["message"]) == (403, "Permission denied on 'locations/mars' (or it may not exist).")
    assert error["details"][0]["reason"] == "LOCATION_POLICY_VIOLATED"


def test_a_project_that_is_none(vertex: AuthorizedSession) -> None:
    error = vertex.get(f"{HOST}/projects/no-such-project/locations/us-central1/customJobs").json()["error"]
    assert (error["code"], error["message"]) == (403, "Permission denied on resource project no-such-project.")
    assert error["details"][1]["reason"] == "CONSUMER_INVALID"


def test_the_api_must_be_on(new_cloud: Any) -> None:
    cloud = new_cloud()
    answer = cloud.session().get(f"{PLACE}/customJobs")
    error = answer.json()["error"]
    assert (error["code"], error["details"][0]["reason"]) == (403, "SERVICE_DISABLED")
    assert error["message"].startswith(
        "Vertex AI API has not been used in project test-project before or it is disabled"
    )


@pytest.mark.parametrize(
    ("method", "path", "code", "status"),
    [
        ("GET", "customJobs/1", 404, "NOT_FOUND"),
        ("POST", "customJobs/1:cancel", 404, "NOT_FOUND"),
        ("DELETE", "customJobs/1", 404, "NOT_FOUND"),
        ("GET", "operations/1", 404, "NOT_FOUND"),
        ("GET", "customJobs?pageSize=-1", 400, "INVALID_ARGUMENT"),
        ("GET", "customJobs?pageSize=many", 400, "INVALID_ARGUMENT"),
        ("GET", "customJobs?pageToken=x", 400, "INVALID_ARGUMENT"),
        ("GET", "customJobs?orderBy=create_time", 400, "INVALID_ARGUMENT"),
        ("GET", "dataLabelingJobs", 501, "UNIMPLEMENTED"),
        ("POST", "customJobs/1:explode", 501, "UNIMPLEMENTED"),
    ],
)
def test_other_calls_that_cant_be(vertex: AuthorizedSession, method: str, path: str, code: int, status: str) -> None:
    answer = vertex.request(method, f"{PLACE}/{path}")
    assert (answer.status_code, answer.json()["error"]["status"]) == (code, status)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (field("jobSpec.persistentResourceId", "mine"), "persistent resources (job_spec.persistent_resource_id)"),
        (field("jobSpec.network", "projects/1/global/networks/n"), "peered networks (job_spec.network)"),
        (field("jobSpec.tensorboard", f"{LOCATION}/tensorboards/1"), "managed TensorBoard instances"),
        (field("jobSpec.enableWebAccess", True), "interactive shells of jobs (job_spec.enable_web_access)"),
        (field("jobSpec.pscInterfaceConfig", {"networkAttachment": "n"}), "Private Service Connect"),
        (field("encryptionSpec", {"kmsKeyName": "k"}), "encryption with keys of your own (encryption_spec)"),
        (
            field("jobSpec.workerPoolSpecs.0.nfsMounts", [{"server": "10.0.0.1", "path": "/a", "mountPoint": "b"}]),
            "NFS mounts (nfs_mounts)",
        ),
        (field("jobSpec.workerPoolSpecs.0.lustreMounts", [{"instanceIp": "10.0.0.1"}]), "Lustre mounts"),
        (machine(**L4, reservationAffinity={"reservationAffinityType": "ANY_RESERVATION"}), "reservations"),
        (machine(machineType="ct5lp-hightpu-4t", tpuTopology="4x4"), "TPU slices of several machines"),
    ],
)
def test_a_job_does_not_silently_run_without_what_it_asks_for(
    vertex: AuthorizedSession, change: Change, what: str
) -> None:
    job = copy.deepcopy(GOOD)
    change(job)
    answer = vertex.post(f"{PLACE}/customJobs", json=job)
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (501, "UNIMPLEMENTED")
    assert error["message"].startswith(f"not emulated by the local cloud: {what}")
