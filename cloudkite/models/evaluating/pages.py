"""The page of a report: what a person hands in, and reads from top to bottom."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from cloudkite.models.evaluating.measures import WIDEST, Beside, Classified, Estimated, Share, fewest
from cloudkite.models.evaluating.report import Part, Report
from cloudkite.show import amounts
from cloudkite.show.page import document, plots
from cloudkite.show.page.document import Cell, Html
from cloudkite.show.text import _, counted

_MOST_CLASSES = 15  # that a table of labels and answers has room for on a sheet
_MOST_GROUPS = 30  # of one column
_MOST_CONFUSED = 20  # pairs of classes
_MOST_DOTS = 1500
_MOST_FILES = 20


def html(made: Report) -> str:
    """The whole page."""
    name = made.run.name
    parts = [
        document.line(_what(made)),
        *(_headlines(part) for part in made.parts),
        _curves(made),
        *(section for part in made.parts for section in _of_part(made, part)),
        _notes(made),
        _data(made),
        _run(made),
    ]
    return document.page(_("{name}: report of a run").format(name=name), parts)


def measure_name(name: str) -> str:
    """A measure in words."""
    known = {
        "accuracy": _("accuracy"),
        "balanced_accuracy": _("balanced accuracy (mean recall of the classes)"),
        "f1": _("F1 (mean of the classes)"),
        "log_loss": _("log loss"),
        "mae": _("mean absolute error"),
        "rmse": _("root mean squared error"),
        "r2": _("R²"),
    }
    return known.get(name, name)


def number(value: float | None) -> str:
    """A measure with the digits that mean something; "" for none."""
    return "" if value is None else amounts.number(value)


def percent(value: float | None) -> str:
    """A share in percent, with one decimal."""
    return "" if value is None else f"{100 * value:.1f}%"


def interval(share: Share) -> str:
    """A share's interval, or that it is too wide to tell."""
    low, high = share.interval
    shown = f"{100 * low:.0f} - {100 * high:.0f}%"
    return shown if share.tells else f"{shown}, {_('too few to tell')}"


def part_name(name: str) -> str:
    """A part of the rows in words."""
    return _("test rows") if name == "test" else _("held-out rows")


def baseline(part: Part) -> str:
    """What stands beside the numbers, in words."""
    if isinstance(part.measured, Classified):
        said = _("beside: a model that knows nothing always answers {name}, the commonest class of these rows; its log "
                 "loss is that of always giving the classes their shares")  # fmt: skip
        return said.format(name=part.measured.commonest)
    said = _("beside: a model that knows nothing always answers {mean}, the mean of the rows learnt from")
    return said.format(mean=amounts.number(part.measured.mean))


def _what(made: Report) -> str:
    about = made.run.about
    columns = counted("{count} column", "{count} columns", len(about.get("columns", {})))
    if not about:
        return ""
    if about.get("classes"):
        said = _("{trainer} tells {label} ({classes}) from {columns}.")
    else:
        said = _("{trainer} estimates {label}, a number, from {columns}.")
    classes = [str(name) for name in about.get("classes") or ()]
    shown = ", ".join(classes[:_MOST_CLASSES]) + (", ..." if len(classes) > _MOST_CLASSES else "")
    return said.format(trainer=made.run.trainer.name, label=about["label"], classes=shown, columns=columns)


# --- numbers


def _headlines(part: Part) -> Html:
    rows = [
        (measure_name(one.name), number(one.value), number(one.baseline), _verdict(one))
        for one in part.measured.headlines
    ]
    count = counted("{count} row", "{count:,} rows", part.measured.rows)
    header = (_("measure"), _("model"), _("knows nothing"), "")
    told = [document.table(header, rows, f"{part_name(part.name)}: {count}", right=[1, 2])]
    if isinstance(part.measured, Classified):
        share = part.measured.accuracy
        said = _("{right:,} of {of:,} rows are right: the accuracy is {interval} 95 times in 100")
        low, high = share.interval
        told.append(
            document.line(said.format(right=share.right, of=share.of, interval=f"{100 * low:.1f} - {100 * high:.1f}%"))
        )
    told.append(document.line(baseline(part), "small"))
    return document.section(_("How good it is: {part}").format(part=part_name(part.name)), *told, *_agreement(part))


