"""A person's program as a plain trainer: looked at first, then made whole or not at all."""

from __future__ import annotations

import ast
import difflib
import shutil
from dataclasses import dataclass
from pathlib import Path

from cloudkite.show.errors import BadValue
from cloudkite.show.text import _, visible
from cloudkite.trainers import making
from cloudkite.trainers.folders import files_in, files_of
from cloudkite.trainers.wrapping import magics, pins, refusing, rewriting
from cloudkite.trainers.wrapping.calls import Names
from cloudkite.trainers.wrapping.reading import Program, parse, read
from cloudkite.workspace import Workspace, make_folder, private_file

_MOST = 2**30  # bytes of data that are copied
_SHOWN = 10  # reasons of a refusal


@dataclass(frozen=True)
class Wrapped:
    """What would be made: `after` is the changed code. `done` and `look` are (place, what is said) in the program's
    order; `files` are data beside the program, and where they go."""

    program: Program
    after: str
    pins: tuple[str, ...]
    done: tuple[tuple[str, str], ...]
    look: tuple[tuple[str, str], ...]
    own: tuple[str, ...]
    shorter: bool
    files: tuple[tuple[Path, str], ...]

    @property
    def diff(self) -> list[str]:
        """The changes, as `diff -u` shows them with one line around."""
        name = self.program.path.name
        before, after = self.program.source.splitlines(), self.after.splitlines()
        return list(difflib.unified_diff(before, after, name, "trainer/program.py", n=1, lineterm=""))

    @property
    def changed(self) -> int:
        """How many lines of the result are not in the program as it was."""
        return sum(line.startswith("+") for line in self.diff[2:])


def look(path: Path, requirements: Path | None = None) -> Wrapped:
    """What a plain trainer of the program in `path` would be; `requirements` names a file of exact pins.

    Raises BadValue for what can't become a job, with the line of each reason.
    """
    program = read(path)
    given = pins.given(requirements) if requirements else {}
    found = magics.take_out(program, pinned=bool(requirements))
    _refuse(program, [*refusing.keys(program), *found.refused])
    tree = parse(program, found.source)
    names = Names.of(tree)
    place = {number: program.place(number) for number in range(1, len(program.lines) + 1)}
    _refuse(program, [*refusing.secrets(tree, place), *refusing.old(tree, names, place)])
    imports = pins.imports(tree)
    if beside := pins.local(path, imports):
        said = _("it imports {name}, a file beside it, and only a program of one file can be wrapped")
        _refuse(program, [(place[one.line], said.format(name=one.name)) for one in beside])
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    wanted = pins.pins(imports, attributes, found.pips, given, place)
    made = rewriting.rewrite(found.source, tree, names, lambda text: bool(_beside(path.parent, text)))
    _parses(made.source)
    files, more = _files(path.parent, made.files)
    told = [(where, _("`{text}` is left out").format(text=text)) for where, text in found.dropped]
    told += [(where, _("`pip install {text}` becomes a pin").format(text=text)) for where, text in wanted.taken]
    seen = [*found.look, *wanted.look, *refusing.told(tree, names, place), *((place[line], text) for line, text in made.look), *more]
    return Wrapped(
        program=program,
        after=made.source,
        pins=tuple(wanted.lines),
        done=_in_order(program, [*told, *((place[line], text) for line, text in made.done)]),
        look=_in_order(program, seen),
        own=made.own,
        shorter=made.shorter,
        files=tuple(files),
    )


def _refuse(program: Program, reasons: list[tuple[str, str]]) -> None:
    """Raise BadValue if there are reasons, each with its place."""
    if not reasons:
        return
    lines = [f"{place}: {text}" for place, text in dict.fromkeys(reasons)]
    more = len(lines) - _SHOWN
    shown = "\n  ".join(lines[:_SHOWN] + ([_("and {count} more").format(count=more)] if more > 0 else []))
    raise BadValue(_("{path} can't be wrapped:\n  {reasons}").format(path=program.path.name, reasons=shown), _hint(shown))


