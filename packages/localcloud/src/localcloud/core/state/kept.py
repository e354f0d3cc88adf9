"""Reads what was kept in a file, and tells one that was damaged: cut off, emptied, overwritten or edited by mistake."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from localcloud.core import hints

T = TypeVar("T")


class Damaged(Exception):
    """A file that can't be what was written there; `hint` is what helps. One that people write says `why`."""

    def __init__(self, path: Path, hint: hints.Hint, why: str = "") -> None:
        self.hint = hint
        super().__init__(f"{path} can't be read: {why}" if why else f"{path} is damaged")


def anew(root: Path, path: Path, loss: str) -> hints.Hint:
    """The hint for a file that can be done without: `loss` says what it costs to delete it."""
    return f"delete {path} ({loss}), then ", hints.Command("start", options={"root": str(root)})


def reset(root: Path) -> hints.Hint:
    """The hint for a file that nothing else replaces."""
    words = "put it back from a copy, or delete all that this local cloud holds: "
    return words, hints.Command("reset", options={"root": str(root)})


def read_json(path: Path, shape: Callable[[Any], T], hint: hints.Hint) -> T:
    """What `shape` makes of the JSON in a file. Raises Damaged when it isn't JSON or `shape` raises for it.

    Raises FileNotFoundError when the file isn't there.
    """
    try:
        return parsed(path.read_bytes(), shape)
    except (ValueError, IsADirectoryError):
        raise Damaged(path, hint) from None


def parsed(data: bytes, shape: Callable[[Any], T]) -> T:
    """What `shape` makes of JSON. Raises ValueError, whatever is wrong with it."""
    try:
        return shape(json.loads(data.decode("utf-8")))
    except KeyError as error:
        raise ValueError(f"{error.args[0]} is missing") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except (TypeError, AttributeError, OverflowError) as error:
        raise ValueError(str(error)) from None


def chosen(path: Path, fields: Mapping[str, tuple[str, Callable[[Any], Any]]]) -> dict[str, Any]:
    """What a local cloud's owner has set in a file: the name there -> the name here, and the shape of its value.

    {} when there is no such file. Raises Damaged for what isn't valid.
    """

    def shape(given: Any) -> dict[str, Any]:
        if unknown := set(given) - set(fields):
            raise ValueError(f"unknown setting {min(unknown)}")
        return {fields[name][0]: fields[name][1](value) for name, value in given.items()}

    try:
        return parsed(path.read_bytes(), shape)
    except FileNotFoundError:
        return {}
    except (ValueError, IsADirectoryError) as error:
        raise Damaged(path, f"correct it, or delete it; it may have {', '.join(fields)}", str(error)) from None


def texts(value: Any) -> dict[str, str]:
    """A shape: texts by name, which an operating system takes as well. Raises ValueError, TypeError, AttributeError."""
    return {text(name): text(one) for name, one in value.items()}


def text(value: Any) -> str:
    """A shape: a text without NUL, and without halves of characters. Raises ValueError, TypeError."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    value.encode()
    if "\0" in value:
        raise ValueError("has a NUL")
    return value


def whole(value: Any, least: int, most: int) -> int:
    """A shape: a whole number from `least` to `most`. Raises ValueError, TypeError."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not a whole number")
    if not least <= value <= most:
        raise ValueError("out of range")
    return value


def number(value: Any, least: float, most: float) -> float:
    """A shape: a number from `least` to `most`. Raises ValueError, TypeError."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError("not a number")
    if not least <= value <= most:  # nor is "not a number" in between
        raise ValueError("out of range")
    return float(value)
