"""Columns of text: ids, dates, spellings, and words that mean nothing is there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from cloudkite.check.findings import NOTE, WARNING, Findings
from cloudkite.data import missing, number
from cloudkite.show.text import _

MOST = 100_000  # different words that are counted; a column with more is no list of categories
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}([ T].*)?")
_NOTHING = missing.WORDS - {"unknown"}  # which may be a word like any other
_SAMPLE = 1000  # words that are looked at for a pattern


class Words:
    """A column of text while its file streams by in chunks."""

    def __init__(self, name: str, findings: Findings) -> None:
        self.name, self.findings = name, findings
        self.rows = 0
        self.counts: Counter[str] = Counter()
        self.complete = True

    def take(self, values: Sequence[str]) -> None:
        """The fields of a chunk."""
        self.rows += len(values)
        if self.complete:
            self.counts.update(values)
            self.complete = len(self.counts) <= MOST

    @property
    def blanks(self) -> int:
        """Blank fields among those counted."""
        return self.counts[""]

    def finish(self, alone: bool) -> None:
        """What only the whole column tells; `alone` when it is the only feature, which free text may well be."""
        words = [word for word in self.counts if word]
        filled = sum(self.counts[word] for word in words)
        add = self.findings.add
        if self.rows and not words:
            add(WARNING, _("{name}: every field is blank").format(name=self.name))
            return
        if len(words) == 1 and filled > 1 and not self.blanks:
            add(WARNING, _("{name}: always {value!r}: nothing to learn from").format(name=self.name, value=words[0]))
            return
        sample = words[:_SAMPLE]
        if sum(bool(_DATE.fullmatch(w)) for w in sample) > len(sample) * 0.9:
            said = _("{name}: dates as text: each day is a word of its own; make numbers of them (year, days since)")
            add(WARNING, said.format(name=self.name))
        elif len(words) > 20 and all(number.read(w) is not None for w in sample):
            said = _('{name}: numbers in a text column; if they measure something, declare float("nan")')
            add(WARNING, said.format(name=self.name))
        elif filled >= 20 and len(words) > 0.9 * filled and not alone:
            said = _("{name}: nearly every row has a word of its own ({example!r}): an id or a name teaches nothing")
            add(WARNING, said.format(name=self.name, example=words[0]))
        self._spellings(words)

    def _spellings(self, words: Sequence[str]) -> None:
        meant: dict[str, str] = {}
        for word in words:
            first = meant.setdefault(" ".join(word.split()).casefold(), word)
            if first != word:
                said = _("{name}: {a!r} and {b!r} are two words to the model").format(name=self.name, a=first, b=word)
                self.findings.repeat(WARNING, said, ("spelling", self.name))
        for word in words:
            if word.strip().lower() in _NOTHING:
                said = _("{name}: {word!r} ({count}x) is a word like any other; a blank field means missing")
                self.findings.add(NOTE, said.format(name=self.name, word=word, count=self.counts[word]))
