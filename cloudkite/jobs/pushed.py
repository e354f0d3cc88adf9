"""A trainer's data in the account's data bucket: what is there, and the way back to a folder here.

The bytes lie as those that are staged for a job do (staging.py), under data/<hash of all>/<name>, so a job takes them
from there. A record, pushed/<trainer>/<hash of all>.json, is written last: data without one never arrived whole. It
lists names and hashes, and is called by the hash of that list, so nobody can change one without the other.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from cloudkite import names
from cloudkite.accounts.api import pages, put_object, send
from cloudkite.accounts.target import Target
from cloudkite.jobs import staging
from cloudkite.jobs.service import moment
from cloudkite.jobs.staging import DIGEST, FOLDER, Look, Progress, Staged
from cloudkite.show import amounts
from cloudkite.show.errors import BadValue, UserError, from_google
from cloudkite.show.text import _, counted
from cloudkite.workspace import private_folder

RECORDS = "pushed"  # the folder of the records
_THREADS = 8
_TRIES = 4  # for a download that is cut off; each goes on where the last stopped
_BLOCK = 2**20  # bytes
_LARGEST_RECORD = 64 * 2**20  # bytes; a name and a hash take about 150


@dataclass(frozen=True)
class Stored:
    """Data in the bucket: `hash` of all `files`, `bytes` in all, when the last part came, which `trainers` pushed it.

    Without trainers it is what a push left that did not end.
    """

    hash: str
    files: tuple[str, ...]
    bytes: int
    date: datetime.datetime
    trainers: tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """What a pull will do: the objects by their file's name, and which of them are not in the folder yet."""

    bucket: str
    hash: str
    folder: Path
    hashes: dict[str, str]
    objects: dict[str, dict[str, Any]]
    todo: tuple[str, ...]

    @property
    def todo_bytes(self) -> int:
        """The bytes to receive."""
        return sum(int(self.objects[name]["size"]) for name in self.todo)


def push(target: Target, trainer: str, found: Look, progress: Progress | None = None) -> Staged:
    """Send what the bucket lacks, then the record. A push that was killed goes on with the files that are missing."""
    staged = staging.send_data(target, found, progress)
    holder, inside = staging.apart(found.bucket)
    files = [
        {"name": file.name, "size": file.stat().st_size, "sha256": digest} for file, digest in found.hashes.items()
    ]
    record = json.dumps({"files": sorted(files, key=lambda file: str(file["name"]))}).encode()
    # Where it is there already it can only say the same, by its name.
    put_object(
        target,
        holder,
        inside + _record(trainer, found.key),
        record,
        _("record what was pushed"),
        headers={"Content-Type": "application/json"},
    )
    return staged


def stored(target: Target, bucket: str) -> list[Stored]:
    """What is in the bucket, newest first. Objects that nobody pushed from here are left out."""
    trainers: dict[str, list[str]] = {}
    for item in _objects(target, bucket, f"{RECORDS}/"):
        _folder, _slash, rest = item["name"].partition("/")
        trainer, _slash, file = rest.rpartition("/")
        if trainer and DIGEST.fullmatch(file.removesuffix(".json")):
            trainers.setdefault(file.removesuffix(".json"), []).append(trainer)
    found: dict[str, list[dict[str, Any]]] = {}
    for item in _objects(target, bucket, f"{FOLDER}/"):
        key, _slash, name = item["name"].removeprefix(f"{FOLDER}/").partition("/")
        if DIGEST.fullmatch(key) and name:
            found.setdefault(key, []).append(item)
    made = [
        Stored(
            key,
            tuple(item["name"].split("/", 2)[2] for item in items),
            sum(int(item["size"]) for item in items),
            max(moment(item["updated"]) for item in items),
            tuple(sorted(trainers.get(key, ()))),
        )
        for key, items in found.items()
    ]
    return sorted(made, key=lambda one: one.date, reverse=True)


def newest(found: Iterable[Stored], trainer: str, start: str = "") -> Stored:
    """The newest data that the trainer pushed, or the one whose hash begins so. Raises BadValue."""
    own = [one for one in found if trainer in one.trainers]
    fitting = [one for one in own if one.hash.startswith(start)]
    if not own:
        raise BadValue(
            _("{trainer} pushed no data yet").format(trainer=trainer),
            _("uv run invoke data.push {trainer}").format(trainer=trainer),
        )
    hint = _("uv run invoke data.list shows the hashes")
    if not fitting:
        said = _("{trainer} pushed no data whose hash begins with {start}")
        raise BadValue(said.format(trainer=trainer, start=start), hint)
    if start and len(fitting) > 1:
        shown = ", ".join(one.hash[:16] for one in fitting[:3])
        raise BadValue(_("{start} begins several hashes: {hashes}").format(start=start, hashes=shown), hint)
    return fitting[0]


def wanted(target: Target, bucket: str, trainer: str, key: str, folder: Path) -> Wanted:
    """What a pull of that data into `folder` has to do.

    Raises UserError for a record that isn't true or a file that is gone, BadValue for a file in the way.
    """
    hashes = _read_record(target, bucket, trainer, key)
    prefix = f"{FOLDER}/{key}/"
    objects = {item["name"].removeprefix(prefix): item for item in _objects(target, bucket, prefix)}
    if gone := sorted(set(hashes) - set(objects)):
        raise UserError(
            _("{name} is not in the bucket any more").format(name=gone[0]),
            _("push the data again where they are: uv run invoke data.push {trainer}").format(trainer=trainer),
        )
    todo = []
    for name, digest in hashes.items():
        file = folder / name
        if not os.path.lexists(file):
            todo.append(name)
        elif not file.is_file() or staging.sha256(file) != digest:
            raise BadValue(
                _("{path} is another file, and is not replaced").format(path=amounts.short(file)),
                _("move it elsewhere, or pull into another folder: --output FOLDER"),
            )
    return Wanted(bucket, key, folder, hashes, {name: objects[name] for name in hashes}, tuple(todo))


