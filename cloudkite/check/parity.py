"""TensorFlow's version wherever a trainer meets it: here, in its pins, in the images that train and serve."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from catalog import images
from catalog.book import UnknownName
from cloudkite.check.findings import FAILED, WARNING
from cloudkite.show.text import _
from cloudkite.trainers.folders import PYTHON, Trainer

_TENSORFLOW = re.compile(r"(tensorflow(?:-cpu|-gpu|-macos|-intel)?)(?:\[[^\]]*\])?\s*==\s*([^;\s]+)", re.IGNORECASE)
# Tried on 2026-11-21 with TensorFlow Serving's own loader, not in the container: docs of catalog/images.json.
_TRIED = ("2.21", "2.15")


@dataclass(frozen=True)
class Version:
    """TensorFlow in one place; `tensorflow` is "" where it is not known. `verdict` is "ok", "warning" or "failed"."""

    where: str
    name: str
    tensorflow: str
    python: str
    verdict: str
    note: str = ""


def pinned(trainer: Trainer) -> str:
    """The TensorFlow that the trainer pins, "" when it pins none; "a, b" when its platforms get different ones."""
    found = dict.fromkeys(m[2] for m in map(_TENSORFLOW.match, trainer.requirements) if m)
    return ", ".join(found)


def compare(
    trainer: Trainer,
    here: str,
    training: str = images.DEFAULT_CPU,
    serving: str = images.SERVING,
    today: datetime.date | None = None,
) -> tuple[Version, ...]:
    """One row a place. `here` is the version that ran on this machine, "" when none did.

    Training in another version than was checked is a failure, unless the image gets the trainer's pins at its start;
    serving in an older one is a warning, unless that pair was tried.
    """
    pin = pinned(trainer)
    day = today or datetime.datetime.now(datetime.UTC).date()
    return (
        _pins(trainer, pin),
        _here(pin, here),
        _training(pin, training, day),
        _serving(pin, serving, day),
    )


def _pins(trainer: Trainer, pin: str) -> Version:
    where, name = _("pinned"), f"{trainer.name}/pyproject.toml"
    if not pin:
        return Version(where, name, "", PYTHON, WARNING, _("no pin on TensorFlow: nothing to compare with"))
    if "," in pin:
        return Version(where, name, pin, PYTHON, FAILED, _("platforms get different versions"))
    return Version(where, name, pin, PYTHON, "ok")


def _here(pin: str, here: str) -> Version:
    where, name = _("here"), _("the trainer's environment")
    if not here or not pin or here == pin:
        return Version(where, name, here or pin, PYTHON, "ok")
    return Version(where, name, here, PYTHON, FAILED, _("not the pinned {pin}").format(pin=pin))


def _training(pin: str, uri: str, day: datetime.date) -> Version:
    where = _("training image")
    try:
        image = images.image(uri)
    except UnknownName:
        return Version(where, uri, "", "", WARNING, _("not in the catalogue, so its version isn't known"))
    if not image.tensorflow:
        return Version(where, uri, pin, image.python, *_ended(image, day, _("installs the pins at the job's start")))
    if pin and image.tensorflow != pin:
        said = _("not the pinned {pin}: pin tensorflow=={version}, or choose an image with {pin}")
        return Version(
            where, uri, image.tensorflow, image.python, FAILED, said.format(pin=pin, version=image.tensorflow)
        )
    if image.python != PYTHON:
        said = _("Python {theirs}, but {ours} was checked").format(theirs=image.python, ours=PYTHON)
        return Version(where, uri, image.tensorflow, image.python, WARNING, said)
    return Version(where, uri, image.tensorflow, image.python, *_ended(image, day, ""))


def _serving(pin: str, uri: str, day: datetime.date) -> Version:
    where = _("serving image")
    try:
        image = images.image(uri)
    except UnknownName:
        return Version(where, uri, "", "", WARNING, _("not in the catalogue, so its version isn't known"))
    ours, theirs = _minor(pin), _minor(image.tensorflow)
    if not image.tensorflow or not pin or theirs >= ours:
        return Version(where, uri, image.tensorflow, image.python, *_ended(image, day, ""))
    if (".".join(map(str, ours)), ".".join(map(str, theirs))) == _TRIED:
        tried = _("older, but eight exports of {ours} gave equal answers in it (tried outside the container)")
        return Version(where, uri, image.tensorflow, image.python, *_ended(image, day, tried.format(ours=pin)))
    note = _("older than {pin}: a model with an operation that came later does not load").format(pin=pin)
    return Version(where, uri, image.tensorflow, image.python, WARNING, note)


def _ended(image: images.Image, day: datetime.date, note: str) -> tuple[str, str]:
    if image.available(day):
        return "ok", note
    return WARNING, _("its end was announced for {day}").format(day=image.ended)


def _minor(version: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)
