"""Brings what the template gave a trainer up to date with the template of now; what its people changed stays theirs.

Three versions of each file are compared: the trainer's own, the template's from which it was made, and the template's
of now. Which that was, the trainer keeps in .template.json with the answers to the template's questions; the template
itself comes from the clone's history.
"""

from __future__ import annotations

import filecmp
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cloudkite import leftovers
from cloudkite.children import program, safe_environment
from cloudkite.show import amounts
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _
from cloudkite.trainers import making
from cloudkite.trainers.folders import Trainer
from cloudkite.workspace import Workspace, make_folder

ANSWERS = ".template.json"
CONFLICT = ".new"  # ends the name of a file that holds both sides of what a person must decide
_OWN = ("data/", "trainer/data.py", ".template.json")  # a person's data, and what says how they are read
_LEFT = {"__pycache__", ".pytest_cache", ".ruff_cache"}
_VERSION = re.compile(r'("_version": )"[^"]*"')
_LABELS = ("yours", "the template of then", "the template of now")


@dataclass(frozen=True)
class Answers:
    """What .template.json says: which `template`, its `version` (None: not known), the answers to its questions."""

    template: str
    version: str | None
    answers: Mapping[str, str]


@dataclass(frozen=True)
class Change:
    """What happens to one file: `what` is new, updated, merged, conflict, removed, or yours (told, and left alone).

    `content` is what is written: to the file or, where it is a conflict, beside it; None writes nothing.
    """

    path: str
    what: str
    content: bytes | None = None
    why: str = ""


@dataclass(frozen=True)
class Update:
    """All changes that bring a trainer from one version to the other; `base` False: the template of then is lost."""

    before: str | None
    now: str
    base: bool
    changes: tuple[Change, ...]
    answers: bytes

    @property
    def writes(self) -> list[Change]:
        return [one for one in self.changes if one.what != "yours"]


def look(workspace: Workspace, trainer: Trainer) -> Update:
    """What an update would do; it changes nothing.

    Raises BadValue for a trainer that no template made, UserError where an earlier conflict is still open.
    """
    told = answers(trainer)
    here = workspace.home / "template" / told.template
    if not (here / "cookiecutter.json").is_file():
        raise BadValue(
            _("this clone has no template called {name}").format(name=told.template),
            _("update the clone: git pull"),
        )
    with tempfile.TemporaryDirectory(dir=trainer.folder.parent, prefix=leftovers.prefix("update")) as scratch:
        now = _baked(here, told, trainer, workspace, Path(scratch, "now"))
        then = None
        with _of_then(workspace.home, told, Path(scratch)) as old:
            if old:
                then = _baked(old, told, trainer, workspace, Path(scratch, "then"))
        changes = tuple(_changes(trainer.folder, then, now, Path(scratch)))
        said = (now / ANSWERS).read_bytes()
    _refuse_open(trainer.folder, changes)
    return Update(told.version, version(here), then is not None, changes, said)


def _refuse_open(folder: Path, changes: tuple[Change, ...]) -> None:
    """Raise UserError for a conflict that is still to be decided; not for one that a killed update was about to tell."""
    about = {one.path + CONFLICT: one.content for one in changes if one.what == "conflict"}
    for path in _files(folder):
        if path.endswith(CONFLICT) and (folder / path).read_bytes() != about.get(path):
            raise UserError(
                _("{path} of an earlier update is still there").format(path=path),
                _("take from it what you want, then delete it"),
            )


def apply(workspace: Workspace, trainer: Trainer, update: Update) -> Path | None:
    """Do it, and give the folder with the files as they were; None if none was there to keep.

    Killed in the middle, the same again ends it: the version is written last, and what was merged already stays.
    """
    kept = workspace.state / "updates" / f"{trainer.file}-{update.now}"
    number = 1
    while kept.exists():
        number += 1
        kept = kept.with_name(f"{trainer.file}-{update.now}-{number}")
    for change in update.writes:
        own = trainer.folder / change.path
        if own.is_file() and change.what != "conflict":
            copy = kept / change.path
            make_folder(copy.parent)
            shutil.copy2(own, copy)
    for change in update.writes:
        own = trainer.folder / change.path
        if change.what == "removed":
            own.unlink(missing_ok=True)
        elif change.content is not None:
            place = own.with_name(own.name + CONFLICT) if change.what == "conflict" else own
            _write(place, change.content)
    _write(trainer.folder / ANSWERS, update.answers)
    return kept if kept.exists() else None


