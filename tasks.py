"""The commands: `uv run invoke --list`. Each is thin: it reads its options, calls cloudkite and prints.

The groups `account.…` and `local.…` are in cloudkite/commands/.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from invoke.collection import Collection
from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, account, command, local

_TRAINER = "the trainer's name or folder"


def _after_dashes() -> list[str]:
    """What stands after `--` on the command line, word by word (Invoke would join it into one string)."""
    return sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []


# --- the journey


@command(help={"keep": "keep the throw-away account and its files, and say where"})
def demo(c: Context, keep: bool = False) -> None:
    """Run the whole journey on this machine, on real data, without an account: about a minute."""
    from cloudkite.journey import demo

    demo.run(keep=keep)


@command(
    positional=["name"],
    help={
        "name": "the trainer's name, its folder in trainers/",
        "data": "a CSV file with a header; the columns are read from it",
        "label": "the column to predict",
        "output": "another folder than trainers/ to put it in",
    },
)
def new(c: Context, name: str, data: str = "", label: str = "", output: str = "") -> None:
    """Make a trainer: on the Palmer penguins, or on your own CSV with --data and --label."""
    from cloudkite import workspace
    from cloudkite.show import screen
    from cloudkite.trainers import making

    folder = making.new(
        workspace.find(), name, Path(data) if data else None, label or None, Path(output) if output else None
    )
    screen.say(f"made {os.path.relpath(folder)}")
    screen.say(f"next: uv run invoke check {name if not output else os.path.relpath(folder)}")


@command(
    positional=["trainer"],
    help={
        "trainer": _TRAINER,
        "account": "where gs:// data is read, if the trainer's data is there",
        "json": JSON,
    },
)
def check(c: Context, trainer: str, account: str = "", json: bool = False) -> None:
    """Check a trainer before anything costs: lint, data, two training steps, export, versions."""
    from cloudkite import workspace
    from cloudkite.journey import training

    training.check(workspace.find(), trainer, account, as_json=json)


_JOB_OPTIONS = {
    "trainer": _TRAINER,
    "machine": "machine type (default: e2-standard-4)",
    "gpu": "accelerator type, e.g. NVIDIA_TESLA_T4, or its short name: t4",
    "gpus": "GPUs per replica (default: 1)",
    "workers": "replicas (default: 1)",
    "spot": "on Spot machines: cheaper, may be preempted; the job resumes from its checkpoint",
    "image": "container image (default: TensorFlow's own for CPUs, python:3.11 with your pins for GPUs)",
    "limit": "time limit, e.g. 30m, 1h, 2h30m (default: 1h)",
    "max-cost": "the most it may cost; lowers the default time limit where that could cost more",
    "yes": "do not ask",
    "detach": "submit and do not follow",
    "account": ACCOUNT,
    "json": JSON,
}


@command(positional=["trainer"], help=_JOB_OPTIONS)
def train(
    c: Context,
    trainer: str,
    machine: str = "",
    gpu: str = "",
    gpus: int = 0,
    workers: int = 1,
    spot: bool = False,
    image: str = "",
    limit: str = "",
    max_cost: str = "",
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
        machine=machine, gpu=gpu, gpus=gpus, workers=workers, spot=spot, image=image, limit=limit, max_cost=max_cost,
        arguments=tuple(_after_dashes()),
    )  # fmt: skip
    training.train(workspace.find(), trainer, account, wishes, yes=yes, follow=not detach, as_json=json)


@command(help={"all": "also jobs that Cloudkite did not make", "account": ACCOUNT, "json": JSON})
def jobs(c: Context, all: bool = False, account: str = "", json: bool = False) -> None:
    """List the account's jobs, newest first, with state, time and cost."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.list_jobs(workspace.find(), account, everything=all, as_json=json)


_ONE_JOB = {"job": "its id or name, or the start of it (default: the newest)", "account": ACCOUNT}


