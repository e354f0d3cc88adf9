"""Looking at data: what a trainer's are like before training, and how new ones differ from those learnt from."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cloudkite import leftovers
from cloudkite.accounts import registry
from cloudkite.accounts.target import Target
from cloudkite.journey.reach import connect
from cloudkite.show import amounts, screen
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _
from cloudkite.workspace import Workspace, private_folder

if TYPE_CHECKING:
    from cloudkite.check.columns.drift import Known
    from cloudkite.check.data import DataReport
    from cloudkite.check.report import ColumnReport, Report
    from cloudkite.trainers.folders import Trainer

Tell = Callable[[str], None]


def report(
    workspace: Workspace, name: str, data: str = "", account: str = "", output: str = "", *, as_json: bool = False
) -> None:
    """Show each column of a trainer's data, or of the file `data`, and all that the check finds in them.

    `output` is an HTML file to write it to. What the check refuses is told like all else: exit code 0.
    """
    from cloudkite.check import report as reports
    from cloudkite.show.page import document
    from cloudkite.trainers import folders

    document.check(output)
    trainer = folders.find(workspace, name)
    with _reading(workspace, trainer, account) as (found, files):
        shown = found(data)
        made = reports.make(trainer.name, trainer.declared, files, shown)
    if output:
        path = document.save(_page(made), Path(output))
        screen.note(_("written: {path}").format(path=amounts.short(path)))
    if as_json:
        screen.as_json(made)
    elif not output:
        _show(made)
        line = f"uv run invoke check {folders.typed(workspace, trainer)}"
        screen.say(_("next: {command}").format(command=line))


def compare(workspace: Workspace, name: str, data: str, account: str = "", *, as_json: bool = False) -> None:
    """Check rows that are not to be trained on against data.py and the rows learnt from; a failure is exit code 1."""
    from cloudkite.trainers import folders

    trainer = folders.find(workspace, name)
    with _reading(workspace, trainer, account) as (found, _files):
        shown = found(data)
    findings = shown.findings
    if as_json:
        screen.as_json({"trainer": trainer.name, "data": data, "rows": shown.rows, "verdict": findings.verdict,
                        "findings": findings.all()})  # fmt: skip
    else:
        screen.say(f"{findings.verdict:<8} {_('data')}  {shown.summary}")
        for line in findings.lines():
            screen.say(f"         {line}")
    if findings.verdict == "failed":
        raise UserError(
            _("{data} doesn't fit the trainer {name}").format(data=data, name=trainer.name),
            _("fix what is listed above; predictions for such rows can't be trusted"),
        )


class _Reader:
    """Called with the name of a file of new data, or "" for those that DATA names; `files` are those that were read."""

    def __init__(self, workspace: Workspace, trainer: Trainer, folder: Path, account: str, tell: Tell) -> None:
        self.workspace, self.trainer, self.folder, self.account = workspace, trainer, folder, account
        self.tell = tell
        self.files: list[str] = []

    def __call__(self, data: str) -> DataReport:
        return self._new(data) if data else self._own()

    def _own(self) -> DataReport:
        from cloudkite.check import steps
        from cloudkite.check.data import check_data
        from cloudkite.check.findings import Findings

        findings, tell = Findings(), self.tell
        found = steps.loaded_or_found(self.workspace, self.trainer, self.folder, findings, self._target(), tell)
        self.files += [source.name for source in found]
        return check_data(self.trainer.declared, found, progress=tell, findings=findings)

    def _new(self, data: str) -> DataReport:
        from cloudkite.check import data as checking
        from cloudkite.check import loading
        from cloudkite.check.findings import Findings
        from cloudkite.check.rows import Source
        from cloudkite.data import reading
        from cloudkite.trainers import folders

        path, findings, declared = Path(data).expanduser(), Findings(), self.trainer.declared
        if declared.loads:
            python = folders.environment(self.trainer, self.workspace)
            log = private_folder(self.workspace.state / "checks") / f"{self.trainer.file}.load.log"
            place = self.folder / "new"
            place.mkdir()
            given = str(path.resolve()) if path.exists() else data
            sources = loading.rows(self.trainer, python, place, log, findings, checking.MOST_ROWS, given, new=True)
        else:
            if not path.is_file():
                raise BadValue(
                    _("the file {path} doesn't exist").format(path=path), _("check the name given to --data")
                )
            form, notes = reading.form_of(path, {*declared.columns, *declared.headers.values(), declared.label})
            for note in notes:
                findings.add("note", note)
            sources = [Source(path.name, path, form=form)]
        known = self._known()
        self.files += [path.name]
        return checking.check_new(declared, sources, known, self.tell, findings)

    def _known(self) -> dict[str, Known]:
        """What the rows learnt from were like: those that DATA names or, where they are out of reach, what the newest
        model tells of them."""
        from cloudkite.check.columns import drift
        from cloudkite.models import predictions

        try:
            own = self._own()
        except UserError as missing:
            try:
                about = predictions.facts(predictions.latest_model(self.trainer)).get("statistics")
            except UserError:
                raise missing from None
            if not isinstance(about, dict):
                raise missing from None
            screen.note(_("compared with what the newest model tells of the rows it learnt from"))
            return {str(name): drift.of_statistics(one) for name, one in about.items() if isinstance(one, dict)}
        self.files.clear()
        return own.table.known() if own.table and own.rows else {}

    def _target(self) -> Target | None:
        declared = self.trainer.declared
        if not declared.data.startswith("gs://") or declared.loads:
            return None
        return connect(self.workspace, registry.load(self.workspace, self.account or None))


@contextmanager
def _reading(workspace: Workspace, trainer: Trainer, account: str) -> Iterator[tuple[_Reader, list[str]]]:
    """What reads data, with a folder of its own while it does."""
    with (
        screen.waiting(_("reading {name} ...").format(name=trainer.name)) as tell,
        tempfile.TemporaryDirectory(
            dir=private_folder(workspace.state), prefix=leftovers.prefix("report"), ignore_cleanup_errors=True
        ) as folder,
    ):
        reader = _Reader(workspace, trainer, Path(folder), account, tell)
        yield reader, reader.files


# --- the table

_HEADER = (_("column"), _("kind"), _("blank"), _("different"), _("what is in it"), "", _("tells"))


def _show(made: Report) -> None:
    for line in _summary(made):
        screen.say(line)
    rows = [(*_row(column), screen.bars(column.histogram), _percent(column.tells)) for column in made.columns]
    screen.table([_(name) if name else "" for name in _HEADER], rows, right=[2, 3, 6], spare=[5, 3])
    screen.say(
        _("tells: how much of {label} this column alone explains").format(label=made.label.name if made.label else "")
    )
    for line in _findings(made):
        screen.say(line)


def _summary(made: Report) -> list[str]:
    files = ", ".join(made.files[:3]) + (", ..." if len(made.files) > 3 else "")
    lines = [_("{rows:,} rows of {files}").format(rows=made.rows, files=files)]
    if made.classes:
        total = sum(made.classes.values())
        shown = ", ".join(f"{name} {count:,} ({100 * count / total:.3g}%)" for name, count in made.classes.items())
        lines.append(_("{label}: {classes}").format(label=made.label.name if made.label else "", classes=shown))
        if made.base_rate is not None and len(made.classes) > 1:
            lines.append(
                _("always the commonest is right in {share}: the accuracy to beat").format(
                    share=_percent(made.base_rate)
                )
            )
    elif made.label and made.label.mean is not None and made.base_rate is not None:
        said = _("{label}: {text}; always the mean is wrong by {error}: the error to beat")
        lines.append(
            said.format(label=made.label.name, text=_content(made.label), error=amounts.number(made.base_rate))
        )
    return lines


def _row(column: ColumnReport) -> tuple[str, str, str, str, str]:
    name = column.name if column.header == column.name else f"{column.header} ({column.name})"
    more = "" if column.sampled >= column.rows else "+"
    blank = _percent(column.blanks / column.rows) if column.blanks else ""
    return name, column.kind, blank, f"{column.distinct:,}{more}", _content(column)


def _content(column: ColumnReport) -> str:
    """What is in a column, in a few words."""
    if column.mean is not None and column.quantiles:
        said = _("{low} to {high}, mean {mean} ± {deviation}; 5-50-95%: {a}, {b}, {c}")
        found = {"low": column.low, "high": column.high, "mean": column.mean, "deviation": column.deviation}
        found |= dict(zip("abc", (column.quantiles[i] for i in (0, 2, -1)), strict=True))
        return said.format(**{name: amounts.number(float(value or 0)) for name, value in found.items()})
    if column.common:
        shown = ", ".join(f"{word[:20]} {100 * count / column.rows:.2g}%" for word, count in column.common)
        return shown + (", ..." if column.distinct > len(column.common) else "")
    if column.low is not None:
        return _("{low} to {high}").format(low=column.low, high=column.high)
    if column.words is not None:
        return _("{count:.3g} words on average").format(count=column.words)
    return ""


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2g}%"


def _findings(made: Report) -> list[str]:
    marks = {"failed": _("error"), "warning": _("warning"), "note": _("note")}
    return [f"{marks[finding.level]}: {finding.text}" for finding in made.findings]


def _page(made: Report) -> str:
    """The report as an HTML file."""
    from cloudkite.show.page import document, plots

    rows = []
    for column in made.columns:
        said = _("how the values of {name} are spread").format(name=column.name)
        rows.append((*_row(column), plots.bars(column.histogram, said), _percent(column.tells)))
    parts = [*map(document.line, _summary(made))]
    parts.append(document.table([_(name) if name else "" for name in _HEADER], rows, right=[2, 3, 6]))
    parts.append(document.points(_findings(made)))
    return document.page(_("{name}: the data").format(name=made.trainer), parts)
