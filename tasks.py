"""The commands: `uv run invoke --list`. Each is thin: it reads its options, calls cloudkite and prints."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

if TYPE_CHECKING:
    from cloudkite.accounts import Account

HERE = Path(__file__).resolve().parent


def command(*, name: str | None = None, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """An Invoke task whose mistakes are told as `error:` and `hint:`; `--debug` shows the traceback instead."""

    def decorate(body: Callable[..., Any]) -> Any:
        @functools.wraps(body)
        def run(c: Context, *arguments: Any, **values: Any) -> None:
            from cloudkite import mistakes

            with mistakes.told(debug="--debug" in sys.argv or "-d" in sys.argv):
                body(c, *arguments, **values)

        return task(run, name=name, auto_shortflags=False, **options)

    return decorate


def _after_dashes() -> list[str]:
    """What stands after `--` on the command line, word by word (Invoke would join it into one string)."""
    return sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []


# --- the journey


@command(help={"keep": "keep the throw-away account and its files, and say where"})
def demo(c: Context, keep: bool = False) -> None:
    """The whole journey on this machine, on real data, without an account: about a minute."""
    from cloudkite import demo as journey

    journey.run(keep=keep)


@command(
    positional=["name"],
    help={
        "name": "of the trainer: a folder in trainers/",
        "data": "a CSV file with a header; the columns are read from it",
        "label": "the column to predict",
        "output": "another folder than trainers/",
    },
)
def new(c: Context, name: str, data: str = "", label: str = "", output: str = "") -> None:
    """Make a trainer: on the Palmer penguins, or on your own CSV with --data and --label."""
    from cloudkite import new as making
    from cloudkite import show, workspace

    folder = making.new(
        workspace.find(), name, Path(data) if data else None, label or None, Path(output) if output else None
    )
    show.say(f"made {os.path.relpath(folder)}")
    show.say(f"next: uv run invoke check {name if not output else os.path.relpath(folder)}")


@command(
    positional=["trainer"],
    help={
        "trainer": "its name, or its folder",
        "account": "where gs:// data is read, if the trainer's data is there",
        "json": "print the report as JSON",
    },
)
def check(c: Context, trainer: str, account: str = "", json: bool = False) -> None:
    """Check a trainer here, before anything costs: lint, data, two training steps, export, versions."""
    from cloudkite import workspace
    from cloudkite.journey import training

    training.check(workspace.find(), trainer, account, as_json=json)


_JOB_OPTIONS = {
    "trainer": "its name, or its folder",
    "machine": "machine type (default: e2-standard-4)",
    "gpu": "accelerator type, e.g. NVIDIA_TESLA_T4, or its short name: t4",
    "gpus": "how many of them per replica (default 1)",
    "workers": "replicas (default 1)",
    "spot": "preemptible and cheaper; the job resumes from its checkpoint",
    "image": "container image (default: TensorFlow's own for CPUs, python:3.11 with your pins for GPUs)",
    "limit": "time limit, e.g. 30m, 1h, 2h30m (default 1h)",
    "max-cost": "the most it may cost; derives the time limit",
    "yes": "do not ask",
    "detach": "submit and do not follow",
    "account": "another account than the one in use",
    "json": "print the job as JSON",
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
    """Check, price, ask, submit and follow a training job. What follows `--` goes to the trainer."""
    from cloudkite import workspace
    from cloudkite.journey import training

    wishes = training.Wishes(
        machine=machine, gpu=gpu, gpus=gpus, workers=workers, spot=spot, image=image, limit=limit, max_cost=max_cost,
        arguments=tuple(_after_dashes()),
    )  # fmt: skip
    training.train(workspace.find(), trainer, account, wishes, yes=yes, follow=not detach, as_json=json)


@command(
    help={"all": "also jobs that Cloudkite did not make", "account": _JOB_OPTIONS["account"], "json": "for scripts"}
)
def jobs(c: Context, all: bool = False, account: str = "", json: bool = False) -> None:
    """The account's jobs, newest first, with state, time and cost."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.list_jobs(workspace.find(), account, everything=all, as_json=json)


_ONE_JOB = {"job": "its id or name, or the start of it (default: the newest)", "account": _JOB_OPTIONS["account"]}