@command(
    help={
        **_ONE_JOB,
        "follow": "go on until the job ends; Ctrl-C leaves it running",
        "json": "print JSON, one entry a line",
    }
)
def logs(c: Context, job: str = "", follow: bool = False, account: str = "", json: bool = False) -> None:
    """Show what a job wrote to its log."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.show_logs(workspace.find(), account, job, follow=follow, as_json=json)


@command(help={**_ONE_JOB, "json": JSON})
def cancel(c: Context, job: str = "", account: str = "", json: bool = False) -> None:
    """Cancel a job; the time that it ran is charged."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.cancel(workspace.find(), account, job, as_json=json)


@command(help={**_ONE_JOB, "json": JSON})
def fetch(c: Context, job: str = "", account: str = "", json: bool = False) -> None:
    """Download a job's model to trainers/<name>/models/<job>."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.fetch(workspace.find(), account, job, as_json=json)


@command(
    positional=["trainer"],
    iterable=["row"],
    help={
        "trainer": _TRAINER,
        "row": "column=value,column=value ...; may be repeated",
        "csv": "a CSV file with the trainer's columns",
        "model": "a fetched model's folder (default: the newest)",
        "json": JSON,
    },
)
def predict(
    c: Context, trainer: str, row: list[str] | None = None, csv: str = "", model: str = "", json: bool = False
) -> None:
    """Predict with a fetched model on this machine."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.predict(workspace.find(), trainer, list(row or []), csv, model, as_json=json)


@command(positional=["trainer"], help={"trainer": _TRAINER, "account": ACCOUNT, "port": "of its page (default: 6006)"})
def tensorboard(c: Context, trainer: str, account: str = "", port: int = 6006) -> None:
    """Run TensorBoard on this machine, over the logs of a trainer's jobs."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.tensorboard(workspace.find(), account, trainer, port)


# --- the account


@command(help={"yes": "do not ask", "account": ACCOUNT, "json": JSON})
def up(c: Context, yes: bool = False, account: str = "", json: bool = False) -> None:
    """Set the account up: preview, monthly price, consent, then create what is missing."""
    from cloudkite import workspace
    from cloudkite.journey import setup

    setup.up(workspace.find(), account, yes=yes, as_json=json)


@command(
    help={
        "everything": "data and models too; asks for the account's name",
        "yes": "do not ask (with --everything: --confirm NAME as well)",
        "confirm": "the account's name, instead of being asked for it",
        "account": ACCOUNT,
        "json": JSON,
    }
)
def down(
    c: Context, everything: bool = False, yes: bool = False, confirm: str = "", account: str = "", json: bool = False
) -> None:
    """Take the account down and show what is left and what it costs. Data and models stay unless --everything."""
    from cloudkite import workspace
    from cloudkite.journey import setup

    setup.down(workspace.find(), account, everything=everything, yes=yes, confirmed=confirm, as_json=json)


# --- the project itself


@command(help={"fast": "only the fast ones: under a minute in all", "k": "only tests whose name matches"})
def test(c: Context, fast: bool = False, k: str = "") -> None:
    """Run the tests."""
    from cloudkite import project

    project.test(fast=fast, select=k)


@command(help={"fix": "fix what can be fixed"})
def lint(c: Context, fix: bool = False) -> None:
    """Check format, lint and types."""
    from cloudkite import project

    project.lint(fix=fix)


@command(help={"only": "rows whose name contains this", "json": JSON})
def bench(c: Context, only: str = "", json: bool = False) -> None:
    """Measure speed: medians and ratios against a peer, in one run."""
    from cloudkite import bench as measuring

    measuring.run(only=only, as_json=json)


ns = Collection(
    demo, new, check, train, jobs, logs, cancel, fetch, predict, tensorboard, up, down, test, lint, bench
)  # fmt: skip
ns.add_collection(account.collection)
ns.add_collection(local.collection)
