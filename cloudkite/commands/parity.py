"""`invoke parity`: Google and the local cloud, asked the same."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, command


@command(help={"account": ACCOUNT, "against": "the account to compare with", "yes": "do not ask", "json": JSON})
def parity(c: Context, account: str = "", against: str = "local", yes: bool = False, json: bool = False) -> None:
    """Compare how an account's cloud answers with how the local cloud does; fails when they differ."""
    from cloudkite import workspace
    from cloudkite.journey import parity as journey

    journey.parity(workspace.find(), account, against, yes=yes, as_json=json)
