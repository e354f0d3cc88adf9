"""The data against what data.py declares: every row of every file, and what the columns look like as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cloudkite.check import rows
from cloudkite.check.findings import FAILED, NOTE, WARNING, Findings
from cloudkite.check.leaks import Correlation, Mapping, Spans
from cloudkite.check.numbers import Numbers
from cloudkite.check.rows import Chunk, Source
from cloudkite.check.words import Words
from cloudkite.data import balance, encoding
from cloudkite.data.declared import NUMBER, Declared
from cloudkite.data.table import Column
from cloudkite.show.text import _, counted, near

MOST_ROWS = 5_000_000  # read in one check; when there are more, the report says so
_REMEMBERED = 2_000_000  # rows, some 200 MB, that later ones are compared with to find repeated ones
_FEW = 5  # rows of a class, below which it can hardly be learnt


@dataclass
class DataReport:
    """What was found in how many rows and files; `classes` counts the rows of each."""

    findings: Findings = field(default_factory=Findings)
    rows: int = 0
    files: int = 0
    classes: Counter[str] = field(default_factory=Counter)

    @property
    def summary(self) -> str:
        """One line for the report."""
        rows = _("{rows:,} rows").format(rows=self.rows)
        files = _(" in {count} files").format(count=self.files) if self.files > 1 else ""
        classes = _(", {count} classes").format(count=len(self.classes)) if self.classes else ""
        return rows + files + classes


def check_data(
    declared: Declared,
    sources: Sequence[Source],
    held_out: Sequence[Source] = (),
    progress: Callable[[str], None] | None = None,
) -> DataReport:
    """Read `sources` (rows to train on) and `held_out` (rows to validate with), and tell all that is wrong at once.

    Up to 5,000,000 rows of each are read; the report says when there are more.
    """
    tell = progress or (lambda _line: None)
    report = DataReport(files=len(sources) + len(held_out))
    training = _Table(declared, report, {})
    training.read(sources, tell)
    if held_out:
        # The shape of the held-out columns (constant, ids, leaks) is nobody's mistake, so they are compared only.
        other = _Table(declared, DataReport(report.findings), training.first_seen)
        other.read(held_out, tell)
        other.compare(training)
        report.rows += other.report.rows
    training.finish()
    return report


class _Table:
    """The declared columns while the rows of all files go by. `first_seen` tells which file had a row (by hash)."""

    def __init__(self, declared: Declared, report: DataReport, first_seen: dict[int, str]) -> None:
        self.declared, self.report, self.first_seen = declared, report, first_seen
        label, findings = declared.label, report.findings
        self.numbers = {
            name: Numbers(declared.shown(name), declared.ranges.get(name), findings)
            for name, kind in declared.columns.items()
            if kind == NUMBER
        }
        self.words = {
            name: Words(declared.shown(name), findings) for name in declared.columns if name not in self.numbers
        }
        self.answers = Numbers(label, None, findings)  # of a label that is a number
        watched = [name for name in declared.columns if f"leak:{name}" not in declared.allow]
        numbers = [name for name in watched if name in self.numbers]
        classes = bool(declared.classes)
        self.mappings = {name: Mapping(name, label) for name in watched} if classes else {}
        self.spans = {name: Spans(name, label) for name in numbers} if classes else {}
        self.correlations = {} if classes else {name: Correlation(name, label) for name in numbers}
        self._again: Counter[tuple[str, str]] = Counter()  # (first file, this file) -> rows
        self._unused: dict[str, Column] = {}

    def read(self, sources: Sequence[Source], tell: Callable[[str], None]) -> None:
        """All rows of all files."""
        findings = self.report.findings
        for source in sources:
            tell(_("reading {name} ...").format(name=source.name))
            if not source.whole:
                findings.add(NOTE, _("{name}: only the beginning was checked").format(name=source.name))
            if problem := encoding.problem(source.path, source.name):
                findings.add(FAILED, str(problem))
                continue
            for chunk in rows.chunks(source, self.declared, findings, self._unused):
                self._take(chunk)
                if self.report.rows >= MOST_ROWS:
                    findings.add(NOTE, _("only the first {rows:,} rows were checked").format(rows=self.report.rows))
                    return

    def _take(self, chunk: Chunk) -> None:
        self.report.rows += len(chunk.rows)
        labels = chunk.columns[self.declared.label]
        for name, numbers in self.numbers.items():
            numbers.take(chunk.columns[name], chunk.place)
        for name, words in self.words.items():
            words.take(chunk.columns[name])
        for watch in (self.mappings, self.spans, self.correlations):
            for name, one in watch.items():
                one.take(chunk.columns[name], labels)
        self._take_label(labels, chunk)
        for row in map(hash, map(tuple, chunk.rows)):
            if row in self.first_seen:
                self._again[self.first_seen[row], chunk.name] += 1
            elif len(self.first_seen) < _REMEMBERED:
                self.first_seen[row] = chunk.name

    def _take_label(self, labels: Sequence[str], chunk: Chunk) -> None:
        label, classes, repeat = self.declared.label, self.declared.classes, self.report.findings.repeat
        if "" in labels:
            for i in [i for i, text in enumerate(labels) if not text]:
                said = _("{place}:{label}: no label").format(place=chunk.place(i), label=label)
                repeat(FAILED, said, "no label", _("leave such rows out of the file"))
        if not classes:
            self.answers.take(labels, chunk.place)
            return
        counts = Counter(labels)
        for i, text in enumerate(labels) if counts.keys() - {*classes, ""} else ():
            if text and text not in classes:
                said = _("{place}:{label}: {text!r} is not in CLASSES")
                text_of_it = said.format(place=chunk.place(i), label=label, text=text)
                repeat(FAILED, text_of_it, ("class", text), near(text, list(classes)))
        self.report.classes.update({name: count for name, count in counts.items() if name in classes})

    def compare(self, training: _Table) -> None:
        """Tell how these held-out rows differ from the rows to train on."""
        for name, words in self.words.items():
            known = training.words[name]
            new = [word for word in words.counts if word not in known.counts] if known.complete else []
            if new:
                shown = ", ".join(map(repr, new[:3])) + (", ..." if len(new) > 3 else "")
                said = _("{name}: {words} in the held-out rows only").format(name=name, words=shown)
                self.report.findings.add(WARNING, said)
        self._tell_repeated()

    def finish(self) -> None:
        """Tell what only all rows together show."""
        if not self.report.rows:
            return
        self._tell_label()
        for name in self.declared.columns:
            if name in self.numbers:
                self.numbers[name].finish()
            else:
                self.words[name].finish(alone=len(self.declared.columns) == 1)
            self._tell_leak(name)
        self._tell_repeated()
        columns = {**self.numbers, **self.words}
        blanks = {name: column.blanks / column.rows for name, column in columns.items() if column.blanks}
        if blanks:
            most_first = sorted(blanks.items(), key=lambda item: -item[1])[:10]
            shown = ", ".join(f"{self.declared.shown(name)} {_share(share)}" for name, share in most_first)
            self.report.findings.add(NOTE, _("blank fields: {columns}").format(columns=shown))
        if self._unused:
            shown = "; ".join(
                f"{self.declared.shown(name)} ({_why(column)})" for name, column in sorted(self._unused.items())[:10]
            )
            more = ", ..." if len(self._unused) > 10 else ""
            self.report.findings.add(NOTE, _("not seen by the model: {columns}").format(columns=shown + more))

    def _tell_label(self) -> None:
        findings, label, counts = self.report.findings, self.declared.label, self.report.classes
        if not self.declared.classes:
            if self.answers.low == self.answers.high and self.report.rows > 1:
                said = _("{label}: always {value:g}: nothing to learn")
                findings.add(FAILED, said.format(label=label, value=self.answers.low))
        elif len(counts) == 1:
            said = _("{label}: every row is {name!r}: nothing to learn")
            findings.add(FAILED, said.format(label=label, name=next(iter(counts))))
        elif counts:
            for name in self.declared.classes:
                if counts[name] < _FEW:
                    said = counted(
                        "{label}: {name!r} has {count} row: too few to learn from",
                        "{label}: {name!r} has {count} rows: too few to learn from",
                        counts[name],
                        label=label,
                        name=name,
                    )
                    findings.add(WARNING, said)
            if uneven := balance.lopsided(counts):
                findings.add(WARNING, f"{label}: {uneven}")

    def _tell_leak(self, name: str) -> None:
        findings = self.report.findings
        told = name in self.mappings and self.mappings[name].finish(findings, number=name in self.numbers)
        if not told and name in self.spans:
            self.spans[name].finish(findings)
        if name in self.correlations:
            self.correlations[name].finish(findings)

    def _tell_repeated(self) -> None:
        add, rows = self.report.findings.add, self.report.rows
        within = sum(count for (first, again), count in self._again.items() if first == again)
        if within:
            said = _("{count:,} rows ({share}) are there more than once").format(
                count=within, share=_share(within / rows)
            )
            add(WARNING if within >= 0.01 * rows else NOTE, said)
        if len(self.first_seen) >= _REMEMBERED:
            add(NOTE, _("repeated rows: only the first {count:,} rows were remembered").format(count=_REMEMBERED))
        for (first, again), count in sorted(self._again.items()):
            if first != again:
                add(WARNING, _("{count:,} rows of {again} are in {first}, too").format(
                    count=count, again=again, first=first))  # fmt: skip


def _why(column: Column) -> str:
    """What the first rows of a column that isn't in COLUMNS say of it."""
    kind = _("numbers") if column.numeric else _("text")
    return column.useless() or _("{kind}: add it to COLUMNS if it is known before the answer").format(kind=kind)


def _share(value: float) -> str:
    percent = 100 * value
    return "< 0.1%" if percent < 0.1 else f"{percent:.{0 if percent >= 10 else 1}f}%"
