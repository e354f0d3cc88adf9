"""What a person has answered while they begin: kept after each answer, so that nothing is asked twice."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import Workspace, read_json, write_atomically

_VERSION = 1


@dataclass
class Beginning:
    """The answers by the names of their questions, in the order in which they were given."""

    path: Path
    answers: dict[str, str] = field(default_factory=dict)

    def keep(self, **answers: str) -> None:
        """Remember answers, before anything else happens; whoever is cut off afterwards has given them."""
        self.answers.update(answers)
        text = json.dumps({"version": _VERSION, "answers": self.answers}, indent=2, ensure_ascii=False)
        write_atomically(self.path, text + "\n", 0o600)

    def forget(self) -> None:
        """Begin anew."""
        self.answers.clear()
        self.path.unlink(missing_ok=True)


def load(workspace: Workspace) -> Beginning:
    """What was answered so far. Raises UserError for a file that can't be read, or is of a newer version."""
    path = workspace.state / "start.json"
    try:
        kept = read_json(path)
        answers = kept["answers"]
        if kept["version"] != _VERSION or not all(isinstance(one, str) for pair in answers.items() for one in pair):
            raise ValueError
    except FileNotFoundError:
        return Beginning(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            _("{path} can't be read").format(path=path), _("uv run invoke start --again asks everything anew")
        ) from None
    return Beginning(path, dict(answers))
