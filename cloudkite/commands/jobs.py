"""`invoke jobs`: the account's jobs."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, command


@command(help={"all": "also jobs that Cloudkite did not make", "account": ACCOUNT, "json": JSON})
def jobs(c: Context, all: bool = False, account: str = "", json: bool = False) -> None:
    """List the account's jobs, newest first, with state, time and cost."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.list_jobs(workspace.find(), account, everything=all, as_json=json)
