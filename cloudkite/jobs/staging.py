"""Uploads what a job needs to the staging bucket, once: an object's place is named by the hash of its content.

An object in Cloud Storage appears whole or not at all, so a name that is there is complete, and nothing is sent twice.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from cloudkite.accounts.api import pages, put_object, send
from cloudkite.accounts.target import Target
from cloudkite.names import portable
from cloudkite.show.errors import BadValue, UserError, from_google
from cloudkite.show.text import _, counted
from cloudkite.workspace import read_json, write_atomically

if TYPE_CHECKING:
    from cloudkite.trainers.wheels import Wheel

HASHES = "hashes.json"  # in a workspace: remembers hashes of files
FOLDER = "data"  # of the objects that are named by the hash of their content
_THREADS = 8
DIGEST = re.compile("[0-9a-f]{64}")
_IN_PARTS = 64 * 2**20  # bytes from which a file goes up in several parts at once
_PART = 32 * 2**20  # bytes
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Staged:
    """What is in place: `uri` names it all (a pattern when there are several files). Sizes in bytes."""

    uri: str
    uris: tuple[str, ...]
    sent: int
    sent_bytes: int
    skipped: int


def apart(bucket: str) -> tuple[str, str]:
    """The name of a bucket, and what names in it begin with: `gs://NAME`, or the folder of it that one person has."""
    holder, _slash, inside = bucket.removeprefix("gs://").partition("/")
    return holder, f"{inside}/" if inside else ""


def stage_wheel(target: Target, bucket: str, wheel: Wheel) -> Staged:
    """The trainer's wheel at <bucket>/<sha256>/trainer.whl: one look, and one upload when it is new.

    Plain requests: the storage library takes longer to import than this takes to run.
    """
    holder, inside = apart(bucket)
    name = f"{inside}{wheel.sha256}/trainer.whl"
    uri = f"gs://{holder}/{name}"
    doing = _("stage the trainer")
    base = "https://storage.googleapis.com"
    found = send(
        target,
        "GET",
        f"{base}/storage/v1/b/{holder}/o/{quote(name, safe='')}",
        doing,
        again=True,
        params={"fields": "size"},
    )
    if found.ok:
        return Staged(uri, (uri,), 0, 0, 1)
    if found.status_code != 404 or "object" not in found.text:
        raise from_google(found, doing)
    data = wheel.path.read_bytes()
    if hashlib.sha256(data).hexdigest() != wheel.sha256:
        raise UserError(
            _("{path} changed while it was staged").format(path=wheel.path), _("run the same command again")
        )
    digest = "md5=" + base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    put_object(target, holder, name, data, doing, headers={"X-Goog-Hash": digest})  # others have the same bytes
    return Staged(uri, (uri,), 1, len(data), 0)


@dataclass(frozen=True)
class Look:
    """What a bucket has of some data files, and what it lacks (`todo`). `key` is the hash of them all."""

    bucket: str
    key: str
    hashes: dict[Path, str]
    todo: tuple[Path, ...]
    todo_bytes: int

    @property
    def staged(self) -> Staged:
        """What is in place when `todo` has been sent."""
        folder = f"{self.bucket}/{FOLDER}/{self.key}"
        files = sorted(self.hashes)
        uris = tuple(f"{folder}/{file.name}" for file in files)
        uri = pattern(folder, [file.name for file in files])
        return Staged(uri, uris, len(self.todo), self.todo_bytes, len(files) - len(self.todo))


def stage_data(
    target: Target,
    bucket: str,
    files: Sequence[Path],
    cache: Path,
    progress: Progress | None = None,
    *,
    pushed: Sequence[str] = (),
) -> Staged:
    """Data files at <bucket>/data/<hash of all>/<name>: what is there already is not sent.

    Nothing is sent either when all of them are in one of `pushed`, where `data.push` puts them. `cache` is a file that
    remembers hashes by path, size and time of change, so that gigabytes are read once. Raises BadValue for files that
    share a name.
    """
    with ThreadPoolExecutor(1) as beside:  # hashing is done once: whoever comes second finds it in the cache
        hashes = _hashed(files, cache, progress)
        looking = [beside.submit(_allowed_look, target, one, hashes) for one in pushed]
        found = _look(target, bucket, hashes)
    for there in (one.result() for one in looking):
        if there is not None and not there.todo:
            return there.staged
    return send_data(target, found, progress)


def look(target: Target, bucket: str, files: Sequence[Path], cache: Path, progress: Progress | None = None) -> Look:
    """What the bucket has of these files. Raises BadValue for files that share a name."""
    return _look(target, bucket, _hashed(files, cache, progress))


def send_data(target: Target, found: Look, progress: Progress | None = None) -> Staged:
    """Send what the look found lacking."""
    if found.todo:
        holder, inside = apart(found.bucket)
        prefix = f"{inside}{FOLDER}/{found.key}/"
        tell = progress or (lambda _text: None)
        names = {file: prefix + file.name for file in found.todo}
        _upload(target, holder, names, found.todo_bytes, tell)
    return found.staged


def stage_folder(
    target: Target, bucket: str, folder: Path, names: Sequence[str], cache: Path, progress: Progress | None = None
) -> Staged:
    """Files of a folder at <bucket>/data/<hash of all>/<name>, each under its name in the folder."""
    tell = progress or (lambda _text: None)
    hashes = hash_files([folder / name for name in names], cache, tell)
    holder, inside = apart(bucket)
    prefix = f"{inside}{FOLDER}/{content_key({name: hashes[folder / name] for name in names})}/"
    present = _present(target, holder, prefix)
    sizes = {name: (folder / name).stat().st_size for name in names}
    todo = {folder / name: prefix + name for name, size in sizes.items() if present.get(prefix + name) != size}
    sent = sum(sizes[name] for name in names if folder / name in todo)
    if todo:
        _upload(target, holder, todo, sent, tell)
    uris = tuple(f"gs://{holder}/{prefix}{name}" for name in names)
    return Staged(f"gs://{holder}/{prefix.rstrip('/')}", uris, len(todo), sent, len(names) - len(todo))


def _allowed_look(target: Target, bucket: str, hashes: dict[Path, str]) -> Look | None:
    """The look at the account's data; None for somebody who may only submit, and stages what they need."""
    try:
        return _look(target, bucket, hashes)
    except UserError:
        return None


