"""Trainers: find one, read its pins and declarations, tell whether it changed, and build the wheel that jobs run."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cloudkite import names as files
from cloudkite.data import declared
from cloudkite.trainers import wheels
from cloudkite.data.declared import Declared
from cloudkite.show import amounts
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, close, near
from cloudkite.trainers.wheels import Wheel
from cloudkite.workspace import Workspace, private_folder

PACKAGE = "trainer"
PLAIN, DATA = "plain", "data"  # the shape of a trainer that is just a program, and the folder of its data
PYTHON = "3.11"  # of the trainers' environments; the default training image has the same
BIG = 16 * 2**20  # bytes from which a data file's fingerprint is its size and time of change, not its content
_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?P<extras>\[[A-Za-z0-9,._\s-]*\])?\s*"
    r"==\s*(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)\s*(?:;(?P<marker>.+))?"
)


@dataclass(frozen=True)
class Trainer:
    """A trainer's folder. What is in its files is read when it is asked for; mistakes there raise BadValue."""

    name: str
    folder: Path

    @property
    def file(self) -> str:
        """How files about the trainer are called, its name made harmless: its folder may be anywhere, and any."""
        return files.component(self.name)

    @property
    def package(self) -> Path:
        """The Python package: `python -m trainer.task` runs it."""
        return self.folder / PACKAGE

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """All of pyproject.toml."""
        path = self.folder / "pyproject.toml"
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadValue(f"{path}: {error}", _("fix that line")) from None
        except RecursionError:
            raise BadValue(_("{path}: nested too deeply").format(path=path), _("compare with template/")) from None

    @cached_property
    def project(self) -> dict[str, Any]:
        """The [project] table of pyproject.toml."""
        path, found = self.folder / "pyproject.toml", self._settings.get("project", {})
        pins = found.get("dependencies", []) if isinstance(found, dict) else None
        if not isinstance(pins, list) or not all(isinstance(pin, str) for pin in pins):
            raise BadValue(
                _("{path}: [project] must be a table, and its dependencies a list of texts").format(path=path),
                _("compare with template/"),
            )
        return found

    @cached_property
    def requirements(self) -> tuple[str, ...]:
        """The exact pins, `name==version; marker`. Raises BadValue with the line of one that is not exact."""
        return tuple(_pin(self.folder / "pyproject.toml", text) for text in self.project.get("dependencies", []))

    @cached_property
    def plain(self) -> bool:
        """Whether it is just a program, which declares no columns: `shape = "plain"` in [tool.cloudkite].

        Raises BadValue for another shape.
        """
        shape = self._own("shape", "")
        if shape not in ("", PLAIN):
            raise BadValue(
                _('{path}: shape under [tool.cloudkite] must be "plain", not {shape!r}').format(
                    path=self.folder / "pyproject.toml", shape=shape
                ),
                _("leave shape out if the trainer has a trainer/data.py"),
            )
        return shape == PLAIN

    @cached_property
    def rehearsal(self) -> tuple[str, ...] | None:
        """The arguments with which a plain trainer runs to its end soon; None where it names none."""
        words = self._own("rehearsal", None)
        if words is not None and not (isinstance(words, list) and all(isinstance(word, str) for word in words)):
            raise BadValue(
                _("{path}: rehearsal under [tool.cloudkite] must be a list of texts").format(
                    path=self.folder / "pyproject.toml"
                ),
                _('for example rehearsal = ["--epochs", "1"]'),
            )
        return None if words is None else tuple(words)

    def _own(self, key: str, default: Any) -> Any:
        """A value of [tool.cloudkite]; the default also where there is no file."""
        if not (self.folder / "pyproject.toml").is_file():
            return default
        tool = self._settings.get("tool", {})
        own = tool.get("cloudkite", {}) if isinstance(tool, dict) else {}
        return own.get(key, default) if isinstance(own, dict) else default

    @cached_property
    def declared(self) -> Declared:
        """What data.py declares. Raises BadValue for a plain trainer, which has none."""
        if self.plain:
            raise BadValue(
                _("{trainer} declares no columns: it is a program of its own").format(trainer=self.name),
                _("check, train, jobs, logs and fetch work with it"),
            )
        return declared.read(self.package / "data.py")

    @property
    def data(self) -> str:
        """What DATA names; of a plain trainer its folder data/, "" when nothing is in it."""
        if self.plain:
            return DATA if files_in(self.folder / DATA) else ""
        return self.declared.data

    @property
    def takes_folders(self) -> bool:
        """Whether its data may be a folder of files: a plain trainer's, and those of one with its own load()."""
        return self.plain or self.declared.loads

    @property
    def data_files(self) -> tuple[Path, ...]:
        """The files on this machine that DATA names, sorted; none when it is gs:// or matches nothing.

        Raises BadValue for one that a symbolic link of the trainer brings from elsewhere.
        """
        pattern = self.data
        if not pattern or pattern.startswith("gs://"):
            return ()
        found = files_of(self.folder, pattern) or (files_in(self.folder / pattern) if self.takes_folders else ())
        refuse_links(self.folder, found)
        return found


