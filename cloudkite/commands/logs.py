"""`invoke logs`: what a job wrote."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import ONE_JOB, command


@command(
    maybe="job",
    help={
        **ONE_JOB,
        "follow": "go on until the job ends; Ctrl-C leaves it running",
        "json": "print JSON, one entry a line",
    },
)
def logs(c: Context, job: str = "", follow: bool = False, account: str = "", json: bool = False) -> None:
    """Show what a job wrote to its log."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.show_logs(workspace.find(), account, job, follow=follow, as_json=json)
