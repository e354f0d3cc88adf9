"""Makes a trainer from the template: on small data that come with it, of several kinds, or on a person's own."""

from __future__ import annotations

import ast
import datetime
import hashlib
import json
import keyword
import os
import re
import shlex
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudkite import leftovers, names
from cloudkite.show import amounts
from cloudkite.show.errors import BadValue, UserError
from cloudkite.data import loaded
from cloudkite.data.loaded import Loaded
from cloudkite.data.table import Table, Wishes, columns, in_latin, read, write
from cloudkite.show.text import _, visible, visible_json
from cloudkite.workspace import Workspace, private_file

# What a trainer without a person's data learns, and what a run builds; the first of each is the default.
KINDS = {
    "classes": _("one of several: the species of a penguin, from its measurements"),
    "number": _("a number: what a penguin weighs"),
    "yes-no": _("yes or no: whether a penguin is male"),
    "images": _("what an image shows: handwritten digits"),
    "text": _("what a text is about: the English names of letters and signs"),
    "korean": _("what a Korean text is about: the names of languages, places, currencies and scripts"),
    "series": _("the value to come: carbon dioxide in the air, week by week"),
}
MODELS = ("mlp", "linear", "wide")

_NAME = re.compile(r"[a-z]([a-z0-9_-]{0,38}[a-z0-9])?")
_PATIENCE = 60  # seconds that `new` waits for another one
# What stands above a literal that the template's own data.py doesn't have.
_ABOUT = {"FORMS": '# How your file writes its columns, so that `predict --csv` reads one like it; "" is the file itself.\n'}
_LEFTOVERS = ("__pycache__", ".*_cache", ".venv", "output", "*.egg-info")  # of who worked on the template itself


Data = Table | Loaded


@dataclass(frozen=True)
class Made:
    """A new trainer: its folder, and what of a person's file was changed or left out."""

    folder: Path
    notes: tuple[str, ...] = ()


def new(
    workspace: Workspace,
    name: str,
    data: Path | None = None,
    label: str | None = None,
    output: Path | None = None,
    *,
    kind: str = "",
    model: str = "",
) -> Made:
    """Make the trainer `name` in `output` (else the workspace's trainers folder), for the data `data` if there are some
    and the column `label` of them, else one of a `kind`. See `look` and `make`.
    """
    found = look(workspace, name, data, label, output)
    folder = make(workspace, name, found, output, kind=kind, model=model)
    return Made(folder, tuple(found.notes) if found else ())


def look(
    workspace: Workspace,
    name: str,
    data: Path | None = None,
    label: str | None = None,
    output: Path | None = None,
    wishes: Wishes | None = None,
) -> Data | None:
    """What the trainer `name` would learn from; None for the example's data.

    Raises BadValue for a name, a folder or a file that can't be, and for what the data leave open.
    """
    wishes = wishes or Wishes()
    try:
        check_name(name)
    except BadValue as rule:
        other = _suggestion(name)
        again = _again(other, data, label, output)
        hint = _("{rule}; for example `{command}`").format(rule=rule.hint, command=again) if other else rule.hint
        raise BadValue(rule.message, hint) from None
    if not data:
        if label:
            raise BadValue(_("--label {label} needs a file").format(label=label), _("add --data FILE.csv"))
        if wishes != Wishes():
            raise BadValue(_("these options say how data are read"), _("add --data FILE --label COLUMN"))
    check_free((output or workspace.trainers).resolve() / name)
    if not data:
        return None
    found = loaded.look(data, label or "", wishes) if label or data.is_dir() else None
    if found:
        return found
    if not label:
        others = loaded.columns(data) if loaded.is_one(data) else columns(data, wishes)
        raise BadValue(
            _("which column of {path} is to be predicted?").format(path=data.name),
            _("add --label COLUMN, one of: {names}").format(names=_few(others)),
        )
    if wishes.size:
        raise BadValue(_("--size is for images, and {path} is a table").format(path=data.name), _("leave --size out"))
    return read(data, label, wishes)


def make(
    workspace: Workspace, name: str, found: Data | None, output: Path | None = None, *, kind: str = "", model: str = ""
) -> Path:
    """Make the trainer that was looked at, and give its folder. It appears whole or not at all. Raises BadValue.

    `kind` and `model` are among KINDS and MODELS, "" for the first one.
    """
    template = workspace.home / "template"

    def build(into: Path, folder: Path) -> Path:
        said, place = _description(found), home(workspace, folder)
        made = bake(template / "trainer", name, into, said, place, kind=kind, model=model)
        if found:
            fill(made, found, template / "sources")
        return made

    return appear(workspace, name, output, build)


