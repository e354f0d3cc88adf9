"""`invoke new`: a trainer from the template."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.context import Context

from cloudkite.commands import command

if TYPE_CHECKING:
    from cloudkite.workspace import Workspace

_OPTIONS = {
    "name": "the trainer's name, its folder in trainers/",
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
    "kind": "first-steps: three tiny programs for a first lesson",
    "wrap": "a program of your own, lesson.ipynb or train.py, to make a trainer of",
    "requirements": "with --wrap: a file of exact pins, NAME==VERSION a line, for packages whose version isn't known",
    "yes": "do not ask",
}


@command(positional=["name"], iterable=["as_", "missing"], help=_OPTIONS)
def new(
    c: Context,
    name: str,
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
    kind: str = "",
    wrap: str = "",
    requirements: str = "",
    yes: bool = False,
) -> None:
    """Make a trainer: on the Palmer penguins, on your own data with --data and --label, of a program with --wrap."""
    from cloudkite import workspace
    from cloudkite.data.table import Wishes
    from cloudkite.journey import creation
    from cloudkite.journey.reach import look_at_machine

    wishes = Wishes(
        kinds=creation.kinds(as_ or []), codec=encoding, sheet=sheet, query=query, missing=tuple(missing or ()),
        group=group, time=time, size=creation.size(size),
    )  # fmt: skip
    space = workspace.find()
    look_at_machine(space, stops=False)
    if _by_itself(space, name, kind, wrap, requirements, output, {"--data": data, "--label": label}, yes):
        return
    creation.new(space, name, data, label, output, wishes, yes=yes)


def _by_itself(
    space: Workspace,
    name: str,
    kind: str,
    wrap: str,
    requirements: str,
    output: str,
    others: dict[str, object],
    yes: bool,
) -> bool:
    """Make what has no columns: a program of a person's own, or the first steps. False where neither is asked for."""
    from cloudkite.journey import first_steps, wrapping

    wrapping.refuse_others(wrap, requirements, others | {"--kind": kind})
    first_steps.refuse_others(kind, others)
    if wrap:
        wrapping.new(space, name, wrap, requirements, output, yes=yes)
    elif kind == first_steps.KIND:
        first_steps.new(space, name, output)
    return bool(wrap or kind == first_steps.KIND)
