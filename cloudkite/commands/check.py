"""`invoke check`: a trainer checked before anything costs."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import JSON, TRAINER, command


@command(
    positional=["trainer"],
    help={
        "trainer": TRAINER,
        "data": "new rows, to be compared with those learnt from: nothing is trained",
        "account": "where gs:// data is read, if the trainer's data is there",
        "json": JSON,
    },
)
def check(c: Context, trainer: str, data: str = "", account: str = "", json: bool = False) -> None:
    """Check a trainer before anything costs: lint, data, two training steps, export, versions."""
    from cloudkite import workspace
    from cloudkite.journey import looking, training

    if data:
        looking.compare(workspace.find(), trainer, data, account, as_json=json)
    else:
        training.check(workspace.find(), trainer, account, as_json=json)