def first_steps(workspace: Workspace, name: str, output: Path | None = None) -> Path:
    """Make the trainer of three first programs, and give its folder. Raises BadValue."""
    check_name(name)
    template = workspace.home / "template" / "first-steps"
    return appear(
        workspace, name, output, lambda into, folder: bake(template, name, into, home=home(workspace, folder))
    )


def appear(workspace: Workspace, name: str, output: Path | None, build: Callable[[Path, Path], Path]) -> Path:
    """The folder of a new trainer, once `build(scratch folder, its place)` has made it. Raises BadValue."""
    parent = (output or workspace.trainers).resolve()
    folder = parent / name
    parent.mkdir(parents=True, exist_ok=True)
    with _alone(workspace, parent):
        leftovers.sweep_folder(parent)
        check_free(folder)  # another command may have made it meanwhile
        with tempfile.TemporaryDirectory(dir=parent, prefix=leftovers.prefix("new")) as scratch:
            build(Path(scratch), folder).replace(folder)
    return folder


def check_free(folder: Path) -> None:
    """Raise BadValue where something is in the place of a new trainer."""
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


def bake(template: Path, name: str, into: Path, description: str = "", home: str = "", **more: str) -> Path:
    """Generate the template's trainer in `into`, without asking and whatever the person's cookiecutter settings are.

    `more` answers questions of the template by their names; "" leaves one at its default.
    """
    from cookiecutter.generate import generate_context, generate_files
    from cookiecutter.prompt import prompt_for_config

    answers = {"name": name, "_home": home, "description": description} | more
    answers = {asked: value for asked, value in answers.items() if value or asked == "_home"}
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into, prefix=".template-") as scratch:
        clean = Path(scratch, "template")
        shutil.copytree(template, clean, ignore=shutil.ignore_patterns(*_LEFTOVERS))
        asked = json.loads((clean / "cookiecutter.json").read_text(encoding="utf-8"))
        chosen = {one: value for one, value in answers.items() if isinstance(asked.get(one), list)}
        context = generate_context(str(clean / "cookiecutter.json"), extra_context=chosen)
        # What a person typed comes after: it isn't a template, whatever braces it has.
        context["cookiecutter"] = prompt_for_config(context, no_input=True) | answers
        return Path(generate_files(str(clean), context, str(into), accept_hooks=False))


def fill(trainer: Path, found: Data, sources: Path) -> None:
    """Replace the example's data in the folder `trainer` by those that were found."""
    shutil.rmtree(trainer / "data")
    (trainer / "data").mkdir(mode=0o700)
    source = trainer / "trainer" / "data.py"
    if isinstance(found, Table):
        copy = trainer / "data" / _file_name(found)
        private_file(copy).close()  # before a row is in it: who may read the original is not known
        write(found, copy)
        name, text = copy.name, source.read_text(encoding="utf-8")
    else:
        name, text = _copied(found, trainer / "data"), (sources / f"{found.source}.py").read_text(encoding="utf-8")
    said = visible(found.path.name, lines=False).replace("&", "&amp;").replace("<", "&lt;")  # Markdown may hold HTML
    about = f"# {name}\n\nMade from {said}: {found.rows} rows.\n{_snapshot(found)}"
    (trainer / "data" / "README.md").write_text(about, encoding="utf-8")
    source.write_text(rewrite(text, found, f"data/{name}"), encoding="utf-8", newline="\n")
    measure(trainer, bool(found.classes))


def measure(trainer: Path, classes: bool) -> None:
    """Let the tuning.toml in the folder `trainer`, where there is one, measure what its label has: an accuracy for
    classes, an error for a number."""
    path = trainer / "tuning.toml"
    of_classes, of_number = 'metric = "val_accuracy"\ngoal = "maximize"', 'metric = "val_mae"\ngoal = "minimize"'
    if path.is_file():
        text = path.read_text(encoding="utf-8")
        text = text.replace(of_number, of_classes) if classes else text.replace(of_classes, of_number)
        path.write_text(text, encoding="utf-8", newline="\n")


