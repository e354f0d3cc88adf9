"""Accounts: each is one Google Cloud project (or one on the local cloud) and one Pulumi stack, `Pulumi.<name>.yaml`."""

from __future__ import annotations

import datetime
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cloudkite import names as files
from cloudkite.accounts import membership, settings
from cloudkite.accounts.membership import Membership
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, near
from cloudkite.workspace import Workspace, google_accounts, private_folder, read_json, write_atomically
from infra.outputs import OtherSchema, Outputs

DEFAULT = "local"
_OUTPUTS = "outputs.json"  # in an account's state folder
NAME = re.compile(r"[a-z][a-z0-9-]{0,28}[a-z0-9]")


@dataclass(frozen=True)
class Account:
    """One account. `target` is "local" or "google"; `budget` is per `period`, in `currency`, None without one.

    `currency` is None while it is unknown: the settings name none, and no `up` has read the billing account's own.
    `state` is a folder of this computer's; `shared` says that what `up` made is written down in a bucket of the
    project instead, for all who work on it. `period` is "month", or "trial" for the 90 days of a free trial's credit;
    `trial_started` the day on which that began, None while nobody said. `also` are other regions that jobs may run in.
    """

    name: str
    target: str
    project: str
    region: str
    tier: str
    owner: str
    currency: str | None
    budget: float | None
    settings: Path
    state: Path
    shared: bool = False
    payer: str = ""  # the billing account that the budget is of
    learner: Membership | None = None  # who works with it, where it is a class's
    period: str = "month"
    trial_started: datetime.date | None = None
    also: tuple[str, ...] = ()
    billing_export: str = ""  # PROJECT.DATASET to which the bill is exported

    @property
    def costs_money(self) -> bool:
        """Whether what runs here is billed."""
        return self.target == "google"

    @property
    def outputs_file(self) -> Path:
        """What `up` writes and `down` takes away: there while the account is set up."""
        return self.state / _OUTPUTS

    @property
    def trial_file(self) -> Path:
        """What was last seen of a free trial's billing account; without it, the cloud is asked. See trial.py."""
        return self.state / "trial.json"

    def outputs(self) -> Outputs:
        """What `up` made. Raises UserError when the account is not set up."""
        return self._outputs

    @cached_property
    def _outputs(self) -> Outputs:
        again = _("uv run invoke up writes them again")
        try:
            return Outputs.read(read_json(self.outputs_file))
        except FileNotFoundError:
            raise UserError(
                _("account {name} is not set up").format(name=self.name),
                _("uv run invoke up --account {name}").format(name=self.name),
            ) from None
        except KeyError as missing:
            raise UserError(
                _("the outputs of account {name} lack {key}").format(name=self.name, key=missing), again
            ) from None
        except OtherSchema as other:
            raise UserError(
                _("the outputs of account {name} are of another version of this program: {how}").format(
                    name=self.name, how=other
                ),
                again,
            ) from None
        except (ValueError, TypeError, AttributeError):
            raise UserError(
                _("{path} can't be read").format(path=self.outputs_file), _("uv run invoke up writes it again")
            ) from None


def names(workspace: Workspace) -> list[str]:
    """The accounts there are, by name."""
    found = (p.name.removeprefix("Pulumi.").removesuffix(".yaml") for p in workspace.accounts.glob("Pulumi.*.yaml"))
    return sorted(found)


def load(workspace: Workspace, name: str | None = None) -> Account:
    """The account called `name`, else CLOUDKITE_ACCOUNT's, else the one in use.

    Raises UserError for an account that is unknown or whose settings can't be read.
    """
    name = name or chosen(workspace)
    known = names(workspace)
    if name not in known:  # before it is part of any path
        raise BadValue(_("no account is called {name}").format(name=name[:100]), near(name[:100], known))
    check_name(name)
    path = workspace.accounts / f"Pulumi.{name}.yaml"
    described = settings.checked(workspace, path, name)
    budget = described["budget"] or {}
    state = _state_folder(workspace, name, described["target"])
    joined = membership.read(workspace)
    return Account(
        name=name,
        target=described["target"],
        project=described["project"],
        region=described["region"],
        tier=described["tier"],
        owner=described["owner"],
        currency=_currency(budget, state),
        budget=float(budget["amount"]) if budget else None,
        settings=path,
        state=state,
        shared=described["state"] == "bucket",
        payer=str(budget.get("billing_account", "")),
        learner=joined if joined and joined.account == name else None,
        period=str(budget.get("period", "month")),
        trial_started=datetime.date.fromisoformat(began) if (began := described["trial_started"]) else None,
        also=tuple(described["also_in"]),
        billing_export=described["billing_export"],
    )


def draft(
    workspace: Workspace,
    name: str,
    target: str,
    project: str,
    *,
    tier: str = "paid",
    payer: str = "",
    region: str = "",
    state: Path | None = None,
) -> Account:
    """An account that is yet to be described: enough to sign in for it, and to keep what belongs to it.

    `state` is where nothing is to be kept yet, by default the account's own folder.
    """
    state = state or _state_folder(workspace, name, target)
    path = workspace.accounts / f"Pulumi.{name}.yaml"
    return Account(name, target, project, region or "us-central1", tier, "", None, None, path, state, payer=payer)


