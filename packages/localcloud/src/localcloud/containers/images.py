"""Finds what stands in for a container image: in the catalogue, or in this local cloud's own `images.json`.

Your own images: a file `images.json` in the folder of the local cloud maps an image's URI to what is in it, such as
{"python": "3.11", "requirements": ["six==1.17.0"], "entrypoint": ["python", "-m", "six"]}; each field may be left out.

What a container installs at its start can't be installed here: a job's environment is shared, and a job reaches this
cloud alone. So a job names that in its variable LOCALCLOUD_REQUIREMENTS, a JSON list of exact pins, and has it from the
start. A pin of a package that the image has takes the place of the image's own, as pip would do it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from catalog.images import Image, image, images
from localcloud.core.state.kept import parsed, text

REQUIREMENTS = "LOCALCLOUD_REQUIREMENTS"
# Nothing else is taken: options, addresses and paths would let a job decide what runs while its environment is built.
_PIN = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._-]*)(\[[A-Za-z0-9._, -]+\])?\s*==\s*[A-Za-z0-9][A-Za-z0-9.!+_-]*(\s*;[^\r\n]+)?"
)


class BadRequirement(Exception):
    """A job wants a package in a way that isn't an exact pin; the text says which."""


class UnknownImage(Exception):
    """No stand-in is known for an image; the text names those that are."""


def find(root: Path, uri: str, more: str = "") -> tuple[Image, list[str]]:
    """The image with the job's own requirements `more`, and its entry point, [] for the images of the catalogue.

    Raises UnknownImage, BadRequirement.
    """
    found, entrypoint = _find(root, uri)
    own = _pins(more)
    names = {_name(pin) for pin in own}
    kept = [pin for pin in found.requirements if _name(pin) not in names]
    return replace(found, requirements=(*own, *kept)), entrypoint


def _pins(text: str) -> Sequence[str]:
    try:
        pins = json.loads(text or "[]")
    except (ValueError, RecursionError):
        pins = None
    if not isinstance(pins, list):
        raise BadRequirement(f'{REQUIREMENTS} must be a JSON list of pins, such as ["six==1.17.0"].')
    for pin in pins:
        if not isinstance(pin, str) or not _PIN.fullmatch(pin):
            raise BadRequirement(f"{REQUIREMENTS}: {pin!r} isn't an exact pin such as six==1.17.0.")
    return pins


def _name(pin: str) -> str:
    """The package that a pin is of; TensorFlow for CPUs alone is TensorFlow."""
    name = re.sub(r"[-_.]+", "-", re.split(r"[\[=;<>!~ @]", pin, maxsplit=1)[0]).lower()
    return "tensorflow" if name == "tensorflow-cpu" else name


def _find(root: Path, uri: str) -> tuple[Image, list[str]]:
    own = _own(root)
    if uri in own:
        row = own[uri]
        made = Image(uri, row.get("python", "3.11"), tuple(row.get("requirements", ())), row.get("tensorflow", ""))
        return made, list(row.get("entrypoint", []))
    try:
        return image(uri), []
    except LookupError:
        known = [*own, *(i.uri for i in images().values() if i.kind == "training" and i.available(date.today()))]
        raise UnknownImage(
            f'The local cloud has no stand-in for the container image "{uri}". It knows: {", ".join(known)}. '
            f"Add yours to {root / 'images.json'}."
        ) from None


def warning(found: Image, today: date) -> str:
    """What is to be said before a job runs in the image, "" when nothing is."""
    if found.available(today):
        return ""
    return (
        f"The image {found.uri} reached its end of availability on {found.ended}: Google may refuse it. "
        "The local cloud runs it all the same."
    )


def _own(root: Path) -> dict[str, Any]:
    path = root / "images.json"
    try:
        return parsed(path.read_bytes(), _shape)
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        raise UnknownImage(f"{path} can't be read: {error}") from None


def _shape(value: Any) -> dict[str, Any]:
    for uri, row in value.items():
        for name in ("python", "tensorflow"):
            text(row.get(name, ""))
        for name in ("requirements", "entrypoint"):
            if not isinstance(row.get(name, []), list):
                raise ValueError(f"{name} of {uri} isn't a list")
            for word in row.get(name, []):
                text(word)
    return value
