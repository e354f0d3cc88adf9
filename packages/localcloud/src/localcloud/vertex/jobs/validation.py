"""Which custom jobs can't be, in Google's words where they are known.

Rules: the documentation of CustomJobSpec, and of machine shapes through the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from localcloud.core.errors import ApiError, NotEmulated, error_info
from localcloud.transport.shapes import Violation

Body = Mapping[str, Any]

REQUIRED = "Required field is not set."
_LABEL_KEY = re.compile(r"[^\W\dA-Z_](?:[^\WA-Z]|-){0,62}")
_LABEL_VALUE = re.compile(r"(?:[^\WA-Z]|-){0,63}")
_POOLS = 4  # primary, workers, parameter servers or reducers, evaluators
_DISK_GB = range(100, 64_001)
_DISK_TYPES = ("pd-ssd", "pd-standard", "hyperdisk-balanced")
_FLEX_TIMEOUT = 7 * 86_400  # seconds
_FLEX_GPU = re.compile(r"NVIDIA_(TESLA_)?(L4|A100|H100|H200|B200)(_|$)")
# Fields of CustomJobSpec that a job would silently run without.
_NOT_EMULATED = {
    "enableDashboardAccess": "dashboards of jobs",
    "enableWebAccess": "interactive shells of jobs",
    "experiment": "experiments",
    "experimentRun": "experiments",
    "models": "models of jobs",
    "network": "peered networks",
    "persistentResourceId": "persistent resources",
    "protectedArtifactLocationId": "persistent resources",
    "pscInterfaceConfig": "Private Service Connect",
    "reservedIpRanges": "peered networks",
    "tensorboard": "managed TensorBoard instances",
}
_POOL_NOT_EMULATED = {
    "nfsMounts": "NFS mounts",
    "lustreMounts": "Lustre mounts",
    "reservationAffinity": "reservations",
    "gpuPartitionSize": "parts of GPUs",
}


def found(violations: list[Violation]) -> ApiError:
    """400 with the list of errors, as Vertex AI writes it, and a BadRequest detail."""
    text = "".join(f"{n}.Field: {v.path}; Message: {v.message}\t" for n, v in enumerate(violations, 1))
    fields = [{"field": v.path, "description": v.message} for v in violations]
    detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": fields}
    return ApiError(400, f"List of found errors:\t{text}", details=[detail])


def refuse(violations: Iterable[Violation]) -> None:
    """Raises 400 with all that is wrong, if anything is."""
    wrong = [*violations]
    if wrong:
        raise found(wrong)


def check_location(location: str, host: str, project: Body) -> None:
    """Raises 403 for a region that is none, 400 when it is not the one of the endpoint `host` ("" when not known)."""
    from catalog.regions import regions

    if location not in regions():
        raise ApiError(
            403,
            f"Permission denied on 'locations/{location}' (or it may not exist).",
            details=[
                error_info(
                    "LOCATION_POLICY_VIOLATED",
                    "googleapis.com",
                    location=location,
                    consumer=f"projects/{project['projectNumber']}",
                    service="aiplatform.googleapis.com",
                )
            ],
        )
    match = re.fullmatch(r"(?:([a-z0-9-]+?)-(?:prediction-)?)?aiplatform\.googleapis\.com", host)
    served = (match[1] or "us-central1") if match else location
    if served != location:
        words = f"The provided location ID doesn't match the endpoint. The valid location ID is `{served}`."
        raise found([Violation("parent", words)])


def check_job(job: Body, location: str) -> None:
    """Raises 400 for a job that can't be, with all that is wrong; 501 for one that asks for what is not here."""
    refuse(violations(job))
    check_emulated(job, job["jobSpec"], location)


def check_emulated(job: Body, spec: Body, location: str) -> None:
    """Raises 501 when `spec`, a sound CustomJobSpec, or its `job` ask for what is not here; 400 for its machines."""
    for field, what in _NOT_EMULATED.items():
        if spec.get(field):
            raise NotEmulated(f"{what} (job_spec.{_snake(field)})")
    if job.get("encryptionSpec"):
        raise NotEmulated("encryption with keys of your own (encryption_spec)")
    for index, pool in enumerate(spec["workerPoolSpecs"]):
        for field, what in _POOL_NOT_EMULATED.items():
            if pool.get(field) or pool.get("machineSpec", {}).get(field):
                raise NotEmulated(f"{what} ({_snake(field)})")
        if pool:
            _machine(f"job_spec.worker_pool_specs[{index}].machine_spec", pool["machineSpec"], location)
    _one_tpu([pool for pool in spec["workerPoolSpecs"] if pool])


