"""The state of an account that a team shares: in a bucket of the project, by the engine's own back-end for buckets.

The folder of this computer keeps a copy, fetched again after whatever may have changed it, for all that only reads the
state. Who else is at work is known by the locks that engines leave in the bucket (docs/decisions/0031).
"""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cloudkite import interrupts
from cloudkite.accounts.api import call, pages, put_object, send
from cloudkite.accounts.target import Target
from cloudkite.engine import state
from cloudkite.engine.folder import Folder, write_if_new
from cloudkite.show.errors import UserError, from_google
from cloudkite.show.text import _
from cloudkite.workspace import write_atomically

_BASE = "https://storage.googleapis.com"
_PHRASE = ".cloudkite/passphrase"
_PATIENCE = 1200.0  # seconds to wait for somebody else's run, longer than most take
_LOOK = 1.0  # seconds between two looks at the locks
_HISTORY_DAYS = 30
_UNDELETE_DAYS = 7

Progress = Callable[[str], Any]


@dataclass(frozen=True)
class Holder:
    """An engine that is at work on the account, as its lock in the bucket tells."""

    who: str
    computer: str
    pid: int
    since: str

    def __str__(self) -> str:
        return _("{who} on {computer} (process {pid}, since {since})").format(
            who=self.who, computer=self.computer, pid=self.pid, since=self.since
        )


