"""Makes a trainer from the template: on the Palmer penguins, or on a person's own CSV file."""

from __future__ import annotations

import ast
import hashlib
import json
import keyword
import os
import re
import shlex
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloudkite import leftovers, names
from cloudkite.show import amounts
from cloudkite.show.errors import BadValue, UserError
from cloudkite.data.table import Table, columns, in_latin, read, write
from cloudkite.show.text import _, visible, visible_json
from cloudkite.workspace import Workspace, private_file

_NAME = re.compile(r"[a-z]([a-z0-9_-]{0,38}[a-z0-9])?")
_PATIENCE = 60  # seconds that `new` waits for another one
_LEFTOVERS = ("__pycache__", ".*_cache", ".venv", "output", "*.egg-info")  # of who worked on the template itself


@dataclass(frozen=True)
class Made:
    """A new trainer: its folder, and what of a person's file was changed or left out."""

    folder: Path
    notes: tuple[str, ...] = ()


def new(
    workspace: Workspace, name: str, data: Path | None = None, label: str | None = None, output: Path | None = None
) -> Made:
    """Make the trainer `name` in `output` (else the workspace's trainers folder).

    With `data`, a UTF-8 CSV file, and `label`, the column to predict, the trainer is for those. It appears whole or
    not at all. Raises BadValue for a name, a folder or a file that can't be.
    """
    try:
        check_name(name)
    except BadValue as rule:
        other = _suggestion(name)
        again = _again(other, data, label, output)
        hint = _("{rule}; for example `{command}`").format(rule=rule.hint, command=again) if other else rule.hint
        raise BadValue(rule.message, hint) from None
    if data and not label:
        raise BadValue(
            _("which column of {path} is to be predicted?").format(path=data.name),
            _("add --label COLUMN, one of: {names}").format(names=_few(columns(data))),
        )
    if label and not data:
        raise BadValue(_("--label {label} needs a file").format(label=label), _("add --data FILE.csv"))
    parent = (output or workspace.trainers).resolve()
    folder = parent / name
    _check_free(folder)
    table = read(data, label) if data and label else None
    parent.mkdir(parents=True, exist_ok=True)
    with _alone(workspace, parent):
        leftovers.sweep_folder(parent)
        _check_free(folder)  # another command may have made it meanwhile
        with tempfile.TemporaryDirectory(dir=parent, prefix=leftovers.prefix("new")) as build:
            made = bake(workspace.home / "template", name, Path(build), _description(table), _home(workspace, folder))
            if table:
                fill(made, table)
            made.replace(folder)
    return Made(folder, tuple(table.notes) if table else ())


def _check_free(folder: Path) -> None:
    if os.path.lexists(folder):
        stray = folder.is_dir() and not (folder / "pyproject.toml").exists()
        raise BadValue(
            _("{folder} is there already").format(folder=amounts.short(folder)),
            _("it isn't a trainer: move it elsewhere, or choose another name") if stray else _("choose another name"),
        )


def _alone(workspace: Workspace, parent: Path) -> AbstractContextManager[None]:
    """One command at a time makes trainers in a folder; others wait, a minute at most."""
    from cloudkite import locks

    said = _("another command makes a trainer in {folder} (process {pid})")
    hint = _("run the same command again when it has ended")
    shown = amounts.short(parent)
    return locks.folder(workspace, "new", parent, lambda pid: said.format(folder=shown, pid=pid), hint, _PATIENCE)


def check_name(name: str) -> None:
    """Raise BadValue unless `name` can be a folder, a Python project and a label of jobs at once."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or names.reserved(name):
        raise BadValue(
            _("{name} isn't a valid name for a trainer").format(name=repr(name)),
            _("lowercase letters, digits, - and _, first a letter, at most 40, not a word that Python or Windows keeps"),
        )


def _suggestion(name: str) -> str:
    """A name near to one that isn't valid, in Latin letters; "" when nothing is left of it."""
    near = re.sub(r"[^a-z0-9_]+", "-", in_latin(name).lower()).lstrip("0123456789-_")[:40].rstrip("-_")
    try:
        check_name(near)
    except BadValue:
        return ""
    return near


def _again(name: str, data: Path | None, label: str | None, output: Path | None) -> str:
    """The command line that makes a trainer."""
    given = {"--data": data, "--label": label, "--output": output}
    options = [word for option, value in given.items() if value for word in (option, str(value))]
    return shlex.join(["uv", "run", "invoke", "new", name, *options])


