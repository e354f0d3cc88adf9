"""What the platform tells a run and how the run answers: the same on a laptop and on Vertex AI.

Variables: https://cloud.google.com/vertex-ai/docs/training/code-requirements and
https://cloud.google.com/vertex-ai/docs/training/distributed-training. What is not set is ./output.
"""

import dataclasses
import json
import os
import sys
import time
from collections.abc import Mapping, MutableMapping
from pathlib import Path

KEPT = 100  # lines of the tuning service's metric file, as cloudml-hypertune keeps them


@dataclasses.dataclass(frozen=True)
class Job:
    """Folders (paths or gs://), which worker this is of how many, and whether a service reads what is printed."""

    model_dir: str
    checkpoint_dir: str
    log_dir: str
    worker: int
    workers: int
    metric_file: str
    cloud: bool

    @property
    def chief(self) -> bool:
        """Whether this worker is the one that saves, exports and reports."""
        return self.worker == 0

    def say(self, message: str, **fields: object) -> None:
        """Tell people: plain text on a laptop, one JSON object a line in the cloud. Only the chief speaks."""
        if self.chief:
            speak(message, cloud=self.cloud, **fields)

    def report(self, metrics: Mapping[str, float], step: int, env: Mapping[str, str] = os.environ) -> None:
        """Tell the tuning service, in the line format of cloudml-hypertune 0.1: a line for each metric."""
        if not self.metric_file or not self.chief:
            return
        path = Path(self.metric_file)
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for name, value in metrics.items():
            line = {
                "timestamp": time.time(),
                "trial": env.get("CLOUD_ML_TRIAL_ID", "0"),
                name: str(float(value)),
                "global_step": str(step),
                "checkpoint_path": "",
            }
            lines.append(json.dumps(line, sort_keys=True))
        path.write_text("\n".join(lines[-KEPT:]) + "\n", encoding="utf-8")


def speak(message: str, severity: str = "INFO", cloud: bool | None = None, **fields: object) -> None:
    """Print `message`: as JSON where Cloud Logging reads stdout (`severity` and `fields` become searchable)."""
    if cloud is None:
        cloud = in_cloud(os.environ)
    if cloud:
        print(json.dumps({"severity": severity, "message": message, **fields}, ensure_ascii=False), flush=True)
    else:
        print(message, file=sys.stderr if severity == "ERROR" else sys.stdout, flush=True)


def in_cloud(env: Mapping[str, str]) -> bool:
    """Whether a training service runs this process."""
    return bool(env.get("CLOUD_ML_JOB_ID"))


def read(output: str = "output", env: MutableMapping[str, str] = os.environ) -> Job:
    """The job as `env` tells it; several workers leave a TF_CONFIG in `env` for TensorFlow to read."""
    if "TF_CONFIG" not in env and "CLUSTER_SPEC" in env:
        config = _from_cluster_spec(json.loads(env["CLUSTER_SPEC"]))
        if config:
            env["TF_CONFIG"] = json.dumps(config)
    config = json.loads(env.get("TF_CONFIG") or "{}")
    cluster, task = config.get("cluster", {}), config.get("task", {})
    chiefs = len(cluster.get("chief", []))
    worker = int(task.get("index", 0)) + (chiefs if task.get("type") == "worker" else 0)

    def place(variable: str, leaf: str) -> str:
        return env.get(variable, "").rstrip("/") or os.path.join(output, leaf)

    return Job(
        model_dir=place("AIP_MODEL_DIR", "model"),
        checkpoint_dir=place("AIP_CHECKPOINT_DIR", "checkpoints"),
        log_dir=place("AIP_TENSORBOARD_LOG_DIR", "logs"),
        worker=worker,
        workers=max(1, chiefs + len(cluster.get("worker", []))),
        metric_file=env.get("CLOUD_ML_HP_METRIC_FILE", ""),
        cloud=in_cloud(env),
    )


def _from_cluster_spec(spec: dict) -> dict:
    """TF_CONFIG from CLUSTER_SPEC, the one variable that every replica is given; {} for a single worker."""
    roles = {"workerpool0": "chief", "workerpool1": "worker"}
    pools, task = spec["cluster"], spec["task"]
    if task["type"] not in roles or not pools.get("workerpool1"):
        return {}
    cluster = {roles[pool]: addresses for pool, addresses in pools.items() if pool in roles}
    return {"cluster": cluster, "task": {"type": roles[task["type"]], "index": int(task["index"])}}
