"""The data against what data.py declares: every row of every file, and what the columns look like as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudkite.check import rows
from cloudkite.check.columns import drift, groups, personal, weights
from cloudkite.check.columns.dates import Dates, is_date
from cloudkite.check.columns.drift import Known
from cloudkite.check.columns.leaks import Correlation, Spans
from cloudkite.check.columns.leaks import Mapping as OneToOne
from cloudkite.check.columns.numbers import Numbers
from cloudkite.check.columns.repeats import Memory, Repeats, share_of
from cloudkite.check.columns.sample import Sample
from cloudkite.check.columns.words import Texts, Words
from cloudkite.check.findings import FAILED, NOTE, WARNING, Findings
from cloudkite.check.rows import Chunk, Headers, Source
from cloudkite.data import encoding, number, reading
from cloudkite.data.declared import ARRAY, CATEGORY, DATE, LETTERS, NUMBER, TEXT, Declared
from cloudkite.data.table import Column
from cloudkite.show.text import _, counted, near

MOST_ROWS = 5_000_000  # read in one check; when there are more, the report says so
_FEW = 5  # rows of a class, below which it can hardly be learnt
_ORDERED = 20  # rows, with fewer their order may be chance
_RICH = 0.2  # of the rows have a number of their own: two that are alike are so by no chance

Collector = Numbers | Words | Texts | Dates


@dataclass
class DataReport:
    """What was found in how many rows and files; `classes` counts the rows of each, `table` has the columns."""

    findings: Findings = field(default_factory=Findings)
    rows: int = 0
    files: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    table: Table | None = None

    @property
    def summary(self) -> str:
        """One line for the report."""
        rows = counted("{count:,} row", "{count:,} rows", self.rows)
        files = _(" in {count} files").format(count=self.files) if self.files > 1 else ""
        classes = counted(", {count} class", ", {count} classes", len(self.classes)) if self.classes else ""
        return rows + files + classes + self.base_rate

    @property
    def base_rate(self) -> str:
        """What a model that knows nothing gets right: who reads an accuracy needs it beside."""
        if len(self.classes) < 2:
            return ""
        name, most = self.classes.most_common(1)[0]
        said = _("; always {name!r} is right in {share}: the accuracy to beat")
        return said.format(name=name, share=share_of(most / self.classes.total()))


def check_data(
    declared: Declared,
    sources: Sequence[Source],
    held_out: Sequence[Source] = (),
    progress: Callable[[str], None] | None = None,
    findings: Findings | None = None,
) -> DataReport:
    """Read `sources` (rows to train on) and `held_out` (rows to validate with), and tell all that is wrong at once.

    `findings` may have what was found before. Up to 5,000,000 rows of each are read; the report says when there are
    more.
    """
    tell = progress or (lambda _line: None)
    report = DataReport(findings or Findings(), files=len(sources) + len(held_out))
    training = report.table = Table(declared, report, Memory())
    training.read(sources, tell)
    if held_out:
        # The shape of the held-out columns (constant, ids, leaks) is nobody's mistake, so they are compared only.
        other = Table(declared, DataReport(report.findings), training.repeats.memory)
        other.read(held_out, tell)
        other.compare(training)
        report.rows += other.report.rows
    training.finish()
    return report


def check_new(
    declared: Declared,
    sources: Sequence[Source],
    known: Mapping[str, Known],
    progress: Callable[[str], None] | None = None,
    findings: Findings | None = None,
) -> DataReport:
    """Read rows that are not to be trained on, with or without a label, and tell how they differ from what is `known`
    of each column of those that were."""
    report = DataReport(findings or Findings(), files=len(sources))
    table = report.table = Table(declared, report, Memory(), new=True)
    table.read(sources, progress or (lambda _line: None))
    table.tell_new(known)
    return report


class Table:
    """The declared columns while the rows of all files go by. `memory` has rows that were seen before, by hash.

    `new`: the rows come after the training, and need no label.
    """

    def __init__(self, declared: Declared, report: DataReport, memory: Memory, new: bool = False) -> None:
        self.declared, self.report, self.new = declared, report, new
        label, findings = declared.label, report.findings
        self.columns: dict[str, Collector] = {
            name: _collector(declared, name, kind, findings) for name, kind in declared.columns.items()
        }
        self.answers = Numbers(label, None, findings)  # of a label that is a number
        self.times: Numbers | Dates | None = None
        self._owners: Counter[str] = Counter()  # the first values of GROUP
        self._no_owner = 0
        watched = [] if new else [name for name in declared.columns if f"leak:{name}" not in declared.allow]
        numbers = [name for name in watched if declared.columns[name] == NUMBER]
        words = [name for name in watched if declared.columns[name] in (CATEGORY, DATE)]
        classes = bool(declared.classes)
        self.mappings = {name: OneToOne(name, label) for name in (*numbers, *words)} if classes else {}
        self.spans = {name: Spans(name, label) for name in numbers} if classes else {}
        self.correlations = {} if classes else {name: Correlation(name, label) for name in numbers}
        self.repeats = Repeats(memory, label)
        extra = tuple(dict.fromkeys(name for name in (declared.group, declared.time, declared.weight) if name))
        needed = [*declared.columns, *(() if new else (label, *extra))]
        self.sample = Sample([*dict.fromkeys((*needed, label))])
        self.unused: dict[str, Column] = {}
        loaded = declared.loads and not new
        own = {header: name for name, header in declared.headers.items()} if new else {}
        self._headers = Headers(list(dict.fromkeys(needed)), (label,) if new else (), not (new or loaded), own)

    def read(self, sources: Sequence[Source], tell: Callable[[str], None]) -> None:
        """All rows of all files."""
        findings = self.report.findings
        for name, kind in self.declared.columns.items():
            if kind == ARRAY and sources and not sources[0].loaded:
                said = _("{name}: an array, which a CSV file can't hold; data.py needs a function load(pattern)")
                findings.add(FAILED, said.format(name=name))
                return
        for source in sources:
            tell(_("reading {name} ...").format(name=source.name))
            if not source.whole:
                findings.add(NOTE, _("{name}: only the beginning was checked").format(name=source.name))
            problem = encoding.problem(source.path, source.name) if source.form == reading.UTF8 else None
            if problem:
                findings.add(FAILED, str(problem))
                continue
            for chunk in rows.chunks(source, self._headers, findings, self.unused):
                self._take(chunk)
                if self.report.rows >= MOST_ROWS:
                    findings.add(NOTE, _("only the first {rows:,} rows were checked").format(rows=self.report.rows))
                    return

    def _take(self, chunk: Chunk) -> None:
        count, declared = len(chunk.rows), self.declared
        self.report.rows += count
        if labelled := declared.label in chunk.columns:
            self._take_label(chunk.columns[declared.label], chunk)
        else:
            chunk.columns[declared.label] = ("",) * count
        labels = chunk.columns[declared.label]
        for name, column in self.columns.items():
            if isinstance(column, Numbers | Dates):
                column.take(chunk.columns[name], chunk.place)
            else:
                column.take(chunk.columns[name])
        self.sample.take(chunk.columns, count)
        if self.new or not labelled:
            return
        self._take_order(chunk)
        for watch in (self.mappings, self.spans, self.correlations):
            for name, one in watch.items():
                one.take(chunk.columns[name], labels)
        features = zip(*(chunk.columns[name] for name in declared.columns), strict=True)
        self.repeats.take(chunk.name, features, labels, chunk.rows if self.unused else None, chunk.place)

    def _take_order(self, chunk: Chunk) -> None:
        """What GROUP, TIME and WEIGHT are given."""
        for i, text in enumerate(chunk.columns[self.declared.weight]) if self.declared.weight else ():
            value = number.read(text)
            if value is None or not value >= 0:
                said = _("{place}:{name}: {text!r} isn't a weight: WEIGHT needs numbers from 0 on")
                shown = said.format(place=chunk.place(i), name=self.declared.shown(self.declared.weight), text=text)
                self.report.findings.repeat(FAILED, shown, "weight")
        group, time = self.declared.group, self.declared.time
        if group:
            values = chunk.columns[group]
            self._no_owner += values.count("")
            if len(self._owners) < 2:
                self._owners.update(values)
        if time and self.declared.columns.get(time) not in (NUMBER, DATE):
            values = chunk.columns[time]
            if self.times is None:
                first = next((text for text in values if text), "")
                kind = Dates if number.read(first) is None else None
                shown = self.declared.shown(time)
                self.times = Dates(shown, self.report.findings) if kind else Numbers(shown, None, self.report.findings)
            self.times.take(values, chunk.place)

    def _take_label(self, labels: Sequence[str], chunk: Chunk) -> None:
        label, classes, repeat = self.declared.label, self.declared.classes, self.report.findings.repeat
        if "" in labels and not self.new:
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

    def known(self) -> dict[str, Known]:
        """What new data can be compared with, once all rows were read."""
        found = {}
        for name, column in self.columns.items():
            blanks = column.blanks / column.rows if column.rows else None
            if isinstance(column, Numbers):
                found[name] = Known(self.sample.numbers(name), blanks=blanks)
            elif isinstance(column, Words):
                words = {word: count for word, count in column.counts.items() if word}
                found[name] = Known(words=words if column.complete else None, counts=True, blanks=blanks)
            else:
                found[name] = Known(blanks=blanks)
        if self.declared.classes:
            found[self.declared.label] = Known(words=self.report.classes, counts=True)
        return found

    def compare(self, training: Table) -> None:
        """Tell how these held-out rows differ from the rows to train on."""
        for name, words in self.columns.items():
            known = training.columns[name]
            if not isinstance(words, Words) or not isinstance(known, Words) or not known.complete:
                continue
            if new := [word for word in words.counts if word not in known.counts]:
                shown = ", ".join(map(repr, new[:3])) + (", ..." if len(new) > 3 else "")
                said = _("{name}: {words} in the held-out rows only").format(name=name, words=shown)
                self.report.findings.add(WARNING, said)
        self.repeats.finish(max(1, self.report.rows), False, self.report.findings)
        self.repeats.compare(training.rich, self.report.findings)

    def tell_new(self, known: Mapping[str, Known]) -> None:
        """Tell how these rows differ from the rows learnt from."""
        findings = self.report.findings
        for name, column in self.columns.items():
            about, shown = known.get(name, Known()), self.declared.shown(name)
            if isinstance(column, Numbers):
                ordered = self.sample.numbers(name)
                column.tell_extremes(ordered)
                drift.numbers(shown, about, ordered, findings)
            elif isinstance(column, Words):
                drift.words(shown, about, {w: n for w, n in column.counts.items() if w}, findings)
            if column.rows:
                drift.blanks(shown, about, column.blanks / column.rows, column.rows, findings)
        if self.declared.label in known and self.report.classes:
            drift.words(self.declared.label, known[self.declared.label], self.report.classes, findings)

    @property
    def rich(self) -> bool:
        """Whether two rows are alike by chance hardly ever: text, or numbers of which many are different."""
        if any(isinstance(column, Texts) for column in self.columns.values()):
            return True
        rows = len(self.sample.rows)
        return any(
            len(set(self.sample.column(name))) > _RICH * rows
            for name, column in self.columns.items()
            if isinstance(column, Numbers)
        )

    def finish(self) -> None:
        """Tell what only all rows together show."""
        if not self.report.rows:
            return
        self._tell_label()
        for name, column in self.columns.items():
            if isinstance(column, Numbers):
                column.finish(self.sample.numbers(name))
            elif isinstance(column, Words):
                column.finish(alone=len(self.columns) == 1)
            elif isinstance(column, Dates):
                column.finish()
            elif self.declared.columns[name] != ARRAY:
                column.finish(self.sample.column(name))
            self._tell_leak(name)
        self.repeats.finish(self.report.rows, self.rich, self.report.findings)
        self._tell_order()
        self._tell_people()
        blanks = {name: column.blanks / column.rows for name, column in self.columns.items() if column.blanks}
        if blanks:
            most_first = sorted(blanks.items(), key=lambda item: -item[1])[:10]
            shown = ", ".join(f"{self.declared.shown(name)} {share_of(share)}" for name, share in most_first)
            self.report.findings.add(NOTE, _("blank fields: {columns}").format(columns=shown))
        used = (self.declared.group, self.declared.time, self.declared.weight)
        unused = [(name, column) for name, column in sorted(self.unused.items()) if name not in used]
        if unused:
            shown = "; ".join(f"{self.declared.shown(name)} ({_why(column)})" for name, column in unused[:10])
            more = ", ..." if len(unused) > 10 else ""
            self.report.findings.add(NOTE, _("not seen by the model: {columns}").format(columns=shown + more))

    def _tell_label(self) -> None:
        findings, label, counts = self.report.findings, self.declared.label, self.report.classes
        if self.report.rows < 2:
            findings.add(FAILED, _("one row: two are needed at least, one to learn from and one to hold out"))
        if not self.declared.classes:
            if self.answers.low == self.answers.high and self.report.rows > 1:
                said = _("{label}: always {value:g}: nothing to learn")
                findings.add(FAILED, said.format(label=label, value=self.answers.low))
            else:
                self.answers.tell_extremes(self.sample.numbers(label))
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
            weights.tell(self.declared, counts, findings)

    def _tell_leak(self, name: str) -> None:
        findings = self.report.findings
        told = name in self.mappings and self.mappings[name].finish(
            findings, number=not isinstance(self.columns[name], Words)
        )
        if not told and name in self.spans:
            self.spans[name].finish(findings)
        if name in self.correlations:
            self.correlations[name].finish(findings)

    def _tell_order(self) -> None:
        """Which rows belong together or came later, and what is wrong with GROUP and TIME where they are set."""
        declared, findings = self.declared, self.report.findings
        if declared.group:
            name = declared.shown(declared.group)
            if len(self._owners) == 1:
                said = _("{name}: every row has the same value, and is GROUP: nothing can be held out")
                findings.add(FAILED, said.format(name=name))
            elif self._no_owner:
                said = counted(
                    "{name}: {count:,} row has none, and is GROUP: blank is one group",
                    "{name}: {count:,} rows have none, and it is GROUP: blank is one group",
                    self._no_owner, name=name,
                )  # fmt: skip
                findings.add(WARNING, said)
        else:
            seen = {
                name: self.sample.column(name) for name, c in self.columns.items() if isinstance(c, Numbers | Words)
            }
            for name, values in [*seen.items(), *((n, list(c.values.elements())) for n, c in self.unused.items())]:
                headers = (name, declared.headers.get(name, name))
                if groups.tell(declared.shown(name), name, headers, values, findings):
                    break
        times = self.columns.get(declared.time) if declared.time in self.columns else self.times
        if declared.time and times and times.blanks:
            said = counted("{name}: {count:,} row has no time", "{name}: {count:,} rows have no time",
                           times.blanks, name=declared.shown(declared.time))  # fmt: skip
            findings.add(WARNING, said)
        elif not declared.time and self.report.rows >= _ORDERED and (name := self._ordered()):
            groups.tell_time(declared.shown(name), name, findings)

    def _ordered(self) -> str:
        """The first column of dates that the rows follow; "" for none."""
        for name, column in self.columns.items():
            if isinstance(column, Dates) and column.in_order and column.low[:10] < column.high[:10]:
                return name
        for name, column in self.unused.items():
            values = [text for text in column.values if text]  # in the order of the first rows
            if len(values) >= _FEW and all(map(is_date, values)) and values == sorted(values):
                return name
        return ""

    def _tell_people(self) -> None:
        """Columns that seem to say who somebody is, those that the model doesn't see included."""
        declared = self.declared
        kinds = {name: self.sample.column(name) for name, kind in declared.columns.items() if kind != ARRAY}
        for name, values in [*kinds.items(), *((n, list(c.values)) for n, c in self.unused.items())]:
            headers = (name, declared.headers.get(name, name))
            personal.tell(declared.shown(name), headers, values, self.report.findings)


def _collector(declared: Declared, name: str, kind: str, findings: Findings) -> Collector:
    """What collects the fields of a column of that kind."""
    shown = declared.shown(name)
    made: Any = {
        NUMBER: lambda: Numbers(shown, declared.ranges.get(name), findings),
        CATEGORY: lambda: Words(shown, findings),
        DATE: lambda: Dates(shown, findings),
        TEXT: lambda: Texts(shown, findings),
        LETTERS: lambda: Texts(shown, findings),
        ARRAY: lambda: Texts(shown, findings),  # a digest of each
    }[kind]()
    return made


def _why(column: Column) -> str:
    """What the first rows of a column that isn't in COLUMNS say of it."""
    kind = _("numbers") if column.numeric else _("text")
    return column.useless() or _("{kind}: add it to COLUMNS if it is known before the answer").format(kind=kind)