def violations(job: Body) -> Iterator[Violation]:
    """All that is wrong with the fields of a custom job, or of a job that has its displayName, labels and jobSpec."""
    yield from texts(job)
    spec = job.get("jobSpec", {})
    yield from with_nul("job_spec", spec)
    pools = spec.get("workerPoolSpecs", [])
    if not pools:
        yield Violation("job_spec.worker_pool_specs", REQUIRED)
    if len(pools) > _POOLS:
        yield Violation("job_spec.worker_pool_specs", f"At most {_POOLS} worker pools are allowed.")
    for index, pool in enumerate(pools):
        if pool or index == 0:  # an empty one is passed over
            yield from _pool(f"job_spec.worker_pool_specs[{index}]", pool, index)
    yield from _scheduling(spec.get("scheduling", {}), pools)
    output = spec.get("baseOutputDirectory", {}).get("outputUriPrefix", "")
    if "baseOutputDirectory" in spec and not re.fullmatch(r"gs://[a-z0-9][a-z0-9._-]+[a-z0-9](/.*)?", output):
        yield Violation(
            "job_spec.base_output_directory.output_uri_prefix",
            f"The Google Cloud Storage path `{output}` must start with `gs://` and name a bucket.",
        )
    account = spec.get("serviceAccount", "")
    if account and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", account):
        yield Violation("job_spec.service_account", f"Invalid service account email: {account}")


def texts(given: Body, path: str = "") -> Iterator[Violation]:
    """All that is wrong with a resource's display name and labels; `path` stands before its fields ("model.")."""
    name = given.get("displayName", "")
    if not name:
        yield Violation(f"{path}display_name", REQUIRED)
    elif len(name) > 128:
        yield Violation(f"{path}display_name", "The display name can be up to 128 characters long.")
    yield from _labels(given.get("labels", {}))


def with_nul(path: str, given: Any) -> Iterator[Violation]:
    """Each text in `given` that holds NUL: no process can be given one, in its command or its environment."""
    if isinstance(given, str):
        if "\0" in given:
            yield Violation(path, "The value must not contain the NUL character.")
    elif isinstance(given, Mapping):
        for name, value in given.items():
            yield from with_nul(f"{path}.{_snake(name)}", value)
    elif isinstance(given, list):
        for number, value in enumerate(given):
            yield from with_nul(f"{path}[{number}]", value)


def variables(path: str, given: Iterable[Body]) -> Iterator[Violation]:
    """All that is wrong with the names of the environment variables in `path`."""
    for number, variable in enumerate(given):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable.get("name", "")):
            words = f"The name `{variable.get('name', '')}` must be a valid C identifier."
            yield Violation(f"{path}[{number}].name", words)


def _labels(given: Mapping[str, str]) -> Iterator[Violation]:
    if len(given) > 64:
        yield Violation("labels", "No more than 64 labels are allowed.")
    for key, value in given.items():
        if not _LABEL_KEY.fullmatch(key) or len(key) > 63:
            words = "must start with a lowercase letter and have at most 63 lowercase letters, digits, `_` and `-`."
            yield Violation("labels", f"The label key `{key}` {words}")
        if not _LABEL_VALUE.fullmatch(value):
            words = "must have at most 63 lowercase letters, digits, `_` and `-`."
            yield Violation("labels", f"The label value `{value}` {words}")


def _pool(path: str, pool: Body, index: int) -> Iterator[Violation]:
    machine = pool.get("machineSpec", {})
    if not machine.get("machineType"):
        yield Violation(f"{path}.machine_spec.machine_type", REQUIRED)
    count = int(machine.get("acceleratorCount", 0))
    if bool(machine.get("acceleratorType")) != (count > 0):
        words = "Both `accelerator_type` and `accelerator_count` should be specified or none."
        yield Violation(f"{path}.machine_spec.accelerator_type", words)
    replicas = int(pool.get("replicaCount", 1))
    if replicas < 1:
        yield Violation(f"{path}.replica_count", "The replica count must be positive.")
    elif index == 0 and replicas != 1:
        yield Violation(f"{path}.replica_count", "The primary worker pool must have exactly one replica.")
    kind = pool.get("diskSpec", {}).get("bootDiskType", "")
    if kind and kind not in _DISK_TYPES:
        words = f"The boot disk type `{kind}` must be one of {', '.join(_DISK_TYPES)}."
        yield Violation(f"{path}.disk_spec.boot_disk_type", words)
    disk = pool.get("diskSpec", {}).get("bootDiskSizeGb")
    if disk and disk not in _DISK_GB:
        words = f"The boot disk size must be from {_DISK_GB.start} to {_DISK_GB.stop - 1} GB."
        yield Violation(f"{path}.disk_spec.boot_disk_size_gb", words)
    container, package = pool.get("containerSpec"), pool.get("pythonPackageSpec")
    if container is None and package is None:
        yield Violation(f"{path}.task", "One of `container_spec` and `python_package_spec` must be set.")
    if container is not None and not container.get("imageUri"):
        yield Violation(f"{path}.container_spec.image_uri", REQUIRED)
    if package is not None:
        yield from _package(f"{path}.python_package_spec", package)
    which, spec = ("container_spec", container) if container is not None else ("python_package_spec", package or {})
    yield from variables(f"{path}.{which}.env", spec.get("env", []))


