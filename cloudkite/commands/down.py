"""`invoke down`: an account taken down."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import ACCOUNT, ACCOUNTS, ALL, JSON, command


@command(
    help={
        "save": "first download data and models to this folder",
        "everything": "data and models too; asks for the account's name",
        "yes": "do not ask (with --everything: --confirm NAME as well)",
        "confirm": "the account's name, instead of being asked for it",
        "account": ACCOUNT,
        "accounts": ACCOUNTS,
        "all": ALL,
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
    accounts: str = "",
    all: bool = False,
    json: bool = False,
) -> None:
    """Take the account down and show what is left and what it costs. Data and models stay unless --everything."""
    from pathlib import Path

    from cloudkite import workspace
    from cloudkite.journey import teardown

    space = workspace.find()
    if all or accounts:
        from cloudkite.journey import several

        several.refuse_everything(everything or bool(confirm))
        names = several.chosen(space, all, accounts, account)
        several.down(space, names, save=Path(save) if save else None, yes=yes, as_json=json)
        return
    teardown.down(
        space,
        account,
        everything=everything,
        save=Path(save) if save else None,
        yes=yes,
        confirmed=confirm,
        as_json=json,
    )
