"""Durable JSON resources by their full name: all the storage that a simple API needs."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from localcloud.core.errors import ApiError
from localcloud.core.state import database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS documents_kind ON documents (kind, name);
"""

Body = dict[str, Any]


class Documents:
    """Resources such as "projects/p/locations/r/repositories/x", each with a kind and a JSON body.

    Each change is one SQLite transaction; all methods may be called from any thread. What is given and taken are
    copies: a body changes only through `put` and `patch`.
    """

    def __init__(self, path: Path) -> None:
        self._database = database.connect(path, _SCHEMA)
        self._lock = threading.RLock()

    def create(self, name: str, kind: str, body: Body) -> Body:
        """Keep a new resource. Raises 409 ALREADY_EXISTS."""
        with self._lock:
            if self.find(name) is not None:
                raise ApiError(409, f"Resource '{name}' already exists.", reason="alreadyExists")
            return self.put(name, kind, body)

    def put(self, name: str, kind: str, body: Body) -> Body:
        """Keep a resource, new or not."""
        text = json.dumps(body)
        with self._lock:
            self._database.execute(
                "INSERT INTO documents VALUES (?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, body = excluded.body",
                (name, kind, text),
            )
        return json.loads(text)

    def find(self, name: str) -> Body | None:
        """The resource, or None."""
        with self._lock:
            row = self._database.execute("SELECT body FROM documents WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def get(self, name: str) -> Body:
        """The resource. Raises 404 NOT_FOUND."""
        body = self.find(name)
        if body is None:
            raise ApiError(404, f"Resource '{name}' was not found.")
        return body

    def patch(self, name: str, changes: Body, mask: str | Iterable[str] | None = None) -> Body:
        """Change the fields that `mask` names ("a.b,c" or several), or without a mask all top fields of `changes`.

        A field that the mask names and `changes` lacks is cleared. Raises 404.
        """
        with self._lock:
            row = self._database.execute("SELECT kind FROM documents WHERE name = ?", (name,)).fetchone()
            merged = apply_mask(self.get(name), changes, mask)
            return self.put(name, row[0], merged)

    def delete(self, name: str) -> Body:
        """Forget the resource and give what it was. Raises 404."""
        with self._lock:
            body = self.get(name)
            self._database.execute("DELETE FROM documents WHERE name = ?", (name,))
            return body

    def forget(self, kinds: str, prefix: str) -> None:
        """Forget all resources whose kind starts with `kinds` and whose name with `prefix`."""
        with self._lock:
            self._database.execute(
                "DELETE FROM documents WHERE substr(kind, 1, ?) = ? AND substr(name, 1, ?) = ?",
                (len(kinds), kinds, len(prefix), prefix),
            )

    def list(self, kind: str, prefix: str = "") -> list[Body]:
        """All resources of `kind` whose name starts with `prefix`, by name."""
        with self._lock:
            rows = self._database.execute(
                "SELECT body FROM documents WHERE kind = ? AND substr(name, 1, ?) = ? ORDER BY name",
                (kind, len(prefix), prefix),
            ).fetchall()
        return [json.loads(row[0]) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many resources there are of each kind."""
        with self._lock:
            return dict(self._database.execute("SELECT kind, count(*) FROM documents GROUP BY kind ORDER BY kind"))

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        with self._lock:
            self._database.close()


def apply_mask(body: Body, changes: Body, mask: str | Iterable[str] | None) -> Body:
    """`body` with the fields of a google.protobuf.FieldMask (JSON or snake_case paths, "*" for all) from `changes`."""
    merged: Body = json.loads(json.dumps(body))
    paths = mask.split(",") if isinstance(mask, str) else list(mask or ())
    paths = [path.strip() for path in paths if path.strip()]
    if not paths or "*" in paths:
        return merged | changes
    for path in paths:
        *parents, last = [re.sub(r"_([a-z])", lambda m: m[1].upper(), part) for part in path.split(".")]
        source: Any = changes
        target = merged
        for parent in parents:
            source = source.get(parent) if isinstance(source, dict) else None
            target = target.setdefault(parent, {})
        if isinstance(source, dict) and last in source:
            target[last] = source[last]
        else:
            target.pop(last, None)
    return merged
