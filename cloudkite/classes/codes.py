"""Codes by which learners join: all that a learner's clone has to know, as one word that can be sent by mail.

Nothing in it opens a door: permissions belong to who signs in. Its key signs what the learner submits; another class or
another learner has another, made of the teacher's own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudkite.accounts.membership import Membership, parsed
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _
from cloudkite.workspace import Workspace, write_atomically

_START = "ck1-"
MOST = 20_000  # letters of a code
_LARGEST = 100_000  # bytes of what is in it
_CHECK = 8  # hex digits


@dataclass(frozen=True)
class Invitation:
    """What a code says. `settings` is `config` of the account's file, {} for an account that is there or none.

    `outputs` is what `up` made of it, as the learner sees it; None where that isn't needed.
    """

    member: Membership
    settings: dict[str, Any]
    outputs: dict[str, Any] | None


def encoded(one: Invitation) -> str:
    """The code."""
    row = {"member": vars(one.member), "settings": one.settings, "outputs": one.outputs}
    packed = zlib.compress(json.dumps(row, default=str, separators=(",", ":")).encode(), 9)
    word = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    return f"{_START}{word}-{hashlib.sha256(packed).hexdigest()[:_CHECK]}"


def decoded(code: str) -> Invitation:
    """The inverse. Raises BadValue for a word that is no code, or not whole."""
    word, _dash, check = "".join(code.split()).removeprefix(_START).rpartition("-")
    hint = _("copy all of it, from ck1- to its end; a code may be in a file, too: class.join FILE")
    if not code.strip().startswith(_START) or len(code) > MOST:
        raise BadValue(_("that isn't a class's code, and no such file exists"), hint)
    try:
        packed = base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))
        if hashlib.sha256(packed).hexdigest()[:_CHECK] != check:
            raise ValueError
        row = json.loads(zlib.decompressobj().decompress(packed, _LARGEST))
        return Invitation(parsed(row["member"]), dict(row["settings"]), row["outputs"] and dict(row["outputs"]))
    except (ValueError, TypeError, KeyError, ArithmeticError, zlib.error, RecursionError):
        raise BadValue(_("the code is damaged: a part of it is missing or was changed"), hint) from None


def key_of(workspace: Workspace, of: str) -> bytes:
    """The teacher's own key of a class, made at the first use; for its owner only."""
    path = workspace.state / "classes" / f"{of}.key"
    try:
        return bytes.fromhex(path.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        made = secrets.token_bytes(32)
        write_atomically(path, made.hex() + "\n", 0o600)
        return made


def learners_key(key: bytes, name: str) -> str:
    """What one learner signs with."""
    return hmac.new(key, f"learner {name}".encode(), hashlib.sha256).hexdigest()


def seal(key: str, content: Mapping[str, Any]) -> str:
    """The signature of a content under a learner's key, or its hash alone where there is none."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    if not key:
        return "sha256:" + hashlib.sha256(text).hexdigest()
    return "hmac-sha256:" + hmac.new(key.encode(), text, hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two seals are the same, told in the same time whatever differs."""
    return hmac.compare_digest(one.encode(), other.encode())
