"""Hints: the step that helps, in words and in commands of the local cloud, which another command line may word anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Command:
    """A command of the local cloud as data. An option that is True has no value; others are written in their order."""

    verb: str
    arguments: tuple[str, ...] = ()
    options: Mapping[str, str | bool] = field(default_factory=dict)

    def __str__(self) -> str:
        """As a person types it; one that names its folder stands whole, another only from its verb on."""
        words = ["python -m localcloud"] if "root" in self.options else []
        words += [self.verb, *self.arguments]
        for name, value in self.options.items():
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
        return " ".join(words)

    def as_json(self) -> dict[str, Any]:
        """As another program reads it."""
        return {"verb": self.verb, "arguments": [*self.arguments], "options": dict(self.options)}


Part = str | Command
Hint = Part | Sequence[Part]  # "" for none


def parts(hint: Hint) -> tuple[Part, ...]:
    """A hint in its pieces, in their order; none when there is no hint."""
    return tuple(part for part in ((hint,) if isinstance(hint, Part) else hint) if part)


def as_json(hint: Hint) -> list[Any]:
    """The pieces: words as strings, commands as objects."""
    return [part.as_json() if isinstance(part, Command) else part for part in parts(hint)]


def read(pieces: Sequence[Any]) -> tuple[Part, ...]:
    """The hint that `as_json` wrote."""
    return tuple(
        part if isinstance(part, str) else Command(part["verb"], tuple(part["arguments"]), part["options"])
        for part in pieces
    )
