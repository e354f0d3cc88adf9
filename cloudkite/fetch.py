"""Downloads the model that a job made: whole or not at all, and nothing that is there already."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cloudkite.api import pages
from cloudkite.errors import UserError, from_google
from cloudkite.jobs import Job
from cloudkite.target import Target
from cloudkite.text import _

_THREADS = 8
_RECORD = ".cloudkite-fetched.json"  # beside the model: which objects it was made of


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


def fetch(target: Target, job: Job, folder: Path, progress: Callable[[str], None] | None = None) -> Fetched:
    """The job's model in `folder`, which appears when it is complete; an earlier model there is replaced.

    A download that was cut off goes on where it stopped. Raises UserError for a job that has no model.
    """
    if job.active:
        raise UserError(
            _("job {name} has not ended ({state})").format(name=job.name, state=job.state),
            _("uv run invoke logs --follow --job {id}").format(id=job.id),
        )
    objects = _objects(target, job)
    listing = {o["name"]: o["generation"] for o in objects.values()}
    total = sum(int(o["size"]) for o in objects.values())
    if _recorded(folder) == listing and all((folder / name).is_file() for name in objects):
        return Fetched(folder, tuple(objects), total, 0)
    part = folder.with_name(f".{folder.name}.part")
    todo = {n: o for n, o in objects.items() if not _same(part / n, o)}
    received = sum(int(o["size"]) for o in todo.values())
    part.mkdir(parents=True, exist_ok=True)
    for name in todo:
        (part / name).parent.mkdir(parents=True, exist_ok=True)
    if progress:
        progress(_("fetching {count} files ...").format(count=len(todo)))
    _download(target, job, part, todo)
    for stray in [p for p in part.rglob("*") if p.is_file() and p.relative_to(part).as_posix() not in objects]:
        stray.unlink()
    (part / _RECORD).write_text(json.dumps(listing), encoding="utf-8")
    _put_in_place(part, folder)
    return Fetched(folder, tuple(objects), total, received)


def _objects(target: Target, job: Job) -> dict[str, dict[str, Any]]:
    """The model's objects by their path inside the model."""
    bucket, _slash, base = job.output.removeprefix("gs://").partition("/")
    if not bucket:
        raise UserError(_("job {name} writes no model").format(name=job.name), _("it has no output folder"))
    prefix = f"{base.rstrip('/')}/model/"
    url = f"https://storage.googleapis.com/storage/v1/b/{bucket}/o"
    fields = "items(name,size,md5Hash,generation),nextPageToken"
    doing = _("look for the model of {name}").format(name=job.name)
    found = {}
    for item in pages(target, url, "items", doing, {"prefix": prefix, "fields": fields}):
        inside = item["name"].removeprefix(prefix)
        if inside and not inside.endswith("/"):  # folders that TensorFlow makes are empty objects
            found[_safe(inside)] = item
    if not found:
        raise UserError(
            _("job {name} left no model ({state})").format(name=job.name, state=job.state),
            _("uv run invoke logs --job {id}").format(id=job.id),
        )
    return found


def _safe(name: str) -> str:
    """An object may be called anything; it must not leave the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise UserError(_("the model has a file called {name!r}, which is not fetched").format(name=name))
    return str(path)


def _recorded(folder: Path) -> dict[str, str] | None:
    try:
        return json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _same(file: Path, item: dict[str, Any]) -> bool:
    """Whether the file is that object: by size and MD5; a composed object has no MD5 and is fetched again."""
    if not file.is_file() or file.stat().st_size != int(item["size"]) or "md5Hash" not in item:
        return False
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).digest()
    return base64.b64encode(digest).decode() == item["md5Hash"]


def _download(target: Target, job: Job, part: Path, todo: dict[str, dict[str, Any]]) -> None:
    if not todo:
        return
    import google.api_core.exceptions
    import google.auth.exceptions
    import requests
    from google.cloud.storage import transfer_manager
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

    bucket = target.storage().bucket(job.output.removeprefix("gs://").partition("/")[0])
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
        raise from_google(error, _("fetch the model of {name}").format(name=job.name)) from None


def _put_in_place(part: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
