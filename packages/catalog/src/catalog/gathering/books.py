"""Books and copies of layers: what a new one changes, putting it into a book, reading and writing it as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from catalog import listed, prices, run
from catalog.book import UnknownName
from catalog.listed import SURENESS, TABLES, Layer

FAR = 3  # a price that became so many times dearer or cheaper is told
_HEAD = ("as_of", "source", "sure")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,60}")
_REGION = re.compile(r"\*|[a-z]{2,20}(?:-[a-z]{2,20}[0-9]{1,2})?")
_MOST = Decimal(10) ** 9


@dataclass(frozen=True)
class Change:
    """A price of a layer that the book has otherwise, or not at all (`before` None). USD per unit of the table."""

    table: str
    name: str
    region: str
    before: Decimal | None
    after: Decimal

    @property
    def far(self) -> bool:
        """Whether it is so much dearer or cheaper that it wants a second look."""
        return self.before is not None and not self.before / FAR <= self.after <= self.before * FAR


def cells(layer: Layer) -> Iterator[tuple[str, str, str, Decimal]]:
    """(table, name, region, amount) of each price of a layer."""
    for table in TABLES:
        for name, row in layer.get(table, {}).items():
            for region, amount in row.items():
                yield table, name, region, Decimal(amount)


def changes(layer: Layer) -> list[Change]:
    """What a layer says otherwise than the book that this process has."""
    found = [
        Change(table, name, region, _before(table, name, region), amount)
        for table, name, region, amount in cells(layer)
    ]
    return [one for one in found if one.before != one.after]


def _before(table: str, name: str, region: str) -> Decimal | None:
    """What the book says, by its rules where it has no price of its own."""
    if table == "training":
        return prices.unit(name, region).amount
    if table == "fee":
        return prices.fee(name, region).amount
    if table == "storage":
        return prices.storage(region, name).amount
    if table == "operation":
        storage_class, kind, where = name.split()
        return prices.operation("us" if where == "multi-region" else "us-central1", storage_class, kind == "B").amount
    if table == "egress":
        return prices.egress().amount
    if table == "run":
        try:
            return run.cpu_second(region) if name == "cpu" else run.gib_second(region)
        except UnknownName:
            return None
    if table == "free":
        return _free(name, region)
    known = listed.find(table, name, region)
    return known and known.amount


def _free(name: str, region: str) -> Decimal | None:
    if name in ("cpu", "memory"):
        amount = run.free()[0 if name == "cpu" else 1]
        return _of_tier(name, region, amount)
    if name == "STANDARD":
        return prices.storage_free(region)
    return prices.operations_free(" B " in name) if name.startswith("STANDARD ") else None


def _of_tier(name: str, region: str, amount: Decimal) -> Decimal | None:
    """A free amount of Cloud Run, which is worth prices of tier 1, in seconds of a region."""
    second = run.cpu_second if name == "cpu" else run.gib_second
    try:
        found = amount * second("us-central1") / second(region)
    except UnknownName:
        return None
    return found.quantize(Decimal("1e-9")).normalize()


def put(book: Mapping[str, Any], layer: Layer) -> dict[str, Any]:
    """A book with a layer on top; what that says anew leaves the layers below, and those that are empty then."""
    newer = {(table, name, region) for table, name, region, _amount in cells(layer)}
    below = [_without(one, newer) for one in book["layers"]]
    return {**book, "layers": [layer, *(one for one in below if any(cells(one)))]}


def _without(layer: Layer, gone: set[tuple[str, str, str]]) -> dict[str, Any]:
    left: dict[str, Any] = {key: layer[key] for key in _HEAD}
    for table, name, region, amount in cells(layer):
        if (table, name, region) not in gone:
            left.setdefault(table, {}).setdefault(name, {})[region] = amount
    return left


def checked(found: Any) -> Layer:
    """A layer that was read from a file. Raises ValueError for one that is damaged."""
    try:
        date.fromisoformat(found["as_of"])
        right = isinstance(found["source"], str) and found["sure"] in SURENESS[:-1]
        right = right and not set(found) - {*TABLES, *_HEAD}
        for _table, name, region, amount in cells(found):
            right = right and bool(_NAME.fullmatch(name) and _REGION.fullmatch(region) and 0 < amount < _MOST)
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError):
        right = False
    if not right:
        raise ValueError("a damaged layer of prices")
    return found


def written(value: Any, indent: int = 0) -> str:
    """JSON with exact amounts, each price's regions in one line."""
    within, around = "  " * (indent + 1), "  " * indent
    if isinstance(value, Mapping) and (indent == 0 or any(isinstance(v, Mapping | list) for v in value.values())):
        rows = [f"{within}{json.dumps(key)}: {written(one, indent + 1)}" for key, one in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{around}}}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)}: {written(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        return "[\n" + ",\n".join(f"{within}{written(one, indent + 1)}" for one in value) + f"\n{around}]"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return json.dumps(value, ensure_ascii=False)
