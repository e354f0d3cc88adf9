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


class Mistake(Exception):
    """What happened, one step that helps, and the exit code: 2 a value that isn't valid, 1 another failure."""

    def __init__(self, message: str, hint: str = "", code: int = 2) -> None:
        super().__init__(f"error: {message}" + (f"\n\nhint: {hint}" if hint else ""))
        self.message, self.hint, self.code = message, hint, code


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
        about = {"timestamp": time.time(), "trial": env.get("CLOUD_ML_TRIAL_ID", "0"), "checkpoint_path": ""}
        for name, value in metrics.items():
            lines.append(json.dumps({**about, "global_step": str(step), name: str(float(value))}, sort_keys=True))
        path.write_text("\n".join(lines[-KEPT:]) + "\n", encoding="utf-8")


def speak(message: str, severity: str = "INFO", cloud: bool | None = None, **fields: object) -> None:
    """Print `message`: as JSON where Cloud Logging reads stdout (`severity` and `fields` become searchable)."""
    if bool(os.environ.get("CLOUD_ML_JOB_ID")) if cloud is None else cloud:
        print(json.dumps({"severity": severity, "message": message, **fields}, ensure_ascii=False), flush=True)
    else:
        print(message, file=sys.stderr if severity == "ERROR" else sys.stdout, flush=True)


def read(output: str = "output", env: MutableMapping[str, str] = os.environ) -> Job:
    """The job as `env` tells it; several workers leave a TF_CONFIG in `env` for TensorFlow to read."""
    name = "TF_CONFIG" if "TF_CONFIG" in env else "CLUSTER_SPEC"
    try:
        config = json.loads(env.get(name) or "{}")
        config = _from_cluster_spec(config) if config and name == "CLUSTER_SPEC" else config
        cluster, task = config.get("cluster", {}), config.get("task", {})
        chiefs, workers = len(cluster.get("chief", [])), len(cluster.get("worker", []))
        worker = int(task.get("index", 0)) + (chiefs if task.get("type") == "worker" else 0)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Mistake(f"{name} isn't what a training service sets: {env[name][:100]}", f"unset {name}") from error
    if config and name == "CLUSTER_SPEC":
        env["TF_CONFIG"] = json.dumps(config)

    def place(variable: str, leaf: str) -> str:
        return env.get(variable, "").rstrip("/") or os.path.join(output, leaf)

    return Job(
        model_dir=place("AIP_MODEL_DIR", "model"),
        checkpoint_dir=place("AIP_CHECKPOINT_DIR", "checkpoints"),
        log_dir=place("AIP_TENSORBOARD_LOG_DIR", "logs"),
        worker=worker,
        workers=max(1, chiefs + workers),
        metric_file=env.get("CLOUD_ML_HP_METRIC_FILE", ""),
        cloud=bool(env.get("CLOUD_ML_JOB_ID")),
    )


def _from_cluster_spec(spec: dict) -> dict:
    """TF_CONFIG from CLUSTER_SPEC, the one variable that every replica is given; {} for a single worker."""
    roles, pools, task = {"workerpool0": "chief", "workerpool1": "worker"}, spec["cluster"], spec["task"]
    if task["type"] not in roles or not pools.get("workerpool1"):
        return {}
    cluster = {roles[pool]: addresses for pool, addresses in pools.items() if pool in roles}
    return {"cluster": cluster, "task": {"type": roles[task["type"]], "index": int(task["index"])}}