def pull(target: Target, what: Wanted, progress: Progress | None = None) -> None:
    """Download what is lacking, and put all files in place together once each has the hash that it should.

    What a killed pull received stays in a folder beside, and is gone on with. Raises UserError.
    """
    if not what.todo:
        return
    tell = progress or (lambda _text: None)
    part = what.folder / f".cloudkite-pull-{what.hash[:16]}"
    if part.is_symlink():
        part.unlink()
    private_folder(part)
    tell(counted("pulling {count} file ...", "pulling {count} files ...", len(what.todo)))
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(lambda name: _receive(target, what, name, part / name), what.todo))
    for name in what.todo:
        if os.path.lexists(what.folder / name):  # a download takes long enough for somebody to put something there
            raise BadValue(
                _("{path} is another file, and is not replaced").format(path=amounts.short(what.folder / name)),
                _("move it elsewhere, then run the same command again"),
            )
        (part / name).rename(what.folder / name)
    with contextlib.suppress(OSError):  # it is empty but for what somebody else put there
        shutil.rmtree(part)


def _receive(target: Target, what: Wanted, name: str, part: Path) -> None:
    import requests

    item, doing = what.objects[name], _("pull {name}").format(name=name)
    holder, inside = staging.apart(what.bucket)
    url = f"https://storage.googleapis.com/storage/v1/b/{holder}/o/"
    size, lost = int(item["size"]), None
    for _try in range(_TRIES):
        have = _received(part, size)
        if have == size:
            break
        response = send(
            target,
            "GET",
            url + quote(inside + item["name"], safe=""),
            doing,
            again=True,
            params={"alt": "media", "generation": item["generation"]},
            headers={"Range": f"bytes={have}-", "Accept-Encoding": "identity"},
            stream=True,
        )
        if not response.ok:
            raise from_google(response, doing)
        try:
            with response, _open(part, again=response.status_code == 206) as file:
                for block in response.iter_content(_BLOCK):
                    file.write(block)
        except requests.RequestException as error:
            lost = error
    if _received(part, size) != size:
        raise (
            from_google(lost, doing)
            if lost
            else UserError(
                _("{name} did not arrive whole").format(name=name), _("run the same command again: it goes on")
            )
        )
    if staging.sha256(part) != what.hashes[name]:
        part.unlink()
        raise UserError(
            _("{name} is not what was pushed: its hash is another").format(name=name),
            _("run the same command again; if that does not help, push the data again where they are"),
        )


def _received(part: Path, size: int) -> int:
    """The bytes that are there already; the file is made if it is missing, as no request brings an empty one."""
    if part.is_symlink() or (part.exists() and part.stat().st_size > size):
        part.unlink()
    _open(part, again=True).close()
    return part.stat().st_size


def _open(part: Path, again: bool) -> IO[bytes]:
    """The file to write to: at its end, or anew. Only its owner can read it."""
    flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(part, flags | (os.O_APPEND if again else os.O_TRUNC), 0o600), "ab" if again else "wb")


def _read_record(target: Target, bucket: str, trainer: str, key: str) -> dict[str, str]:
    """The hashes by name that a record tells. Raises UserError unless they give the hash that it is called by."""
    doing = _("look up what {trainer} pushed").format(trainer=trainer)
    holder, inside = staging.apart(bucket)
    url = f"https://storage.googleapis.com/storage/v1/b/{holder}/o/"
    answer = send(
        target, "GET", url + quote(inside + _record(trainer, key), safe=""), doing, again=True, params={"alt": "media"}
    )
    if not answer.ok:
        raise from_google(answer, doing)
    hashes = _hashes(answer.content) if len(answer.content) <= _LARGEST_RECORD else {}
    if not hashes or staging.content_key(hashes) != key:
        raise UserError(
            _("the record of what {trainer} pushed was changed").format(trainer=trainer),
            _("push the data again where they are: uv run invoke data.push {trainer}").format(trainer=trainer),
        )
    return hashes


def _hashes(record: bytes) -> dict[str, str]:
    """Name and hash of each file; {} for what no push wrote, such as a name that leads to another folder."""
    try:
        files = json.loads(record)["files"]
        found = {file["name"]: file["sha256"] for file in files}
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}
    sound = all(
        isinstance(name, str) and staging.usable(name) and isinstance(digest, str) and DIGEST.fullmatch(digest)
        for name, digest in found.items()
    )
    return found if sound and len({names.key(name) for name in found}) == len(files) else {}


def _record(trainer: str, key: str) -> str:
    return f"{RECORDS}/{trainer}/{key}.json"


def _objects(target: Target, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    holder, inside = staging.apart(bucket)
    url = f"https://storage.googleapis.com/storage/v1/b/{holder}/o"
    wanted = {"prefix": inside + prefix, "fields": "items(name,size,generation,updated),nextPageToken"}
    for item in pages(target, url, "items", _("look at the account's data"), wanted):
        yield {**item, "name": item["name"].removeprefix(inside)}