@command(help={**_ONE_JOB, "follow": "go on until the job ends; Ctrl-C leaves it running", "json": "one entry a line"})
def logs(c: Context, job: str = "", follow: bool = False, account: str = "", json: bool = False) -> None:
    """What a job wrote."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.show_logs(workspace.find(), account, job, follow=follow, as_json=json)


@command(help={**_ONE_JOB, "json": "for scripts"})
def cancel(c: Context, job: str = "", account: str = "", json: bool = False) -> None:
    """Stop a job; time used until then is paid."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.cancel(workspace.find(), account, job, as_json=json)


@command(help={**_ONE_JOB, "json": "for scripts"})
def fetch(c: Context, job: str = "", account: str = "", json: bool = False) -> None:
    """Download the model that a job made, to trainers/<name>/models/<job>."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.fetch(workspace.find(), account, job, as_json=json)


@command(
    positional=["trainer"],
    iterable=["row"],
    help={
        "trainer": "its name, or its folder",
        "row": "column=value,column=value ...; may be repeated",
        "csv": "a CSV file with the trainer's columns",
        "model": "a fetched model's folder (default: the newest)",
        "json": "for scripts",
    },
)
def predict(
    c: Context, trainer: str, row: list[str] | None = None, csv: str = "", model: str = "", json: bool = False
) -> None:
    """Predict with a fetched model, on this machine."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.predict(workspace.find(), trainer, list(row or []), csv, model, as_json=json)


