"""Which jobs can't be, in Google's words where they are known; and what a job has where its author said nothing.

Words: https://github.com/google/osv.dev/pull/2800 (memory), reports of `Invalid value specified for cpu`; the rules of
https://docs.cloud.google.com/run/docs/configuring/jobs/memory-limits, .../task-timeout, .../max-retries. Where only
the rule is known, the words are chosen alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from catalog import run as book
from localcloud.core.errors import ApiError, NotEmulated

Body = dict[str, Any]
_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"(?:[a-z]+\.)?gcr\.io|(?:[a-z0-9-]+-)?docker\.pkg\.dev|docker\.io")
_PATH = re.compile(r"[a-z0-9._-]+(?:/[a-z0-9._-]+)*(?::[\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(Ki|Mi|Gi|k|M|G|m)?")
_RESERVED = ("CLOUD_RUN_JOB", "CLOUD_RUN_EXECUTION", "CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_ATTEMPT",
             "CLOUD_RUN_TASK_COUNT")  # fmt: skip
_VARIABLES = 1000
_LONGEST_VALUE = 32_768  # bytes: google/cloud/run/v2/k8s.min.proto, EnvVar
_LABEL_KEY = re.compile(r"[^\W\dA-Z_](?:[^\WA-Z]|-){0,62}")
_LABEL_VALUE = re.compile(r"(?:[^\WA-Z]|-){0,63}")
_GOOGLE_KEYS = re.compile(
    r"([a-z0-9.-]*\.)?(run\.googleapis\.com|cloud\.googleapis\.com|serving\.knative\.dev|autoscaling\.knative\.dev)/.*"
)
_TASK_NOT_EMULATED = {
    "volumes": "volumes", "encryptionKey": "encryption with keys of your own", "vpcAccess": "access to a VPC",
    "nodeSelector": "GPUs",
}  # fmt: skip
_CONTAINER_NOT_EMULATED = {
    "volumeMounts": "volumes", "sourceCode": "source deployments", "baseImageUri": "base images",
    "livenessProbe": "probes", "startupProbe": "probes", "readinessProbe": "probes", "dependsOn": "sidecars",
    "workingDir": "working directories",
}  # fmt: skip


def check_id(job_id: str) -> None:
    """Raises 400 for an id that no job can have."""
    if not _ID.fullmatch(job_id):
        words = (
            "job_id: The name must use only lowercase alphanumeric characters and dashes, must begin with a letter, "
            "cannot end with a dash, and cannot be longer than 63 characters."
        )
        raise ApiError(400, words)


def completed(given: Body) -> Body:
    """The template of a job with what Google fills in. Raises 400 for one that can't be, 501 for what is not here."""
    template = given.get("template") or {}
    task = template.get("template") or {}
    for field, what in _TASK_NOT_EMULATED.items():
        if task.get(field):
            raise NotEmulated(f"{what} of jobs (template.template.{field})")
    if given.get("binaryAuthorization"):
        raise NotEmulated("Binary Authorization of jobs (binaryAuthorization)")
    if given.get("startExecutionToken") or given.get("runExecutionToken"):
        raise NotEmulated("jobs that run as they are created (startExecutionToken, runExecutionToken)")
    for holder, path in ((given, ""), (template, "template.")):
        _check_labels(holder.get("labels", {}), f"{path}labels")
        for key in holder.get("annotations", {}):
            if _GOOGLE_KEYS.fullmatch(key):
                raise ApiError(
                    400, f"{path}annotations: System annotations are not supported in Cloud Run API v2: {key}"
                )
    containers = task.get("containers") or []
    if not containers:
        raise ApiError(400, "template.template.containers: At least one container is required.")
    if len(containers) > 1:
        raise NotEmulated("jobs of more than one container")
    count = int(template.get("taskCount") or 1)
    parallel = int(template.get("parallelism") or 0)
    if not 1 <= count <= book.limits().most_tasks:
        raise ApiError(400, f"template.task_count: must be between 1 and {book.limits().most_tasks}.")
    if not 0 <= parallel <= count:
        raise ApiError(400, "template.parallelism: must be between 0 and task_count.")
    made = {
        **task,
        "containers": [_container(containers[0])],
        "maxRetries": _retries(task),
        "timeout": f"{timeout(task)}s",
        "executionEnvironment": _environment(task),
    }
    return {**template, "taskCount": count, "template": made}


def _retries(task: Mapping[str, Any]) -> int:
    wanted = int(task.get("maxRetries", book.limits().retries))
    if not 0 <= wanted <= book.limits().most_retries:
        raise ApiError(400, f"template.template.max_retries: must be between 0 and {book.limits().most_retries}.")
    return wanted


def timeout(task: Mapping[str, Any]) -> int:
    """Seconds that each attempt of a task may take. Raises 400."""
    text = str(task.get("timeout") or f"{book.limits().timeout}s").removesuffix("s")
    seconds = Decimal(text)
    if not 1 <= seconds <= book.limits().longest or seconds % 1:
        words = f"template.template.timeout: must be a whole number of seconds from 1s to {book.limits().longest}s."
        raise ApiError(400, words)
    return int(seconds)


def _environment(task: Mapping[str, Any]) -> str:
    wanted = task.get("executionEnvironment", "EXECUTION_ENVIRONMENT_UNSPECIFIED")
    if wanted == "EXECUTION_ENVIRONMENT_GEN1":
        raise ApiError(400, "template.template.execution_environment: Jobs only support the second generation (gen2).")
    return "EXECUTION_ENVIRONMENT_GEN2"