def _few(names: list[str]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")


def bake(template: Path, name: str, into: Path, description: str = "", home: str = "") -> Path:
    """Generate the template's trainer in `into`, without asking and whatever the person's cookiecutter settings are."""
    from cookiecutter.generate import generate_context, generate_files

    answers = {"name": name, "_home": home} | ({"description": description} if description else {})
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into, prefix=".template-") as scratch:
        clean = Path(scratch, "template")
        shutil.copytree(template, clean, ignore=shutil.ignore_patterns(*_LEFTOVERS))
        context = generate_context(str(clean / "cookiecutter.json"), extra_context=answers)
        return Path(generate_files(str(clean), context, str(into), accept_hooks=False))


def fill(trainer: Path, table: Table) -> None:
    """Replace the example's data in the folder `trainer` by those of `table`."""
    shutil.rmtree(trainer / "data")
    (trainer / "data").mkdir(mode=0o700)
    copy = trainer / "data" / _file_name(table)
    private_file(copy).close()  # before a row is in it: who may read the original, folders included, is not known
    write(table, copy)
    said = visible(table.path.name, lines=False).replace("&", "&amp;").replace("<", "&lt;")  # Markdown may hold HTML
    source = f"# {copy.name}\n\nMade from {said}: {table.rows} rows.\n"
    (trainer / "data" / "README.md").write_text(source, encoding="utf-8")
    module = trainer / "trainer" / "data.py"
    module.write_text(rewrite(module.read_text(encoding="utf-8"), table), encoding="utf-8", newline="\n")


def rewrite(source: str, table: Table) -> str:
    """The template's data.py with the literals of `table`; its comments stay."""
    columns = [(f"{_text(name)}: {_text(kind)}", "") for name, kind in table.columns.items()]
    headers = [(f"{_text(name)}: {_text(own)}", "") for name, own in table.originals.items()]
    ranges = [(f"{_text(name)}: ({low!r}, {high!r})", "") for name, (low, high) in table.ranges.items()]
    classes = [_text(value) if isinstance(value, str) else str(value) for value in table.classes]
    short = "(" + ", ".join(classes) + ")"
    literals = {
        "COLUMNS": _lines("{", columns, "}"),
        "HEADERS": _lines("{", headers, "}"),
        "LABEL": _text(table.label),
        "CLASSES": short if len(short) <= 100 else _lines("(", [(value, "") for value in classes], ")"),
        "DATA": _text(f"data/{_file_name(table)}"),
        "RANGES": _lines("{", ranges, "}"),
    }
    lines = source.splitlines(keepends=True)
    for node in reversed(ast.parse(source).body):
        name = node.targets[0].id if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) else ""
        if name in literals:
            lines[node.lineno - 1 : node.end_lineno] = [f"{name} = {literals[name]}\n"]
        elif isinstance(node, ast.Expr) and node.lineno == 1:
            said = [
                '"""Your data: the columns, the label and where they come from.\n\n',
                "Command: python -m trainer.task\n",
                "Literals, which other programs read without running them.\n",
                '"""\n',
            ]
            lines[: node.end_lineno] = said
    return "".join(lines)


def _lines(opening: str, items: list[tuple[str, str]], closing: str) -> str:
    """A literal with an item a line, each with its comment if it has one."""
    lines = [f"    {item}," + (f"  # {visible(comment, lines=False)}" if comment else "") for item, comment in items]
    return "\n".join([opening, *lines, closing]) if items else opening + closing


def _file_name(table: Table) -> str:
    """The name of the copy: the file's own, without what a pattern or a shell takes as special."""
    name = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", table.path.stem)) + ".csv"
    return name if names.portable(name) and name[0] not in ".-" else names.component(f"data-{name}")


def _text(value: str) -> str:
    return visible_json(json.dumps(value, ensure_ascii=False))  # a string of JSON is one of Python too


def _description(table: Table | None) -> str:
    return visible(f"Learns {table.label} from {table.path.name}.", lines=False) if table else ""


def _home(workspace: Workspace, folder: Path) -> str:
    """What a trainer outside the clone needs to find it."""
    return "" if folder.is_relative_to(workspace.home) else str(workspace.home)
