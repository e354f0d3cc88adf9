"""Accounts: each is one Google Cloud project (or one on the local cloud) and one Pulumi stack, `Pulumi.<name>.yaml`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, near
from cloudkite.workspace import Workspace, private_folder, write_atomically

DEFAULT = "local"
NAME = re.compile(r"[a-z][a-z0-9-]{0,28}[a-z0-9]")
# 6 to 30 characters: https://cloud.google.com/resource-manager/docs/creating-managing-projects
PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_OUTPUTS = "outputs.json"  # in an account's state folder


@dataclass(frozen=True)
class Outputs:
    """What `up` left for the tasks: names of the account's resources."""

    project: str
    project_number: str
    region: str
    trainer: str
    submitter: str
    buckets: dict[str, str]
    images: str
    budget: dict[str, Any] | None
    labels: dict[str, str]


@dataclass(frozen=True)
class Account:
    """One account. `target` is "local" or "google"; `budget` is per month, in `currency`, None without one.

    `currency` is None while it is unknown: the settings name none, and no `up` has read the billing account's own.
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

    @property
    def costs_money(self) -> bool:
        """Whether what runs here is billed."""
        return self.target == "google"

    @cached_property
    def _outputs(self) -> dict[str, Any]:
        path = self.state / _OUTPUTS
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(
                _("account {name} is not set up").format(name=self.name),
                _("uv run invoke up --account {name}").format(name=self.name),
            ) from None
        except ValueError:
            raise UserError(
                _("{path} can't be read").format(path=path), _("uv run invoke up writes it again")
            ) from None

    def outputs(self) -> Outputs:
        """What `up` made. Raises UserError when the account is not set up."""
        raw = self._outputs
        try:
            return Outputs(
                raw["project"], raw["project_number"], raw["region"], raw["trainer"], raw["submitter"],
                raw["buckets"], raw["images"], raw.get("budget"), raw.get("labels", {}),
            )  # fmt: skip
        except KeyError as missing:
            raise UserError(
                _("the outputs of account {name} lack {key}").format(name=self.name, key=missing),
                _("uv run invoke up writes them again"),
            ) from None


def names(workspace: Workspace) -> list[str]:
    """The accounts there are, by name."""
    found = (p.name.removeprefix("Pulumi.").removesuffix(".yaml") for p in workspace.accounts.glob("Pulumi.*.yaml"))
    return sorted(found)


def load(workspace: Workspace, name: str | None = None) -> Account:
    """The account called `name`, else CLOUDKITE_ACCOUNT's, else the one in use.

    Raises UserError for an account that is unknown or whose settings can't be read.
    """
    name = name or os.environ.get("CLOUDKITE_ACCOUNT") or current(workspace)
    path = workspace.accounts / f"Pulumi.{name}.yaml"
    if not path.is_file():
        raise BadValue(_("there is no account {name}").format(name=name), near(name, names(workspace)))
    config = _config(path)
    project = str(config.get("gcp:project", ""))
    if not PROJECT.fullmatch(project):
        raise BadValue(
            _("{file}: gcp:project is {value!r}, which is no project id").format(file=path.name, value=project),
            _("6 to 30 lower-case letters, digits and hyphens, starting with a letter"),
        )
    target = config.get("cloudkite:target", "google")
    if target not in ("local", "google"):
        raise BadValue(
            _("{file}: cloudkite:target is {value!r}").format(file=path.name, value=target), _("google or local")
        )
    budget = config.get("cloudkite:budget") or {}
    if not isinstance(budget, dict):
        raise BadValue(
            _("{file}: cloudkite:budget is {value!r}").format(file=path.name, value=budget),
            _("a mapping with billingAccount, amount and currency"),
        )
    amount = budget.get("amount")
    state = _state_folder(workspace, name, target)
    return Account(
        name=name,
        target=target,
        project=project,
        region=str(config.get("gcp:region", "us-central1")),
        tier=str(config.get("cloudkite:tier", "trial")),
        owner=str(config.get("cloudkite:owner", "")),
        currency=_currency(budget, state),
        budget=float(amount) if isinstance(amount, int | float) else None,
        settings=path,
        state=state,
    )


def _currency(budget: Mapping[str, Any], state: Path) -> str | None:
    """The currency that the settings name, else the billing account's own as `up` last read it; None when unknown."""
    if budget.get("currency"):
        return str(budget["currency"])
    try:
        made = json.loads((state / _OUTPUTS).read_text(encoding="utf-8"))["budget"]
        # After a change of the settings, until `up` runs again, the outputs are of another billing account's budget.
        same = made["name"].startswith(f"billingAccounts/{budget['billingAccount']}/")
        return made["currency"] if same else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # what is wrong with them, `outputs` says
        return None


def _config(path: Path) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f":{where.line + 1}" if where else ""
        raise BadValue(
            _("{file}{line} is no valid YAML").format(file=path.name, line=line), _("compare with infra/examples/")
        ) from None
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise BadValue(_("{file} has no `config:`").format(file=path.name), _("compare with infra/examples/"))
    return config


def _state_folder(workspace: Workspace, name: str, target: str) -> Path:
    """Google accounts keep their state outside the clone, where `git clean` can't destroy it."""
    if target == "local" or os.environ.get("CLOUDKITE_STATE"):
        return private_folder(workspace.state / "accounts" / name)
    import platformdirs

    return private_folder(Path(platformdirs.user_data_dir("cloudkite", appauthor=False)) / "accounts" / name)


def current(workspace: Workspace) -> str:
    """The account in use."""
    try:
        return (workspace.state / "account").read_text(encoding="utf-8").strip() or DEFAULT
    except FileNotFoundError:
        return DEFAULT


def use(workspace: Workspace, name: str) -> Account:
    """Make `name` the account in use."""
    account = load(workspace, name)
    write_atomically(workspace.state / "account", account.name + "\n")
    return account


def add(workspace: Workspace, name: str, config: Mapping[str, Any]) -> Account:
    """Write a new account's settings file. Nothing is created in the cloud, and no account is switched.

    `config` is what `settings` gives; the caller has it checked (cloudkite.engine.check_settings). Raises BadValue.
    """
    import yaml

    if not NAME.fullmatch(name):
        raise BadValue(
            _("{name!r} is no name for an account").format(name=name),
            _("2 to 30 lower-case letters, digits and hyphens, starting with a letter"),
        )
    path = workspace.accounts / f"Pulumi.{name}.yaml"
    if path.exists():
        raise BadValue(_("there is an account {name} already").format(name=name), str(path))
    write_atomically(path, yaml.safe_dump({"config": dict(config)}, sort_keys=False, allow_unicode=True))
    return load(workspace, name)


def settings(
    project: str,
    region: str = "us-central1",
    target: str = "google",
    tier: str = "trial",
    owner: str = "",
    billing_account: str = "",
    budget: float | None = None,
    currency: str = "USD",
    email: str = "",
) -> dict[str, Any]:
    """The `config` of an account's settings file. `budget` is per month, in the billing account's `currency`."""
    config: dict[str, Any] = {
        "gcp:project": project,
        "gcp:region": region,
        "cloudkite:target": target,
        "cloudkite:tier": tier,
    }
    if owner:
        config["cloudkite:owner"] = owner
    if budget is not None:
        config["cloudkite:budget"] = {
            "billingAccount": billing_account,
            "amount": budget,
            "currency": currency,
            "thresholds": [0.5, 0.9, 1.0],
            "emails": [email] if email else [],
        }
    return config