def _currency(budget: Mapping[str, Any], state: Path) -> str | None:
    """The currency that the settings name, else the billing account's own as `up` last read it; None when unknown."""
    if budget.get("currency"):
        return str(budget["currency"])
    try:
        made = read_json(state / _OUTPUTS)["budget"]
        # After a change of the settings, until `up` runs again, the outputs are of another billing account's budget.
        same = made["name"].startswith(f"billingAccounts/{budget['billing_account']}/")
        return made["currency"] if same else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # what is wrong with them, `outputs` says
        return None


def _state_folder(workspace: Workspace, name: str, target: str) -> Path:
    """The account's own folder."""
    if target == "local" or os.environ.get("CLOUDKITE_STATE"):
        return private_folder(workspace.state / "accounts" / name)
    private_folder(google_accounts().parent)
    return private_folder(google_accounts() / name)


def load_all(workspace: Workspace) -> tuple[list[Account], dict[str, UserError]]:
    """All accounts that can be loaded, and by name the mistakes of those that can't."""
    found, broken = [], {}
    for name in names(workspace):
        try:
            found.append(load(workspace, name))
        except UserError as mistake:
            broken[name] = mistake
    return found, broken


def check_name(name: str, new: bool = False) -> None:
    """Raise BadValue unless `name` can be an account's, and so a file's and a folder's on every system.

    What people wrote as Pulumi.<name>.yaml may have any name that is harmless, a new one less.
    """
    if files.component(name) != name or (new and not NAME.fullmatch(name)):
        raise BadValue(
            _("{name!r} isn't a valid name for an account").format(name=name[:100]),
            _("2 to 30 lower-case letters, digits and hyphens, starting with a letter; no word that Windows keeps"),
        )


def check_free(workspace: Workspace, name: str) -> None:
    """Raise BadValue unless `name` can be a new account's."""
    check_name(name, new=True)
    path = workspace.accounts / f"Pulumi.{name}.yaml"
    if path.exists():
        raise BadValue(
            _("there is an account {name} already").format(name=name),
            _("uv run invoke account.use {name}, or choose another name").format(name=name),
        )


def chosen(workspace: Workspace) -> str:
    """The name in CLOUDKITE_ACCOUNT, else that of the account in use; nobody has looked whether there is one."""
    return os.environ.get("CLOUDKITE_ACCOUNT") or current(workspace)


def option(workspace: Workspace, account: Account) -> str:
    """What names the account on the command line that is shown as the next: nothing for the one in use."""
    return "" if account.name == chosen(workspace) else f" --account {account.name}"


def current(workspace: Workspace) -> str:
    """The account in use. Raises UserError when the file that says so names none."""
    path = workspace.state / "account"
    try:
        name = path.read_text(encoding="utf-8").strip() or DEFAULT
        check_name(name)
    except FileNotFoundError:
        return DEFAULT
    except (ValueError, BadValue):
        raise UserError(
            _("{path} doesn't name an account").format(path=path), _("uv run invoke account.use NAME writes it again")
        ) from None
    return name


def use(workspace: Workspace, name: str) -> Account:
    """Make `name` the account in use. Raises BadValue where another account is set up in its project."""
    account = load(workspace, name)
    for other in sharing(workspace, name, account.target, account.project):
        if other.outputs_file.is_file() and not account.outputs_file.is_file():
            raise shared(other, name)
    write_atomically(workspace.state / "account", account.name + "\n")
    return account


def add(workspace: Workspace, name: str, config: Mapping[str, Any]) -> Account:
    """Write a new account's settings file. Nothing is created in the cloud, and no account is switched.

    `config` is what `settings.describe` gives. Raises BadValue that tells every mistake in it.
    """
    check_free(workspace, name)
    path = workspace.accounts / f"Pulumi.{name}.yaml"
    checked = settings.check(config, name)
    for other in sharing(workspace, name, checked.target, checked.project):
        raise shared(other, name)
    settings.write(path, config)
    return load(workspace, name)


def remove(workspace: Workspace, name: str, state: Path) -> str:
    """Forget an account: its folder first, its settings last, so that who is cut off can do it again.

    Gives the account that is in use from then on, "" where that doesn't change. Raises OSError.
    """
    after = ""
    if current(workspace) == name:
        after = DEFAULT
        write_atomically(workspace.state / "account", after + "\n")
    if state.is_dir():
        shutil.rmtree(state)
    (workspace.state / "settings" / f"{name}.json").unlink(missing_ok=True)
    (workspace.accounts / f"Pulumi.{name}.yaml").unlink()
    return after


def sharing(workspace: Workspace, name: str, target: str, project: str) -> list[Account]:
    """The accounts but `name` that are described for the same project, first those that are set up."""
    found, _broken = load_all(workspace)
    others = [one for one in found if one.name != name and (one.target, one.project) == (target, project)]
    return sorted(others, key=lambda one: not one.outputs_file.is_file())


def shared(other: Account, name: str) -> BadValue:
    """Why `name` can't have the project that `other` has."""
    return BadValue(
        _("project {project} is account {other}'s: each account needs a project of its own").format(
            project=other.project, other=other.name
        ),
        _("uv run invoke account.use {other}, or give {name} another project").format(other=other.name, name=name),
    )
