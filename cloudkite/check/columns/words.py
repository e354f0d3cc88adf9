"""Columns of text: ids, dates, spellings, and words that mean nothing is there; sentences that say nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from cloudkite.check.columns.dates import is_date
from cloudkite.check.findings import NOTE, WARNING, Findings
from cloudkite.data import missing, number
from cloudkite.show.text import _

MOST = 100_000  # different words that are counted; a column with more is no list of categories
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}([ T].*)?")
_NOTHING = missing.WORDS - {"unknown"}  # which may be a word like any other
_SAMPLE = 1000  # words that are looked at for a pattern
_ENOUGH = 20  # fields of sentences, with fewer nothing is said of all
_LONG = 100_000  # letters of one, from which it is a book
_SPACES = 3  # in one, from which it is a sentence


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
        sample, names = words[:_SAMPLE], {"name": self.name}
        if sum(bool(_DATE.fullmatch(w)) for w in sample) > len(sample) * 0.9:
            said = _(
                '{name}: dates as words: each day is a word of its own; "date" in COLUMNS reads year, month, weekday'
            )
            add(WARNING, said.format(**names))
        elif len(words) > 20 and all(number.read(w) is not None for w in sample):
            said = _('{name}: numbers in a column of words; if they measure something: "number" in COLUMNS')
            add(WARNING, said.format(**names))
        elif filled >= 20 and len(words) > 0.5 * filled and _sentences(sample) and not alone:
            said = _('{name}: sentences, each a word of its own here; "{kind}" in COLUMNS reads what they are made of')
            add(WARNING, said.format(kind=_kind(sample), **names))
        elif filled >= 20 and len(words) > 0.9 * filled and not alone:
            said = _("{name}: nearly every row has a word of its own ({example!r}): an id or a name teaches nothing")
            add(WARNING, said.format(example=words[0], **names))
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


class Texts:
    """A column of kind "text" or "letters" while its file streams by in chunks."""

    def __init__(self, name: str, findings: Findings) -> None:
        self.name, self.findings = name, findings
        self.rows = self.blanks = self.longest = 0
        self.only: str | None = None  # the one value that all filled fields have
        self.constant = True

    def take(self, values: Sequence[str]) -> None:
        """The fields of a chunk."""
        self.rows += len(values)
        self.blanks += values.count("")
        self.longest = max(self.longest, max(map(len, values), default=0))
        for text in values if self.constant else ():
            if text and self.only is None:
                self.only = text
            elif text and text != self.only:
                self.constant = False
                break

    def finish(self, sample: Sequence[str]) -> None:
        """What only the whole column tells; `sample` has some of its fields."""
        add, filled = self.findings.add, self.rows - self.blanks
        names = {"name": self.name}
        if self.rows and not filled:
            add(WARNING, _("{name}: every field is blank").format(**names))
            return
        if self.constant and filled > 1 and not self.blanks:
            said = _("{name}: always {value!r}: nothing to learn from")
            add(WARNING, said.format(value=(self.only or "")[:40], **names))
            return
        texts = [text for text in sample if text]
        if len(texts) >= _ENOUGH:
            if sum(number.read(text) is not None for text in texts) > 0.9 * len(texts):
                add(
                    WARNING,
                    _('{name}: numbers in a column of text; if they measure something: "number"').format(**names),
                )
            elif sum(map(is_date, texts)) > 0.9 * len(texts):
                add(WARNING, _('{name}: dates in a column of text: "date" in COLUMNS').format(**names))
            elif all(not any(letter.isalnum() for letter in text) for text in texts):
                add(WARNING, _("{name}: not a letter in it: nothing to learn from").format(**names))
        if self.longest > _LONG:
            said = _("{name}: a text of {count:,} letters: is a quote missing, or should it be several rows?")
            add(WARNING, said.format(count=self.longest, **names))


def _sentences(sample: Sequence[str]) -> bool:
    return sum(word.count(" ") >= _SPACES for word in sample) > len(sample) / 2


def _kind(sample: Sequence[str]) -> str:
    """The kind of column that reads such sentences best: Hangul, kana and ideographs are read letter by letter."""
    letters = [letter for word in sample for letter in word if letter.isalpha()]
    return "letters" if sum(letter >= "\u1100" for letter in letters) > len(letters) / 2 else "text"
