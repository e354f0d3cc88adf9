"""`invoke local.…`: the local cloud, its time, its bill, and its bad days."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, command
from cloudkite.show.text import _

if TYPE_CHECKING:
    from cloudkite.accounts.registry import Account
    from cloudkite.workspace import Workspace


def _local(verb: str, *options: str, json: bool = False) -> None:
    """Run a verb of the local cloud's own command line, and show what it says."""
    from cloudkite import workspace
    from cloudkite.accounts import local
    from cloudkite.show import screen

    space = workspace.find()
    chosen = _projects(space) if verb == "start" else []
    screen.relay(local.run(space, verb, *chosen, *options, *(["--json"] if json else [])), json)


def _projects(space: Workspace) -> list[str]:
    """The options that make the projects of all accounts on the local cloud; an account that is broken is told."""
    from cloudkite.accounts import local, registry
    from cloudkite.show import screen

    known, broken = registry.load_all(space)
    for name, mistake in broken.items():
        screen.warn(_("account {name} is left out: {why}").format(name=name, why=mistake.message))
    return [option for account in known if account.target == "local" for option in local.start_options(account)]


def _on_it(account: str) -> Account:
    """The account of that name, or the one in use. Raises BadValue for one on Google."""
    from cloudkite import workspace
    from cloudkite.accounts import registry
    from cloudkite.show.errors import BadValue

    chosen = registry.load(workspace.find(), account or None)
    if chosen.costs_money:
        raise BadValue(
            _("account {name} is on Google").format(name=chosen.name), _("name one on the local cloud, such as local")
        )
    return chosen


@command(
    help={
        "fresh-project": "make this project as a new one on Google, where APIs and grants take a while until they work",
        "json": JSON,
    },
)
def start(c: Context, fresh_project: str = "", json: bool = False) -> None:
    """Start the local cloud; it runs until local.stop."""
    _local("start", *([f"--fresh-project={fresh_project}"] if fresh_project else []), json=json)


@command(help={"json": JSON})
def stop(c: Context, json: bool = False) -> None:
    """Stop the local cloud and the jobs that run on it. What is stored stays."""
    _local("stop", json=json)


@command(help={"json": JSON})
def status(c: Context, json: bool = False) -> None:
    """Show whether the local cloud runs: ports, process, folder, what it holds."""
    _local("status", json=json)


@command(
    help={
        "shell": "bash, fish, powershell or cmd",
        "unset": "print what takes it all out of a shell again",
        "account": ACCOUNT,
        "json": JSON,
    },
)
def env(c: Context, shell: str = "", unset: bool = False, account: str = "", json: bool = False) -> None:
    """Print what makes a shell's Google clients use the local cloud: eval "$(uv run invoke local.env)"."""
    from cloudkite import workspace
    from cloudkite.journey import reach, shells

    space, chosen = workspace.find(), _on_it(account)
    reach.connect(space, chosen, new=True)
    shells.show_environment(space, chosen, shell, unset=unset, as_json=json)


