"""`invoke audit`: known vulnerabilities of what is pinned."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import JSON, command


@command(help={"json": JSON})
def audit(c: Context, json: bool = False) -> None:
    """Show known vulnerabilities of the pinned packages; fails when there are some, or it could not look."""
    from cloudkite import workspace
    from cloudkite.journey import supply

    supply.audit(workspace.find(), as_json=json)