def _look(target: Target, bucket: str, hashes: dict[Path, str]) -> Look:
    key = content_key({file.name: digest for file, digest in hashes.items()})
    holder, inside = apart(bucket)
    prefix = f"{inside}{FOLDER}/{key}/"
    present = _present(target, holder, prefix)
    todo = tuple(f for f in sorted(hashes) if present.get(prefix + f.name) != f.stat().st_size)
    return Look(bucket, key, hashes, todo, sum(f.stat().st_size for f in todo))


def _hashed(files: Sequence[Path], cache: Path, progress: Progress | None) -> dict[Path, str]:
    """The files' hashes. Raises BadValue for names that can't be those of objects side by side."""
    names = [f.name for f in files]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise BadValue(_("two data files are called {name}").format(name=twice), _("give each its own name"))
    for file in files:
        # As an object it may be called so, but for a job `*` and `[` are a pattern, and a line end cuts the name off.
        if not usable(file.name):
            raise BadValue(
                _("a data file is called {name!r}").format(name=file.name),
                _("rename it: without control characters, brackets and any of {letters}").format(letters='<>:"\\|?*'),
            )
    return hash_files(files, cache, progress or (lambda _text: None))


def usable(name: str) -> bool:
    """Whether a data file can have this name: on every system, as an object, and in the address that a job is given."""
    return portable(name) and "[" not in name