@dataclass
class Shared:
    """One account's state in its bucket."""

    folder: Folder
    target: Target
    progress: Progress = field(repr=False)
    _generation: str = ""

    @property
    def url(self) -> str:
        """What the engine calls the back-end."""
        return f"gs://{name_of(self.folder)}"

    def pull(self) -> None:
        """Make this computer's copy what the bucket has. Raises UserError."""
        answer = self._get(self._checkpoint)
        path = self.folder.checkpoint
        if answer is None:
            self._generation = ""
            path.unlink(missing_ok=True)
            return
        self._generation = answer.headers.get("X-Goog-Generation", "")
        write_atomically(path, answer.text, 0o600)

    def outputs(self) -> Mapping[str, Any]:
        """What `up` made, for who may read that and nothing else of the state; empty where it never ran.

        Raises UserError.
        """
        answer = self._get(self._checkpoint)
        try:
            rows = state.parse(answer.text).rows if answer is not None else ()
        except (ValueError, TypeError, KeyError, AttributeError):
            rows = ()  # what is wrong with it, `up` says
        return next((row.get("outputs") or {} for row in rows if row["type"] == "pulumi:pulumi:Stack"), {})

    def settle(self) -> None:
        """Wait until nobody else is at work, and fetch what the last one left. Raises UserError after a long while."""
        while True:
            self.wait()
            self.pull()
            before = self._generation
            if not self._others():  # else it may be of the middle of a run
                self.pull()
                if self._generation == before:
                    return

    def wait(self) -> None:
        """Wait while somebody else is at work, and say for whom. Raises UserError after a long while."""
        deadline, told = time.monotonic() + _PATIENCE, ""
        while found := self._others():
            if (now := str(found[0])) != told:
                self.progress(
                    _("account {name} is being changed by {who}: waiting ...").format(
                        name=self.folder.account.name, who=now
                    )
                )
                told = now
            if time.monotonic() > deadline:
                raise self.held(found[0])
            interrupts.pause(_LOOK)

    def held(self, by: Holder) -> UserError:
        """Somebody else's run does not end."""
        name = self.folder.account.name
        return UserError(
            _("account {name} is being changed by {who}").format(name=name, who=by),
            _(
                'ask them; if that run is dead: eval "$(uv run invoke account.env {name})", '
                "then in infra: pulumi cancel --yes"
            ).format(name=name),
        )

    def _others(self) -> list[Holder]:
        """Engines at work. A lock of this computer whose engine is dead is removed."""
        found = []
        prefix = f"{self._key(self.folder.engine_locks)}/"
        for name in self._names(prefix):
            if (answer := self._get(name)) is None:
                continue  # it has ended meanwhile
            try:
                lock = json.loads(answer.text)
                holder = Holder(
                    str(lock["username"]), str(lock["hostname"]), int(lock["pid"]), str(lock["timestamp"])[:19] + "Z"
                )
            except (ValueError, TypeError, KeyError, RecursionError):
                continue  # the engine itself leaves out what is no lock
            if holder.computer == socket.gethostname() and not state.is_engine(holder.pid):
                self._delete(name)
            else:
                found.append(holder)
        return found

    def remove(self) -> bool:
        """Delete the bucket once nothing is left that its state tells of; not while it has another account's in it."""
        bucket = name_of(self.folder)
        if set(self._names(".pulumi/stacks/", json_only=True)) - {self._checkpoint}:
            return False
        # Where versioning was turned on, what an object was before is there until it is named by its generation.
        for item in [*self._items("", versions="true")]:
            self._delete(item["name"], item["generation"])
        call(self.target, "DELETE", f"{_BASE}/storage/v1/b/{bucket}", _("delete the bucket {name}").format(name=bucket))
        for path in (self.folder.checkpoint, _marker(self.folder)):
            path.unlink(missing_ok=True)
        return True

    # --- objects

    @property
    def _checkpoint(self) -> str:
        return self._key(self.folder.checkpoint)

    def _key(self, path: Path) -> str:
        """The name in the bucket of what the engine keeps at a path of its file back-end."""
        return path.relative_to(self.folder.backend).as_posix()

    def _place(self, name: str) -> str:
        return f"{_BASE}/storage/v1/b/{name_of(self.folder)}/o/{quote(name, safe='')}"

    def _names(self, prefix: str, json_only: bool = False) -> Iterator[str]:
        for item in self._items(prefix):
            if not json_only or item["name"].endswith(".json"):
                yield item["name"]

    def _items(self, prefix: str, **more: str) -> Iterator[dict[str, Any]]:
        url = f"{_BASE}/storage/v1/b/{name_of(self.folder)}/o"
        wanted = {"prefix": prefix, "fields": "items(name,generation),nextPageToken", **more}
        return pages(self.target, url, "items", self._doing, wanted)

    def _get(self, name: str) -> Any:
        """The answer with an object's content; None when there is none."""
        answer = send(self.target, "GET", self._place(name), self._doing, again=True, params={"alt": "media"})
        if answer.status_code == 404:
            return None
        if not answer.ok:
            raise from_google(answer, self._doing)
        return answer

    def put_new(self, name: str, text: str) -> bool:
        """Write an object, unless there is one; says whether it did."""
        return put_object(self.target, name_of(self.folder), name, text.encode(), self._doing)

    def _delete(self, name: str, generation: str = "") -> None:
        which = {"generation": generation} if generation else None
        answer = send(self.target, "DELETE", self._place(name), self._doing, again=True, params=which)
        if not answer.ok and answer.status_code != 404:
            raise from_google(answer, self._doing)

    @property
    def _doing(self) -> str:
        return _("read the state of account {name}").format(name=self.folder.account.name)

    # --- the beginning

    def join(self) -> None:
        """Take the team's pass-phrase, and give the team what this computer alone had. Raises UserError."""
        self._share_passphrase()
        folder, marker = self.folder, _marker(self.folder)
        if folder.checkpoint.is_file() and not marker.is_file():
            own = folder.checkpoint.read_text(encoding="utf-8")
            state.read(folder)  # what can't be read is nobody's state
            if self.put_new(self._checkpoint, own):
                self.progress(
                    _("the state of account {name} is in {url} from now on").format(
                        name=folder.account.name, url=self.url
                    )
                )
            elif self._get(self._checkpoint).text != own:
                aside = _own(folder)
                write_atomically(aside, own, 0o600)
                self.progress(
                    _("the state of account {name} is the one in {url}; this computer's own is in {path}").format(
                        name=folder.account.name, url=self.url, path=aside
                    )
                )
        write_if_new(marker, self.url + "\n")
        self.pull()

    def _share_passphrase(self) -> None:
        path = self.folder.passphrase
        own = path.read_text(encoding="utf-8") if path.is_file() else ""
        answer = self._get(_PHRASE)
        if answer is None and self.put_new(_PHRASE, own or secrets.token_urlsafe(32)):
            answer = self._get(_PHRASE)
        answer = answer or self._get(_PHRASE)
        if answer is not None and answer.text != own:
            write_atomically(path, answer.text, 0o600)
            self.folder.settings.unlink(missing_ok=True)  # its salt is of another pass-phrase


