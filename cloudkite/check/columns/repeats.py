"""Rows that are there more than once, and rows that the model can't tell apart although their answers differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from cloudkite.check.findings import NOTE, WARNING, Findings
from cloudkite.show.text import _, counted

REMEMBERED = 2_000_000  # rows, some 200 MB, that later ones are compared with


@dataclass
class Memory:
    """What was seen of all rows so far, by hash, shared by the parts that are compared."""

    seen: dict[int, tuple[str, str]] = field(default_factory=dict)  # the columns' hash -> the file and the label
    whole: set[int] = field(default_factory=set)  # those of whole rows, where they have more than the model sees
    full: bool = False


class Repeats:
    """Compares each row with all before it, while files stream by."""

    def __init__(self, memory: Memory, label: str) -> None:
        self.memory, self.label = memory, label
        self._pairs: dict[tuple[str, str], tuple[str, str]] = {}  # one object for all rows that have it
        self._again: Counter[tuple[str, str]] = Counter()  # (first file, this file) -> rows
        self._alike: Counter[tuple[str, str]] = Counter()  # the same features, but not the same row
        self.other_label = 0
        self.example = ""

    def take(
        self,
        name: str,
        features: Iterable[tuple[str, ...]],
        labels: Sequence[str],
        rows: Sequence[Sequence[str]] | None,
        place: Callable[[int], str],
    ) -> None:
        """A chunk of the file `name`: what the model sees of each row, its label, its place; and all fields of it, in
        `rows`, where the model doesn't see all."""
        seen, whole, most = self.memory.seen, self.memory.whole, REMEMBERED // 2 if rows else REMEMBERED
        pairs = {label: self._pairs.setdefault((name, label), (name, label)) for label in set(labels)}
        keys = list(map(hash, features))
        if len(seen) + len(keys) <= most and len(set(keys)) == len(keys) and seen.keys().isdisjoint(keys):
            seen.update(zip(keys, map(pairs.__getitem__, labels), strict=True))
            whole.update(map(hash, map(tuple, rows or ())))
            return
        for i, key in enumerate(keys):
            before = seen.get(key)
            if before is None:
                if len(seen) < most:
                    seen[key] = pairs[labels[i]]
                    if rows:
                        whole.add(hash(tuple(rows[i])))
                else:
                    self.memory.full = True
                continue
            first, label = before
            if label != labels[i]:
                self.other_label += 1
                self.example = self.example or place(i)
            elif not rows or hash(tuple(rows[i])) in whole:
                self._again[first, name] += 1
                continue
            self._alike[first, name] += 1
            if rows and len(whole) < most:
                whole.add(hash(tuple(rows[i])))

    def finish(self, rows: int, rich: bool, findings: Findings) -> None:
        """Tell what was seen among `rows` rows. `rich`: two rows are hardly alike by chance."""
        add = findings.add
        within = sum(count for (first, again), count in self._again.items() if first == again)
        if within:
            said = counted(
                "{count:,} row ({share}) is there more than once",
                "{count:,} rows ({share}) are there more than once",
                within, share=share_of(within / rows),
            )  # fmt: skip
            add(WARNING if within >= 0.01 * rows else NOTE, said)
        if self.other_label:
            said = counted(
                "{count:,} row ({share}) has the values of an earlier one and another {label}, e.g. {example}",
                "{count:,} rows ({share}) have the values of an earlier one and another {label}, e.g. {example}",
                self.other_label, share=share_of(self.other_label / rows), label=self.label, example=self.example,
            )  # fmt: skip
            said += _(": no model gets both right")
            add(WARNING if rich and self.other_label >= 0.01 * rows else NOTE, said)
        alike = sum(count for (first, again), count in self._alike.items() if first == again) - self.other_label
        if rich and alike > 0:
            said = counted(
                "{count:,} row ({share}) is like another but for columns that the model doesn't see",
                "{count:,} rows ({share}) are like others but for columns that the model doesn't see",
                alike, share=share_of(alike / rows),
            )  # fmt: skip
            said += _(": one may be learnt and its twin held out, which makes results look better than they are")
            add(WARNING if alike >= 0.01 * rows else NOTE, said)
        if self.memory.full:
            add(
                NOTE,
                _("repeated rows: only the first {count:,} rows were remembered").format(count=len(self.memory.seen)),
            )
        for (first, again), count in sorted(self._again.items()):
            if first != again:
                add(WARNING, counted(
                    "{count:,} row of {again} is in {first}, too", "{count:,} rows of {again} are in {first}, too",
                    count, again=again, first=first))  # fmt: skip

    def compare(self, rich: bool, findings: Findings) -> None:
        """Tell which held-out rows the training rows have, but for the label or for what the model doesn't see."""
        for (first, again), count in sorted(self._alike.items()) if rich else ():
            if first != again:
                said = counted(
                    "{count:,} row of {again} has the values of one in {first}: the model has seen it",
                    "{count:,} rows of {again} have the values of some in {first}: the model has seen them",
                    count, again=again, first=first,
                )  # fmt: skip
                findings.add(WARNING, said)


def share_of(value: float) -> str:
    """A share in per cent, as short as it can be told."""
    percent = 100 * value
    return "< 0.1%" if percent < 0.1 else f"{percent:.{0 if percent >= 10 else 1}f}%"
