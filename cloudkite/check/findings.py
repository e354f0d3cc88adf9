"""What a check found: failures, warnings and notes, with repeated ones counted instead of listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass

from cloudkite.show.text import _

FAILED, WARNING, NOTE = "failed", "warning", "note"
_ORDER = (FAILED, WARNING, NOTE)
MOST = 20  # lines that a person reads before a table would be better
EACH = 3  # of the same kind in the same column


@dataclass(frozen=True)
class Finding:
    """One line. `level` is "failed", "warning" or "note"."""

    level: str
    text: str


class Findings:
    """Collects findings while data streams by; `lines()` is what people see."""

    def __init__(self) -> None:
        self._found: list[tuple[Finding, Hashable]] = []
        self._seen: Counter[Hashable] = Counter()
        self._advice: dict[Hashable, str] = {}

    def add(self, level: str, text: str) -> None:
        """One finding that stands for itself."""
        self._found.append((Finding(level, text), None))

    def repeat(self, level: str, text: str, kind: Hashable, advice: str = "") -> None:
        """One of possibly many of the same `kind`: the first three are kept, the rest counted.

        `advice` is what mends them all; it follows the last one kept.
        """
        self._seen[kind] += 1
        if self._seen[kind] <= EACH:
            self._found.append((Finding(level, text), kind))
        if advice:
            self._advice[kind] = advice

    @property
    def verdict(self) -> str:
        """The worst level found: "failed", "warning" or "ok"."""
        levels = {finding.level for finding, _kind in self._found}
        return FAILED if FAILED in levels else WARNING if WARNING in levels else "ok"

    def all(self) -> list[Finding]:
        """Failures first, then warnings, then notes; what repeats says how often."""
        last = {kind: i for i, (_finding, kind) in enumerate(self._found) if kind is not None}
        told = []
        for i, (finding, kind) in enumerate(self._found):
            text = finding.text
            if kind is not None and last[kind] == i:
                if more := self._seen[kind] - EACH:
                    text += _(" (and {count:,} more like this)").format(count=more) if more > 0 else ""
                if kind in self._advice:
                    text += "; " + self._advice[kind]
            told.append(Finding(finding.level, text))
        return sorted(told, key=lambda finding: _ORDER.index(finding.level))

    def lines(self, most: int = MOST) -> tuple[str, ...]:
        """At most `most` lines, then "and N more"."""
        found = self.all()
        shown = [f.text if f.level == FAILED else f"{_(f.level)}: {f.text}" for f in found[:most]]
        if len(found) > most:
            shown.append(_("and {count} more").format(count=len(found) - most))
        return tuple(shown)
