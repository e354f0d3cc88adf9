"""`invoke costs`: what the account cost, by what, and what it comes to."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, command


@command(
    help={
        "month": "another month than this one: 2026-10",
        "by": "trainer, job, tuning, learner or person",
        "everywhere": "look for machines in all regions, not in the account's alone",
        "account": ACCOUNT,
        "json": JSON,
    },
)
def costs(
    c: Context,
    month: str = "",
    by: str = "trainer",
    everywhere: bool = False,
    account: str = "",
    json: bool = False,
) -> None:
    """Show what the account cost this month, what goes on costing, and what that comes to by the month's end."""
    from cloudkite import workspace
    from cloudkite.journey import spending

    spending.show(workspace.find(), account, month=month, by=by, everywhere=everywhere, as_json=json)
