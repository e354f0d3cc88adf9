"""The request that creates a training job: a CustomJob as Google's JSON, and the names and labels it may have."""

from __future__ import annotations

import datetime
import json
import re
import secrets
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from cloudkite.money.prices import DISK_GB, DISK_KIND
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _

LONGEST_NAME = 128
_STEM = 40  # characters
_FEWEST_FAILED = 3  # tries that fail before a tuning job does
MANAGED = "cloudkite"  # the value of the label managed-by
STARTED_BY = "started-by"  # the label that says who submitted a job
CONTENT = "content"  # the label that jobs share which would compute the same: see submit.fingerprint
JOB = "job"  # the label by which a bill tells one job from another
WORST_CASE, ESTIMATE = "worst-case", "estimate"  # labels: what a job may cost, was estimated to cost; see below
STUDY = "tuning"  # the label of a tuning job: the name of its study
SPOT_RESTARTS = (
    6  # https://cloud.google.com/vertex-ai/docs/training/use-spot-vms: a preempted job starts again so often
)

# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs: keys and values of labels
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")

# python:3.11, the image that GPU jobs start from, has neither the driver's folder (the service mounts it) nor the
# libraries that tensorflow[and-cuda] installs on the loader's path.
_CUDA = "cublas cuda_cupti cuda_nvcc cuda_nvrtc cuda_runtime cudnn cufft curand cusolver cusparse nccl nvjitlink"
_GPU_PATHS = ("/usr/local/nvidia/lib64", *(
    f"/usr/local/lib/python3.11/site-packages/nvidia/{name}/lib" for name in _CUDA.split()
))  # fmt: skip


_TPUS = ("cloud-tpu", "ct5lp")  # machines: their disks can't be chosen


def bootstrap() -> str:
    """The start-up text of a job: the source of bootstrap.py, which is not imported here."""
    return Path(__file__).with_name("bootstrap.py").read_text(encoding="utf-8")


@dataclass(frozen=True)
class JobSpec:
    """Everything that decides a job. `count` accelerators on each of `replicas` machines; `limit_seconds` per run.

    `restarts` lets a preempted spot job start again; `rehearse` lets a job for GPUs run where there are none.
    `wait_seconds` is how long it waits for machines that are out of stock, 0 where it isn't to wait. `output` is the
    gs:// folder for model, checkpoints and logs. `region` is another than the account's, "" for that. `place` is where
    it runs: "vertex", "run" for Cloud Run, or "tuning" for a tuning job, whose every try is such a job, with a folder
    of its own in `output`. `study` is its StudySpec in Google's JSON; there are `tries`, `parallel` of them at once.
    """

    name: str
    trainer: str
    account: str
    image: str
    wheel: str
    sha256: str
    service_account: str
    output: str
    limit_seconds: int
    machine: str
    region: str = ""
    accelerator: str = ""
    count: int = 0
    topology: str = ""
    replicas: int = 1
    spot: bool = False
    wait_seconds: int = 0
    restarts: bool = True
    rehearse: bool = False
    place: str = "vertex"
    disk_gb: int = DISK_GB
    disk_kind: str = DISK_KIND
    pins: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    study: Mapping[str, Any] = field(default_factory=dict)
    tries: int = 1
    parallel: int = 1