def _container(given: Body) -> Body:
    where = "template.template.containers[0]"
    for field, what in _CONTAINER_NOT_EMULATED.items():
        if given.get(field):
            raise NotEmulated(f"{what} of jobs ({where}.{field})")
    image = given.get("image", "")
    if not _is_image(image):
        words = (
            "Expected an image path like [host/]repo-path[:tag and/or @digest], where host is one of "
            f"[region.]gcr.io, [region-]docker.pkg.dev or docker.io but obtained {image}. To deploy container images "
            "from other public or private registries, set up an Artifact Registry remote repository. See "
            "https://cloud.google.com/artifact-registry/docs/repositories/remote-overview"
        )
        raise ApiError(400, f"{where}.image: {words}")
    check_variables(given.get("env", []), f"{where}.env")
    limits = dict((given.get("resources") or {}).get("limits", {}))
    for name in limits:
        if name == "nvidia.com/gpu":
            raise NotEmulated("GPUs of jobs (nvidia.com/gpu)")
        if name not in ("cpu", "memory"):
            raise ApiError(400, f"{where}.resources.limits: Unsupported resource {name}. Use cpu or memory.")
    limits = {"cpu": "1000m", "memory": "512Mi"} | limits
    check_resources(limits, where)
    return {**given, "resources": {**(given.get("resources") or {}), "limits": limits}}


def _is_image(image: str) -> bool:
    host, slash, path = image.partition("/")
    if slash and ("." in host or ":" in host):
        return _HOST.fullmatch(host) is not None and _PATH.fullmatch(path) is not None
    return _PATH.fullmatch(image) is not None


def check_variables(given: list[Body], where: str) -> None:
    """Raises 400 for variables that a container can't have; 501 for secrets."""
    if len(given) > _VARIABLES:
        raise ApiError(400, f"{where}: A container may have up to {_VARIABLES} environment variables.")
    seen: set[str] = set()
    for number, one in enumerate(given):
        name = one.get("name", "")
        if one.get("valueSource"):
            raise NotEmulated(f"secrets as variables ({where}[{number}].valueSource)")
        if len(one.get("value", "").encode()) > _LONGEST_VALUE:
            raise ApiError(400, f"{where}[{number}].value: must not exceed {_LONGEST_VALUE} bytes.")
        if not name or "=" in name or "\0" in name + one.get("value", ""):
            raise ApiError(400, f"{where}[{number}].name: Invalid environment variable name '{name}'.")
        if name in _RESERVED or name.startswith("X_GOOGLE_"):
            words = f"The following reserved env names were provided: {name}."
            raise ApiError(400, f"{where}: {words} These values are automatically set by the system.")
        if name in seen:
            raise ApiError(400, f"{where}: Duplicate environment variable {name}.")
        seen.add(name)


def check_resources(limits: Mapping[str, str], where: str) -> None:
    """Raises 400 for vCPUs that an instance can't have, or memory that doesn't go with them."""
    cpu, memory = cpus(limits), quantity(limits["memory"])
    if cpu is None or (cpu > 1 and cpu % 1) or cpu > max(book.cpu_counts()):
        words = "Invalid value specified for cpu. The following values are supported: 1, 2, 4, 6, 8."
        raise ApiError(400, f"{where}.resources.limits.cpu: {words}")
    if cpu < 1:
        words = "Invalid value specified for cpu. Total cpu < 1 is not supported with gen2 execution environment."
        raise ApiError(400, f"{where}.resources.limits.cpu: {words}")
    if int(cpu) not in book.cpu_counts():
        words = "Invalid value specified for cpu. The following values are supported: 1, 2, 4, 6, 8."
        raise ApiError(400, f"{where}.resources.limits.cpu: {words}")
    least, most = book.memory_range(int(cpu))
    if memory is None or not least * (1 << 30) <= memory <= most * (1 << 30):
        words = (
            f"Invalid value specified for container memory. For {float(cpu)} CPU, memory must be between "
            f"{_written(least)} and {_written(most)} inclusive.\nFor more troubleshooting guidance, see "
            "https://cloud.google.com/run/docs/configuring/memory-limits"
        )
        raise ApiError(400, f"{where}.resources.limits.memory: {words}")


def _written(gib: Decimal) -> str:
    return f"{int(gib)}Gi" if gib % 1 == 0 else f"{int(gib * 1024)}Mi"


def cpus(limits: Mapping[str, str]) -> Decimal | None:
    """vCPUs of a container's limits; None for what is no number."""
    return quantity(limits["cpu"])


def quantity(text: str) -> Decimal | None:
    """A Kubernetes quantity such as "4", "4000m", "8Gi"; None for what is none."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    try:
        number = Decimal(match[1])
    except InvalidOperation:
        return None
    return number / 1000 if match[2] == "m" else number * _UNITS[match[2] or ""]


def _check_labels(labels: Mapping[str, str], where: str) -> None:
    if len(labels) > 64:
        raise ApiError(400, f"{where}: A resource may have up to 64 labels.")
    for key, value in labels.items():
        if "/" in key or not _LABEL_KEY.fullmatch(key):
            raise ApiError(400, f"{where}: Invalid label key '{key}'.")
        if not _LABEL_VALUE.fullmatch(value):
            raise ApiError(400, f"{where}: Invalid value '{value}' for label '{key}'.")
