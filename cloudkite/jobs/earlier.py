"""What a job learns on from: a model or checkpoints, here or in the cloud, looked at before anything starts.

A model says in assets.extra/trainer.json what it was trained on, and that must be what the trainer declares. Of
checkpoints the trainer itself tells, when it begins.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.requirements import InvalidRequirement, Requirement

from cloudkite.accounts.api import pages, send
from cloudkite.accounts.target import Target
from cloudkite.data.declared import CATEGORY, TEXT
from cloudkite.jobs import choosing
from cloudkite.jobs.job import TUNING
from cloudkite.jobs.places import tuning
from cloudkite.models import predictions
from cloudkite.show import amounts
from cloudkite.show.errors import BadValue, from_google
from cloudkite.show.text import _
from cloudkite.trainers import folders
from cloudkite.trainers.folders import Trainer

_FACTS, _NETWORK = "assets.extra/trainer.json", "assets.extra/model.keras"
_STEP = re.compile(r"(?:[^/]+/)?step-\d+\.index")
_ENDED = choosing.Purpose(lambda job: not job.active, _("no job of {name} has ended yet"))
_STORAGE = "https://storage.googleapis.com/storage/v1/b"


@dataclass(frozen=True)
class Earlier:
    """What is learned on from: `uri` in the cloud, or `files` in a `folder` here that have to be sent first.

    `widen`: words that are new get a place, and statistics become those of the new data.
    """

    uri: str = ""
    folder: Path = Path()
    files: tuple[str, ...] = ()
    widen: bool = False

    @property
    def shown(self) -> str:
        """The place as a person reads it."""
        return self.uri or amounts.short(self.folder)

    def options(self, uri: str = "") -> tuple[str, ...]:
        """What the trainer is given; `uri` is where the files were sent."""
        return ("--continue", uri or self.uri or str(self.folder), *(("--widen",) if self.widen else ()))


@dataclass(frozen=True)
class _Here:
    """A folder on this machine. `steps` are checkpoints in a folder inside or in the folders of that, newest last."""

    folder: Path
    shown: str

    def read(self, name: str) -> bytes | None:
        return (self.folder / name).read_bytes() if self.has(name) else None

    def has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def steps(self, inside: str) -> list[str]:
        top = self.folder / inside
        found = [*top.glob("step-*.index")] or [*top.glob("*/step-*.index")]
        found.sort(key=lambda path: (path.stat().st_mtime_ns, path.name))
        return [path.relative_to(self.folder).as_posix() for path in found]


@dataclass(frozen=True)
class _There:
    """The same for a folder of a bucket."""

    target: Target
    shown: str

    def _url(self, name: str = "") -> str:
        bucket, _slash, folder = self.shown.removeprefix("gs://").partition("/")
        return f"{_STORAGE}/{bucket}/o" + (f"/{quote('/'.join(filter(None, [folder, name])), safe='')}" if name else "")

    def _get(self, name: str, params: Mapping[str, str]) -> Any:
        doing = _("look at {uri}").format(uri=self.shown)
        answer = send(self.target, "GET", self._url(name), doing, again=True, params=params)
        if not answer.ok and (answer.status_code != 404 or "object" not in answer.text):
            raise from_google(answer, doing)
        return answer

    def read(self, name: str) -> bytes | None:
        answer = self._get(name, {"alt": "media"})
        return answer.content if answer.ok else None

    def has(self, name: str) -> bool:
        return self._get(name, {"fields": "size"}).ok

    def steps(self, inside: str) -> list[str]:
        base = self.shown.removeprefix("gs://").partition("/")[2]
        top = "".join(f"{part}/" for part in (base, inside) if part)
        params = {"prefix": top, "fields": "items(name),nextPageToken"}
        listed = pages(self.target, self._url(), "items", _("look at {uri}").format(uri=self.shown), params)
        names = [item["name"].removeprefix(top) for item in listed]
        return sorted(f"{inside}/{name}".lstrip("/") for name in names if _STEP.fullmatch(name))


_Place = _Here | _There


def find(
    target: Target, trainer: Trainer, text: str, trainers: Collection[str] = (), *, widen: bool = False
) -> Earlier:
    """What `text` names: a folder here, a gs:// address, or a job of the account, by any name that a job has.

    Raises BadValue for what isn't there, for what can't be learned on from, and for a model of another kind.
    """
    if trainer.plain:
        raise BadValue(
            _("{trainer} can't learn on by --continue: it is a program of its own").format(trainer=trainer.name),
            _("let the program load what it continues from, out of its data"),
        )
    place = _place(target, text, trainers)
    inside, model = _inside(place, trainer)
    if isinstance(place, _There):
        return Earlier(uri=f"{place.shown}/{inside}".rstrip("/"), widen=widen)
    folder, files = place.folder / inside, (_FACTS, _NETWORK)
    if not model:  # the newest alone: which one that is could not be told of what was sent at once
        newest = place.folder / place.steps(inside)[-1]
        folder = newest.parent
        files = tuple(sorted(path.name for path in folder.glob(f"{newest.stem}.*")))
    folders.refuse_links(folder, [folder / name for name in files])
    return Earlier(folder=folder, files=files, widen=widen)


def _place(target: Target, text: str, trainers: Collection[str]) -> _Place:
    if text.startswith("gs://"):
        return _There(target, text.rstrip("/"))
    path = Path(text).expanduser()
    if path.is_dir() and (folders.is_path(text) or next(_candidates(_Here(path, text)), None)):
        return _Here(path.resolve(), amounts.short(path))
    if folders.is_path(text):
        said = _("the folder {path} doesn't exist").format(path=text)
        raise BadValue(said, _("--continue takes a folder, a gs:// address, or a job"))
    job = choosing.choose(target, text, _ENDED, trainers)
    if not job.output or job.active:
        why = _("it has not ended ({state})").format(state=job.state) if job.active else _("it has no output folder")
        raise BadValue(_("job {name} can't be learned on from: {why}").format(name=job.name, why=why))
    folder = tuning.best(target, job).output if job.place == TUNING else job.output
    return _There(target, folder.rstrip("/"))


def _candidates(place: _Place) -> Iterator[tuple[str, bool]]:
    """What a folder has to learn on from, itself or as a job leaves it: where inside, and whether it is a model."""
    yield from ((inside, True) for inside in ("", "model") if place.has(f"{inside}/{_FACTS}".lstrip("/")))
    yield from ((inside, False) for inside in ("", "checkpoints") if place.steps(inside))


def _inside(place: _Place, trainer: Trainer) -> tuple[str, bool]:
    """The model or, where none can be learned on from, the checkpoints in a place."""
    why = _("it has no {file} and no checkpoints (step-*.index)").format(file=_FACTS)
    for inside, model in _candidates(place):
        if not model:
            return inside, False
        about = _facts(place, inside)
        if differing := _differing(about, trainer):
            raise BadValue(
                _("{trainer} can't learn on from {place}: {what}").format(
                    trainer=trainer.name, place=place.shown, what="; ".join(differing)
                ),
                _("label, classes, columns and versions must be those of the trainer"),
            )
        if "statistics" in about and place.has(f"{inside}/{_NETWORK}".lstrip("/")):
            return inside, True
        why = _("its model has no {file}, or is of an older trainer").format(file=_NETWORK)
    said = _("there is nothing to learn on from in {place}: {why}")
    hint = _("name the folder of a model as `fetch` leaves it, one of checkpoints, or a job")
    raise BadValue(said.format(place=place.shown, why=why), hint)


def _facts(place: _Place, inside: str) -> dict[str, Any]:
    name = f"{inside}/{_FACTS}".lstrip("/")
    try:
        found = json.loads(place.read(name) or b"")
    except (ValueError, RecursionError) as error:
        where = f"{place.shown}/{name}"
        raise BadValue(_("{path} can't be read: {error}").format(path=where, error=error)) from None
    return predictions.checked(found, f"{place.shown}/{name}")


def _differing(about: Mapping[str, Any], trainer: Trainer) -> list[str]:
    """How what a model was trained on differs from what the trainer declares, in words."""
    here, said = trainer.declared, _("the {what} there is {old}, here {new}")
    words = about.get("words") or {}  # an older export calls a category "text"
    old: dict[str, Any] = {
        name: tuple(kind) if isinstance(kind, list) else CATEGORY if kind == TEXT and name in words else kind
        for name, kind in about["columns"].items()
    }
    new: dict[str, Any] = {name: here.shapes.get(name, kind) for name, kind in here.columns.items()}
    found = []
    if about["label"] != here.label:
        found.append(said.format(what=_("label"), old=about["label"], new=here.label))
    classes = [str(one) for one in about["classes"] or ()]
    if classes != list(here.classes):
        there, ours = (", ".join(names) or _("a number") for names in (classes, here.classes))
        found.append(_("the classes there are {old}, here {new}").format(old=there, new=ours))
    if names := sorted(old.keys() - new.keys()):
        found.append(_("columns only there: {columns}").format(columns=", ".join(names)))
    if names := sorted(new.keys() - old.keys()):
        found.append(_("columns only here: {columns}").format(columns=", ".join(names)))
    for name in sorted(old.keys() & new.keys()):
        if old[name] != new[name]:
            found.append(_("{column} is {old} there, {new} here").format(column=name, old=old[name], new=new[name]))
    for package in ("tensorflow", "keras"):
        version, pins = str(about.get(package) or ""), _pinned(trainer, package)
        if version and pins and _minor(version) not in set(map(_minor, pins)):
            found.append(said.format(what=package, old=version, new=", ".join(pins)))
    return found


def _pinned(trainer: Trainer, package: str) -> list[str]:
    """The versions of a package that a trainer pins: each system may have its own name of TensorFlow."""
    found = []
    for text in trainer.requirements:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue
        if wanted.name.partition("-")[0] == package:
            found += [one.version for one in wanted.specifier]
    return list(dict.fromkeys(found))


def _minor(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2])
