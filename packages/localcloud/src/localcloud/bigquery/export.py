"""The export of the bill: rows of Google's standard usage cost table, out of what this cloud's own bill is made of.

https://cloud.google.com/billing/docs/how-to/export-data-bigquery-tables/standard-usage. As on Google it begins when it
is switched on, holds nothing from before, and lags: usage is told in pieces of six hours, six hours after their end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from localcloud.billing import charges, currency, pacific
from localcloud.billing.charges import Line
from localcloud.billing.ledger import Counted
from localcloud.billing.meter import Billing
from localcloud.core.asked.usage import Span
from localcloud.projects.store import Projects

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
KIND = "billing.export"
PIECE, LAG = 6 * 3600, 6 * 3600  # seconds
_NANOS = Decimal(10**9)


def _record(name: str, *fields: Body, many: bool = False) -> Body:
    return {"name": name, "type": "RECORD", "mode": "REPEATED" if many else "NULLABLE", "fields": [*fields]}


def _field(name: str, kind: str = "STRING") -> Body:
    return {"name": name, "type": kind, "mode": "NULLABLE"}


_PAIR = (_field("key"), _field("value"))
SCHEMA: list[Body] = [
    _field("billing_account_id"),
    _record("service", _field("id"), _field("description")),
    _record("sku", _field("id"), _field("description")),
    _field("usage_start_time", "TIMESTAMP"),
    _field("usage_end_time", "TIMESTAMP"),
    _record(
        "project", _field("id"), _field("number"), _field("name"), _record("labels", *_PAIR, many=True),
        _field("ancestry_numbers"),
    ),
    _record("labels", *_PAIR, many=True),
    _record("system_labels", *_PAIR, many=True),
    _record("location", _field("location"), _field("country"), _field("region"), _field("zone")),
    _field("export_time", "TIMESTAMP"),
    _field("cost", "FLOAT"),
    _field("currency"),
    _field("currency_conversion_rate", "FLOAT"),
    _record(
        "usage", _field("amount", "FLOAT"), _field("unit"), _field("amount_in_pricing_units", "FLOAT"),
        _field("pricing_unit"),
    ),
    _record(
        "credits", _field("name"), _field("amount", "FLOAT"), _field("full_name"), _field("id"), _field("type"),
        many=True,
    ),
    _record("invoice", _field("month")),
    _field("cost_type"),
]  # fmt: skip


def table_of(account: str) -> str:
    """The name of the table of a billing account."""
    return "gcp_billing_export_v1_" + account.removeprefix("billingAccounts/").replace("-", "_")


def switch_on(cloud: Cloud, dataset: str, account: str) -> Body:
    """Export what `account` pays for into the dataset "PROJECT.DATASET" from now on; one that goes there stays."""
    name = f"exports/{account}"
    found = cloud.documents.find(name)
    if found is None or found["dataset"] != dataset:
        found = {"name": name, "dataset": dataset, "account": account, "since": int(cloud.clock.time())}
        cloud.documents.put(name, KIND, found)
    return found


def into(cloud: Cloud, dataset: str) -> dict[str, Body]:
    """The exports into "PROJECT.DATASET", by the names of their tables."""
    return {table_of(one["account"]): one for one in cloud.documents.list(KIND) if one["dataset"] == dataset}


def rows(cloud: Cloud, export: Body) -> list[Body]:
    """All rows that have been exported by now, as values by their fields' names, oldest first; times are datetimes."""
    billing = cloud.of(Billing)
    billing.sample()
    now = int(cloud.clock.time())
    until = (now - LAG) // PIECE * PIECE  # what was used later is not told yet
    pieces = [piece for span in billing.ledger.spans() for piece in _of_span(span, export["since"], until)]
    pieces += [piece for one in billing.ledger.counted(now) for piece in _of_counted(one, export["since"], until)]
    pieces = [piece for piece in pieces if piece[2].payer == export["account"]]
    pieces.sort(key=lambda piece: (piece[0], piece[2].project, piece[2].service, piece[2].resource, piece[2].sku))
    lines = charges.less_free([line for _start, _end, line in pieces])
    for trial in billing.accounts.trials():
        lines = charges.credited(lines, trial.credit)
    code = billing.accounts.paying(export["account"])["currencyCode"]
    projects = {one["projectId"]: one for one in cloud.of(Projects).list()}
    return [
        _row(start, end, line, code, projects)
        for (start, end, _line), line in zip(pieces, lines, strict=True)
        if line.nanos is not None
    ]


def _of_span(span: Span, since: int, until: int) -> Iterator[tuple[int, int, Line]]:
    """(start, end, line) of each six hours in which machines were there."""
    start, end = max(span.started, since), min(span.started + charges.length(span, until), until)
    while start < end:
        then = min((start // PIECE + 1) * PIECE, end)
        for amount, sku in charges.skus(span, then - start):
            yield start, then, charges.of_machines(pacific.day(start), span, sku, amount)
        start = then


def _of_counted(one: Counted, since: int, until: int) -> Iterator[tuple[int, int, Line]]:
    """Of what is counted by the day, the days that are over; of the one on which the export began all is told."""
    start, end = pacific.begin(one.day), pacific.begin(one.day + timedelta(days=1))
    if since < end <= until:
        yield max(start, since), end, charges.of_counted(one)


def _row(start: int, end: int, line: Line, code: str, projects: dict[str, Body]) -> Body:
    project = projects.get(line.project, {})
    rate = currency.rate(code).per_dollar
    cost, credit = (currency.from_dollars(nanos, code) / _NANOS for nanos in (line.nanos or 0, -line.credit))
    exported = (-(-end // PIECE)) * PIECE + LAG
    place = line.resource.split("/")[1] if line.resource.startswith("locations/") else ""
    return {
        "billing_account_id": line.payer.removeprefix("billingAccounts/"),
        "service": {"id": line.of.service_id, "description": line.service},
        "sku": {"id": _id(line.sku), "description": line.sku},
        "usage_start_time": _moment(start),
        "usage_end_time": _moment(end),
        "project": {
            "id": line.project,
            "number": project.get("projectNumber"),
            "name": project.get("displayName", line.project),
            "labels": [],
            "ancestry_numbers": None,
        },
        "labels": [{"key": key, "value": value} for key, value in sorted(line.labels.items())],
        "system_labels": [],
        "location": {"location": place or None, "country": None, "region": place or None, "zone": None},
        "export_time": _moment(exported),
        "cost": float(cost),
        "currency": code,
        "currency_conversion_rate": float(rate),
        "usage": {
            "amount": float(line.amount), "unit": line.unit, "amount_in_pricing_units": float(line.amount),
            "pricing_unit": line.unit,
        },
        "credits": [
            {"name": "Free Trial", "amount": float(credit), "full_name": "Free Trial", "id": "FreeTrial",
             "type": "PROMOTION"}
        ] if credit else [],
        "invoice": {"month": f"{line.day:%Y%m}"},
        "cost_type": "regular",
    }  # fmt: skip


def _id(text: str) -> str:
    """An id for a SKU that has none in the ledger, three groups of four as Google's are."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:12].upper()
    return f"{digest[:4]}-{digest[4:8]}-{digest[8:]}"


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def partition(row: Body) -> date:
    """The partition that a row is in: the day of UTC on which it was loaded."""
    return row["export_time"].date()
