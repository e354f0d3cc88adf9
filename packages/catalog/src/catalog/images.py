"""Container images that jobs and endpoints may name, and the Python and pins that stand in for each on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from types import MappingProxyType

from catalog.book import pick, read

DEFAULT_CPU: str = read("images.json")["default_cpu"]
DEFAULT_GPU: str = read("images.json")["default_gpu"]
SERVING: str = read("images.json")["serving"]


@dataclass(frozen=True)
class Image:
    """One container image.

    `requirements` are the exact pins (with markers) that `environments` installs for it; `tensorflow` is "" when
    the image has none. `ended`: the day of its end of availability in the documentation, None when none is announced;
    after it Google may refuse the image. `sure` is A (primary source), B (several reports) or C (one report); `date` is
    the day the facts were gathered (ISO 8601).
    """

    uri: str
    python: str
    requirements: tuple[str, ...]
    tensorflow: str = ""
    sure: str = "C"
    date: str = ""
    kind: str = "training"
    gpu: bool = False
    ended: str | None = None
    note: str = ""

    def available(self, day: date) -> bool:
        """Whether the documentation still promises the image on `day`."""
        return self.ended is None or day.isoformat() <= self.ended


@cache
def images() -> Mapping[str, Image]:
    """All known images by URI; Google's prebuilt ones by the URI of their `us` mirror."""
    book = read("images.json")
    return MappingProxyType(
        {
            uri: Image(uri, date=book["date"], **{**row, "requirements": tuple(row["requirements"])})
            for uri, row in book["images"].items()
        }
    )


def image(uri: str) -> Image:
    """The image that `uri` names. Raises catalog.book.UnknownName, a LookupError, with known images that come near.

    Mirrors in Europe and Asia of Google's prebuilt images and Docker Hub's long names are the same images.
    """
    return pick("image", canonical(uri), images())


def canonical(uri: str) -> str:
    """The URI by which the catalogue knows an image that has several names."""
    mirrored = re.sub(r"^(europe|asia)-docker\.pkg\.dev/vertex-ai/", "us-docker.pkg.dev/vertex-ai/", uri)
    return re.sub(r"^(?:index\.)?docker\.io/(?:library/)?", "", mirrored)
