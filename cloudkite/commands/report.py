"""`invoke report`: the page of a run."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, command


@command(
    positional=["run"],
    iterable=["by"],
    help={
        "run": "a trainer's name or folder, for its newest run here (else its newest job); or a job's name or id",
        "output": "write the page to this .html file (default: beside the model)",
        "by": "a column that divides the rows into groups; may be repeated (default: GROUP, else columns of few words)",
        "account": ACCOUNT,
        "json": JSON,
    },
)
def report(
    c: Context, run: str, output: str = "", by: list[str] | None = None, account: str = "", json: bool = False
) -> None:
    """Write what a run has learned, on rows it never saw, to one HTML page: curves, mistakes, groups, data, cost."""
    from cloudkite import workspace
    from cloudkite.journey import reporting

    reporting.report(workspace.find(), run, by=by or (), output=output, account=account, as_json=json)