def find(workspace: Workspace, name_or_path: str = "") -> Trainer:
    """The trainer in trainers/<name>, or in the folder given; without a name the only one there is.

    Raises BadValue that lists the trainers, nearest names first.
    """
    known = names(workspace)
    if not name_or_path:
        if len(known) != 1:
            raise BadValue(
                _("which trainer?") if known else _("no trainers yet"),
                _("one of: {names}").format(names=", ".join(known)) if known else _MAKE,
            )
        name_or_path = known[0]
    if name_or_path in known:
        return Trainer(name_or_path, workspace.trainers / name_or_path)
    path = _path(name_or_path)
    if path and path.is_dir():
        folder = path.resolve()
        if lacking := _lacking(folder):
            raise BadValue(_("{path} isn't a trainer: it has no {file}").format(path=path, file=lacking), _MAKE)
        return Trainer(folder.name, folder)
    if path is None and is_path(name_or_path):
        raise BadValue(
            _("the folder {path} doesn't exist").format(path=name_or_path),
            close(Path(name_or_path).name, known) or _("give the folder where the trainer is now"),
        )
    raise BadValue(_("no trainer is called {name}").format(name=name_or_path), near(name_or_path, known) or _MAKE)


def is_path(text: str) -> bool:
    """Whether a person meant a folder by it, and not a trainer's name."""
    return text.startswith((".", "~")) or "/" in text or os.sep in text


def _path(text: str) -> Path | None:
    """The path that a person typed; None for one that can't be."""
    try:
        path = Path(text).expanduser()
        path.lstat()
        return path
    except (OSError, ValueError, RuntimeError):  # not there, longer than names can be, with a NUL, of ~nobody
        return None


def typed(workspace: Workspace, trainer: Trainer) -> str:
    """How a person names the trainer on a command line: by its name alone where that is enough."""
    usual = trainer.folder.parent.resolve() == workspace.trainers.resolve()
    return shlex.quote(trainer.name if usual else amounts.short(trainer.folder))


def names(workspace: Workspace) -> list[str]:
    """The trainers in trainers/, by name."""
    if not workspace.trainers.is_dir():
        return []
    return sorted(p.name for p in workspace.trainers.iterdir() if p.is_dir() and not _lacking(p))


def fingerprint(trainer: Trainer) -> str:
    """SHA-256 over what a check depends on: the package's files, pyproject.toml and the data.

    A data file of 16 MiB or more counts by its size and time of change: reading gigabytes before each job would take
    longer than submitting it. Raises BadValue when data.py can't be read.
    """
    total = hashlib.sha256()
    for path in [trainer.folder / "pyproject.toml", *package_files(trainer)]:
        _count(total, path.relative_to(trainer.folder).as_posix(), path.read_bytes())
    for path in trainer.data_files:
        about = path.stat()
        small = about.st_size < BIG
        _count(total, path.name, path.read_bytes() if small else f"{about.st_size} {about.st_mtime_ns}".encode())
    return total.hexdigest()


def _count(total: Any, name: str, content: bytes) -> None:
    total.update(f"{name}\0{len(content)}\0".encode())
    total.update(content)


def build_wheel(trainer: Trainer, workspace: Workspace) -> Wheel:
    """The trainer as a wheel in workspace.state/wheels/<sha256>/: the same content gives the same bytes, so no cache
    has to be asked whether it is fresh (a trainer's package takes a few milliseconds)."""
    contents = {p.relative_to(trainer.folder).as_posix(): p.read_bytes() for p in package_files(trainer)}
    version = str(trainer.project.get("version", "0"))
    python = str(trainer.project.get("requires-python", ""))
    data = wheels.wheel(trainer.name, version, python, trainer.requirements, contents)
    return wheels.keep(workspace.state / "wheels", wheels.filename(trainer.name, version), data)