@command(positional=["trainer"], help={"trainer": "its name, or its folder", "port": "of the page on this machine"})
def tensorboard(c: Context, trainer: str, account: str = "", port: int = 6006) -> None:
    """TensorBoard on this machine, over the logs of a trainer's jobs."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.tensorboard(workspace.find(), account, trainer, port)


# --- the account


@command(help={"yes": "do not ask", "account": _JOB_OPTIONS["account"], "json": "print the outputs as JSON"})
def up(c: Context, yes: bool = False, account: str = "", json: bool = False) -> None:
    """Set the account up: preview, monthly price, consent, then make what is missing."""
    from cloudkite import workspace
    from cloudkite.journey import setup

    setup.up(workspace.find(), account, yes=yes, as_json=json)


@command(
    help={
        "everything": "data and models too; asks for the account's name",
        "yes": "do not ask (with --everything: --confirm NAME as well)",
        "confirm": "the account's name, instead of being asked for it",
        "account": _JOB_OPTIONS["account"],
        "json": "print what is left as JSON",
    }
)
def down(
    c: Context, everything: bool = False, yes: bool = False, confirm: str = "", account: str = "", json: bool = False
) -> None:
    """Take the account down; data and models stay unless --everything. Shows what is left and what it costs."""
    from cloudkite import workspace
    from cloudkite.journey import setup

    setup.down(workspace.find(), account, everything=everything, yes=yes, confirmed=confirm, as_json=json)


@command(name="list", help={"json": "for scripts"})
def account_list(c: Context, json: bool = False) -> None:
    """The accounts, which one is in use, and whether each is set up."""
    from cloudkite import workspace
    from cloudkite.journey import setup

    setup.list_accounts(workspace.find(), as_json=json)


@command(
    name="add",
    help={
        "name": "for the account, on this machine",
        "project": "the Google Cloud project's id",
        "region": "where everything is made (default us-central1)",
        "tier": "trial or paid",
        "owner": "who submits: user:me@example.com or serviceAccount:...",
        "billing": "the billing account, 012345-ABCDEF-012345",
        "budget": "per month, in the billing account's currency",
        "currency": "of the billing account (default USD)",
        "email": "where budget alerts go",
        "local": "an account on the local cloud instead of Google",
    },
)
def account_add(
    c: Context,
    name: str = "",
    project: str = "",
    region: str = "us-central1",
    tier: str = "",
    owner: str = "",
    billing: str = "",
    budget: str = "",
    currency: str = "",
    email: str = "",
    local: bool = False,
) -> None:
    """Describe an account; asks for what is missing. Nothing is created, and no account is switched."""
    from cloudkite import workspace
    from cloudkite.journey import setup

    setup.add_account(
        workspace.find(), name, project, region, tier, owner, billing, budget, currency, email, local=local
    )


@command(name="use", positional=["name"], help={"name": "of the account"})
def account_use(c: Context, name: str) -> None:
    """Make an account the one in use."""
    from cloudkite import accounts, show, workspace

    chosen = accounts.use(workspace.find(), name)
    show.say(f"in use: {chosen.name} (project {chosen.project}, {chosen.target})")


# --- the local cloud


def _local(verb: str, *options: str) -> str:
    from cloudkite import accounts, target, workspace

    space = workspace.find()
    known = [accounts.load(space, n) for n in accounts.names(space)]
    chosen = [target.project_option(a) for a in known if a.target == "local"] if verb == "start" else []
    return target.localcloud(space, verb, *chosen, *options)


def _on_it(account: str) -> Account:
    """The account of that name, or the one in use. Raises BadValue for one on Google."""
    from cloudkite import accounts, workspace
    from cloudkite.errors import BadValue

    chosen = accounts.load(workspace.find(), account or None)
    if chosen.costs_money:
        raise BadValue(f"account {chosen.name} is on Google", "name one on the local cloud, such as local")
    return chosen


@command(name="start", help={"json": "for scripts"})
def local_start(c: Context, json: bool = False) -> None:
    """Start the local cloud; it goes on until local.stop."""
    print(_local("start", *(["--json"] if json else [])), end="")


@command(name="stop", help={"json": "for scripts"})
def local_stop(c: Context, json: bool = False) -> None:
    """Stop the local cloud and the jobs that run on it. What is stored stays."""
    print(_local("stop", *(["--json"] if json else [])), end="")


@command(name="status", help={"json": "for scripts"})
def local_status(c: Context, json: bool = False) -> None:
    """Whether the local cloud runs: ports, process, folder, what it holds."""
    print(_local("status", *(["--json"] if json else [])), end="")


@command(
    name="env",
    help={"shell": "bash, fish, powershell or cmd", "account": _JOB_OPTIONS["account"], "json": "for scripts"},
)
def local_env(c: Context, shell: str = "", account: str = "", json: bool = False) -> None:
    """Lines that make any Google client in a shell use the local cloud: eval "$(uv run invoke local.env)"."""
    from cloudkite import target, workspace

    space, chosen = workspace.find(), _on_it(account)
    target.connect(space, chosen)
    options = ["--json"] if json else [f"--shell={shell}"] if shell else []
    print(target.localcloud(space, "env", "--project", chosen.project, *options), end="")


@command(
    name="fault",
    positional=["method"],
    optional=["cut", "torn"],
    help={
        "method": "what is to fail: storage.objects.get, a gRPC method, 'POST *.googleapis.com/*', stockout",
        "code": "answer with this HTTP code, as the API writes it: 401 403 404 408 429 500 502 503 504",
        "delay": "seconds before the answer",
        "cut": "cut the connection before an answer; `--cut after`: what was asked is done, and the answer lost",
        "torn": "cut it in the middle of the body, or after so many bytes",
        "expired": "the caller's token counts as expired from then on",
        "times": "how often (default 1; 0: until it is cleared)",
        "probability": "of each call that fits, e.g. 0.2",
        "principal": "only calls of this account (e-mail address)",
        "retry-after": "seconds; the header of the answer (default 1 with 429)",
        "region": "with stockout: where there are no machines",
        "accelerator": "with stockout: which there are none of, e.g. NVIDIA_L4 (default: no machines at all)",
        "json": "for scripts",
    },
)
def local_fault(
    c: Context,
    method: str,
    code: str = "",
    delay: str = "",
    cut: str | bool | None = None,
    torn: str | bool | None = None,
    expired: bool = False,
    times: str = "",
    probability: str = "",
    principal: str = "",
    retry_after: str = "",
    region: str = "",
    accelerator: str = "",
    json: bool = False,
) -> None:
    """Let calls to the local cloud fail as on a bad day at Google, to see what a program makes of it."""
    given = {
        "code": code, "delay": delay, "cut": cut, "torn": torn, "expired": expired, "times": times,
        "probability": probability, "principal": principal, "retry-after": retry_after, "region": region,
        "accelerator": accelerator, "json": json,
    }  # fmt: skip
    options = [f"--{name}" if value is True else f"--{name}={value}" for name, value in given.items() if value]
    print(_local("fault", method, *options), end="")


@command(
    name="faults", optional=["clear"], help={"clear": "forget the fault of this id, or all", "json": "for scripts"}
)
def local_faults(c: Context, clear: str | bool | None = None, json: bool = False) -> None:
    """The faults that will still happen; with --clear they no longer do."""
    what = "--list" if clear is None else "--clear" if clear is True else f"--clear={clear}"
    print(_local("fault", what, *(["--json"] if json else [])), end="")


@command(
    name="preempt", positional=["job"], help={"job": "a Spot job's id or name", "account": _JOB_OPTIONS["account"]}
)
def local_preempt(c: Context, job: str, account: str = "") -> None:
    """Take the machines of a Spot job away, as Google may at any time: it should go on where it was."""
    from cloudkite import jobs as known
    from cloudkite import target, workspace

    found = known.resolve(target.connect(workspace.find(), _on_it(account)), job)
    print(_local("preempt", found.id), end="")


@command(
    name="clock",
    help={"forward": "let so much time pass: 90s, 30m, 12h, 3d, 2w, 1d12h", "json": "for scripts"},
)
def local_clock(c: Context, forward: str = "", json: bool = False) -> None:
    """What time it is on the local cloud; --forward lets days pass, with all that they cause and cost."""
    options = [f"--forward={forward}"] if forward else []
    print(_local("clock", *options, *(["--json"] if json else [])), end="")


@command(
    name="bill",
    help={
        "account": "only what this account has (default: all on the local cloud)",
        "month": "only this month, in Pacific time as Google's: 2026-11",
        "json": "for scripts",
    },
)
def local_bill(c: Context, account: str = "", month: str = "", json: bool = False) -> None:
    """What everything on the local cloud would have cost on Google."""
    options = [f"--project={_on_it(account).project}"] if account else []
    options += [f"--month={month}"] if month else []
    print(_local("bill", *options, *(["--json"] if json else [])), end="")


@command(
    name="upgrade", positional=["account"], help={"account": "its name; it is on a free trial", "json": "for scripts"}
)
def local_upgrade(c: Context, account: str, json: bool = False) -> None:
    """Make a free trial's account a paying one; what is left of its credit stays until day 90."""
    from cloudkite.errors import BadValue

    chosen = _on_it(account)
    if chosen.tier != "trial":
        raise BadValue(
            f"account {chosen.name} is on no free trial",
            "uv run invoke account.add --local --tier trial describes one that is",
        )
    print(_local("upgrade", chosen.project, *(["--json"] if json else [])), end="")