def _package(path: str, package: Body) -> Iterator[Violation]:
    for field, name in (
        ("executorImageUri", "executor_image_uri"),
        ("packageUris", "package_uris"),
        ("pythonModule", "python_module"),
    ):
        if not package.get(field):
            yield Violation(f"{path}.{name}", REQUIRED)
    if len(package.get("packageUris", [])) > 100:
        yield Violation(f"{path}.package_uris", "The maximum number of package URIs is 100.")
    for number, uri in enumerate(package.get("packageUris", [])):
        if not re.fullmatch(r"gs://[^/]+/.+\.(tar\.gz|whl)", uri):
            words = f"`{uri}` must be a .tar.gz or .whl file in Google Cloud Storage."
            yield Violation(f"{path}.package_uris[{number}]", words)


def _scheduling(scheduling: Body, pools: Sequence[Body]) -> Iterator[Violation]:
    path = "job_spec.scheduling"
    timeout, wait = seconds(scheduling.get("timeout", "1s")), seconds(scheduling.get("maxWaitDuration", "0s"))
    if timeout <= 0:
        yield Violation(f"{path}.timeout", "The timeout must be positive.")
    if wait < 0:
        yield Violation(f"{path}.max_wait_duration", "The maximum wait duration must not be negative.")
    if scheduling.get("strategy") == "FLEX_START":
        yield from _flex_start(path, timeout, [pool.get("machineSpec", {}) for pool in pools if pool])
    elif "maxWaitDuration" in scheduling:
        words = "`max_wait_duration` can only be set when `strategy` is FLEX_START."
        yield Violation(f"{path}.max_wait_duration", words)


def _flex_start(path: str, timeout: float, machines: Sequence[Body]) -> Iterator[Violation]:
    """What Dynamic Workload Scheduler asks for: https://cloud.google.com/vertex-ai/docs/training/schedule-jobs-dws"""
    if timeout > _FLEX_TIMEOUT:
        yield Violation(f"{path}.timeout", "The timeout must be at most 7 days when `strategy` is FLEX_START.")
    if any(not _FLEX_GPU.match(machine.get("acceleratorType", "")) for machine in machines):
        yield Violation(
            f"{path}.strategy", "FLEX_START is only for jobs that request L4, A100, H100, H200 or B200 GPUs."
        )
    if any(machine != machines[0] for machine in machines):
        words = "All worker pools must have the same machine configuration when `strategy` is FLEX_START."
        yield Violation("job_spec.worker_pool_specs", words)


def _snake(field: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", field).lower()


def _machine(path: str, machine: Body, location: str) -> None:
    """Raises 400 for a machine that training has not, or not in this region, or not with this accelerator."""
    from catalog.machines import machines
    from catalog.regions import region

    name, accelerator = machine["machineType"], machine.get("acceleratorType", "")
    known = machines().get(name)
    if known is None:
        raise ApiError(400, f'Machine type "{name}" is not supported.')
    topology = machine.get("tpuTopology", known.topology)
    if topology != known.topology:
        if known.tpu:
            raise NotEmulated("TPU slices of several machines (tpu_topology)")
        raise found([Violation(f"{path}.tpu_topology", f"The machine type {name} has no TPU topology.")])
    if known.chip and known.chip not in region(location).accelerators:
        raise ApiError(400, f'Machine type "{name}" is not supported in region "{location}".')
    if not accelerator:
        if known.fixed:
            words = "Both `accelerator_type` and `accelerator_count` should be specified or none."
            raise found([Violation(f"{path}.accelerator_type", f"{words} {name} has {', '.join(known.gpus)}.")])
        return
    if int(machine["acceleratorCount"]) not in known.gpus.get(accelerator, ()):
        raise ApiError(400, f'Accelerator "{accelerator}" is not supported for machine type "{name}"')
    if accelerator not in region(location).accelerators:
        raise ApiError(400, f'Accelerator "{accelerator}" is not supported in region "{location}".')


def _one_tpu(pools: Sequence[Body]) -> None:
    """Raises 400 for TPUs beside anything else: https://cloud.google.com/vertex-ai/docs/training/configure-compute#tpu"""
    from catalog.machines import machine

    tpus = [pool for pool in pools if machine(pool["machineSpec"]["machineType"]).tpu]
    if tpus and (len(pools) > 1 or int(tpus[0].get("replicaCount", 1)) > 1):
        words = "A job with TPUs must have exactly one worker pool with one replica."
        raise found([Violation("job_spec.worker_pool_specs", words)])


def seconds(duration: str) -> float:
    """A google.protobuf.Duration's JSON ("3600s") in seconds."""
    return float(duration.removesuffix("s"))
