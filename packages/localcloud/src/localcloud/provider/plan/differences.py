"""What differs between two sets of inputs, as paths that the engine shows."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

ADD, DELETE, UPDATE = "ADD", "DELETE", "UPDATE"


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, ADD | DELETE | UPDATE) of each leaf or branch that differs. Lists of other lengths differ as a whole."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            here = f"{path}.{name}" if path else name
            if old.get(name) is None and new.get(name) is None:
                continue
            if new.get(name) is None:
                yield here, DELETE
            elif old.get(name) is None:
                yield here, ADD
            else:
                yield from differences(old[name], new[name], here)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from differences(before, after, f"{path}[{index}]")
    elif old != new:
        yield path, UPDATE


def top(path: str) -> str:
    """The property that a path is in: "a" of "a.b[0].c"."""
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def kept(found: Iterable[tuple[str, str]], ignored: Collection[str]) -> list[tuple[str, str]]:
    """The differences without those that the program asked to ignore (a property or a path in it)."""
    return [
        (path, change)
        for path, change in found
        if not any(path == skip or path.startswith((f"{skip}.", f"{skip}[")) for skip in ignored)
    ]
