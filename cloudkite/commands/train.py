"""`invoke train`: a job, from the check to its end."""

from __future__ import annotations

import sys

from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, TRAINER, command

_OPTIONS = {
    "trainer": TRAINER,
    "on": "where it trains: vertex (default), or run for a Cloud Run job on CPUs",
    "machine": "machine type (default: e2-standard-4); with --on run vCPUs and GiB such as 4cpu-8gb (default)",
    "gpu": "accelerator type, e.g. NVIDIA_TESLA_T4, or its short name: t4",
    "gpus": "GPUs per replica (default: 1)",
    "tpu": "TPU type, e.g. v5e or v5e-4, v2, v3 (experimental: not proven on Google)",
    "workers": "replicas (default: 1)",
    "spot": "on Spot machines: cheaper, may be preempted; the job resumes from its checkpoint",
    "image": "container image (default: TensorFlow's own for CPUs, python:3.11 with your pins for GPUs)",
    "limit": "time limit, e.g. 30m, 1h, 2h30m (default: 1h)",
    "rehearse": "on a local account: run a GPU or TPU job on this machine's CPU, to try all else",
    "max-cost": "the most it may cost; lowers the default time limit where that could cost more",
    "continue": "learn on from a model's folder, checkpoints (here or gs://), or a job",
    "widen": "with --continue: also learn words that are new, and the new data's statistics",
    "name": "the job's name, for jobs, logs, fetch and cancel (default: trainer and time)",
    "yes": "do not ask",
    "detach": "submit and do not follow",
    "account": ACCOUNT,
    "json": JSON,
}


@command(positional=["trainer"], help=_OPTIONS)
def train(
    c: Context,
    trainer: str,
    on: str = "vertex",
    machine: str = "",
    gpu: str = "",
    gpus: int = 0,
    tpu: str = "",
    workers: int = 1,
    spot: bool = False,
    image: str = "",
    rehearse: bool = False,
    limit: str = "",
    max_cost: str = "",
    continue_: str = "",
    widen: bool = False,
    name: str = "",
    yes: bool = False,
    detach: bool = False,
    account: str = "",
    json: bool = False,
) -> None:
    """Check, price, ask, submit and follow a job. What follows `--` goes to the trainer: `-- --help` lists it."""
    from cloudkite import workspace
    from cloudkite.jobs.plans import Wishes
    from cloudkite.journey import training

    wishes = Wishes(
        machine=machine, gpu=gpu, gpus=gpus, tpu=tpu, workers=workers, spot=spot, image=image, limit=limit,
        max_cost=max_cost, name=name, rehearse=rehearse, arguments=tuple(after_dashes()), earlier=continue_,
        widen=widen, on=on,
    )  # fmt: skip
    training.train(workspace.find(), trainer, account, wishes, yes=yes, follow=not detach, as_json=json)


def after_dashes() -> list[str]:
    """What stands after `--` on the command line, word by word (Invoke would join it into one string)."""
    return sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