def _verdict(one: Beside) -> str:
    if one.value is None or one.baseline is None:
        return ""
    better = one.value > one.baseline if one.more else one.value < one.baseline
    return _("better") if better else _("not better than knowing nothing")


def _agreement(part: Part) -> list[Html]:
    if not part.compared:
        return [document.line(_("The run wrote down no number of these, so nothing could be compared."), "small")]
    wrong = [one for one in part.compared if not one.same]
    if not wrong:
        names = ", ".join(f"{one.name} {amounts.number(one.written)}" for one in part.compared)
        said = _("As the run itself wrote down: {names}. Its exported model was asked again for this page.")
        return [document.line(said.format(names=names), "small")]
    said = _("error: the run wrote down {name} {written}, and its model now has {found}: see the data below")
    shown = [said.format(name=o.name, written=amounts.number(o.written), found=amounts.number(o.found)) for o in wrong]
    return [document.points(shown)]


def _curves(made: Report) -> Html:
    drawn = made.curves
    if not drawn.values:
        return Html()
    names = {"train": _("rows learnt from"), "validation": _("held-out rows")}
    plotted = []
    for name, parts in sorted(drawn.values.items(), key=lambda one: (not one[0].endswith("loss"), one[0])):
        series = {names.get(part, part): sorted(points.items()) for part, points in parts.items()}
        ends = "; ".join(
            _("{part}: {first} after epoch {a}, {last} after epoch {b}").format(
                part=part,
                first=amounts.number(points[0][1]),
                a=points[0][0],
                last=amounts.number(points[-1][1]),
                b=points[-1][0],
            )
            for part, points in series.items()
        )
        plotted.append(plots.lines(name, ends, series, _("epoch"), caption=ends))
    said = counted("{count} epoch", "{count} epochs", drawn.epochs)
    if drawn.processes > 1:
        said += "; " + _("stopped and taken up again: {count} processes, each epoch shown once").format(
            count=drawn.processes
        )
    told = _(
        "While learning, rows are seen with Dropout and in the middle of an epoch: that curve may lie below the other."
    )
    return document.section(_("How it learned"), document.line(said), *plotted, document.line(told, "small"))


def _of_part(made: Report, part: Part) -> list[Html]:
    """The sections about some held-out rows."""
    of = part_name(part.name)
    if isinstance(part.measured, Classified):
        sections = [_mistakes(part.measured, of), _calibration(part.measured, of)]
    else:
        sections = [_errors(part.measured, of)]
    return [*sections, _groups(made, part), _worst(made, part)]


def _mistakes(measured: Classified, of: str) -> Html:
    header = (
        _("class"),
        _("known"),
        _("recall"),
        _("95 times in 100"),
        _("right"),
        _("precision"),
        _("95 times in 100"),
    )
    rows = [(one.name, *_fraction(one.recall, _("no row")), *_fraction(one.precision, _("never answered")))
            for one in measured.classes]  # fmt: skip
    each = document.table(header, rows, _("recall and precision"), right=[1, 2, 4, 5])
    rule = _("Recall: of the rows of a class, those that were known. Precision: of the answers, those that are right.")
    title = _("Which classes it knows: {part}").format(part=of)
    return document.section(title, *_confusion(measured), each, document.line(rule, "small"))


def _confusion(measured: Classified) -> list[Html]:
    """All labels and answers, or, of very many classes, those that were confused most often."""
    names = [one.name for one in measured.classes]
    if len(names) <= _MOST_CLASSES:
        rows = [(name, *_confused(row)) for name, row in zip(names, measured.table, strict=True)]
        told = _("Each row is a label, each column an answer: how many rows, and which share of that label's rows.")
        header = (_("label"), *names)
        table = document.table(header, rows, _("labels and answers"), right=range(1, len(names) + 1))
        return [table, document.line(told, "small")]
    places = [(i, j) for i in range(len(names)) for j in range(len(names)) if i != j and measured.table[i][j]]
    places.sort(key=lambda place: -measured.table[place[0]][place[1]])
    pairs = [(names[i], names[j], f"{measured.table[i][j]:,}") for i, j in places[:_MOST_CONFUSED]]
    caption = _("{count} classes are too many for a table of all: what was confused most often")
    header = (_("label"), _("answer"), _("rows"))
    return [document.table(header, pairs, caption.format(count=len(names)), right=[2])]


