"""`invoke start`: a new person, from nothing to the first small job."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import command


@command(
    help={
        "local": "walk the same on this machine's local cloud: no account, no card, no cost",
        "again": "forget what was answered before, and begin anew",
    },
)
def start(c: Context, local: bool = False, again: bool = False) -> None:
    """Walk through everything, one answer at a time: sign-in, project, billing, region, budget, up, a first job."""
    from cloudkite import workspace
    from cloudkite.journey import start

    start.run(workspace.find(), local=local, again=again)