def _copied(found: Loaded, folder: Path) -> str:
    """Copy the files as they are, and give the pattern that names them in the folder."""
    room, size = shutil.disk_usage(folder).free, sum(file.stat().st_size for file in found.files)
    if size > room:
        raise UserError(
            _("{path} has {size}, and the disk has room for {room}").format(
                path=found.path.name, size=amounts.size(size), room=amounts.size(room)
            ),
            _("make room, or --output FOLDER on another disk"),
        )
    top = _portable(found.path.stem if found.path.is_file() else found.path.name)
    if found.path.is_file():
        top += found.path.suffix.lower()
    for file in found.files:
        inside = file.relative_to(found.path) if found.path.is_dir() else Path()
        place = folder / top / inside
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("rb") as original, private_file(place) as copy:
            shutil.copyfileobj(original, copy, 1 << 20)
    return f"{top}/*" if found.pattern.endswith("/*") else top


def _snapshot(found: Data) -> str:
    """When a query was asked, and what: the copy stays as it was then."""
    query = found.forms.get("", {}).get("query") if isinstance(found, Table) else None
    if not query:
        return ""
    now = datetime.datetime.now(datetime.UTC)
    return f"\nA snapshot of {now:%Y-%m-%d %H:%M} UTC, which stays as it is, of the query\n\n    {_one_line(query)}\n"


def _one_line(text: str) -> str:
    return visible(" ".join(text.split()), lines=False)


def rewrite(source: str, found: Data, place: str) -> str:
    """A data.py with the literals of what was found; its comments stay."""
    columns = [(f"{_text(name)}: {_literal(kind)}", "") for name, kind in found.columns.items()]
    headers = [(f"{_text(name)}: {_text(own)}", "") for name, own in found.originals.items()]
    ranges = [(f"{_text(name)}: ({low!r}, {high!r})", "") for name, (low, high) in found.ranges.items()]
    short = _literal(found.classes)
    literals = {
        "COLUMNS": _lines("{", columns, "}"),
        "HEADERS": _lines("{", headers, "}"),
        "LABEL": _text(found.label),
        "CLASSES": short if len(short) <= 100 else _lines("(", [(_literal(one), "") for one in found.classes], ")"),
        "DATA": _text(place),
        "GROUP": _text(found.group),
        "TIME": _text(found.time),
        "RANGES": _lines("{", ranges, "}"),
    }
    if isinstance(found, Loaded):
        literals |= {name: _literal(value) for name, value in found.more.items()}
    elif found.forms:
        forms = [(f"{_text(name)}: {_literal(form)}", "") for name, form in found.forms.items()]
        literals["FORMS"] = _lines("{", forms, "}")
    lines = source.splitlines(keepends=True)
    left = dict(literals)
    for node in reversed(ast.parse(source).body):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in literals:
                lines[node.lineno - 1 : node.end_lineno] = [f"{name} = {left.pop(name)}\n"]
        elif isinstance(node, ast.Expr) and node.lineno == 1 and isinstance(found, Table):
            said = [
                '"""Your data: the columns, the label and where they come from.\n\n',
                "Command: python -m trainer.task\n",
                "Only literals here: other programs read this file without running it.\n",
                '"""\n',
            ]
            lines[: node.end_lineno] = said
    lines += [f"\n{_ABOUT.get(name, '')}{name} = {value}\n" for name, value in left.items()]
    return "".join(lines)


def _lines(opening: str, items: list[tuple[str, str]], closing: str) -> str:
    """A literal with an item a line, each with its comment if it has one."""
    lines = [f"    {item}," + (f"  # {visible(comment, lines=False)}" if comment else "") for item, comment in items]
    return "\n".join([opening, *lines, closing]) if items else opening + closing


def _literal(value: Any) -> str:
    """Python's own way to write a value, with double quotes."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)}: {_literal(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        inside = ", ".join(map(_literal, value))
        return f"[{inside}]" if isinstance(value, list) else f"({inside},)" if len(value) == 1 else f"({inside})"
    return repr(value)


def _file_name(table: Table) -> str:
    """The name of the copy: the file's own; of a query, with the day on which it was asked."""
    asked = f"-{datetime.datetime.now(datetime.UTC):%Y-%m-%d}" if "query" in table.forms.get("", {}) else ""
    return _portable(table.path.stem + asked, ".csv")


def _portable(name: str, ending: str = "") -> str:
    """A name without what a pattern or a shell takes as special."""
    name = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", name)) + ending
    return name if names.portable(name) and name[0] not in ".-" else names.component(f"data-{name}")


def _text(value: str) -> str:
    return visible_json(json.dumps(value, ensure_ascii=False))  # a string of JSON is one of Python too


def _description(found: Data | None) -> str:
    return visible(f"Learns {found.label} from {found.path.name}.", lines=False) if found else ""


def home(workspace: Workspace, folder: Path) -> str:
    """What a trainer outside the clone needs to find it."""
    return "" if folder.is_relative_to(workspace.home) else str(workspace.home)