def new_name(trainer: str, now: datetime.datetime | None = None) -> str:
    """A name for a job that sorts by time: penguins-20261124-143005-9f3c."""
    now = now or datetime.datetime.now(datetime.UTC)
    return f"{trainer}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def stem(name: str) -> str:
    """What a job's own name gives for the name of its output folder: letters that need no quoting anywhere, or ""."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:_STEM].strip("-")


def check_name(name: str, trainers: Collection[str] = ()) -> None:
    """Raises BadValue for a name that a person can't give a job: Google refuses it, or it would mean something else.

    https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs: up to 128 characters.
    """
    if not name or len(name) > LONGEST_NAME:
        said = _("a job's name must have 1 to {most} characters, not {count}")
        raise BadValue(said.format(most=LONGEST_NAME, count=len(name)), _("--name task8"))
    if name != name.strip() or any(unicodedata.category(letter)[0] == "C" for letter in name):
        raise BadValue(_("{name!r} isn't a valid name for a job").format(name=name), _NAME_HINT)
    if name.isdecimal() or name.startswith("-"):
        said = _("a job can't be called {name}: it would be taken for a job's id, or for an option")
        raise BadValue(said.format(name=name), _("--name task{name}").format(name=name.lstrip("-")))
    if name in trainers:
        said = _("a job can't be called {name}: that is a trainer, and its name means its newest job")
        raise BadValue(said.format(name=name), _("--name {name}-1").format(name=name))


_NAME_HINT = _("without line ends, unseen characters, and spaces at its ends")


def restarts(strategy: str, disable_retries: bool) -> int:
    """How often the service may run a job again, each time up to its limit and each time paid.

    Without retries never. A spot job 6 times; another up to 3 times, after crashes and internal errors (documentation
    of the training service). Whether the limit counts over all runs is not documented, so the worst is assumed.
    """
    if disable_retries:
        return 0
    return SPOT_RESTARTS if strategy == "SPOT" else 3


def body(spec: JobSpec) -> dict[str, Any]:
    """The CustomJob to POST. Raises BadValue for labels that Google refuses."""
    return {"displayName": spec.name, "labels": labels(spec), "jobSpec": job_spec(spec)}


def tuning_body(spec: JobSpec) -> dict[str, Any]:
    """The HyperparameterTuningJob to POST. Raises BadValue for labels that Google refuses.

    It ends as failed when a third of its tries failed, and 3 at least: what never works isn't tried to the end. The
    service appends each try's values to the trainer's arguments, as `--name=value`.
    https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.hyperparameterTuningJobs
    """
    return {
        "displayName": spec.name,
        "labels": labels(spec),
        "studySpec": dict(spec.study),
        "maxTrialCount": spec.tries,
        "parallelTrialCount": spec.parallel,
        "maxFailedTrialCount": min(max(_FEWEST_FAILED, spec.tries // 3), spec.tries),
        "trialJobSpec": job_spec(spec),
    }


def job_spec(spec: JobSpec) -> dict[str, Any]:
    """What runs, on what and for how long: of a job, or of each try of a tuning job.

    Retries are off for jobs on demand, so that the limit bounds the cost; a spot job may restart, because it resumes
    from its checkpoint and the gate counted it.
    """
    machine: dict[str, Any] = {"machineType": spec.machine}
    if spec.accelerator:
        machine |= {"acceleratorType": spec.accelerator, "acceleratorCount": spec.count}
    if spec.topology:
        machine["tpuTopology"] = spec.topology
    container = {
        "imageUri": spec.image,
        "command": ["python", "-c", bootstrap()],
        "args": [spec.wheel, spec.sha256, json.dumps(list(spec.pins)), "--", *spec.arguments],
        "env": [{"name": k, "value": v} for k, v in {**environment(spec), **spec.environment}.items()],
    }
    pool: dict[str, Any] = {"machineSpec": machine, "replicaCount": "1", "containerSpec": container}
    if not spec.machine.startswith(_TPUS):
        pool["diskSpec"] = {"bootDiskType": spec.disk_kind, "bootDiskSizeGb": spec.disk_gb}
    pools = [pool] + ([{**pool, "replicaCount": str(spec.replicas - 1)}] if spec.replicas > 1 else [])
    return {
        "workerPoolSpecs": pools,
        "scheduling": _scheduling(spec),
        "serviceAccount": spec.service_account,
        "baseOutputDirectory": {"outputUriPrefix": spec.output},
    }


def _scheduling(spec: JobSpec) -> dict[str, Any]:
    """When and how often it runs: https://cloud.google.com/vertex-ai/docs/training/schedule-jobs-dws for who waits."""
    made = {
        "timeout": f"{spec.limit_seconds}s",
        "strategy": "FLEX_START" if spec.wait_seconds else "SPOT" if spec.spot else "STANDARD",
        "disableRetries": not (spec.spot and spec.restarts),
        # Workers of a distributed job can't go on without one another.
        "restartJobOnWorkerRestart": bool(spec.spot and spec.restarts and spec.replicas > 1),
    }
    return made | ({"maxWaitDuration": f"{spec.wait_seconds}s"} if spec.wait_seconds else {})


def name_as_label(identity: str) -> str:
    """Who that is, as far as a label can say: me@example.com is me-example-com; a service account is NAME-PROJECT."""
    plain = identity.lower().removesuffix(".gserviceaccount.com").removesuffix(".iam")
    return re.sub(r"[^a-z0-9_-]+", "-", plain)[:63].strip("-")


def amount_as_label(dollars: Decimal) -> str:
    """An amount in USD as a label can say it, to the millionth: 0_1832 is 0.1832."""
    return f"{round(dollars, 6) if -int(dollars.as_tuple().exponent) > 6 else dollars:f}".replace(".", "_")


def environment(spec: JobSpec) -> dict[str, str]:
    """The variables that a job has by what it runs on."""
    made = {"PYTHONUNBUFFERED": "1"}  # lines reach the log as they are written
    if spec.machine.startswith(_TPUS) and not spec.rehearse:
        made["CLOUDKITE_TPU"] = "1"  # the trainer spreads its work over the chips
    if spec.accelerator.startswith("NVIDIA_") and not spec.rehearse:
        made |= {
            "CLOUDKITE_GPUS": str(spec.count),
            "LD_LIBRARY_PATH": ":".join(_GPU_PATHS),
            "NVIDIA_VISIBLE_DEVICES": "all",
            "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        }
    return made


def labels(spec: JobSpec) -> dict[str, str]:
    """The labels of a job. Raises BadValue for those that Google refuses."""
    made = {"managed-by": MANAGED, "account": spec.account, "trainer": spec.trainer, **spec.labels}
    for key, value in made.items():
        check_label(key, value)
    return made


def check_label(key: str, value: str) -> None:
    """Raises BadValue for a label that Google refuses; the names of trainers and accounts become labels."""
    if not _LABEL_KEY.fullmatch(key):
        raise BadValue(_("{key!r} isn't a valid key for a label").format(key=key), _LABEL_HINT)
    if not _LABEL_VALUE.fullmatch(value):
        raise BadValue(_("{value!r} isn't a valid value for the label {key}").format(value=value, key=key), _LABEL_HINT)


_LABEL_HINT = _("up to 63 lower-case letters, digits, - and _; a key starts with a letter")
