"""`invoke up`: an account set up, or several."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import ACCOUNT, ACCOUNTS, ALL, JSON, command


@command(
    help={
        "yes": "do not ask",
        "preview": "show what would change, and end",
        "trial-started": "the day on which the account's free trial began, like 2026-11-29; it is remembered",
        "account": ACCOUNT,
        "accounts": ACCOUNTS,
        "all": ALL,
        "json": JSON,
    },
)
def up(
    c: Context,
    yes: bool = False,
    preview: bool = False,
    trial_started: str = "",
    account: str = "",
    accounts: str = "",
    all: bool = False,
    json: bool = False,
) -> None:
    """Set the account up: preview, monthly price, consent, then create what is missing."""
    from cloudkite import workspace
    from cloudkite.journey import setup

    space = workspace.find()
    if all or accounts:
        from cloudkite.journey import several

        several.refuse_start(trial_started)
        names = several.chosen(space, all, accounts, account)
        several.up(space, names, yes=yes, as_json=json, look=preview)
    else:
        setup.up(space, account, yes=yes, as_json=json, look=preview, trial_started=trial_started)
