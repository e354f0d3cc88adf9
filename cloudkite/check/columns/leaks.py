"""Features that give the answer away: a model that sees them learns nothing else and fails on new data."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

from cloudkite.check.findings import FAILED, WARNING, Findings
from cloudkite.show.text import _

MOST = 100_000  # different values of a column that are followed
ENOUGH = 20  # rows below which one-to-one may well be chance
SAMPLE = 20_000  # rows of numbers that are correlated with a number label


class Mapping:
    """Whether each value of a feature goes with one label only, while rows stream by."""

    def __init__(self, name: str, label: str) -> None:
        self.name, self.label = name, label
        self._label_of: dict[str, str] | None = {}  # None: some value goes with two labels, or there are too many
        self._blank: set[str] = set()  # labels of the rows where the feature is blank
        self._filled: set[str] = set()
        self.rows = 0

    def take(self, values: Sequence[str], labels: Sequence[str]) -> None:
        """The fields of a chunk and its labels."""
        self.rows += len(values)
        if self._label_of is None and "" not in values:
            return
        pairs = set(zip(values, labels, strict=True))
        self._blank |= {label for value, label in pairs if not value}
        self._filled |= {label for value, label in pairs if value}
        if self._label_of is None:
            return
        for value, label in pairs:
            if value and self._label_of.setdefault(value, label) != label:
                self._label_of = None
                return
        if len(self._label_of) > MOST:
            self._label_of = None

    def finish(self, findings: Findings, number: bool) -> bool:
        """Tell what was seen; whether there was something to tell.

        Equal or one-to-one is a failure, the rest is evidence for a person to judge.
        """
        found = self._label_of or {}
        labels = set(found.values())
        names = {"name": self.name, "label": self.label, "count": len(found)}
        allow = _('take it out of COLUMNS, or say ALLOW = ("leak:{name}",) in data.py').format(**names)
        if len(labels) > 1 and self.rows >= ENOUGH:
            if all(value == label for value, label in found.items()):
                findings.add(FAILED, _("{name}: is the label {label} again; {allow}").format(allow=allow, **names))
                return True
            if len(found) == len(labels):
                said = _("{name}: stands for {label} one to one, e.g. {example}; {allow}")
                findings.add(FAILED, said.format(example=_example(found), allow=allow, **names))
                return True
            # A number that is nearly always different goes with one label by chance.
            if len(found) < self.rows * (0.1 if number else 0.5):
                said = _("{name}: each of its {count} values goes with one {label} only; known before the answer is?")
                findings.add(WARNING, said.format(**names))
                return True
        if self._blank and self._filled and not self._blank & self._filled and self.rows >= ENOUGH:
            said = _("{name}: blank just where {label} is {labels}; is it filled in after the answer is known?")
            findings.add(WARNING, said.format(labels=", ".join(sorted(self._blank)[:5]), **names))
            return True
        return False


def _example(found: dict[str, str]) -> str:
    value, label = min(found.items())  # the same one each time
    return f"{value!r} -> {label!r}"


class Spans:
    """Whether the classes can be told apart by one number alone, while rows stream by."""

    def __init__(self, name: str, label: str) -> None:
        self.name, self.label = name, label
        self._spans: dict[str, tuple[float, float]] | None = {}
        self._rows = 0

    def take(self, values: Sequence[str], labels: Sequence[str]) -> None:
        """The fields of a chunk and its labels."""
        if self._spans is None:
            return
        for text, label in zip(values, labels, strict=True):
            try:
                value = float(text)
            except ValueError:
                continue
            low, high = self._spans.get(label, (value, value))
            self._spans[label] = (min(low, value), max(high, value))
            self._rows += 1
        if self._overlap():
            self._spans = None  # spans only grow

    def _overlap(self) -> bool:
        spans = sorted((self._spans or {}).values())
        return any(high >= low for (_l, high), (low, _h) in itertools.pairwise(spans))

    def finish(self, findings: Findings) -> bool:
        """Tell what was seen; whether there was something to tell."""
        if self._spans is None or len(self._spans) < 2 or self._rows < ENOUGH:
            return False
        parts = sorted((low, high, label) for label, (low, high) in self._spans.items())
        shown = ", ".join(f"{label} {low:g} to {high:g}" for low, high, label in parts[:4])
        said = _("{name}: alone tells {label} apart ({shown}); known before the answer is?")
        findings.add(WARNING, said.format(name=self.name, label=self.label, shown=shown))
        return True


class Correlation:
    """Whether a feature is a number label again, or a straight-line copy of it; over the first 20,000 rows."""

    def __init__(self, name: str, label: str) -> None:
        self.name, self.label = name, label
        self._pairs: list[tuple[float, float]] = []

    def take(self, values: Sequence[str], labels: Sequence[str]) -> None:
        """The fields of a chunk and its labels."""
        room = SAMPLE - len(self._pairs)
        for text, label in zip(values[:room] if room > 0 else (), labels, strict=False):
            try:
                pair = (float(text), float(label))
            except ValueError:
                continue
            if math.isfinite(sum(pair)):
                self._pairs.append(pair)

    def finish(self, findings: Findings) -> None:
        """Tell what was seen."""
        if len(self._pairs) < ENOUGH:
            return
        features, labels = zip(*self._pairs, strict=True)
        if len(set(features)) == 1 or len(set(labels)) == 1:
            return
        names = {"name": self.name, "label": self.label}
        allow = _('take it out of COLUMNS, or say ALLOW = ("leak:{name}",) in data.py').format(**names)
        if features == labels:
            findings.add(FAILED, _("{name}: is the label {label} again; {allow}").format(allow=allow, **names))
        elif abs(statistics.correlation(features, labels)) > 0.999999:
            said = _("{name}: is {label} on another scale (correlation 1); {allow}")
            findings.add(FAILED, said.format(allow=allow, **names))