def answers(trainer: Trainer) -> Answers:
    """What the trainer keeps of how it was made. Raises BadValue when that can't be read."""
    path = trainer.folder / ANSWERS
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        given = {str(name): str(value) for name, value in told["answers"].items()}
        return Answers(_one_folder(told["template"]), str(told["version"]), given)
    except FileNotFoundError:
        project = trainer.project
        given = {"name": trainer.project.get("name", trainer.name), "description": str(project.get("description", ""))}
        return Answers("trainer", None, given)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadValue(
            _("{path} can't be read").format(path=amounts.short(path)),
            _("delete it: then the trainer counts as one made before templates had versions"),
        ) from None


def _one_folder(name: Any) -> str:
    if not isinstance(name, str) or name != Path(name).name or name in (".", ".."):
        raise ValueError
    return name


def templates(clone: Path) -> list[Path]:
    """The folders of the clone's templates."""
    return sorted(path.parent for path in (clone / "template").glob("*/cookiecutter.json"))


def version(template: Path) -> str:
    """The version that a template says it has: `_version` in its cookiecutter.json."""
    return str(json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))["_version"])


def fingerprint(template: Path) -> str:
    """The version that its files make: 12 hexadecimal digits of their SHA-256, cookiecutter.json's `_version` left out."""
    whole = hashlib.sha256()
    for name in _files(template):
        content = (template / name).read_bytes()
        if name == "cookiecutter.json":
            told = {key: value for key, value in json.loads(content).items() if key != "_version"}
            content = json.dumps(told, sort_keys=True).encode()
        whole.update(f"{name}\0{len(content)}\0".encode() + content)
    return whole.hexdigest()[:12]


def stamp(template: Path) -> bool:
    """Write the version of a template's files into its cookiecutter.json; whether it had another."""
    path = template / "cookiecutter.json"
    before = path.read_text(encoding="utf-8")
    after = _VERSION.sub(lambda found: f'{found[1]}"{fingerprint(template)}"', before)
    path.write_text(after, encoding="utf-8", newline="\n")
    return before != after


def _baked(template: Path, told: Answers, trainer: Trainer, workspace: Workspace, into: Path) -> Path:
    """What a template makes of a trainer's answers. Questions that it doesn't ask are left out by cookiecutter."""
    asked = json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))
    given = {name: value for name, value in told.answers.items() if name in asked}
    for name, value in given.items():
        if isinstance(asked[name], list) and value not in asked[name]:
            raise BadValue(
                _("the template of now has no {question} called {answer}").format(question=name, answer=value),
                _("it stays as it is; make a new trainer to get what the template has now"),
            )
    name = given.pop("name", trainer.name)
    made = making.bake(template, name, into, home=making.home(workspace, trainer.folder), **given)
    if told.template == "trainer":
        making.measure(made, bool(trainer.declared.classes))  # of a person's data, which no question asks for
    return made


# --- the template of then


@contextmanager
def _of_then(clone: Path, told: Answers, scratch: Path) -> Iterator[Path | None]:
    """The template's folder as it was when the trainer was made; None when the clone doesn't know it."""
    commit = _commit(clone, told) if told.version else None
    if commit is None:
        yield None
        return
    place = scratch / "old"
    packed = _git(clone, "archive", "--format=tar", commit, f"template/{told.template}")
    with tarfile.open(fileobj=io.BytesIO(packed or b"")) as archive:
        archive.extractall(place, filter="data")
    yield place / "template" / told.template


