"""`invoke up`: an account set up."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, command


@command(
    help={
        "yes": "do not ask",
        "preview": "show what would change, and end",
        "trial-started": "the day on which the account's free trial began, like 2026-11-29; it is remembered",
        "account": ACCOUNT,
        "json": JSON,
    },
)
def up(
    c: Context,
    yes: bool = False,
    preview: bool = False,
    trial_started: str = "",
    account: str = "",
    json: bool = False,
) -> None:
    """Set the account up: preview, monthly price, consent, then create what is missing."""
    from cloudkite import workspace
    from cloudkite.journey import setup

    setup.up(workspace.find(), account, yes=yes, as_json=json, look=preview, trial_started=trial_started)