@command(
    positional=["method"],
    optional=["cut", "torn"],
    help={
        "method": "what fails: storage.objects.get, pulumi.storage.Bucket.create, 'POST *.googleapis.com/*', stockout",
        "code": "answer with this HTTP code, as the API writes it: 401 403 404 408 429 500 502 503 504",
        "delay": "seconds before the answer",
        "cut": "cut the connection before an answer; `--cut after`: what was asked is done, and the answer lost",
        "torn": "cut it in the middle of the body, or after so many bytes",
        "expired": "the caller's token counts as expired from then on",
        "times": "how often (default: 1; 0: until it is cleared)",
        "probability": "of each call that fits, e.g. 0.2",
        "principal": "only calls of this account (e-mail address)",
        "retry-after": "seconds; the header of the answer (default: 1 with 429)",
        "region": "with stockout: where there are no machines",
        "accelerator": "with stockout: which there are none of, e.g. NVIDIA_L4 (default: no machines at all)",
        "json": JSON,
    },
)
def fault(
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
    """Make calls to the local cloud fail as on a bad day at Google, to see what a program makes of it."""
    given = {
        "code": code, "delay": delay, "cut": cut, "torn": torn, "expired": expired, "times": times,
        "probability": probability, "principal": principal, "retry-after": retry_after, "region": region,
        "accelerator": accelerator,
    }  # fmt: skip
    options = [f"--{name}" if value is True else f"--{name}={value}" for name, value in given.items() if value]
    _local("fault", method, *options, json=json)


@command(optional=["clear"], help={"clear": "remove the fault with this id, or all", "json": JSON})
def faults(c: Context, clear: str | bool | None = None, json: bool = False) -> None:
    """List the faults that are still to come; --clear removes them."""
    what = "--list" if clear is None else "--clear" if clear is True else f"--clear={clear}"
    _local("fault", what, json=json)


@command(positional=["job"], help={"job": "a Spot job's name or id, or its trainer's name", "account": ACCOUNT})
def preempt(c: Context, job: str, account: str = "") -> None:
    """Preempt a Spot job, as Google may at any time: it should resume from its checkpoint."""
    from cloudkite import workspace
    from cloudkite.jobs import choosing
    from cloudkite.journey import reach

    found = choosing.choose(reach.connect(workspace.find(), _on_it(account)), job)
    _local("preempt", found.id)


@command(
    help={"forward": "let so much time pass: 90s, 30m, 12h, 3d, 2w, 1d12h", "json": JSON},
)
def clock(c: Context, forward: str = "", json: bool = False) -> None:
    """Show the local cloud's time; --forward lets days pass, with all that they cause and cost."""
    options = [f"--forward={forward}"] if forward else []
    _local("clock", *options, json=json)


@command(
    help={
        "account": "only what this account has (default: all on the local cloud)",
        "month": "only this month, in Pacific time as Google's: 2026-11",
        "json": JSON,
    },
)
def bill(c: Context, account: str = "", month: str = "", json: bool = False) -> None:
    """Show what everything on the local cloud would have cost on Google."""
    options = [f"--project={_on_it(account).project}"] if account else []
    options += [f"--month={month}"] if month else []
    _local("bill", *options, json=json)


@command(
    positional=["account"],
    aliases=["upgrade"],
    help={"account": "the account's name; it is on a free trial", "json": JSON},
)
def pay(c: Context, account: str, json: bool = False) -> None:
    """Turn a free trial's account into a paid one; what is left of its credit stays until day 90."""
    from cloudkite.show import screen
    from cloudkite.show.errors import BadValue

    if "local.upgrade" in sys.argv:
        screen.warn(_("local.upgrade is called local.pay now; the old name goes with the next version"))
    chosen = _on_it(account)
    if chosen.tier != "trial":
        raise BadValue(
            _("account {name} isn't on a free trial").format(name=chosen.name),
            _("`uv run invoke account.add --local --tier trial` describes one that is"),
        )
    _local("upgrade", chosen.project, json=json)


@command(
    help={
        "principal": "only this e-mail address, allUsers, or projectOwner:ID (default: everybody)",
        "json": JSON,
    },
)
def audit(c: Context, principal: str = "", json: bool = False) -> None:
    """Show who may do what on the local cloud, what of it was used, and what was refused."""
    options = [f"--principal={principal}"] if principal else []
    _local("audit", *options, json=json)


@command(help={"yes": "do not ask"})
def reset(c: Context, yes: bool = False) -> None:
    """Stop the local cloud and delete all that it holds."""
    from cloudkite.show import screen

    if yes or screen.confirm(_("delete everything that the local cloud holds?")):
        _local("reset", "--yes")


collection = Collection(
    "local", start, stop, status, env, clock, bill, pay, audit, fault, faults, preempt, reset
)  # fmt: skip
