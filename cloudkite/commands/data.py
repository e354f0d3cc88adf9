"""`invoke data.…`: what a trainer's data are like, and the data in the account's bucket."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, TRAINER, command

_YES = "do not ask"


@command(maybe="trainer", help={"trainer": TRAINER, "yes": _YES, "account": ACCOUNT, "json": JSON})
def push(c: Context, trainer: str = "", yes: bool = False, account: str = "", json: bool = False) -> None:
    """Send a trainer's data to the account's bucket, once: `train` uses them from there."""
    from cloudkite import workspace
    from cloudkite.journey import data

    data.push(workspace.find(), trainer, account, yes=yes, as_json=json)


@command(name="list", help={"account": ACCOUNT, "json": JSON})
def list_all(c: Context, account: str = "", json: bool = False) -> None:
    """List the data in the account's bucket: trainer, files, size, date, hash, and what they cost."""
    from cloudkite import workspace
    from cloudkite.journey import data

    data.list_stored(workspace.find(), account, as_json=json)


@command(
    maybe="trainer",
    help={
        "trainer": "the name of the trainer that pushed them",
        "hash": "older data: the hash that data.list shows, or its start (default: the newest)",
        "output": "the folder to put them in (default: where the trainer declares its data)",
        "yes": _YES,
        "account": ACCOUNT,
        "json": JSON,
    },
)
def pull(
    c: Context,
    trainer: str = "",
    hash: str = "",
    output: str = "",
    yes: bool = False,
    account: str = "",
    json: bool = False,
) -> None:
    """Download what a trainer pushed; every file whole, and no other file replaced."""
    from cloudkite import workspace
    from cloudkite.journey import data

    data.pull(workspace.find(), trainer, account, start=hash, output=output, yes=yes, as_json=json)


@command(
    positional=["trainer"],
    help={
        "trainer": TRAINER,
        "data": "another file than the trainer's own, compared with it",
        "output": "write it to this .html file, which needs nothing else",
        "account": "where gs:// data is read, if the trainer's data is there",
        "json": JSON,
    },
)
def report(c: Context, trainer: str, data: str = "", output: str = "", account: str = "", json: bool = False) -> None:
    """Show what each column of a trainer's data holds, and what is wrong with it, before training."""
    from cloudkite import workspace
    from cloudkite.journey import looking

    looking.report(workspace.find(), trainer, data, account, output, as_json=json)


collection = Collection("data", report, push, list_all, pull)
