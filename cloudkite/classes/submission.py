"""What a learner submits: one file that tells how their account stands, without a person's name in it.

What it proves, and what not. The seal shows that nobody changed the file afterwards without the learner's key, which
came with the code that the teacher sent, and that it is not another learner's. The numbers are what the learner's own
computer asked of the APIs: whoever changes this program can make it write others, and sign them. The project stands in
it as a digest, so that two who submit the same project are seen.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from cloudkite.accounts.membership import Membership
from cloudkite.accounts.target import Target
from cloudkite.classes import codes, folders
from cloudkite.jobs import service
from cloudkite.money import caps, costs, inventory
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _

SCHEMA = 1
_MOST = 200_000  # bytes of a file that is submitted


@dataclass(frozen=True)
class Submission:
    """A file as a teacher reads it. `sound` is whether its seal is right, `signed` whether it was made with the key."""

    file: str
    content: dict[str, Any]
    sound: bool
    signed: bool

    @property
    def learner(self) -> str:
        return str(self.content.get("learner", ""))

    @property
    def made(self) -> str:
        return str(self.content.get("made", ""))


def made(target: Target, learner: Membership, now: datetime.datetime) -> dict[str, Any]:
    """The file's content: asked of the APIs, with its seal. Raises UserError."""
    account = target.account
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "class": learner.of,
        "learner": learner.name,
        "form": learner.form,
        "made": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "account": {
            "where": account.target,
            "tier": account.tier,
            "region": account.region,
            "project": hashlib.sha256(f"{learner.of} {account.project}".encode()).hexdigest()[:16],
            "set_up": account.outputs_file.is_file(),
        },
    }
    ready = account.outputs_file.is_file()
    content |= _jobs(target, learner, now)
    content |= _shared(target, learner) if learner.shares and account.learner and ready else _own(target)
    return {**content, "seal": codes.seal(learner.key, content)}


def _jobs(target: Target, learner: Membership, now: datetime.datetime) -> dict[str, Any]:
    """The learner's jobs of the period that their cap is for, and what they cost."""
    start = caps.begins(learner.starts, learner.period, now)
    if learner.shares and target.account.learner:
        spending = caps.spent(target, learner, now)
    else:  # all that is in the account is theirs
        found = service.search(target, since=start) if target.account.outputs_file.is_file() else ()
        spending = costs.tally(caps.counted(found, start, now), start)
    jobs = [row.job for row in spending.rows]
    states = Counter(job.state.lower() for job in jobs)
    return {
        "jobs": {
            "all": len(jobs),
            "running": sum(job.active for job in jobs),
            **{state: states[state] for state in sorted(states)},
            "last": f"{max(job.created for job in jobs):%Y-%m-%dT%H:%M:%SZ}" if jobs else None,
        },
        "spent": {
            "amount": str(spending.spent.amount),
            "running": str(spending.committed.amount),
            "currency": spending.spent.currency,
            "since": f"{start:%Y-%m-%d}",
            "prices_of": max((job.price_date for job in jobs), default=None),
            "cap": None if learner.cap is None else str(learner.cap),
            "unknown": spending.unknown,
        },
    }


def _own(target: Target) -> dict[str, Any]:
    """What stands in the account's project, in every region: the proof that it was taken down."""
    standing = inventory.take(target)
    kinds = Counter(one.kind for one in standing.bills)
    known = [one.monthly for one in standing.bills if one.monthly is not None]
    clean = None if standing.unseen else not standing.bills
    return {
        "standing": {
            "costs": dict(sorted(kinds.items())),
            "usd_per_month": str(sum(known, Decimal(0))) if len(known) == len(standing.bills) else None,
            "prices_of": standing.as_of,
            "not_looked_at": len(standing.unseen),
        },
        "taken_down": clean,
    }


def _shared(target: Target, learner: Membership) -> dict[str, Any]:
    """What the learner has in the buckets that all share: the project itself is the teacher's to take down."""
    found = folders.held(target, learner.name)
    sizes = {one.purpose: one.bytes for one in found}
    return {"standing": {"bytes": dict(sorted(sizes.items()))}, "taken_down": not found}


def read(path: Path, key: bytes) -> Submission:
    """A file that was submitted. Raises BadValue for what is none.

    `key` is the teacher's own of the class. A file of who joined without a code has a hash for its seal, which anybody
    can make anew.
    """
    hint = _("the file that uv run invoke class.submit wrote is needed")
    try:
        if path.stat().st_size > _MOST:
            raise ValueError
        content = json.loads(path.read_text(encoding="utf-8"))
        seal = str(content.pop("seal"))
        learner = str(content["learner"])
        if content["schema"] != SCHEMA or not isinstance(content["jobs"], dict):
            raise ValueError
    except OSError as error:
        raise BadValue(_("{path} can't be read: {problem}").format(path=path, problem=error.strerror), hint) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BadValue(_("{path} isn't what a learner submits").format(path=path), hint) from None
    signed = seal.startswith("hmac-")
    expected = codes.seal(codes.learners_key(key, learner) if signed else "", content)
    return Submission(path.name, content, codes.same(seal, expected), signed)