def _commit(clone: Path, told: Answers) -> str | None:
    """The newest commit at which the template had the version."""
    path = f"template/{told.template}/cookiecutter.json"
    for commit in (_git(clone, "log", "--format=%H", "--", path) or b"").decode().split():
        try:
            found = json.loads(_git(clone, "show", f"{commit}:{path}") or b"{}")
        except ValueError:
            continue
        if isinstance(found, dict) and found.get("_version") == told.version:
            return commit
    return None


def _git(clone: Path, *words: str) -> bytes | None:
    """What git prints about the clone; None where there is no git, or no repository."""
    git = program("git")
    if git is None or not (clone / ".git").exists():
        return None
    done = subprocess.run([git, "-C", str(clone), *words], env=safe_environment(), capture_output=True)
    return done.stdout if done.returncode == 0 else None


# --- file by file


def _changes(mine: Path, then: Path | None, now: Path, scratch: Path) -> Iterator[Change]:
    for path in sorted({*_files(now), *(_files(then) if then else ())}):
        if path.startswith(_OWN):
            continue
        own, old, new = (folder / path if folder else None for folder in (mine, then, now))
        change = _change(path, own, old, new, scratch)
        if change:
            yield change


def _change(path: str, own: Path | None, old: Path | None, new: Path | None, scratch: Path) -> Change | None:
    """What happens to one file; None when nothing does."""
    if _same(own, new) or (old is not None and _same(old, new)):
        return None
    if new is None or not new.is_file():
        if own is None or not own.exists():
            return None
        return Change(path, "removed") if _same(own, old) else Change(path, "yours", why=_("the template has none now"))
    content = new.read_bytes()
    if own is None or not os.path.lexists(own):
        if old is not None and old.is_file():
            return Change(path, "yours", why=_("you removed it; the template has changed it"))
        return Change(path, "new", content)
    if old is not None and _same(own, old):
        return Change(path, "updated", content)
    if old is None or not old.is_file():
        return Change(path, "conflict", content, _("what of it is yours isn't known"))
    merged, conflicts = _merged(own, old, new, scratch)
    return Change(path, "conflict" if conflicts else "merged", merged)


def _same(one: Path | None, other: Path | None) -> bool:
    """Whether two files have the same content, or neither is there."""
    there = [path is not None and path.is_file() for path in (one, other)]
    if not all(there):
        return not any(there)
    return filecmp.cmp(str(one), str(other), shallow=False)


def _merged(own: Path, old: Path, new: Path, scratch: Path) -> tuple[bytes, bool]:
    """Both changes of a file in one; whether some lines were changed by both, which then stand there side by side."""
    git, binary = program("git"), b"\0" in own.read_bytes() + new.read_bytes()
    if binary or git is None:
        return new.read_bytes(), True
    copies = []
    for number, path in enumerate((own, old, new)):
        copies.append(scratch / f"side-{number}")
        # A program on Windows may have written the trainer's own with other ends of lines.
        copies[-1].write_bytes(path.read_bytes().replace(b"\r\n", b"\n"))
    labels = [word for label in _LABELS for word in ("-L", label)]
    words = [git, "merge-file", "-p", "--diff3", *labels, *map(str, copies)]
    done = subprocess.run(words, env=safe_environment(), capture_output=True, cwd=scratch)
    if not 0 <= done.returncode < 128:  # the number of conflicts, or a failure
        raise UserError(
            _("{path} could not be merged: {said}").format(path=own.name, said=done.stderr.decode(errors="replace")),
            _("nothing was changed"),
        )
    return done.stdout, done.returncode > 0


def _files(folder: Path) -> list[str]:
    """The files in a folder, with their paths in it, environments and results of runs left out."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [one for one in folders if one not in _LEFT | {".venv", "output", "models", "dist", ".git"}]
        inside = PurePosixPath(Path(place).relative_to(folder).as_posix())
        found += [(inside / name).as_posix() for name in files if not name.endswith(".pyc")]
    return sorted(found)


def _write(path: Path, content: bytes) -> None:
    """Replace a file at once, its mode kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=leftovers.prefix("update"))
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(name).chmod(mode)
    Path(name).replace(path)