def _fraction(share: Share, none: str) -> tuple[str, str, str]:
    return f"{share.right:,} / {share.of:,}", percent(share.value), interval(share) if share.of else none


def _confused(row: Sequence[int]) -> list[Cell]:
    total = sum(row)
    return [f"{n:,} ({100 * n / total:.0f}%)" if total and n else "0" if total else "" for n in row]


def _calibration(measured: Classified, of: str) -> Html:
    bins = [(b.low, b.high, b.sure, b.right.value, b.right.of) for b in measured.bins]
    told = "; ".join(
        _("{low} to {high} sure: {right} of {of} right").format(
            low=percent(b.low), high=percent(b.high), right=b.right.right, of=b.right.of
        )
        for b in measured.bins
        if b.right.of
    )
    caption = _("bars: how many of such answers are right, with the number of rows; dots: how sure the model was on "
                "average; on the dashed line both are the same")  # fmt: skip
    plot = plots.reliability(
        _("reliability"), told, bins, _("how sure the model is"), _("share that is right"), caption
    )
    header = (_("sure from"), _("to"), _("rows"), _("sure on average"), _("right"), _("95 times in 100"))
    rows = [
        (percent(b.low), percent(b.high), f"{b.right.of:,}", percent(b.sure), percent(b.right.value), interval(b.right))
        for b in measured.bins
        if b.right.of
    ]
    said = _("Expected calibration error: {error} (mean distance between how sure the model is and how often it is "
             "right; 0 is best)")  # fmt: skip
    line = document.line(said.format(error=amounts.number(measured.calibration_error)))
    return document.section(_("How far its probabilities can be trusted: {part}").format(part=of), line, plot,
                            document.table(header, rows, right=range(6)))  # fmt: skip


