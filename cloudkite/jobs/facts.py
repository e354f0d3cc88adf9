"""What a trainer wrote beside the model that a job left: trainer.json, with metrics, rows, options."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from cloudkite.accounts.api import send
from cloudkite.accounts.target import Target
from cloudkite.show.errors import UserError, from_google
from cloudkite.show.text import _

_FILE = "model/assets.extra/trainer.json"  # in a job's output folder
_LARGEST = 10_000_000  # bytes; a trainer's own is a thousandth of that


class Missing(UserError):
    """There is no such file, or it holds something else."""


def read(target: Target, output: str) -> dict[str, Any]:
    """The facts in a job's output folder, gs://BUCKET/FOLDER/. Raises Missing, or UserError if it can't be read."""
    bucket, _slash, folder = output.removeprefix("gs://").partition("/")
    name = _FILE.rpartition("/")[2]
    if not bucket:
        raise Missing(_("it left no model"))
    doing = _("look at {uri}").format(uri=output)
    object_name = quote(f"{folder.rstrip('/')}/{_FILE}", safe="")
    url = f"https://storage.googleapis.com/storage/v1/b/{quote(bucket, safe='')}/o/{object_name}"
    answer = send(target, "GET", url, doing, again=True, params={"alt": "media"})
    if answer.status_code == 404:
        raise Missing(_("its model has no {file}").format(file=name))
    if not answer.ok:
        raise from_google(answer, doing)
    try:
        found = json.loads(answer.content) if len(answer.content) <= _LARGEST else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Missing(_("its {file} can't be read").format(file=name))
    return {**found, **{part: _table(found.get(part)) for part in ("metrics", "rows", "run")}}


def _table(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}