@command(
    name="audit",
    help={
        "principal": "only this e-mail address, allUsers, or projectOwner:ID (default: everybody)",
        "json": "for scripts",
    },
)
def local_audit(c: Context, principal: str = "", json: bool = False) -> None:
    """Who may do what on the local cloud, what of it was used, and what was refused."""
    options = [f"--principal={principal}"] if principal else []
    print(_local("audit", *options, *(["--json"] if json else [])), end="")


@command(name="reset", help={"yes": "do not ask"})
def local_reset(c: Context, yes: bool = False) -> None:
    """Stop the local cloud and delete all that it holds."""
    from cloudkite import show

    if yes or show.confirm("delete everything that the local cloud holds?"):
        print(_local("reset", "--yes"), end="")


# --- the project itself


@command(help={"fast": "the tests that need less than a minute in all", "k": "only tests whose name matches"})
def test(c: Context, fast: bool = False, k: str = "") -> None:
    """Run the tests."""
    from cloudkite import project

    project.test(fast=fast, select=k)


@command(help={"fix": "mend what can be mended"})
def lint(c: Context, fix: bool = False) -> None:
    """Format, lint and types."""
    from cloudkite import project

    project.lint(fix=fix)


@command(help={"only": "rows whose name contains this", "json": "for scripts"})
def bench(c: Context, only: str = "", json: bool = False) -> None:
    """Measure: medians and ratios against a peer, in one run."""
    from cloudkite import bench as measuring

    measuring.run(only=only, as_json=json)


ns = Collection(
    demo, new, check, train, jobs, logs, cancel, fetch, predict, tensorboard, up, down, test, lint, bench
)  # fmt: skip
ns.add_collection(Collection("account", account_list, account_add, account_use))
ns.add_collection(
    Collection(
        "local",
        local_start,
        local_stop,
        local_status,
        local_env,
        local_clock,
        local_bill,
        local_upgrade,
        local_audit,
        local_fault,
        local_faults,
        local_preempt,
        local_reset,
    )
)
