"""What one learner has in the buckets that a class shares: how much, deleted when they leave."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import quote

from cloudkite.accounts.api import pages, send
from cloudkite.accounts.membership import FOLDER
from cloudkite.accounts.target import Target
from cloudkite.jobs.staging import apart
from cloudkite.show.errors import from_google
from cloudkite.show.text import _

_URL = "https://storage.googleapis.com/storage/v1/b"
_THREADS = 8


@dataclass(frozen=True)
class Held:
    """A learner's objects in one bucket: their names by size in bytes."""

    purpose: str
    bucket: str
    prefix: str
    sizes: dict[str, int]

    @property
    def bytes(self) -> int:
        return sum(self.sizes.values())


def held(target: Target, learner: str) -> list[Held]:
    """What the learner has in each bucket of the account, where there is anything. Raises UserError."""
    prefix, found = f"{FOLDER}/{learner}/", []
    for purpose, uri in target.account.outputs().buckets.items():
        bucket, _inside = apart(uri)
        doing = _("look at the folder {prefix} of {bucket}").format(prefix=prefix, bucket=bucket)
        wanted = {"prefix": prefix, "fields": "items(name,size),nextPageToken"}
        rows = pages(target, f"{_URL}/{bucket}/o", "items", doing, wanted)
        if sizes := {row["name"]: int(row["size"]) for row in rows}:
            found.append(Held(purpose, bucket, prefix, sizes))
    return found


def delete(target: Target, found: list[Held], tell: Callable[[str], None]) -> None:
    """Delete all of it; what is gone already is no mistake. Raises UserError for the first that can't be deleted."""
    target.session()  # made once, before threads ask for it
    for one in found:
        doing = _("delete {what} of {bucket}").format(what=one.prefix, bucket=one.bucket)
        tell(f"{doing} ...")

        def gone(name: str, bucket: str = one.bucket, doing: str = doing) -> None:
            answer = send(target, "DELETE", f"{_URL}/{bucket}/o/{quote(name, safe='')}", doing, again=True)
            if not answer.ok and answer.status_code != 404:
                raise from_google(answer, doing)

        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(gone, one.sizes))
