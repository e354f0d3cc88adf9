"""`invoke fetch`: a job's model on this machine."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import JSON, ONE_JOB, command


@command(maybe="job", help={**ONE_JOB, "json": JSON})
def fetch(c: Context, job: str = "", account: str = "", json: bool = False) -> None:
    """Download a job's model to trainers/<name>/models/<job>."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.fetch(workspace.find(), account, job, as_json=json)
