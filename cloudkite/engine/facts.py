"""What the program must know of the project before it runs, asked here: no question of its own can end a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cloudkite.accounts.asked import preferences, services
from cloudkite.accounts.asked.preferences import Choice
from cloudkite.accounts.asked.services import MANAGER, Services
from cloudkite.accounts.patience import Patience
from cloudkite.accounts.target import Target
from cloudkite.engine import state
from cloudkite.engine.folder import Folder
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _
from infra.known import Known, Preference
from infra.mistakes import SettingsError
from infra.settings import Settings


@dataclass(frozen=True)
class Facts:
    """One project as it was found: which of the first APIs are on, and which quota preferences to declare."""

    services: Services
    choice: Choice

    @property
    def known(self) -> Known:
        """What the program is given."""
        return Known(self.services.number, self.choice.preferences)

    @property
    def expected(self) -> Known:
        """What it will be given, as far as that can be told, for a preview."""
        return Known(self.services.number, self.choice.likely or self.choice.preferences)

    @property
    def blind(self) -> bool:
        """Whether nothing can be looked at until the first API is on again."""
        return MANAGER not in self.services.on


def read(folder: Folder, target: Target, settings: Settings) -> Facts:
    """Ask the project. Raises UserError, BadValue for settings that it can't have."""
    found = services.read(target)
    choice = preferences.choose(target, settings, kept(folder))
    if choice.mistakes:
        raise BadValue(
            str(SettingsError(folder.account.name, choice.mistakes)),
            _("fix {path}").format(path=folder.account.settings),
        )
    return Facts(found, choice)


def again(folder: Folder, target: Target, settings: Settings, progress: Callable[[str], Any]) -> Facts:
    """Ask again for what could not be read because its API was off, until it can. Raises UserError."""
    patience = Patience(progress)
    while not (facts := read(folder, target, settings)).choice.ready:
        if not patience.wait(_("the quotas")):
            raise UserError(
                _("the quotas of account {name} could not be read, and none was changed").format(
                    name=folder.account.name
                ),
                _("wait a few minutes and run the same command again"),
            )
    return facts


def kept(folder: Folder) -> list[Preference]:
    """The quota preferences in the state."""
    found = []
    for one in state.read(folder).resources:
        if one.kind == "SQuotaPreference":
            inputs = one.inputs
            found.append(
                Preference(
                    one.name,
                    one.id.rpartition("/")[2],
                    inputs["service"],
                    inputs["quotaId"],
                    inputs["dimensions"]["region"],
                    int(inputs["quotaConfig"]["preferredValue"]),
                    bool(inputs.get("contactEmail")),
                    settled=True,
                )
            )
    return found
