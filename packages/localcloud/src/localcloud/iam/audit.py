"""Remembers which permissions each principal used, and which it was refused."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from localcloud.core.state import database
from localcloud.iam import roles
from localcloud.iam.store import Iam

if TYPE_CHECKING:
    import sqlite3

    from localcloud.core.asked.callers import Caller
    from localcloud.core.asked.permits import Resource
    from localcloud.core.cloud import Cloud

EVERYBODY = "allUsers"  # as whom a request without a credential counts
EVERY_ACCOUNT = "allAuthenticatedUsers"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS asked (
    principal TEXT, permission TEXT, resource TEXT, policies TEXT, allowed INTEGER, count INTEGER, last REAL,
    PRIMARY KEY (principal, permission, resource, policies, allowed)
) WITHOUT ROWID;
"""
_ADD = """
INSERT INTO asked VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
SET count = count + excluded.count, last = excluded.last
"""
_EVERY = 1.0  # seconds between two writes
# What there may be any number of counts as one: objects, jobs, operations.
_MANY = re.compile(r"(?<=/objects/).+|(?<=/)\d+(?=/|$)")

Key = tuple[str, str, str, str, bool]  # principal, permission, resource, policies joined by newlines, allowed
Row = dict[str, Any]


class Audit:
    """What `localcloud audit` tells: counts by principal, permission and resource, kept over restarts.

    Counted in memory and written about every second, so a killed server forgets what was asked in its last second.
    """

    def __init__(
        self,
        cloud: Cloud,
        has_basic: Callable[[str, str], bool],
        role_permissions: Callable[[str], roles.Permissions],
    ) -> None:
        """`has_basic` and `role_permissions`: see Access."""
        self._cloud = cloud
        self._has_basic, self._role_permissions = has_basic, role_permissions
        self._lock = threading.Lock()
        self._new: dict[Key, tuple[int, float]] = {}
        self._kept: sqlite3.Connection | None = None
        cloud.on_start(self._keep)
        cloud.on_stop(self._stop)

    def note(self, caller: Caller, permission: str, resource: Resource, allowed: bool) -> None:
        """Remember one answer. Cheap: called for each request."""
        name = _MANY.sub("*", resource.name)
        key = (caller.email or EVERYBODY, permission, name, "\n".join(resource.policies), allowed)
        now = self._cloud.clock.time()
        with self._lock:
            self._new[key] = (self._new.get(key, (0, now))[0] + 1, now)

    def report(self, principal: str = "") -> list[Row]:
        """What each principal (or only this one) was granted, used, was refused, and was granted without using it.

        A principal is an e-mail address, or a member such as "allUsers" or "projectOwner:my-project". Times are
        seconds since the epoch. A grant to such a member is used by the accounts that it means; what they did stands
        under their own names. Grants that overlap are all used by a call that any of them allows.
        """
        self.flush()
        asked: dict[str, list[Row]] = defaultdict(list)
        for row in self._rows():
            asked[row["principal"]].append(row)
        granted: dict[str, list[Row]] = defaultdict(list)
        for resource, policy in self._cloud.of(Iam).list_policies():
            for binding in policy.get("bindings", []):
                grant = {"role": binding["role"], "resource": resource}
                grant |= {"condition": binding["condition"]} if binding.get("condition") else {}
                for member in binding["members"]:
                    granted[_principal(member)].append(grant)
        used = {name: [row for row in rows if row["allowed"]] for name, rows in asked.items()}
        everybody = sorted({name for name in {*asked, *granted} if not name.startswith("deleted:")})
        return [
            {
                "principal": name,
                "granted": granted[name],
                "used": [_shown(row) for row in used.get(name, ())],
                "refused": [_shown(row) for row in asked[name] if not row["allowed"]],
                "unused": self._unused(granted[name], list(self._uses(name, granted, used))),
            }
            for name in everybody
            if principal in ("", name)
        ]

    def _uses(self, member: str, granted: dict[str, list[Row]], used: dict[str, list[Row]]) -> Iterator[Row]:
        """What was allowed to those whom a member means; for everybody's grants, what no other grant allowed."""
        for name, rows in used.items():
            if name == member or self._has_basic(name, member):
                yield from rows
            elif member == EVERYBODY or (member == EVERY_ACCOUNT and name != EVERYBODY):
                means = [m for m in granted if m == name or self._has_basic(name, m)]
                own = [grant for m in means for grant in granted[m]]
                yield from (row for row in rows if not any(self._covers(grant, row) for grant in own))

    def _unused(self, granted: list[Row], used: list[Row]) -> list[Row]:
        return [grant for grant in granted if not any(self._covers(grant, row) for row in used)]

    def _covers(self, grant: Row, row: Row) -> bool:
        inside = grant["resource"] in row["policies"].split("\n")
        return inside and row["permission"] in self._role_permissions(grant["role"])

    def _rows(self) -> list[Row]:
        with self._lock:
            cursor = self._database().execute("SELECT * FROM asked ORDER BY principal, permission, resource")
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def flush(self) -> None:
        """Write what was counted."""
        with self._lock:
            if not self._new:
                return
            kept = self._database()
            with database.transaction(kept):
                kept.executemany(_ADD, [(*key, count, last) for key, (count, last) in self._new.items()])
            self._new.clear()

    def _database(self) -> sqlite3.Connection:
        if self._kept is None:
            self._kept = database.connect(self._cloud.folder("iam") / "audit.sqlite", _SCHEMA)
        return self._kept

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            if self._new:
                await asyncio.to_thread(self._try_to_flush)

    def _try_to_flush(self) -> None:
        try:
            self.flush()
        except Exception:  # a full disk, a folder that was deleted: counted on, and written later
            import logging

            logging.getLogger(__name__).warning("what was asked could not be written", exc_info=True)

    async def _stop(self) -> None:
        await asyncio.to_thread(self._try_to_flush)


def _principal(member: str) -> str:
    kind, _, name = member.partition(":")
    return name if kind in ("serviceAccount", "user", "group") else member


def _shown(row: Row) -> Row:
    return {name: row[name] for name in ("permission", "resource", "count", "last")}
