"""`invoke jobs`: the account's jobs."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, NOTIFY, command


@command(
    iterable=["state"],
    many="job",
    only_with="--compare",
    help={
        "job": "with --compare: jobs by name or id, or the start of one: jobs --compare a b (default: the newest)",
        "state": "only jobs in this state: queued, running, succeeded, failed, ...; several: failed,cancelled",
        "trainer": "only jobs of this trainer",
        "all": "also jobs that Cloudkite did not make",
        "watch": "stay, and change the table as the jobs change, until Ctrl-C",
        "compare": "jobs side by side: parameters, data, metrics, time, cost; what differs first",
        "csv": "the comparison with a line a job, for spreadsheets",
        "notify": NOTIFY,
        "account": ACCOUNT,
        "json": JSON,
    },
)
def jobs(
    c: Context,
    job: list[str] | str = "",
    state: list[str] | None = None,
    trainer: str = "",
    all: bool = False,
    watch: bool = False,
    compare: bool = False,
    csv: bool = False,
    notify: bool = False,
    account: str = "",
    json: bool = False,
) -> None:
    """List the account's jobs, newest first, with state, time and cost."""
    from cloudkite import workspace
    from cloudkite.journey import comparing, results

    place = workspace.find()
    if compare or csv:
        comparing.compare(place, account, list(job), trainer=trainer, as_json=json, as_csv=csv)
        return
    results.list_jobs(
        place, account, states=state or [], trainer=trainer, everything=all, as_json=json, watch=watch, notify=notify
    )
