"""Where a trainer's data is: its files on this machine, or the beginning of objects in a bucket."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cloudkite.check.rows import Source
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _
from cloudkite.trainers.folders import Trainer

if TYPE_CHECKING:
    from cloudkite.accounts.target import Target

_BEGINNING = 2**20  # bytes that are read of an object
_OBJECTS = 3  # of a pattern that are looked at
_LARGE = 64 * 2**20  # bytes of data from which two steps run on the beginning of the first file


def local(trainer: Trainer) -> list[Source]:
    """The files that DATA names. Raises BadValue when there are none."""
    found = trainer.data_files
    if not found:
        what = trainer.declared
        raise BadValue(
            _("{file}: DATA is {data!r}, and {folder} has no such file").format(
                file=what.source.relative_to(trainer.folder).as_posix(), data=what.data, folder=trainer.folder
            ),
            _("put the file there, or fix DATA"),
        )
    return [Source(path.name, path) for path in found]


def remote(trainer: Trainer, target: Target, folder: Path) -> list[Source]:
    """The first megabyte, whole lines, of the first three objects that DATA names, as files in `folder`.

    Raises UserError when the bucket can't be read or nothing matches.
    """
    import google.api_core.exceptions
    import google.auth.exceptions
    import requests

    from cloudkite.show.errors import from_google

    uri = trainer.declared.data
    bucket, _slash, pattern = uri.removeprefix("gs://").partition("/")
    prefix = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    made = []
    try:
        for blob in target.storage().list_blobs(bucket, prefix=prefix):
            if not fnmatch.fnmatchcase(blob.name, pattern):
                continue
            start = blob.download_as_bytes(end=_BEGINNING - 1) if blob.size else b""
            path = folder / f"{len(made)}.csv"
            path.write_bytes(_whole_lines(start, cut=(blob.size or 0) > len(start)))
            made.append(Source(f"gs://{bucket}/{blob.name}", path, whole=(blob.size or 0) <= len(start)))
            if len(made) == _OBJECTS:
                break
    except (
        google.api_core.exceptions.GoogleAPICallError,
        google.auth.exceptions.GoogleAuthError,
        requests.RequestException,
    ) as error:
        raise from_google(error, _("read {uri}").format(uri=uri)) from None
    if not made:
        raise BadValue(_("DATA is {uri}, and no object matches").format(uri=uri), _("put the file there, or fix DATA"))
    return made


def small(sources: list[Source], folder: Path) -> Path | None:
    """A file with the beginning of the data, for two steps; None when the data is small enough as it is."""
    if sources[0].whole and sum(source.path.stat().st_size for source in sources) <= _LARGE:
        return None
    if not sources[0].whole:
        return sources[0].path
    path = folder / "beginning.csv"
    with sources[0].path.open("rb") as file:
        path.write_bytes(_whole_lines(file.read(_LARGE // 4), cut=True))
    return path


def _whole_lines(data: bytes, cut: bool) -> bytes:
    return data[: data.rfind(b"\n") + 1] if cut and b"\n" in data else data
