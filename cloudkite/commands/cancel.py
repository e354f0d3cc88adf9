"""`invoke cancel`: the end of a job before its time."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import JSON, ONE_JOB, command


@command(maybe="job", help={**ONE_JOB, "json": JSON})
def cancel(c: Context, job: str = "", account: str = "", json: bool = False) -> None:
    """Cancel a job; the time that it ran is charged."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.cancel(workspace.find(), account, job, as_json=json)
