"""`invoke class.…`: a class of learners, in three forms; see docs/class.md."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, command

_FILE = "the class's description (default: class.toml)"
_SAVE = "first download data and models to this folder"
_DELETE = "delete data and models"
_YES = "do not ask"


@command(help={"file": _FILE, "account": "where to ask which projects are paid for (form projects)", "json": JSON})
def plan(c: Context, file: str = "class.toml", account: str = "", json: bool = False) -> None:
    """Check class.toml and describe the accounts that it needs. Creates nothing in the cloud."""
    from cloudkite import workspace
    from cloudkite.journey import classes

    classes.plan(workspace.find(), file, account, as_json=json)


@command(
    help={
        "file": _FILE,
        "learner": "only this learner's",
        "output": "write each into a file of this folder",
        "json": JSON,
    }
)
def codes(c: Context, file: str = "class.toml", learner: str = "", output: str = "", json: bool = False) -> None:
    """Print the code by which each learner joins."""
    from cloudkite import workspace
    from cloudkite.journey import classes

    classes.show_codes(workspace.find(), file, learner, output, as_json=json)


@command(
    positional=["code"],
    help={
        "code": "the code from your teacher, or a file: with a code, or class.toml",
        "learner": "who you are in class.toml",
        "json": JSON,
    },
)
def join(c: Context, code: str, learner: str = "", json: bool = False) -> None:
    """Join a class: says what you may spend, and what to do next."""
    from cloudkite import workspace
    from cloudkite.journey import learning

    learning.join(workspace.find(), code, learner, as_json=json)


@command(help={"output": "the file to write (default: CLASS-LEARNER.json)", "account": ACCOUNT, "json": JSON})
def submit(c: Context, output: str = "", account: str = "", json: bool = False) -> None:
    """Write the one file to hand in: state, jobs, spent, proof of teardown; no name in it."""
    from cloudkite import workspace
    from cloudkite.journey import learning

    learning.submit(workspace.find(), account, output, as_json=json)


@command(
    help={
        "file": _FILE,
        "files": "a folder with what learners submitted",
        "csv": "also write the table into this file",
        "json": JSON,
    }
)
def report(c: Context, file: str = "class.toml", files: str = "", csv: str = "", json: bool = False) -> None:
    """Show each learner's jobs, spending and cap, from the jobs and from what was submitted."""
    from cloudkite import workspace
    from cloudkite.journey import classes

    classes.report(workspace.find(), file, files, csv, as_json=json)


@command(
    maybe="learner",
    help={
        "learner": "the teacher's way: who leaves (without it: you)",
        "file": _FILE,
        "save": _SAVE,
        "delete": _DELETE,
        "yes": _YES,
    },
)
def leave(
    c: Context,
    learner: str = "",
    file: str = "class.toml",
    save: str = "",
    delete: bool = False,
    yes: bool = False,
) -> None:
    """Leave a class, or let a learner leave: data and models saved or deleted, permissions taken away."""
    from cloudkite import workspace
    from cloudkite.journey import classes, learning

    space = workspace.find()
    if learner:
        classes.leave(space, learner, file, save=save, delete=delete, yes=yes)
    else:
        learning.leave(space, save=save, delete=delete, yes=yes)


collection = Collection("class", plan, codes, join, submit, report, leave)
