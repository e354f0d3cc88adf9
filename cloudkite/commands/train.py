"""`invoke train`: a job, or several, from the check to the end."""

from __future__ import annotations

import sys

from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, NOTIFY, command

_OPTIONS = {
    "trainer": "the trainer's name or folder; several: train a b c",
    "seeds": "a job for each seed: how many (5 is 0 to 4), or which (0,7,9)",
    "again": "with several: also jobs that run, or have succeeded, with the same code, data and arguments",
    "on": "where it trains: vertex (default), or run for a Cloud Run job on CPUs",
    "machine": "machine type (default: e2-standard-4); with --on run vCPUs and GiB such as 4cpu-8gb (default)",
    "gpu": "accelerator type, e.g. NVIDIA_TESLA_T4, or its short name: t4",
    "gpus": "GPUs per replica (default: 1)",
    "tpu": "TPU type, e.g. v5e or v5e-4, v2, v3 (experimental: not proven on Google)",
    "workers": "replicas (default: 1)",
    "spot": "on Spot machines: cheaper, may be preempted; the job resumes from its checkpoint",
    "queue": "wait so long for a GPU that is out of stock (L4, A100, H100, H200, B200), e.g. 6h; waiting is free",
    "also": "in the cheapest of the account's regions that has the quota (cloudkite:alsoIn)",
    "image": "container image (default: TensorFlow's own for CPUs, python:3.11 with your pins for GPUs)",
    "limit": "time limit, e.g. 30m, 1h, 2h30m (default: 1h)",
    "rehearse": "on a local account: run a GPU or TPU job on this machine's CPU, to try all else",
    "max-cost": "the most it may cost, several together; lowers the default time limit where that could cost more",
    "continue": "learn on from a model's folder, checkpoints (here or gs://), or a job",
    "widen": "with --continue: also learn words that are new, and the new data's statistics",
    "name": "the job's name, for jobs, logs, fetch and cancel (default: trainer and time); of several how it begins",
    "yes": "do not ask",
    "detach": "submit and do not follow",
    "notify": NOTIFY,
    "account": ACCOUNT,
    "json": JSON,
}


@command(many="trainer", positional=["trainer"], help=_OPTIONS)
def train(
    c: Context,
    trainer: list[str],
    seeds: str = "",
    again: bool = False,
    on: str = "vertex",
    machine: str = "",
    gpu: str = "",
    gpus: int = 0,
    tpu: str = "",
    workers: int = 1,
    spot: bool = False,
    queue: str = "",
    also: bool = False,
    image: str = "",
    rehearse: bool = False,
    limit: str = "",
    max_cost: str = "",
    continue_: str = "",
    widen: bool = False,
    name: str = "",
    yes: bool = False,
    detach: bool = False,
    notify: bool = False,
    account: str = "",
    json: bool = False,
) -> None:
    """Check, price, ask, submit and follow jobs. What follows `--` goes to the trainer: `-- --help` lists it."""
    from cloudkite import workspace
    from cloudkite.jobs.plans import Wishes
    from cloudkite.journey import many, training

    wishes = Wishes(
        machine=machine, gpu=gpu, gpus=gpus, tpu=tpu, workers=workers, spot=spot, image=image, limit=limit,
        max_cost=max_cost, name=name, rehearse=rehearse, arguments=tuple(after_dashes()), earlier=continue_,
        widen=widen, on=on, queue=queue, also=also,
    )  # fmt: skip
    place = workspace.find()
    if len(trainer) == 1 and not seeds:
        training.train(place, trainer[0], account, wishes, yes=yes, follow=not detach, as_json=json, notify=notify)
        return
    many.train(
        place, trainer, account, wishes, seeds=seeds, again=again, yes=yes, follow=not detach, as_json=json,
        notify=notify,
    )  # fmt: skip


def after_dashes() -> list[str]:
    """What stands after `--` on the command line, word by word (Invoke would join it into one string)."""
    return sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