def pattern(folder: str, names: Sequence[str]) -> str:
    """One address for all files: the file itself, or a wildcard with their common ending."""
    if len(names) == 1:
        return f"{folder}/{names[0]}"
    endings = {Path(n).suffix for n in names}
    return f"{folder}/*{endings.pop() if len(endings) == 1 else ''}"


def hash_files(files: Sequence[Path], cache: Path, tell: Progress = lambda _text: None) -> dict[Path, str]:
    """SHA-256 of each file, from the cache where path, size and time of change are as they were."""
    known = _load(cache)
    keys = {file: _stamp(file) for file in files}
    new = [file for file in files if keys[file] not in known]
    if new:
        tell(counted("reading {count} file ...", "reading {count} files ...", len(new)))
        with ThreadPoolExecutor(_THREADS) as pool:  # hashing lets go of the interpreter's lock
            fresh = dict(zip((keys[f] for f in new), pool.map(sha256, new), strict=True))
        paths = {key.rsplit("|", 2)[0] for key in fresh}
        kept = {k: v for k, v in known.items() if k.rsplit("|", 2)[0] not in paths}
        known = {**kept, **fresh}
        write_atomically(cache, json.dumps(known))
    return {file: known[keys[file]] for file in files}


def content_key(hashes: Mapping[str, str]) -> str:
    """One file is named by its own hash, several by the hash of the list of their names and hashes."""
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _load(cache: Path) -> dict[str, str]:
    try:
        found = read_json(cache)
    except (OSError, ValueError):
        return {}
    known = found.items() if isinstance(found, dict) else ()
    return {key: digest for key, digest in known if isinstance(digest, str) and DIGEST.fullmatch(digest)}


def _stamp(file: Path) -> str:
    about = file.stat()
    return f"{file.resolve()}|{about.st_size}|{about.st_mtime_ns}"


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _present(target: Target, bucket: str, prefix: str) -> dict[str, int]:
    """Size by name of the objects that are there."""
    url = f"https://storage.googleapis.com/storage/v1/b/{bucket}/o"
    fields = "items(name,size),nextPageToken"
    found = pages(target, url, "items", _("look at the staged data"), {"prefix": prefix, "fields": fields})
    return {item["name"]: int(item["size"]) for item in found}


def _upload(target: Target, bucket: str, names: Mapping[Path, str], total: int, tell: Progress) -> None:
    """Small files side by side, large ones in parts, each to its object. Raises UserError for the first that fails."""
    import google.api_core.exceptions
    import google.auth.exceptions
    import requests
    from google.cloud.storage import transfer_manager
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

    holder = target.storage().bucket(bucket)
    done = 0

    def count(file: Path) -> None:
        nonlocal done
        done += file.stat().st_size
        tell(_("staging data: {percent}%").format(percent=100 * done // max(total, 1)))

    small = [f for f in names if f.stat().st_size < _IN_PARTS]
    try:
        for start in range(0, len(small), 200):  # in groups, for the progress' sake
            group = small[start : start + 200]
            transfer_manager.upload_many(
                [(str(f), holder.blob(names[f])) for f in group],
                worker_type=transfer_manager.THREAD,
                max_workers=_THREADS,
                raise_exception=True,
            )
            for file in group:
                count(file)
        for file in names:
            if file not in small:
                transfer_manager.upload_chunks_concurrently(
                    str(file),
                    holder.blob(names[file]),
                    chunk_size=_PART,
                    worker_type=transfer_manager.THREAD,
                    max_workers=_THREADS,
                )
                count(file)
    except (
        google.api_core.exceptions.GoogleAPICallError,
        google.auth.exceptions.GoogleAuthError,
        requests.RequestException,
        InvalidResponse,
    ) as error:
        raise from_google(error, _("stage the data")) from None
    except DataCorruption as error:
        raise UserError(_("the data was damaged on its way: {error}").format(error=error), _("run it again")) from None
