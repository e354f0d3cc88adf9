"""`invoke budget.…`: what happens when a budget is used up."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, command


@command(help={"account": ACCOUNT, "json": JSON})
def rehearse(c: Context, account: str = "", json: bool = False) -> None:
    """Play a GPU that was forgotten for a weekend, here; of a Google account tell what its stops would do today."""
    from cloudkite import workspace
    from cloudkite.journey import rehearsal

    rehearsal.rehearse(workspace.find(), account, as_json=json)


collection = Collection("budget", rehearse)