def _hint(reasons: str) -> str:
    """The step that helps with the first reason."""
    first = reasons.partition("\n")[0]
    if "TensorFlow 1" in first:
        return _("rewrite those lines for TensorFlow 2: https://www.tensorflow.org/guide/migrate")
    if "Python 2" in first:
        return _("2to3 turns it into Python 3; then wrap that")
    if "key" in first or "value in the program" in first:
        return _("revoke a key that others may have seen; read it from os.environ, clear the outputs, and save")
    return _("change that in the program, then wrap it again")


def _parses(source: str) -> None:
    try:
        ast.parse(source)
    except SyntaxError as error:  # it would be a defect of ours, told before anything is made
        line = source.splitlines()[(error.lineno or 1) - 1]
        raise BadValue(
            _("the changed program isn't Python: {line}").format(line=line.strip()),
            _("write that statement in a plainer way, in a line of its own"),
        ) from None


def _in_order(program: Program, found: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    order = {line.place: i for i, line in enumerate(program.lines)}
    return tuple(sorted(dict.fromkeys(found), key=lambda one: order.get(one[0], len(order))))


def _beside(folder: Path, text: str) -> tuple[Path, ...]:
    """The files that a relative path or pattern names in the program's folder, or below it."""
    if Path(text).is_absolute() or ".." in Path(text).parts or not text.strip() or text.strip() in (".", "./"):
        return ()
    try:
        return files_of(folder, text) or files_in(folder / text)
    except (OSError, ValueError, NotImplementedError):  # no pattern that pathlib knows
        return ()


def _files(folder: Path, texts: list[str]) -> tuple[list[tuple[Path, str]], list[tuple[str, str]]]:
    """The data beside a program that it reads, and what is said of those that aren't there or are too large."""
    files: dict[Path, str] = {}
    more = []
    for text in dict.fromkeys(texts):
        found = _beside(folder, text)
        if not found:
            more.append((_("data"), _("{path} isn't beside the program: put it into data/ for jobs").format(path=repr(text))))
            continue
        for path in found:
            parts = path.relative_to(folder).parts
            files[path] = "/".join(parts[1:] if parts[0] == "data" and len(parts) > 1 else parts)
    size = sum(path.stat().st_size for path in files)
    if size > _MOST:
        more.append((_("data"), _("the data are more than 1 GiB: copy them into data/ by yourself")))
        return [], more
    return list(files.items()), more


def make(workspace: Workspace, name: str, wrapped: Wrapped, output: Path | None = None) -> Path:
    """Make the trainer, and give its folder. It appears whole or not at all. Raises BadValue."""
    template = workspace.home / "template" / "wrapped"

    def build(into: Path, folder: Path) -> Path:
        said = _("Runs {path}.").format(path=visible(wrapped.program.path.name, lines=False))
        made = making.bake(template, name, into, said, making.home(workspace, folder))
        fill(made, wrapped)
        return made

    return making.appear(workspace, name, output, build)


def fill(trainer: Path, wrapped: Wrapped) -> None:
    """Put the program, its pins and its data into a trainer of the template."""
    program = trainer / "trainer" / "program.py"
    program.write_text(wrapped.after, encoding="utf-8", newline="\n")
    make_folder(trainer / "original")
    (trainer / "original" / wrapped.program.path.name).write_bytes(wrapped.program.original)
    project = trainer / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    last = f'    "keras=={pins.CORE["keras"]}",\n'
    text = text.replace(last, last + "".join(f'    "{pin}",\n' for pin in wrapped.pins))
    if wrapped.shorter or "--epochs" in wrapped.own:
        shape = 'shape = "plain"\n'
        text = text.replace(shape, f'{shape}# What it is given for a short run.\nrehearsal = ["--epochs", "1"]\n')
    project.write_text(text, encoding="utf-8", newline="\n")
    task = trainer / "trainer" / "task.py"
    text = task.read_text(encoding="utf-8")
    own = ", ".join(f'"{option}"' for option in wrapped.own)
    text = text.replace("OWN = ()", f"OWN = ({own}{',' if len(wrapped.own) == 1 else ''})")
    task.write_text(text.replace("SHORTER = False", f"SHORTER = {wrapped.shorter}"), encoding="utf-8", newline="\n")
    for path, place in wrapped.files:
        copy = trainer / "data" / place
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("rb") as original, private_file(copy) as file:
            shutil.copyfileobj(original, file, 1 << 20)
