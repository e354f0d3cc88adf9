"""Pages of entries: reads order and page tokens, and narrows by indexed columns what a filter has to look at."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from localcloud.core.errors import ApiError
from localcloud.core.filters import Both, Compare, Filter
from localcloud.logging.entries import nanoseconds
from localcloud.logging.filtering.fields import field_path

DEFAULT_PAGE = 50  # https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list
LARGEST_PAGE = 1000
Key = tuple[int, str, str]  # timestamp in ns, insertId, log's name: the order of entries, and what tells them apart


@dataclass(frozen=True)
class Page:
    """What a list call asks for. `after` is the key of the last entry that the caller has."""

    newest_first: bool
    size: int
    after: Key | None
    signature: str

    def token(self, last: Key) -> str:
        """The page token of what comes after `last`."""
        return base64.urlsafe_b64encode(json.dumps([self.signature, *last]).encode()).decode()


def page(filter_text: str, resources: Sequence[str], order_by: str, size: int, token: str) -> Page:
    """Read the parameters of a list call. Raises 400 for an order or a token that can't be."""
    order = re.fullmatch(r"timestamp(?:\s+(asc|desc))?", order_by.strip()) if order_by.strip() else None
    if order_by.strip() and order is None:
        raise ApiError(400, f"Invalid order_by: '{order_by}'. Permitted values: 'timestamp asc', 'timestamp desc'.")
    if size < 0:
        raise ApiError(400, "page_size must not be negative")
    newest_first = bool(order and order[1] == "desc")
    what = json.dumps([filter_text, sorted(resources), newest_first])
    signature = hashlib.sha256(what.encode()).hexdigest()[:16]
    after = None
    if token:
        try:
            signed, stamp, insert_id, log = json.loads(base64.urlsafe_b64decode(token))
            after = (int(stamp), str(insert_id), str(log))
        except (ValueError, TypeError):
            raise ApiError(400, "page_token is invalid") from None
        if signed != signature:
            raise ApiError(400, "page_token doesn't match arguments from the request")
    return Page(newest_first, min(size or DEFAULT_PAGE, LARGEST_PAGE), after, signature)


@dataclass
class Narrowing:
    """SQL conditions that every matching entry fulfils; others may fulfil them too."""

    conditions: list[str] = field(default_factory=list)
    values: list[str | int] = field(default_factory=list)

    def add(self, condition: str, *values: str | int) -> None:
        self.conditions.append(condition)
        self.values += values


def narrowing(tree: Filter | None, projects: Sequence[str], buckets: Sequence[str]) -> Narrowing:
    """Conditions on the columns project, bucket, job and stamp that follow from the filter; no `buckets` are all."""
    narrowed = Narrowing()
    narrowed.add(f"project IN ({', '.join('?' * len(projects))})", *projects)
    if buckets:
        narrowed.add(f"bucket IN ({', '.join('?' * len(buckets))})", *buckets)
    for term in _always(tree):
        path = field_path(term.path) if term.call is None else None
        if path == ("resource", "labels", "job_id") and term.operator == "=":
            narrowed.add("job = ?", term.value)
        elif path == ("timestamp",) and term.operator in ("=", ">", ">=", "<", "<="):
            narrowed.add(f"stamp {term.operator} ?", nanoseconds(term.value))
    return narrowed


def after(narrowed: Narrowing, page: Page) -> None:
    """Only what comes after the page's key."""
    if page.after is not None:
        sign = "<" if page.newest_first else ">"
        narrowed.add(f"(stamp, insert_id, log) {sign} (?, ?, ?)", *page.after)


def _always(tree: Filter | None) -> Iterator[Compare]:
    """The comparisons that hold for each entry that matches."""
    if isinstance(tree, Compare):
        yield tree
    elif isinstance(tree, Both):
        for part in tree.parts:
            yield from _always(part)
