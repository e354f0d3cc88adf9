"""`invoke wait`: until jobs have ended."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, NOTIFY, command


@command(
    many="job",
    help={
        "job": "a job's name or id, the start of one, or a trainer's name; several: wait a b (default: all that run)",
        "trainer": "only jobs of this trainer",
        "limit": "wait no longer than this, e.g. 30m, 2h",
        "notify": NOTIFY,
        "account": ACCOUNT,
        "json": JSON,
    },
)
def wait(
    c: Context,
    job: list[str] | str = "",
    trainer: str = "",
    limit: str = "",
    notify: bool = False,
    account: str = "",
    json: bool = False,
) -> None:
    """Wait until jobs have ended: exit code 0 when all succeeded, else 1."""
    from cloudkite import workspace
    from cloudkite.journey import watching

    words = list(job)  # `many` makes a list of it
    watching.wait(workspace.find(), account, words, trainer=trainer, limit=limit, notify=notify, as_json=json)
