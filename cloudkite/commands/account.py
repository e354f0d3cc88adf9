"""`invoke account.…`: which accounts there are, and which is in use."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, command
from cloudkite.show.text import _


@command(name="list", help={"json": JSON})
def list_all(c: Context, json: bool = False) -> None:
    """List the accounts: which one is in use, and whether each is set up."""
    from cloudkite import workspace
    from cloudkite.journey import setup

    setup.list_accounts(workspace.find(), as_json=json)


@command(
    help={
        "name": "the account's name, on this machine",
        "project": "the Google Cloud project's id",
        "region": "where everything is made (default: us-central1)",
        "tier": "trial or paid",
        "owner": "who submits: user:me@example.com or serviceAccount:...",
        "billing": "the billing account, 012345-ABCDEF-012345",
        "budget": "per month, in the billing account's currency: 10, 5EUR, 7000KRW",
        "currency": "of the billing account (default: that of --budget, else USD)",
        "email": "where budget alerts go",
        "local": "an account on the local cloud instead of Google: asks for no more than a name",
    },
)
def add(
    c: Context,
    name: str = "",
    project: str = "",
    region: str = "",
    tier: str = "",
    owner: str = "",
    billing: str = "",
    budget: str = "",
    currency: str = "",
    email: str = "",
    local: bool = False,
) -> None:
    """Describe an account; asks for what is missing. Creates nothing, and does not switch to it."""
    from cloudkite import workspace
    from cloudkite.journey import describe

    given = describe.Answers(name, project, region, tier, owner, billing, budget, currency, email)
    describe.add_account(workspace.find(), given, local=local)


@command(positional=["name"], help={"name": "the account's name"})
def use(c: Context, name: str) -> None:
    """Switch to an account."""
    from cloudkite import workspace
    from cloudkite.accounts import registry
    from cloudkite.show import screen

    chosen = registry.use(workspace.find(), name)
    screen.say(
        _("in use: {name} (project {project}, {target})").format(
            name=chosen.name, project=chosen.project, target=chosen.target
        )
    )


@command(help={"account": ACCOUNT, "json": JSON})
def probe(c: Context, account: str = "", json: bool = False) -> None:
    """Say what the account can run today, where, and the way on for each; makes nothing, turns nothing on."""
    from cloudkite import workspace
    from cloudkite.journey import probe

    probe.probe(workspace.find(), account, as_json=json)


@command(positional=["name"], help={"name": "the account's name", "yes": "do not ask"})
def remove(c: Context, name: str, yes: bool = False) -> None:
    """Forget an account that was taken down: its settings, state and sign-in on this computer."""
    from cloudkite import workspace
    from cloudkite.journey import moving

    moving.remove(workspace.find(), name, yes=yes)


@command(
    positional=["project"],
    help={
        "project": "the Google Cloud project's id",
        "name": "the account's name, where the project has the state of several",
        "local": "a project on the local cloud",
        "yes": "do not ask",
    },
)
def recover(c: Context, project: str, name: str = "", local: bool = False, yes: bool = False) -> None:
    """Bring an account here that was set up from another computer: settings and state, from its bucket of models."""
    from cloudkite import workspace
    from cloudkite.journey import moving

    moving.recover(workspace.find(), project, name, local=local, yes=yes)


@command(positional=["name"], help={"name": "the account's name", "shell": "bash, fish, powershell or cmd"})
def env(c: Context, name: str, shell: str = "") -> None:
    """Print what makes plain Pulumi work on an account: eval "$(uv run invoke account.env NAME)"."""
    from cloudkite import workspace
    from cloudkite.journey import shells

    shells.show_pulumi(workspace.find(), name, shell)


@command(
    help={
        "save": "the folder for data and models (default: NAME-saved)",
        "confirm": "the account's name, instead of being asked for it",
        "delete-project": "delete the project too, with whatever others made in it",
        "account": ACCOUNT,
        "json": JSON,
    },
)
def end(
    c: Context,
    save: str = "",
    confirm: str = "",
    delete_project: bool = False,
    account: str = "",
    json: bool = False,
) -> None:
    """Save data and models, take everything down, show that nothing is left, and say how to upgrade or leave."""
    from pathlib import Path

    from cloudkite import workspace
    from cloudkite.journey import ending

    ending.end(
        workspace.find(),
        account,
        save=Path(save) if save else None,
        confirmed=confirm,
        delete_project=delete_project,
        as_json=json,
    )


collection = Collection("account", list_all, add, use, probe, remove, recover, env, end)
