"""`invoke report`: what a trainer's data are like."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import JSON, TRAINER, command


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
