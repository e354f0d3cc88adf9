"""Reads values out of a settings file and remembers every mistake, told with the key, the value and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

_MISSING = object()


class Mistakes(list[str]):
    """What is wrong with one file, in the order of its keys."""

    def add(self, key: str, value: Any, allowed: str) -> None:
        """Value `value` of `key` is not one of `allowed`."""
        self.append(f"{key} is {_shown(value)}; {allowed}")


class Section:
    """One mapping of the file. `prefix` is how its keys are named to the person, e.g. "cloudkite:budget."."""

    def __init__(self, values: Mapping[str, Any], prefix: str, mistakes: Mistakes) -> None:
        self.values = values
        self.prefix = prefix
        self.mistakes = mistakes
        self._read: set[str] = set()

    def take(self, key: str, check: Callable[[Any], T], allowed: str, default: Any = _MISSING) -> Any:
        """`check(value)` of a key; `check` raises ValueError for what can't be. Without a default the key is needed.

        After a mistake the result is None: the caller must not use it before it looked at `mistakes`.
        """
        self._read.add(key)
        value = self.values.get(key)
        if value is None:
            if default is _MISSING:
                self.mistakes.append(f"{self.prefix}{key} is missing; {allowed}")
                return None
            return default
        try:
            return check(value)
        except (ValueError, TypeError, ArithmeticError):
            self.mistakes.add(self.prefix + key, value, allowed)
            return None

    def section(self, key: str) -> Section | None:
        """The mapping under a key; None when it isn't there or is none (which is then a mistake)."""
        self._read.add(key)
        value = self.values.get(key)
        return None if value is None else self._nested(value, self.prefix + key)

    def sections(self, key: str) -> Iterator[Section]:
        """Each mapping of the list under a key."""
        self._read.add(key)
        value = self.values.get(key) or []
        if not isinstance(value, list):
            self.mistakes.add(self.prefix + key, value, "a list is needed")
            return
        for number, item in enumerate(value):
            if nested := self._nested(item, f"{self.prefix}{key}[{number}]"):
                yield nested

    def _nested(self, value: Any, name: str) -> Section | None:
        if isinstance(value, Mapping):
            return Section(value, f"{name}.", self.mistakes)
        self.mistakes.add(name, value, "a mapping is needed")
        return None

    def unknown(self) -> None:
        """Every key that nobody read is a mistake; tells the nearest one that exists."""
        for key in self.values:
            if key not in self._read:
                near = nearest(str(key), self._read)
                known = f"did you mean {near}?" if near else f"known are {', '.join(sorted(self._read))}"
                self.mistakes.append(f"{self.prefix}{key} is no setting; {known}")


def nearest(word: str, words: Collection[str]) -> str:
    """The one of `words` that looks most like `word`, or ""."""
    return next(iter(difflib.get_close_matches(word, sorted(words), n=1)), "")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
