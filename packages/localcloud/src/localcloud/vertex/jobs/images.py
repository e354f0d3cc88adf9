"""Finds what stands in for a container image: in the catalogue, or in this local cloud's own `images.json`.

Your own images: a file `images.json` in the folder of the local cloud maps an image's URI to what is in it, such as
{"python": "3.11", "requirements": ["six==1.17.0"], "entrypoint": ["python", "-m", "six"]}; each field may be left out.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from catalog.images import Image, image, images
from localcloud.core.state.kept import parsed, text


class UnknownImage(Exception):
    """No stand-in is known for an image; the text names those that are."""


def find(root: Path, uri: str) -> tuple[Image, list[str]]:
    """The image and its entry point, [] for the images of the catalogue. Raises UnknownImage."""
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
