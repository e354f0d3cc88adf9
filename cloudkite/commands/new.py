"""`invoke new`: a trainer from the template."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import command

_OPTIONS = {
    "name": "the trainer's name, its folder in trainers/",
    "kind": "what it learns, without --data: classes, number, yes-no, images, text, korean, series; or first-steps, "
    "three tiny programs for a first lesson (default: it asks)",
    "model": "what a run builds unless it says otherwise: mlp (the default), linear, or wide, which is both",
    "data": "a table (CSV, TSV, Excel, Parquet, SQLite), arrays (.npz), TFRecord, or a folder of images or texts",
    "label": "the column to predict",
    "as": "COLUMN=KIND, where a column isn't what it looks like: number, english, german, category, text, letters, "
    "date, ymd, dmy, mdy, out; may be repeated",
    "missing": "a value that stands for a missing one, e.g. --missing=-999; may be repeated",
    "encoding": "the encoding of the text, e.g. cp949 (default: as it looks)",
    "sheet": "the sheet of a spreadsheet (default: the first that has the label)",
    "query": "SQL whose rows to take from a SQLite file, as they are now",
    "group": "a column whose equal values stay in one part: a patient, a class",
    "time": "a column of dates or numbers by which the newest rows are held out",
    "size": "pixels to which images are brought: 64, or 48x64 (default: at most 64)",
    "output": "another folder than trainers/ to put it in",
    "wrap": "a program of your own, lesson.ipynb or train.py, to make a trainer of",
    "requirements": "with --wrap: a file of exact pins, NAME==VERSION a line, for packages whose version isn't known",
    "yes": "do not ask",
}


@command(positional=["name"], iterable=["as_", "missing"], help=_OPTIONS)
def new(
    c: Context,
    name: str,
    kind: str = "",
    model: str = "",
    data: str = "",
    label: str = "",
    as_: list[str] | None = None,
    missing: list[str] | None = None,
    encoding: str = "",
    sheet: str = "",
    query: str = "",
    group: str = "",
    time: str = "",
    size: str = "",
    output: str = "",
    wrap: str = "",
    requirements: str = "",
    yes: bool = False,
) -> None:
    """Make a trainer: of one of eight kinds, on your own data with --data and --label, or of a program with --wrap."""
    from cloudkite import workspace
    from cloudkite.data.table import Wishes
    from cloudkite.journey import creation, wrapping
    from cloudkite.journey.reach import look_at_machine

    wishes = Wishes(
        kinds=creation.kinds(as_ or []), codec=encoding, sheet=sheet, query=query, missing=tuple(missing or ()),
        group=group, time=time, size=creation.size(size),
    )  # fmt: skip
    space = workspace.find()
    look_at_machine(space, stops=False)
    wrapping.refuse_others(wrap, requirements, {"--data": data, "--label": label, "--kind": kind, "--model": model})
    if wrap:
        wrapping.new(space, name, wrap, requirements, output, yes=yes)
    else:
        creation.new(space, name, data, label, output, wishes, kind=kind, model=model, yes=yes)
