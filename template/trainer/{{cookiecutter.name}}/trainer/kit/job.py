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


class Mistake(Exception):
    """What happened, one step that helps, and the exit code: 2 a value that isn't valid, 1 another failure."""

    def __init__(self, message: str, hint: str = "", code: int = 2) -> None:
        super().__init__(f"error: {message}" + (f"\n\nhint: {hint}" if hint else ""))
        self.code = code


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
        """Tell the tuning service, as cloudml-hypertune 0.1 does: a line for each metric, the newest 100."""
        if self.metric_file and self.chief:
            path = Path(self.metric_file)
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            about = {"timestamp": time.time(), "trial": env.get("CLOUD_ML_TRIAL_ID", "0"), "checkpoint_path": ""}
            about["global_step"] = str(step)
            lines += [json.dumps(about | {name: str(value)}, sort_keys=True) for name, value in metrics.items()]
            path.write_text("\n".join(lines[-100:]) + "\n", encoding="utf-8")


def speak(message: str, severity: str = "INFO", cloud: bool | None = None, **fields: object) -> None:
    """Print `message`: as JSON where Cloud Logging reads stdout (`severity` and `fields` become searchable)."""
    if bool(os.environ.get("CLOUD_ML_JOB_ID")) if cloud is None else cloud:
        print(json.dumps({"severity": severity, "message": message, **fields}, ensure_ascii=False), flush=True)
    else:
        print(message, file=sys.stderr if severity == "ERROR" else sys.stdout, flush=True)


def read(output: str = "output", env: MutableMapping[str, str] = os.environ) -> Job:
    """The job as `env` tells it; several workers leave a TF_CONFIG in `env` for TensorFlow to read."""
    name = "TF_CONFIG" if "TF_CONFIG" in env else "CLUSTER_SPEC"
    roles = {"workerpool0": "chief", "workerpool1": "worker"}  # a CLUSTER_SPEC's names of what TF_CONFIG calls so
    try:
        config = json.loads(env.get(name) or "{}")
        cluster = {roles.get(pool, pool): list(hosts) for pool, hosts in config.get("cluster", {}).items()}
        task = {"type": "chief", "index": 0} | config.get("task", {})
        task = {"type": roles.get(task["type"], task["type"]), "index": int(task["index"])}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Mistake(f"{name} isn't what a training service sets: {env[name][:100]}", f"unset {name}") from error
    chiefs, workers = len(cluster.get("chief", [])), len(cluster.get("worker", []))
    if workers and name == "CLUSTER_SPEC" and task["type"] in cluster:
        kept = {role: hosts for role, hosts in cluster.items() if role in roles.values()}
        env["TF_CONFIG"] = json.dumps({"cluster": kept, "task": task})

    def place(variable: str, leaf: str) -> str:
        return env.get(variable, "").rstrip("/") or os.path.join(output, leaf)

    return Job(
        model_dir=place("AIP_MODEL_DIR", "model"),
        checkpoint_dir=place("AIP_CHECKPOINT_DIR", "checkpoints"),
        log_dir=place("AIP_TENSORBOARD_LOG_DIR", "logs"),
        worker=task["index"] + (chiefs if task["type"] == "worker" else 0),
        workers=max(1, chiefs + workers),
        metric_file=env.get("CLOUD_ML_HP_METRIC_FILE", ""),
        cloud=bool(env.get("CLOUD_ML_JOB_ID")),
    )
