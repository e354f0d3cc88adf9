"""Reads the catalogue's data files once, and says which names come close to one that they lack."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class UnknownName(LookupError):
    """A name that the catalogue lacks. `near` are the known names closest to it, or some of all when none is close."""

    def __init__(self, what: str, name: str, known: list[str]) -> None:
        super().__init__(f"unknown {what} {name}")
        self.what, self.name = what, name
        self.close = tuple(difflib.get_close_matches(name, known, n=3, cutoff=0.5))
        self.near = self.close or tuple(known[:10])


@cache
def read(file: str) -> Mapping[str, Any]:
    """A data file of the catalogue. Numbers with a point are Decimals, so that money stays exact."""
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    return json.loads(text, parse_float=Decimal)


def pick(what: str, name: str, table: Mapping[str, T]) -> T:
    """The entry called `name`. Raises UnknownName, a LookupError, with the names that come near."""
    try:
        return table[name]
    except KeyError:
        raise UnknownName(what, name, list(table)) from None