def environment(trainer: Trainer, workspace: Workspace, progress: Callable[[str], None] | None = None) -> Path:
    """The interpreter of the environment with just the trainer's pins; built on first use.

    Raises UserError naming the pin that can't be installed.
    """
    import environments

    try:
        return environments.environment(private_folder(workspace.envs), trainer.requirements, PYTHON, progress)
    except environments.EnvironmentFailed as error:
        raise UserError(
            _("{name}: {error}").format(name=trainer.name, error=error),
            _("check {requirement} in {file}").format(
                requirement=error.requirement, file=trainer.folder / "pyproject.toml"
            ),
        ) from None


def package_files(trainer: Trainer) -> Iterator[Path]:
    """The files of the package in order, without what Python or an editor leaves behind, and without links."""
    yield from (path for path in _contents(trainer) if path.is_file() and not _through_link(trainer.folder, path))


def package_links(trainer: Trainer) -> list[Path]:
    """What `package_files` leaves out of the package because it is a symbolic link, or lies behind one."""
    found = [path for path in _contents(trainer) if _through_link(trainer.folder, path)]
    return [trainer.package] if trainer.package.is_symlink() else found


def _contents(trainer: Trainer) -> Iterator[Path]:
    for path in sorted(trainer.package.rglob("*")):
        inside = path.relative_to(trainer.package).parts
        if not ("__pycache__" in inside or path.suffix == ".pyc" or any(part.startswith(".") for part in inside)):
            yield path


def _through_link(folder: Path, path: Path) -> bool:
    inside = path.relative_to(folder)
    return any((folder / part).is_symlink() for part in (inside, *inside.parents[:-1]))  # not the trainer itself


def refuse_links(folder: Path, files: Iterable[Path]) -> None:
    """Raise BadValue for the first of `files` that seems to be in a trainer's folder and is elsewhere, by a link.

    A trainer may come from somebody else, and a link in it name a file of whoever trains: that isn't sent anywhere. Who
    means that file names it: a path outside of the trainer in data.py is for all to read.
    """
    home = folder.resolve()
    for path in files:
        there, seems = path.resolve(), Path(os.path.normpath(path))
        if not there.is_relative_to(home) and (seems.is_relative_to(folder) or seems.is_relative_to(home)):
            raise BadValue(
                _("{path} leads out of the trainer by a symbolic link, to {there}").format(path=path, there=there),
                _("copy the file to that place, or name {there} as the data").format(there=there),
            )


def files_of(folder: Path, pattern: str) -> tuple[Path, ...]:
    """The files that a path or pattern (*, ?, [..]) names, relative to `folder`; sorted."""
    plain = folder / pattern
    if plain.is_file():
        return (plain,)
    absolute = Path(pattern)
    if absolute.is_absolute():
        found = Path(absolute.anchor).glob(str(absolute.relative_to(absolute.anchor)))
    else:
        found = folder.glob(pattern)
    return tuple(sorted(p for p in found if p.is_file()))


def files_in(folder: Path) -> tuple[Path, ...]:
    """All files in a folder and in the folders in it, sorted, without hidden ones; none where there is no folder."""
    found = folder.rglob("*") if folder.is_dir() else ()
    return tuple(sorted(p for p in found if p.is_file() and not _is_hidden(p.relative_to(folder))))


def _is_hidden(inside: Path) -> bool:
    return any(part.startswith(".") for part in inside.parts)


def _pin(path: Path, text: str) -> str:
    text = text.strip()
    if found := _PIN.fullmatch(text):
        # Written in one way, so that the same pins share one environment, whoever spelt them.
        marker = f"; {found['marker'].strip()}" if found["marker"] else ""
        return f"{found['name']}{found['extras'] or ''}=={found['version']}{marker}"
    raw = path.read_text(encoding="utf-8").splitlines()
    quoted = (f'"{text}"', f"'{text}'")
    line = next((i for i, content in enumerate(raw, start=1) if any(q in content for q in quoted)), 1)
    name = re.match(r"[A-Za-z0-9._-]*", text)
    raise BadValue(
        _("{path}:{line}: {text!r} isn't an exact pin").format(path=path, line=line, text=text),
        _('"{name}==VERSION": laptop and cloud must run the same').format(name=name[0] if name and name[0] else "NAME"),
    )


def _lacking(folder: Path) -> str:
    """The first file that makes a folder a trainer and is not there; "" when it is one."""
    return next((f for f in ("pyproject.toml", f"{PACKAGE}/task.py") if not (folder / f).is_file()), "")


_MAKE = _("uv run invoke new NAME makes one")
