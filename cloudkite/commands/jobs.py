"""`invoke jobs`: the account's jobs."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, command


@command(
    iterable=["state"],
    help={
        "state": "only jobs in this state: queued, running, succeeded, failed, ...; several: failed,cancelled",
        "trainer": "only jobs of this trainer",
        "all": "also jobs that Cloudkite did not make",
        "account": ACCOUNT,
        "json": JSON,
    },
)
def jobs(
    c: Context,
    state: list[str] | None = None,
    trainer: str = "",
    all: bool = False,
    account: str = "",
    json: bool = False,
) -> None:
    """List the account's jobs, newest first, with state, time and cost."""
    from cloudkite import workspace
    from cloudkite.journey import results

    results.list_jobs(workspace.find(), account, states=state or [], trainer=trainer, everything=all, as_json=json)