def name_of(folder: Folder) -> str:
    """The bucket of an account's state: it must be there before all others, so no program declares it."""
    return f"{folder.account.project}-state"


def _marker(folder: Folder) -> Path:
    return folder.account.state / "shared"


def share(folder: Folder, target: Target, progress: Progress, *, make: bool) -> Shared | None:
    """The team's state, or None for an account that keeps its own, or whose bucket is yet to be made (unless `make`).

    Raises UserError for a bucket of that name that is somebody else's: they would read, or write, the state.
    """
    if not folder.account.shared:
        if _marker(folder).is_file():
            raise UserError(
                _("the state of account {name} is in {url}, and its settings no longer say so").format(
                    name=folder.account.name, url=f"gs://{name_of(folder)}"
                ),
                _("put `cloudkite:state: bucket` back into {path}").format(path=folder.account.settings),
            )
        return None
    if not _is_there(folder, target):
        _forget(folder, progress)
        if not make:
            return None
        _make(folder, target)
    shared = Shared(folder, target, progress)
    shared.join()
    return shared


def _forget(folder: Folder, progress: Progress) -> None:
    """The bucket is gone: a colleague took all down, or somebody deleted it. What exists will be taken over."""
    if not _marker(folder).is_file():
        return
    if folder.checkpoint.is_file():
        aside = _own(folder)
        folder.checkpoint.replace(aside)
        progress(
            _("{url} is gone; this computer's copy of what was in it is in {path}").format(
                url=f"gs://{name_of(folder)}", path=aside
            )
        )
    _marker(folder).unlink()


def _own(folder: Folder) -> Path:
    return folder.account.state / "state.own.json"


def _is_there(folder: Folder, target: Target) -> bool:
    """Whether the project has the bucket: one of that name in another project is not in this list."""
    name, project = name_of(folder), folder.account.project
    wanted = {"project": project, "prefix": name, "fields": "items(name),nextPageToken"}
    doing = _("look for the bucket {name}").format(name=name)
    return any(item["name"] == name for item in pages(target, f"{_BASE}/storage/v1/b", "items", doing, wanted))


def _make(folder: Folder, target: Target) -> None:
    name, account = name_of(folder), folder.account
    doing = _("make the bucket {name}").format(name=name)
    history = {"age": _HISTORY_DAYS, "matchesPrefix": [".pulumi/history/"]}
    body = {
        "name": name,
        "location": account.region,
        "labels": {"managed-by": "cloudkite", "account": account.name},
        "iamConfiguration": {
            "uniformBucketLevelAccess": {"enabled": True},
            "publicAccessPrevention": "enforced",
        },
        "softDeletePolicy": {"retentionDurationSeconds": str(_UNDELETE_DAYS * 86400)},
        "lifecycle": {"rule": [{"action": {"type": "Delete"}, "condition": history}]},
    }
    answer = send(
        target, "POST", f"{_BASE}/storage/v1/b", doing, again=True, params={"project": account.project}, json=body
    )
    if answer.ok or (answer.status_code == 409 and _is_there(folder, target)):
        return
    if answer.status_code == 409:
        raise UserError(
            _("the bucket {name} is somebody else's").format(name=name),
            _("take `cloudkite:state: bucket` out of {path}").format(path=account.settings),
        )
    raise from_google(answer, doing)
