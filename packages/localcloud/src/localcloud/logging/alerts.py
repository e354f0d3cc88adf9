"""Alert policies with a condition on logs: who is told when an entry matches.

https://cloud.google.com/logging/docs/alerting/log-based-alerts. Simplified: what is told is an e-mail, which is kept
and not sent; there are no incidents to acknowledge or close. The rate limit counts for each combination of extracted
labels, as incidents do, and a restart of the server forgets it.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.usage import Usage
from localcloud.core.errors import ApiError
from localcloud.core.filters import parse
from localcloud.logging.entries import Entry
from localcloud.logging.filtering.fields import field_path, values_at
from localcloud.logging.filtering.matching import Match, matcher
from localcloud.monitoring.store import POLICY, find_channel

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

log = logging.getLogger(__name__)
_EXTRACT = re.compile(r'EXTRACT\(([^,)]+)\)|REGEXP_EXTRACT\(([^,]+),\s*"(.*)"\)', re.DOTALL)
_LABEL = re.compile(r"\$\{log\.extracted_label\.(\w+)\}")
_LONGEST = 255  # bytes of a subject: google.monitoring.v3.AlertPolicy.Documentation
_NAMES = {"${policy.display_name}": "displayName", "${policy.name}": "name"}


class LogAlerts:
    """The policies of all projects; `hear` is called in the thread of who writes."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._told: dict[tuple[str, tuple[str, ...]], float] = {}
        self._lock = threading.Lock()

    def hear(self, project: str, entries: Sequence[Entry]) -> None:
        """Tell of entries that a policy of the project waits for. Never raises: it is not the writer's matter."""
        policies = self._cloud.documents.list(POLICY, f"projects/{project}/alertPolicies/")
        for policy in policies if entries else ():
            wanted = [one["conditionMatchedLog"] for one in policy["conditions"] if "conditionMatchedLog" in one]
            for condition in wanted if policy.get("enabled", True) else ():
                try:
                    self._look(policy, condition, entries)
                except ApiError as error:
                    log.warning("the alert policy %s can't be looked at: %s", policy["name"], error.message)

    def _look(self, policy: dict[str, Any], condition: dict[str, Any], entries: Iterable[Entry]) -> None:
        matches = _matcher(condition.get("filter", ""))
        for entry in filter(matches, entries):
            extractors = condition.get("labelExtractors") or {}
            labels = {name: _extracted(how, entry) for name, how in extractors.items()}
            if self._is_due(policy, labels):
                self._tell(policy, labels)

    def _is_due(self, policy: dict[str, Any], labels: dict[str, str]) -> bool:
        limit = (policy.get("alertStrategy") or {}).get("notificationRateLimit") or {}
        pause = float(str(limit.get("period", "300s")).removesuffix("s"))
        key, now = (policy["name"], tuple(labels.values())), self._cloud.clock.time()
        with self._lock:
            if key in self._told and now - self._told[key] < pause:
                return False
            self._told[key] = now
            return True

    def _tell(self, policy: dict[str, Any], labels: dict[str, str]) -> None:
        subject = (policy.get("documentation") or {}).get("subject") or f"[ALERT] {policy['displayName']}"
        for name, key in _NAMES.items():
            subject = subject.replace(name, policy[key])
        subject = _LABEL.sub(lambda found: labels.get(found[1], ""), subject)
        subject = subject.encode()[:_LONGEST].decode(errors="ignore")
        for name in policy.get("notificationChannels") or []:
            channel = find_channel(self._cloud, name)
            if channel and channel.get("enabled", True) and channel["type"] == "email":
                self._cloud.of(Usage).mail(channel["labels"]["email_address"], subject, policy["name"])


@lru_cache(maxsize=256)
def _matcher(text: str) -> Match:
    return matcher(parse(text), text)


def _extracted(how: str, entry: Entry) -> str:
    """A label's value in an entry, "" where it has none: EXTRACT(field) or REGEXP_EXTRACT(field, "expression")."""
    form = _EXTRACT.fullmatch(how.strip())
    path = field_path(tuple((form[1] or form[2]).strip().split("."))) if form else None
    found = str(next(values_at(entry, path), "")) if path else ""
    if form is None or not form[3]:
        return found
    try:
        part = re.search(form[3].replace("\\\\", "\\"), found)
    except re.error:
        return ""
    return (part[1] if part.re.groups else part[0]) if part else ""
