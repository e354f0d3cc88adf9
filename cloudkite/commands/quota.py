"""`invoke quota`: how much the account's jobs may use at once."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, command


@command(help={"all": "also quotas that are 0", "account": ACCOUNT, "json": JSON})
def quota(c: Context, all: bool = False, account: str = "", json: bool = False) -> None:
    """Show the quotas of training jobs: asked, granted, pending, used, and what fits now with its price."""
    from cloudkite import workspace
    from cloudkite.journey import outlook

    outlook.show_quotas(workspace.find(), account, everything=all, as_json=json)
