"""`invoke down`: an account taken down."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, command


@command(
    help={
        "save": "first download data and models to this folder",
        "everything": "data and models too; asks for the account's name",
        "yes": "do not ask (with --everything: --confirm NAME as well)",
        "confirm": "the account's name, instead of being asked for it",
        "account": ACCOUNT,
        "json": JSON,
    }
)
def down(
    c: Context,
    everything: bool = False,
    save: str = "",
    yes: bool = False,
    confirm: str = "",
    account: str = "",
    json: bool = False,
) -> None:
    """Take the account down and show what is left and what it costs. Data and models stay unless --everything."""
    from pathlib import Path

    from cloudkite import workspace
    from cloudkite.journey import teardown

    teardown.down(
        workspace.find(),
        account,
        everything=everything,
        save=Path(save) if save else None,
        yes=yes,
        confirmed=confirm,
        as_json=json,
    )
