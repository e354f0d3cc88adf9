"""What a training container is promised: its replicas, command, arguments and environment variables.

Source: https://cloud.google.com/vertex-ai/docs/training/code-requirements and .../distributed-training
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.containers.words import expand

Body = Mapping[str, Any]

_TF_TASKS = ("chief", "worker", "ps", "evaluator")  # by worker pool
_GCS_MOUNT = re.compile(r"(?<![\w/.-])/gcs(?=/|$)")


@dataclass(frozen=True)
class Replica:
    """One replica of worker pool `pool`; `task` is the pool's containerSpec or pythonPackageSpec."""

    pool: int
    index: int
    spec: Body

    @property
    def name(self) -> str:
        """As logs and errors call it: workerpool0-0."""
        return f"workerpool{self.pool}-{self.index}"

    @property
    def container(self) -> Body | None:
        return self.spec.get("containerSpec")

    @property
    def package(self) -> Body | None:
        return self.spec.get("pythonPackageSpec")

    @property
    def image(self) -> str:
        """URI of its container image."""
        return (self.container or {}).get("imageUri") or (self.package or {}).get("executorImageUri", "")

    @property
    def variables(self) -> Sequence[Body]:
        """The `env` of the job's author."""
        return (self.container if self.container is not None else self.package or {}).get("env", [])

    def variable(self, name: str) -> str:
        """What the job's author set a variable to, as written; "" when they did not."""
        return next((v.get("value", "") for v in reversed(self.variables) if v["name"] == name), "")


def replicas(job_spec: Body) -> list[Replica]:
    """All replicas, the primary one first; empty pools are passed over."""
    return [
        Replica(pool, index, spec)
        for pool, spec in enumerate(job_spec["workerPoolSpecs"])
        if spec
        for index in range(int(spec.get("replicaCount", 1)))
    ]


def variables(
    job_id: str,
    project_number: str,
    job_spec: Body,
    everyone: Sequence[Replica],
    addresses: Mapping[str, str],
    trial: str = "",
) -> dict[str, dict[str, str]]:
    """Vertex AI's own variables for each replica, by its name; `addresses` are "host:port" by name.

    `trial` is the id of a tuning job's trial, whose job `job_id` is then.
    """
    shared = {"CLOUD_ML_PROJECT_ID": project_number, "CLOUD_ML_JOB_ID": job_id}
    tried = {"trial": trial} if trial else {}
    if trial:
        shared["CLOUD_ML_TRIAL_ID"] = trial
    base = job_spec.get("baseOutputDirectory", {}).get("outputUriPrefix", "").rstrip("/")
    if base:
        shared["AIP_MODEL_DIR"] = f"{base}/model/"
        shared["AIP_CHECKPOINT_DIR"] = f"{base}/checkpoints/"
        shared["AIP_TENSORBOARD_LOG_DIR"] = f"{base}/logs/"
    pools: dict[str, list[str]] = {}
    tf_cluster: dict[str, list[str]] = {}
    for replica in everyone:
        pools.setdefault(f"workerpool{replica.pool}", []).append(addresses[replica.name])
        if _TF_TASKS[replica.pool] != "evaluator":  # which the cluster never has
            tf_cluster.setdefault(_TF_TASKS[replica.pool], []).append(addresses[replica.name])
    made = {}
    for replica in everyone:
        own = dict(shared)
        task = {"type": f"workerpool{replica.pool}", "index": replica.index, **tried}
        spec = {"cluster": pools, "environment": "cloud", "task": task, "job": job_spec}
        own["CLUSTER_SPEC"] = json.dumps(spec)
        if len(everyone) > 1:  # a job of one replica has no TF_CONFIG
            tf_task = {"type": _TF_TASKS[replica.pool], "index": replica.index, "cloud": job_id, **tried}
            config = {"cluster": tf_cluster, "environment": "cloud", "task": tf_task, "job": job_spec}
            own["TF_CONFIG"] = json.dumps(config)
        made[replica.name] = own
    return made


def command(replica: Replica, environment: Mapping[str, str], entrypoint: Sequence[str]) -> list[str]:
    """What the replica runs: `command` replaces the image's entry point, `args` what follows it.

    `$(NAME)` is expanded as Kubernetes does. An image without an entry point starts Python, which ends at once.
    """
    if (package := replica.package) is not None:
        return ["python", "-m", package["pythonModule"], *package.get("args", [])]
    container = replica.container or {}
    words = [*(container.get("command") or entrypoint), *container.get("args", [])]
    return [expand(word, environment) for word in words] or ["python"]


def uses_gcs_mount(everyone: Sequence[Replica]) -> bool:
    """Whether a command, argument or variable names a path under /gcs, where Google mounts buckets."""
    return any(_GCS_MOUNT.search(text) for replica in everyone for text in _texts(replica))


def _texts(replica: Replica) -> Iterator[str]:
    for spec in (replica.container, replica.package):
        if spec is not None:
            yield from (*spec.get("command", []), *spec.get("args", []))
            yield from (variable.get("value", "") for variable in spec.get("env", []))