def _errors(measured: Estimated, of: str) -> Html:
    pairs = measured.pairs[:: -(-len(measured.pairs) // _MOST_DOTS)]
    shown = "" if len(pairs) == measured.rows else _("{shown:,} of {rows:,} rows, chosen by chance").format(
        shown=len(pairs), rows=measured.rows)  # fmt: skip
    errors = [answer - label for label, answer in measured.pairs]
    told = _("{count:,} rows; mean absolute error {mae}").format(
        count=measured.rows, mae=amounts.number(measured.errors.mae)
    )
    spread = _("mean error {bias}: below 0, answers are too low").format(bias=amounts.number(measured.errors.bias))
    return document.section(
        _("Where its answers lie: {part}").format(part=of),
        plots.scatter(_("predicted against true"), told, pairs, _("true"), _("predicted"), shown),
        plots.histogram(_("residuals"), spread, errors, _("predicted minus true"), _("rows"), caption=spread),
    )


# --- groups and rows


def _groups(made: Report, part: Part) -> Html:
    tables = [_table_of_groups(made, part, column) for column in (*part.groups, *part.spreads)]
    if not tables:
        return Html()
    if isinstance(part.measured, Classified):
        rule = _("Intervals are Wilson's. Too few to tell: the interval is wider than {points} percentage points, so "
                 "fewer than {half} rows if half of them are right, fewer than {all} if all are. Groups with intervals "
                 "that overlap may well be alike.")  # fmt: skip
        said = rule.format(points=round(100 * WIDEST), half=fewest(0.5), all=fewest(1))
    else:
        said = _("Too few to tell: fewer than 10 rows, or an interval (by the normal distribution) that is wider than "
                 "the error itself. Groups with intervals that overlap may well be alike.")  # fmt: skip
    return document.section(
        _("By group: {part}").format(part=part_name(part.name)), *tables, document.line(said, "small")
    )


def _table_of_groups(made: Report, part: Part, column: str) -> Html:
    title, blank = made.run.trainer.declared.shown(column), _("(blank)")
    if column in part.groups:
        groups = part.groups[column]
        kept = {id(one) for one in sorted(groups, key=lambda one: -one.all.of)[:_MOST_GROUPS]}
        each = [one for one in groups if id(one) in kept]
        there = {name for one in each for name in one.classes}
        classes = [name for name in map(str, made.run.about["classes"]) if name in there]
        header: list[Cell] = [title, _("rows"), _("recall, all classes"), _("95 times in 100"), *classes]
        rows = [
            (one.value or blank, f"{one.all.of:,}", percent(one.all.value), interval(one.all),
             *(_recall(one.classes.get(name)) for name in classes))
            for one in each
        ]  # fmt: skip
        table = document.table(header, rows, right=[1, 2])
    else:
        spreads = part.spreads[column]
        kept_values = set(sorted(spreads, key=lambda value: -spreads[value].rows)[:_MOST_GROUPS])
        header = [
            title,
            _("rows"),
            _("mean absolute error"),
            _("95 times in 100"),
            _("root mean squared error"),
            _("mean error"),
        ]
        rows = [
            (value or blank, f"{one.rows:,}", number(one.mae), _interval_of(one), number(one.rmse), number(one.bias))
            for value, one in spreads.items()
            if value in kept_values
        ]
        table = document.table(header, rows, right=[1, 2, 4, 5])
        groups = spreads
    if len(groups) <= _MOST_GROUPS:
        return table
    said = counted("and {count} smaller group", "and {count:,} smaller groups", len(groups) - _MOST_GROUPS)
    return Html(table + document.line(said, "small"))


def _recall(share: Share | None) -> Cell:
    if share is None:
        return ""
    shown = f"{share.right:,} / {share.of:,}"
    low, high = share.interval
    return f"{shown} ({100 * low:.0f} - {100 * high:.0f}%)" if share.tells else f"{shown} ({_('too few')})"


def _interval_of(one: Any) -> str:
    if one.rows < 2:
        return _("too few to tell")
    shown = f"{amounts.number(one.interval[0])} - {amounts.number(one.interval[1])}"
    return shown if one.tells else f"{shown}, {_('too few to tell')}"


def _worst(made: Report, part: Part) -> Html:
    if not part.worst:
        return document.section(
            _("What it gets wrong: {part}").format(part=part_name(part.name)), document.line(_("No row."))
        )
    shown = made.run.trainer.declared.shown
    if isinstance(part.measured, Classified):
        header = (_("row"), _("label"), _("answer"), _("how sure"), _("of the label"), _("what is in the row"))
        rows = [
            (
                str(row["row"]),
                row["label"],
                row["answer"],
                percent(row["sure"]),
                percent(row["of_label"]),
                _fields(row["fields"], shown),
            )
            for row in part.worst
        ]
        right, said = [3, 4], _("Answered wrongly, and most surely so. Look at them first: a label may be wrong.")
    else:
        header = (_("row"), _("label"), _("answer"), _("what is in the row"))
        rows = [
            (str(row["row"]), number(row["label"]), number(row["answer"]), _fields(row["fields"], shown))
            for row in part.worst
        ]
        right, said = [1, 2], _("Farthest from what is true. Look at them first: a label may be wrong.")
    note = _("Rows count from 1 in the order in which they are read. These are rows as they are in the data: mind to "
             "whom you give this page, if they are about people.")  # fmt: skip
    title = _("What it gets wrong: {part}").format(part=part_name(part.name))
    return document.section(
        title, document.line(said), document.table(header, rows, right=right), document.line(note, "small")
    )


def _fields(fields: dict[str, dict[str, Any]], shown: Callable[[str], str]) -> Html:
    """All of a row's values in one cell: as many columns as they like fit onto a sheet."""
    made = []
    for name, value in fields.items():
        if "picture" in value:
            made.append(document.picture(value["picture"], value["width"], value["height"], shown(name)))
        else:
            text = document.escaped(value["text"] or "-")
            made.append(Html(f'<bdi class="weak">{document.escaped(shown(name))}</bdi> <bdi>{text}</bdi>'))
    return Html(f'<span class="long">{" · ".join(made)}</span>')


# --- where it comes from


def _notes(made: Report) -> Html:
    return document.section(_("What was not looked at"), document.points(made.notes))


def _data(made: Report) -> Html:
    then, now = made.content
    rows = [(file.name, file.sha256) for file in made.data]
    if len(rows) > _MOST_FILES:
        said = _("{count:,} files: the hash of the lines `HASH  NAME` of all, by name").format(count=len(rows))
        lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(rows))
        rows = [(said, hashlib.sha256(lines.encode()).hexdigest())]
    told = [document.table((_("file"), "SHA-256"), rows)]
    if made.data_changed:
        said = _("error: the data have changed since the run: their content was {then} and is {now}; the rows held out "
                 "are other ones than the run's, and may be such as it learnt from")  # fmt: skip
        told.append(document.points([said.format(then=then, now=now)]))
    elif then and now:
        told.append(document.line(_("The rows' content is as it was in the run: {hash}").format(hash=now), "small"))
    elif then:
        told.append(document.line(_("The rows' content in the run: {hash}").format(hash=then), "small"))
    if made.source:
        told += [document.heading(_("Source and licence")), document.block(made.source)]
    else:
        told.append(
            document.points(
                [_("warning: data/README.md doesn't exist: write down where the data come from, and what is allowed")]
            )
        )
    return document.section(_("The data"), *told)


def _run(made: Report) -> Html:
    run = made.run
    versions = {
        "TensorFlow": run.about.get("tensorflow"),
        "Keras": run.about.get("keras"),
        "Python": run.told.get("python"),
    }
    rows: list[tuple[str, str]] = [(name, str(value)) for name, value in versions.items() if value]
    if seed := run.options.get("seed"):
        rows.append((_("seed"), str(seed)))
    elif "seed" in run.options:
        rows.append((_("seed"), "0"))
    rows += cost(made)
    told = [document.table((_("what"), _("value")), rows)]
    options = [(name, "" if value is None else str(value)) for name, value in run.options.items()]
    told.append(document.table((_("option"), _("value")), options, _("all options of the run")))
    marks = {True: _("as in the run"), False: _("changed since, or gone"), None: ""}
    code = [(file.name, file.sha256, marks[file.same]) for file in made.code]
    told.append(document.table((_("code"), _("SHA-256, first 16 digits"), ""), code))
    if made.wheel:
        told.append(document.line(_("Wheel of this code, SHA-256: {hash}").format(hash=made.wheel), "small"))
    if made.repeat:
        where = _("in the trainer's folder") if run.job is None else _("in Cloudkite's folder")
        told += [document.heading(_("Do it again, {where}").format(where=where)), document.block(made.repeat)]
    return document.section(_("The run"), *told)


def cost(made: Report) -> list[tuple[str, str]]:
    """Where it ran, how long, and what that cost."""
    run, drawn = made.run, made.curves
    machine = str(run.told.get("machine", ""))
    job = run.job
    if job is None:
        rows = [(_("machine"), machine)] if machine else []
        if drawn.seconds:
            rows.append((_("time spent training"), amounts.duration(drawn.seconds)))
        return [*rows, (_("cost"), _("0: it ran on this machine"))]
    gpu = f" + {job.count} {job.accelerator}" if job.accelerator else ""
    shown = f"{job.replicas} x {job.machine}{gpu}{', spot' if job.spot else ''}, {job.region}"
    rows = [
        (_("job"), f"{job.name} ({job.id}), {job.state}"),
        (_("machine"), f"{shown} ({machine})" if machine else shown),
    ]
    most = amounts.money(job.worst_case, job.currency)
    said = _("at most {amount} in {time}, at {hourly} an hour")
    hourly = amounts.money(job.hourly, job.currency)
    rows.append((_("estimate"), said.format(amount=most, time=amounts.duration(job.limit_seconds), hourly=hourly)))
    rows.append((_("time"), amounts.duration(job.seconds)))
    rows.append(
        (
            _("cost"),
            _("{amount}, by prices of {date}").format(
                amount=amounts.money(job.cost, job.currency), date=job.price_date
            ),
        )
    )
    return rows
