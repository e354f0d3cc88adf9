"""What the server remembers of uploads that take several requests: resumable sessions and XML multipart uploads."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from typing import Any

from localcloud.core.clock import Clock
from localcloud.core.errors import ApiError
from localcloud.storage.blobs import Blobs
from localcloud.storage.conditions import Conditions
from localcloud.storage.errors import no_upload
from localcloud.storage.metadata import Metadata
from localcloud.storage.objects import Content, Draft, Expected, Objects
from localcloud.storage.records import ObjectRecord

RESUMABLE, MULTIPART = "resumable", "multipart"
_WEEK = 7 * 24 * 3600  # https://cloud.google.com/storage/docs/resumable-uploads#session-uris


@dataclass(frozen=True)
class Upload:
    """One unfinished upload. `blob` takes a resumable one's bytes; `total` is their number, if said at its start.

    `result` is the generation of the object once it is finished, else 0: a client that missed the answer asks again.
    """

    id: str
    draft: Draft
    blob: str
    total: int | None
    result: int


@dataclass(frozen=True)
class Part:
    """One uploaded part of an XML multipart upload."""

    number: int
    blob: str
    size: int
    md5: bytes


class Uploads:
    """Sessions in the metadata, so that they go on after a restart."""

    def __init__(self, metadata: Metadata, blobs: Blobs, objects: Objects, clock: Clock) -> None:
        self._metadata = metadata
        self._blobs = blobs
        self._objects = objects
        self._clock = clock

    def forget_old(self) -> None:
        """End resumable sessions of more than a week ago, as Google does."""
        with self._metadata.transaction() as database:
            before = self._clock.time() - _WEEK
            database.execute("DELETE FROM uploads WHERE kind = ? AND started < ?", (RESUMABLE, before))

    def unfinished(self, kind: str, bucket: str) -> list[tuple[str, str, float]]:
        """(id, object, seconds since the epoch of its start) of each upload that is not over."""
        sql = "SELECT id, name, started FROM uploads WHERE kind = ? AND bucket = ? AND result = ''"
        return self._metadata.rows(sql, kind, bucket)

    def start(self, kind: str, draft: Draft, total: int | None = None) -> str:
        """A new session's id, which is its only key: whoever knows it may go on with the upload."""
        upload_id, blob = secrets.token_urlsafe(32), secrets.token_hex(16) if kind == RESUMABLE else ""
        request = json.dumps({"draft": asdict(draft), "total": total})
        values = (upload_id, kind, draft.bucket, draft.name, blob, request, self._clock.time())
        with self._metadata.transaction() as database:
            database.execute(
                "INSERT INTO uploads (id, kind, bucket, name, blob, request, started) VALUES (?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        return upload_id

    def get(self, kind: str, upload_id: str, bucket: str = "", name: str = "") -> Upload:
        """Raises 404 for one that is not there, or not of this bucket and name where they are given."""
        sql = "SELECT bucket, name, blob, request, result FROM uploads WHERE id = ? AND kind = ?"
        rows = self._metadata.rows(sql, upload_id, kind)
        if not rows or (bucket and rows[0][:2] != (bucket, name)):
            raise no_upload()
        kept = json.loads(rows[0][3])
        return Upload(upload_id, _draft(kept["draft"]), rows[0][2], kept["total"], int(rows[0][4] or 0))

    def finish(self, upload: Upload, content: Content, expected: Expected) -> ObjectRecord:
        """Make the object and end the session in one step. Raises 404, 412, 400, 403, 429.

        An upload that is refused is over, but for one in parts over a protected object: that waits to be aborted.
        """
        try:
            with self._metadata.transaction() as database:
                made = self._objects.commit(upload.draft, content, expected)
                done = "UPDATE uploads SET blob = '', result = ? WHERE id = ?"
                database.execute(done, (str(made.generation), upload.id))
                self._drop_parts(upload.id)
            return made
        except ApiError as error:
            if error.code == 429 or (error.code == 403 and not upload.blob):
                raise
            self.cancel(upload.id)
            raise

    def cancel(self, upload_id: str) -> None:
        """Forget a session and its bytes; nothing happens when there is none."""
        with self._metadata.transaction() as database:
            rows = self._metadata.rows("SELECT blob FROM uploads WHERE id = ? AND blob <> ''", upload_id)
            self._drop_parts(upload_id)
            database.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))
            self._metadata.after_commit(lambda: self._blobs.discard(row[0] for row in rows))

    # Parts of XML multipart uploads

    def put_part(self, upload_id: str, part: Part) -> None:
        """Keep a part, in place of an earlier one of its number."""
        with self._metadata.transaction() as database:
            sql = "SELECT blob FROM parts WHERE upload = ? AND number = ?"
            old = self._metadata.rows(sql, upload_id, part.number)
            values = (upload_id, part.number, part.blob, part.size, part.md5)
            database.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?)", values)
            self._metadata.after_commit(lambda: self._blobs.discard(row[0] for row in old))

    def parts(self, upload_id: str) -> list[Part]:
        """By number."""
        sql = "SELECT number, blob, size, md5 FROM parts WHERE upload = ? ORDER BY number"
        return [Part(*row) for row in self._metadata.rows(sql, upload_id)]

    def _drop_parts(self, upload_id: str) -> None:
        blobs = [part.blob for part in self.parts(upload_id)]
        with self._metadata.transaction() as database:
            database.execute("DELETE FROM parts WHERE upload = ?", (upload_id,))
            self._metadata.after_commit(lambda: self._blobs.discard(blobs))


def _draft(kept: dict[str, Any]) -> Draft:
    conditions, expected = Conditions(**kept["conditions"]), Expected(**kept["expected"])
    return Draft(kept["bucket"], kept["name"], kept["settings"], kept["storage_class"], conditions, expected)
