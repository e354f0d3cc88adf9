"""Downloads a folder of a bucket, such as the model that a job made: whole or not at all, and nothing twice.

A folder is replaced only if it has the record of an earlier fetch. That is written first and removed last, so that a
fetch which was killed knows its own.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cloudkite import names
from cloudkite.accounts.api import pages
from cloudkite.accounts.target import Target
from cloudkite.jobs.service import Job
from cloudkite.show import amounts
from cloudkite.show.errors import UserError, from_google
from cloudkite.show.text import _, counted
from cloudkite.workspace import make_folder, private_file, private_folder, read_json

_THREADS = 8
_RECORD = ".cloudkite-fetched.json"  # beside the model: which objects it was made of
_JUNCTION = 0xA0000003  # IO_REPARSE_TAG_MOUNT_POINT: what leads elsewhere on Windows without being a symbolic link


@dataclass(frozen=True)
class Fetched:
    """A model on this machine: `names` of its `files` inside `folder`, `bytes` in all, `received` of those just now."""

    folder: Path
    names: tuple[str, ...]
    bytes: int
    received: int

    @property
    def files(self) -> int:
        """How many files it has."""
        return len(self.names)


@dataclass(frozen=True)
class Source:
    """What is downloaded: the objects of a bucket under a prefix. `what` names it in messages ("the model of j1").

    `again` is the command that fetches it, `clash` the step that helps where a name can't be a file's.
    """

    bucket: str
    prefix: str
    what: str
    again: str
    clash: str


def fetch(target: Target, job: Job, folder: Path, progress: Callable[[str], None] | None = None) -> Fetched:
    """The job's model in `folder`, which appears when it is complete; an earlier model there is replaced.

    A download that was cut off goes on where it stopped. Raises UserError for a job that has no model, for a model
    whose files can't all be stored, and for a folder in the way that no fetch made.
    """
    if job.active:
        raise UserError(
            _("job {name} has not ended ({state})").format(name=job.name, state=job.state),
            _("uv run invoke logs --follow --job {id}").format(id=job.id),
        )
    bucket, _slash, base = job.output.removeprefix("gs://").partition("/")
    if not bucket:
        raise UserError(_("job {name} writes no model").format(name=job.name), _("it has no output folder"))
    prefix = f"{base.rstrip('/')}/model/"
    source = Source(
        bucket,
        prefix,
        _("the model of {name}").format(name=job.name),
        f"uv run invoke fetch --job {job.id}",
        _("see `gcloud storage ls --recursive {place}`, then give it another name in the trainer").format(
            place=shlex.quote(f"gs://{bucket}/{prefix}")
        ),
    )
    objects = _objects(target, source)
    if not objects:
        raise UserError(
            _("job {name} left no model ({state})").format(name=job.name, state=job.state),
            _("uv run invoke logs --job {id}").format(id=job.id),
        )
    return _bring(target, source, objects, folder, progress)


def save(
    target: Target, bucket: str, folder: Path, progress: Callable[[str], None] | None = None, prefix: str = ""
) -> Fetched:
    """All that is in a bucket, or under `prefix` there, in `folder`; raises UserError as `fetch` does.

    An empty bucket makes no folder. What was saved before and is in the bucket no longer is worth more than a folder
    that is like the bucket: it stays, and UserError is raised where something newer would take its place.
    """
    source = Source(
        bucket,
        prefix,
        f"gs://{bucket}/{prefix}" if prefix else f"gs://{bucket}",
        _("the same command"),
        _("rename it (`gcloud storage mv`), or download that bucket with gcloud and leave --save out"),
    )
    objects = _objects(target, source)
    known = _recorded(folder) or {}
    if not objects:
        return Fetched(folder, (), 0, 0)
    listing = {one["name"]: one["generation"] for one in objects.values()}
    if listing.items() <= known.items() and all((folder / name).is_file() for name in objects):
        return Fetched(folder, tuple(objects), sum(int(one["size"]) for one in objects.values()), 0)
    if gone := known.keys() - listing.keys():
        raise UserError(
            counted(
                "{folder} has {count} file that {what} has no longer: it is not replaced",
                "{folder} has {count} files that {what} has no longer: they are not replaced",
                len(gone),
                folder=amounts.short(folder),
                what=source.what,
            ),
            _("save to another folder: --save DIR"),
        )
    return _bring(target, source, objects, folder, progress)


def _bring(
    target: Target,
    source: Source,
    objects: dict[str, dict[str, Any]],
    folder: Path,
    progress: Callable[[str], None] | None,
) -> Fetched:
    listing = {o["name"]: o["generation"] for o in objects.values()}
    total = sum(int(o["size"]) for o in objects.values())
    part, old = (folder.with_name(f".{folder.name}.{what}") for what in ("part", "old"))
    for place in (folder, part, old):
        _check(place, source)
    if _recorded(folder) == listing and all((folder / name).is_file() for name in objects):
        _tidy(old)
        return Fetched(folder, tuple(objects), total, 0)
    private_folder(part)  # what is in it is only its owner's, while it arrives and later
    with private_file(part / _RECORD) as file:
        file.write(json.dumps(listing).encode())
    _clear(part, objects)
    todo = {n: o for n, o in objects.items() if not _same(part / n, o)}
    received = sum(int(o["size"]) for o in todo.values())
    for name in todo:
        make_folder((part / name).parent)
    if progress:
        progress(counted("fetching {count} file ...", "fetching {count} files ...", len(todo)))
    _download(target, source, part, todo)
    for name in todo:
        (part / name).chmod(0o600)
    for place in (folder, old):  # a download takes long enough for somebody to put something there
        _check(place, source)
    _put_in_place(part, folder, old)
    return Fetched(folder, tuple(objects), total, received)


def _objects(target: Target, source: Source) -> dict[str, dict[str, Any]]:
    """The objects by their path inside the folder."""
    url = f"https://storage.googleapis.com/storage/v1/b/{source.bucket}/o"
    fields = "items(name,size,md5Hash,generation),nextPageToken"
    doing = _("look for {what}").format(what=source.what)
    found = {}
    for item in pages(target, url, "items", doing, {"prefix": source.prefix, "fields": fields}):
        inside = item["name"].removeprefix(source.prefix)
        if inside and not inside.endswith("/"):  # folders that TensorFlow makes are empty objects
            found[inside] = item
    _check_names(found, source)
    return found


def _check_names(found: Iterable[str], source: Source) -> None:
    """Raise UserError unless each object can be a file of its own inside the model's folder, on any system.

    An object may be called anything, and a model needs its files by the names that they have.
    """
    paths: dict[str, tuple[str, str]] = {}  # each path and the object that brings it, by the path's key
    for name in found:
        parts = name.split("/")
        if not all(names.portable(part) and names.key(part) != _RECORD for part in parts):
            said = _("{what} has a file called {name!r}, which is not fetched")
            raise UserError(said.format(what=source.what, name=name), source.clash)
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            known, other = paths.setdefault(names.key(path), (path, name))
            if other != name and (known != path or path in (name, other)):
                said = _("{what} has {one!r} and {other!r}, and not every system can hold both")
                raise UserError(said.format(what=source.what, one=other, other=name), source.clash)


def _check(folder: Path, source: Source) -> None:
    """Raise UserError unless `folder` may be replaced: a fetch made it, or it is empty, or nothing is there."""
    if not os.path.lexists(folder):
        return
    if folder.is_dir() and not _leads_elsewhere(folder):
        record = folder / _RECORD
        if (record.is_file() and not _leads_elsewhere(record)) or not any(folder.iterdir()):
            return
    raise UserError(
        _("{path} was not made by a fetch, and is not replaced").format(path=amounts.short(folder)),
        _("move it elsewhere, then: {command}").format(command=source.again),
    )


def _leads_elsewhere(path: Path) -> bool:
    """Whether it is a link, or a junction, which Windows has."""
    return path.is_symlink() or getattr(path.lstat(), "st_reparse_tag", 0) == _JUNCTION


def _recorded(folder: Path) -> dict[str, str] | None:
    try:
        return read_json(folder / _RECORD)
    except (OSError, ValueError):
        return None


def _same(file: Path, item: dict[str, Any]) -> bool:
    """Whether the file is that object: by size and MD5; a composed object has no MD5 and is fetched again."""
    if not file.is_file() or file.stat().st_size != int(item["size"]) or "md5Hash" not in item:
        return False
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).digest()
    return base64.b64encode(digest).decode() == item["md5Hash"]


def _download(target: Target, source: Source, part: Path, todo: dict[str, dict[str, Any]]) -> None:
    if not todo:
        return
    import google.api_core.exceptions
    import google.auth.exceptions
    import requests
    from google.cloud.storage import transfer_manager
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

    bucket = target.storage().bucket(source.bucket)
    pairs = [(bucket.blob(o["name"], generation=int(o["generation"])), str(part / n)) for n, o in todo.items()]
    try:
        transfer_manager.download_many(
            pairs, worker_type=transfer_manager.THREAD, max_workers=_THREADS, raise_exception=True
        )
    except (
        google.api_core.exceptions.GoogleAPICallError,
        google.auth.exceptions.GoogleAuthError,
        requests.RequestException,
        InvalidResponse,
        DataCorruption,
    ) as error:
        raise from_google(error, _("fetch {what}").format(what=source.what)) from None


def _clear(part: Path, objects: Collection[str]) -> None:
    """Leave in a download that goes on only what this model has: no strays, and no links to follow."""
    folders = {str(parent) for name in objects for parent in PurePosixPath(name).parents}
    kept = {*objects, _RECORD}
    for top, inside, files in os.walk(part):
        for name in inside[:]:
            path = Path(top, name)
            if _leads_elsewhere(path) or path.relative_to(part).as_posix() not in folders:
                inside.remove(name)
                _remove(path)
        for name in files:
            path = Path(top, name)
            if _leads_elsewhere(path) or path.relative_to(part).as_posix() not in kept:
                path.unlink()


def _put_in_place(part: Path, folder: Path, old: Path) -> None:
    _discard(old)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    _tidy(old)


def _tidy(old: Path) -> None:
    with contextlib.suppress(OSError):  # a file of it may be in use on Windows; the next fetch tries again
        _discard(old)


def _discard(folder: Path) -> None:
    """Remove a folder that a fetch made, its record last: one that is half removed is still known as such."""
    if not folder.exists():
        return
    for path in folder.iterdir():
        if path.name != _RECORD:
            _remove(path)
    (folder / _RECORD).unlink(missing_ok=True)
    folder.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not _leads_elsewhere(path):
        shutil.rmtree(path)
    else:
        path.unlink()
