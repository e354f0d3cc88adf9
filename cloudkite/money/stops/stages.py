"""What the stops of an account would do today: read by the very code that does it (infra/stop/)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from catalog import regions
from cloudkite.accounts.target import Target
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from infra.stop import foreign, running
from infra.stop.cloud import Refused, Session

if TYPE_CHECKING:
    from infra.settings import Settings


@dataclass(frozen=True)
class Today:
    """What runs, ours and others', and what in the project is not ours; `unseen` why that can't be told, or ""."""

    ours: Sequence[str]
    others: Sequence[str]
    foreign: Sequence[str]
    unseen: str


def look(target: Target, settings: Settings) -> Today:
    """Reads only. Raises UserError where what runs can't be listed."""
    session = cast("Session", target.session())
    found, problems = running.find(session, settings.project, sorted(regions.regions()))
    if problems:
        raise UserError(_("what runs can't be told: {why}").format(why=problems[0]))
    try:
        not_ours, unseen = foreign.find(session, settings.project, ("cloudkite-stop", "cloudkite-budget")), ""
    except Refused as refused:
        not_ours, unseen = [], str(refused)
    ours, others = ([str(one) for one in found if one.ours is mine] for mine in (True, False))
    return Today(ours, others, not_ours, unseen)
