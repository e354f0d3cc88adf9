"""What a kind's rules make of the state and a program: what differs, and what a read leaves in the state.

The real provider compares the state, which its last read of Google wrote, with what the program says now; what the
program said before counts for nothing. So does this one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from localcloud.provider import schema
from localcloud.provider.plan import table
from localcloud.provider.plan.differences import ADD, DELETE, UPDATE
from localcloud.provider.wire import fingerprint, is_unknown

Values = dict[str, Any]
_LABELS, _ALL_LABELS, _WANTED_LABELS = "labels", "effectiveLabels", "pulumiLabels"


@cache
def rules(token: str) -> Rules:
    """The rules of a kind such as "gcp:storage/bucket:Bucket"."""
    return Rules(token)


class Rules:
    """One kind's rows of the table, by what they say."""

    def __init__(self, token: str) -> None:
        shape = schema.resource(token)
        assert shape is not None
        self._shape = shape
        found = [row for row in table.ROWS if token == f"gcp:{row.kind}" or row.kind == "*"]
        self.force_new = frozenset(self._paths(found, table.FORCE_NEW))
        self.unread = frozenset(self._paths(found, table.UNREAD))
        self._computed = frozenset(self._paths(found, table.COMPUTED))
        self._sets = frozenset(self._paths(found, table.SET))
        self._caseless = frozenset(self._paths(found, table.CASELESS))
        self._no_zero = frozenset(self._paths(found, table.NO_ZERO))
        self._defaults = {
            path: row.value for row in found if row.rule == table.DEFAULT for path in row.paths.split()
        }  # fmt: skip
        self._one_of = [row.paths.split() for row in found if row.rule == table.ONE_OF]

    def _paths(self, rows: list[table.Row], rule: str) -> Iterator[str]:
        for row in rows:
            if row.rule == rule:
                yield from (p for p in row.paths.split() if row.kind != "*" or p in self._shape.inputs)

    # What a program must say

    def missing(self, news: Values) -> Iterator[tuple[str, str]]:
        """(path, what is wrong) where nothing is given of what needs one."""
        for paths in self._one_of:
            block = paths[0].rpartition(".")[0]
            if isinstance(_at(news, block), dict) and not any(_at(news, path) for path in paths):
                yield block, f"needs one of {', '.join(path.rpartition('.')[2] for path in paths)}"

    # What a read leaves in the state

    def made(self, found: Values, inputs: Values, labels: Mapping[str, str]) -> Values:
        """The state of a resource that was just made or changed by `inputs`, and read since as `found`."""
        defaults = {path: self._defaults[path] for path in self.unread if path in self._defaults}
        wanted = {**labels, **(inputs.get(_LABELS) or {})}
        return self.read(found, {**defaults, **inputs, _WANTED_LABELS: wanted})

    def read(self, found: Values, before: Values) -> Values:
        """The state after a read that `found` this; `before` is the state, empty for what is imported."""
        state = {name: value for name, value in found.items() if name not in self.unread}
        for path in self.unread:
            _carry(before, state, path)
        if _ALL_LABELS in self._shape.outputs:
            # Those that others put there are none of the program's business, so the state doesn't have them.
            there = found.get(_ALL_LABELS) or {}
            for name in (_LABELS, _WANTED_LABELS):
                known = before.get(name) or {}
                state[name] = {key: there[key] for key in known if key in there}
        return state

    # What differs

    def changes(self, state: Values, news: Values, labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """(path, ADD | DELETE | UPDATE) of what differs; `labels` are the provider's own defaults."""
        for name, kind in self._shape.inputs.items():
            yield from self._differ(kind, state.get(name), news.get(name), name, name)
        given = news.get(_LABELS) or {}
        if _ALL_LABELS in self._shape.outputs and isinstance(given, dict):
            wanted, there = {**labels, **given}, state.get(_ALL_LABELS) or {}
            if (state.get(_WANTED_LABELS) or {}) != wanted:
                yield _WANTED_LABELS, UPDATE
            elif any(there.get(name) != value for name, value in wanted.items()):
                yield _ALL_LABELS, UPDATE

    def _differ(self, kind: str, old: Any, new: Any, path: str, pattern: str) -> Iterator[tuple[str, str]]:
        if new is None:
            if pattern in self._computed:
                return
            new = self._defaults.get(pattern)
            # A program that says nothing where there is nothing: what is filled in here was, when it was made.
            if old is None and pattern not in self.unread:
                return
        if is_unknown(new):
            yield path, UPDATE
        elif kind.endswith("[]"):
            yield from self._differ_lists(kind[:-2], old or [], new or [], path, f"{pattern}[]")
        elif kind.endswith("{}") or kind.startswith("#"):
            yield from self._differ_maps(kind, old or {}, new or {}, path, pattern)
        elif not self._same(old, new, pattern):
            yield path, DELETE if _is_zero(new) else ADD if _is_zero(old) else UPDATE

    def _differ_maps(self, kind: str, old: Values, new: Values, path: str, pattern: str) -> Iterator[tuple[str, str]]:
        if not old and not new:
            return
        if not new:
            yield path, DELETE
        elif not old:
            yield path, ADD
        elif kind.startswith("#"):
            for name, inner in schema.nested(kind[1:]).inputs.items():
                yield from self._differ(inner, old.get(name), new.get(name), f"{path}.{name}", f"{pattern}.{name}")
        else:
            for name in sorted(old.keys() | new.keys()):
                yield from self._differ(kind[:-2], old.get(name), new.get(name), f"{path}.{name}", f"{pattern}.*")

    def _differ_lists(
        self, kind: str, old: list[Any], new: list[Any], path: str, pattern: str
    ) -> Iterator[tuple[str, str]]:
        if len(old) != len(new):
            yield path, DELETE if not new else ADD if not old else UPDATE
        elif pattern.removesuffix("[]") in self._sets:
            left = list(old)
            for one in new:
                same = next((o for o in left if not any(self._differ(kind, o, one, path, pattern))), None)
                if same is None:
                    yield path, UPDATE
                    return
                left.remove(same)
        else:
            for index, (before, after) in enumerate(zip(old, new, strict=True)):
                yield from self._differ(kind, before, after, f"{path}[{index}]", pattern)

    def _same(self, old: Any, new: Any, pattern: str) -> bool:
        if _is_zero(old) and _is_zero(new):
            return True
        if fingerprint(old) and fingerprint(new):
            return fingerprint(old) == fingerprint(new)
        if pattern in self._caseless and isinstance(old, str) and isinstance(new, str):
            return old.casefold() == new.casefold()
        if pattern in self._no_zero and {old, new} <= {None, "", "0"}:
            return True
        return old == new


def _is_zero(value: Any) -> bool:
    """Whether the real provider can't tell it from nothing."""
    return value is None or value in ("", False, 0)


def _at(values: Any, path: str) -> Any:
    for part in path.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def _carry(before: Any, state: Any, path: str) -> None:
    """Put what is at `path` of `before` into the same place of `state`, where that has what it is in."""
    name, _, rest = path.partition(".")
    if not rest:
        if isinstance(before, dict) and before.get(name) is not None:
            state[name] = before[name]
        return
    name, several = name.removesuffix("[]"), name.endswith("[]")
    old, new = before.get(name), state.get(name)
    pairs = zip(old or [], new or [], strict=False) if several else [(old, new)]
    for one, other in pairs:
        if isinstance(one, dict) and isinstance(other, dict):
            _carry(one, other, rest)
