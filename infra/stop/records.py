"""Which stages were acted on, one small object each in a bucket of the account's own: it outlives the function.

Each write names the generation that it replaces, so that of two deliveries of a message one alone acts.
https://cloud.google.com/storage/docs/request-preconditions
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from .cloud import Session, refusal, send

_API = "https://storage.googleapis.com"


class Again(Exception):
    """Somebody else was quicker, or still acts: the message must come again."""


@dataclass(frozen=True)
class Record:
    """What an object says; `generation` 0 for one that isn't there. `written` is when, by the bucket's own clock."""

    value: dict[str, Any]
    generation: int
    written: datetime | None = None


@dataclass(frozen=True)
class Records:
    """The objects of one bucket."""

    session: Session
    bucket: str

    def get(self, name: str) -> Record:
        """Raises Refused."""
        answer = send(self.session, "GET", f"{_API}/storage/v1/b/{self.bucket}/o/{quote(name, safe='')}?alt=media")
        if answer.status_code == 404:
            return Record({}, 0)
        if not answer.ok:
            raise refusal(answer)
        try:
            value = json.loads(answer.content)
        except ValueError:  # changed by hand: as good as none, and replaced
            value = {}
        return Record(value if isinstance(value, dict) else {}, int(answer.headers["x-goog-generation"]))

    def put(self, name: str, value: dict[str, Any], generation: int) -> Record:
        """Replace that generation (0: there must be none). Raises Again where another one is there, Refused."""
        params = {"uploadType": "media", "name": name, "ifGenerationMatch": str(generation)}
        url = f"{_API}/upload/storage/v1/b/{self.bucket}/o"
        answer = send(
            self.session,
            "POST",
            url,
            params=params,
            data=json.dumps(value).encode(),
            headers={"Content-Type": "application/json"},
        )
        if answer.status_code == 412:
            raise Again(f"{name} was written by another delivery")
        if not answer.ok:
            raise refusal(answer)
        made = answer.json()
        return Record(value, int(made["generation"]), datetime.fromisoformat(made["updated"]))
