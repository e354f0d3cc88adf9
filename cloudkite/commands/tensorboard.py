"""`invoke tensorboard`: curves of a trainer's jobs."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import ACCOUNT, TRAINER, command


@command(positional=["trainer"], help={"trainer": TRAINER, "account": ACCOUNT, "port": "of its page (default: 6006)"})
def tensorboard(c: Context, trainer: str, account: str = "", port: int = 6006) -> None:
    """Run TensorBoard on this machine, over the logs of a trainer's jobs."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.tensorboard(workspace.find(), account, trainer, port)
