"""The copies that `up` leaves in an account's bucket of models: found there, and brought to another computer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cloudkite import locks
from cloudkite.accounts import settings
from cloudkite.accounts.api import pages, send
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.engine import cli, failures, state
from cloudkite.engine.backup import KEPT
from cloudkite.engine.folder import SECRET, SIGNATURE, Folder
from cloudkite.engine.run import Progress, silent, write_outputs
from cloudkite.show.errors import UserError, from_google
from cloudkite.show.text import _
from cloudkite.workspace import write_atomically

_STORAGE = "https://storage.googleapis.com/storage/v1/b"
_MOST = 50_000_000  # bytes of a state; a large one has less than a hundredth


@dataclass(frozen=True)
class Copy:
    """One account's copies in a bucket. `settings` is "" where `up` was older than that copy; `state` is JSON."""

    account: str
    project: str
    target: str
    bucket: str
    updated: str
    settings: str
    state: str

    @property
    def resources(self) -> int:
        """How many things of the cloud the state tells of."""
        return len(state.parse(self.state).resources)


def copies(target: Target, project: str) -> list[Copy]:
    """Those in the project's own buckets; a copy that isn't whole is none. Raises UserError."""
    doing = _("look for the state of an account in project {project}").format(project=project)
    query = {"project": project, "prefix": f"{project}-models", "fields": "items(name),nextPageToken"}
    found = []
    for bucket in [row["name"] for row in pages(target, _STORAGE, "items", doing, query)]:
        wanted = {"prefix": KEPT, "fields": "items(name,size,updated,metadata),nextPageToken"}
        rows = {row["name"]: row for row in pages(target, f"{_STORAGE}/{bucket}/o", "items", doing, wanted)}
        for name, row in rows.items():
            if name.endswith(".json") and int(row.get("size", 0)) <= _MOST:
                about, beside = row.get("metadata") or {}, f"{name.removesuffix('.json')}.yaml"
                one = Copy(
                    account=name.removeprefix(KEPT).removesuffix(".json"),
                    project=str(about.get("project", "")),
                    target=str(about.get("target", "")),
                    bucket=bucket,
                    updated=str(row.get("updated", ""))[:19].replace("T", " "),
                    settings=_text(target, bucket, beside, doing) if beside in rows else "",
                    state=_text(target, bucket, name, doing),
                )
                if _is_whole(one):
                    found.append(one)
    return found


def _text(target: Target, bucket: str, name: str, doing: str) -> str:
    answer = send(target, "GET", f"{_STORAGE}/{bucket}/o/{quote(name, safe='')}", doing, again=True,
                  params={"alt": "media"})  # fmt: skip
    if not answer.ok:
        raise from_google(answer, doing)
    return answer.content.decode("utf-8", "replace")


def _is_whole(one: Copy) -> bool:
    try:
        return bool(state.parse(one.state).rows)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False


def bring(account: Account, target: Target, one: Copy, config: Mapping[str, Any], progress: Progress = silent) -> None:
    """Make a copy this computer's state of an account that has none here; `config` is that of its settings.

    The pass-phrase stays where it was made: here there is another. What the old one encrypts can be told without it,
    labels, and a token of which each run has a new one. Can be cut off and called again. Raises UserError where there
    is another state.
    """
    from cloudkite.engine.stack import Stack

    folder, wanted = Folder(account), settings.check(config, account.name)
    program = cli.find(progress)
    document = json.loads(one.state)
    latest = document["checkpoint"]["latest"]
    latest["resources"] = _without_secrets(latest.get("resources") or ())
    try:
        with locks.exclusive(folder.lock):
            if account.outputs_file.is_file() and _urns(state.read(folder).rows) != _urns(latest["resources"]):
                raise UserError(
                    _("account {name} has a state on this computer").format(name=account.name),
                    _("uv run invoke up --account {name} compares it with what is there").format(name=account.name),
                )
            folder.checkpoint.unlink(missing_ok=True)  # of a recovery that was cut off, or of none
            folder.prepare(config)
            Stack(folder, target, program, wanted).make()  # with the salt of this computer's pass-phrase
            latest["secrets_providers"] = {"type": "passphrase", "state": {"salt": folder.salt()}}
            write_atomically(folder.checkpoint, json.dumps(document, indent=4), 0o600)
            rows = latest["resources"]
            outputs = next((row.get("outputs") or {} for row in rows if row["type"] == "pulumi:pulumi:Stack"), {})
            if outputs:  # last: from then on the account is set up
                write_outputs(account, outputs)
    except locks.Held as other:
        raise failures.held(folder, other.pid) from None


def _urns(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    return {row["urn"] for row in rows}


def _without_secrets(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The resources with what was encrypted told again: the provider gives its own labels to all that it makes."""
    providers = (row for row in rows if row["type"] == "pulumi:providers:gcp")
    usual = next((_labels(row.get("inputs", {}).get("defaultLabels")) for row in providers), {})
    return [_told(row, {**usual, **_labels(row.get("inputs", {}).get("labels"))}) for row in rows]


def _labels(given: Any) -> dict[str, str]:
    """Labels as the engine keeps them: a mapping, or JSON of one."""
    found = json.loads(given) if isinstance(given, str) else given
    return found if isinstance(found, dict) else {}


def _told(value: Any, labels: dict[str, str], name: str = "") -> Any:
    if isinstance(value, list):
        return [_told(one, labels) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get(SIGNATURE) == SECRET:
        return labels if name.endswith("Labels") else ""
    return {key: _told(one, labels, key) for key, one in value.items()}
