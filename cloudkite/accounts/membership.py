"""Which class this clone's person belongs to: written down by `class.join`, heard by whatever spends or submits."""

from __future__ import annotations

import datetime
import json
import re
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import Workspace, read_json, write_atomically

_WORD = re.compile(r"[a-z]([a-z0-9-]{0,28}[a-z0-9])?")
LEARNER = "learner"  # the label of a job that says whose it is
FOLDER = "learners"  # of a bucket that a class shares: each learner's things are in learners/<name>/


@dataclass(frozen=True)
class Membership:
    """A learner of a class. `account` is the class's on this machine, "" for who works in one of their own or `local`.

    `cap` is in USD per `period`, None without one.

    `period` is month or term. `key` signs what they submit, "" for who joined without a code.
    """

    name: str
    of: str
    form: str
    account: str
    cap: Decimal | None
    period: str
    starts: datetime.date
    ends: datetime.date
    key: str = ""

    @property
    def shares(self) -> bool:
        """Whether others of the class work in the same project."""
        return self.form == "shared"


def path(workspace: Workspace) -> Path:
    """Where it is written down."""
    return workspace.state / "class.json"


def write(workspace: Workspace, one: Membership) -> None:
    """Write it down, for its owner only: the key is among it."""
    write_atomically(path(workspace), json.dumps(asdict(one), default=str, indent=2) + "\n", 0o600)


def read(workspace: Workspace) -> Membership | None:
    """The class that this clone's person joined, None for none. Raises UserError for a file that can't be read."""
    try:
        return parsed(read_json(path(workspace)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, InvalidOperation):
        raise UserError(
            _("{path} can't be read").format(path=path(workspace)), _("join again: uv run invoke class.join CODE")
        ) from None


def parsed(row: dict[str, Any]) -> Membership:
    """The inverse of what `write` writes. Raises ValueError, TypeError, KeyError, InvalidOperation."""
    cap = row["cap"]
    texts = {key: str(row[key]) for key in ("name", "of", "form", "account", "period")}
    if any(texts[key] and not _WORD.fullmatch(texts[key]) for key in texts) or not (texts["name"] and texts["of"]):
        raise ValueError("a word that may not be a part of a file's name")
    return Membership(
        **texts,
        cap=None if cap is None else Decimal(str(cap)),
        starts=datetime.date.fromisoformat(row["starts"]),
        ends=datetime.date.fromisoformat(row["ends"]),
        key=str(row.get("key", "")),
    )
