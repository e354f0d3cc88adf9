"""The bill's own figures, read from the table that Cloud Billing exports to BigQuery. Nothing is queried, so nothing is
charged: pages of the month's daily partitions are read.

https://cloud.google.com/billing/docs/how-to/export-data-bigquery-tables/standard-usage
https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/list
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from cloudkite.accounts.api import pages, send, table
from cloudkite.accounts.target import Target
from cloudkite.jobs.job import RUN
from cloudkite.money.spent import rows
from cloudkite.money.spent.months import Month
from cloudkite.money.spent.rows import Row
from cloudkite.show.errors import UserError, from_google
from cloudkite.show.text import _

PREFIX = "gcp_billing_export_v1_"  # of the standard usage cost table; the billing account's id follows
_BASE = "https://bigquery.googleapis.com/bigquery/v2/projects"
_FIELDS = ("service", "sku", "usage_start_time", "usage_end_time", "project", "labels", "cost", "currency", "credits",
           "cost_type")  # fmt: skip
_LATE = 5  # days after a month's end within which its usage is exported
_PAGE = 5000  # rows
_THREADS = 8
_MICRO = 1_000_000
_FAR = Decimal("0.1")  # a difference that is told
_CENT = Decimal("0.01")  # USD
_STORAGE, _IMAGES, _RUN = "Cloud Storage", "Artifact Registry", "Cloud Run"  # service.description


@dataclass(frozen=True)
class Line:
    """A row of the export: `cost` before credits, `credit` 0 or below, in `currency`."""

    service: str
    sku: str
    start: datetime.datetime
    end: datetime.datetime
    cost: Decimal
    credit: Decimal
    currency: str
    kind: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Amount:
    """What some lines come to, before credits, and the credits."""

    gross: Decimal
    credit: Decimal


@dataclass(frozen=True)
class Bill:
    """The project's lines of a month; `until` is to when they go, None where there are none. `problem` tells why it
    could not be read.
    """

    source: str
    lines: tuple[Line, ...] = ()
    problem: str = ""
    hint: str = ""

    @property
    def until(self) -> datetime.datetime | None:
        return max((line.end for line in self.lines), default=None)

    @property
    def currency(self) -> str:
        return self.lines[0].currency if self.lines else ""

    def total(self) -> Amount:
        """All of the project, taxes and adjustments included."""
        return self.of(lambda _line: True)

    def of(self, wanted: Callable[[Line], bool]) -> Amount:
        found = [line for line in self.lines if wanted(line)]
        return Amount(sum((line.cost for line in found), Decimal(0)), sum((line.credit for line in found), Decimal(0)))


@dataclass(frozen=True)
class Compared:
    """What one thing comes to until the export's end, in the bill's currency: by the bill, and by the price book.

    `book` is None where it can't be told. `far`: they differ by more than 10 %, and by more than a cent of a dollar.
    """

    kind: str
    name: str
    bill: Amount
    book: Decimal | None
    far: bool


def compare(bill: Bill, found: Sequence[Row], by: str, rate: Decimal | None) -> list[Compared]:
    """The bill beside the rows, which are charged until the export's end too; `rate` is the bill's currency per dollar.

    By job, trainer, tuning, learner or person, as far as labels tell, and storage and images by the service.
    """
    made = [
        _compared(bill, by, name, [row for row in found if wanted(row)], rate, lambda line, name=name: (
            line.labels.get(_LABELS[by], "") == name
        ))
        for name, wanted in _groups(found, by)
    ]  # fmt: skip
    for kind, service in ((rows.STORAGE, _STORAGE), (rows.IMAGES, _IMAGES)):
        some = [row for row in found if row.kind == kind or (row.kind == rows.FREE and row.ref == kind)]
        one = _compared(bill, kind, "", some, rate, lambda line, service=service: line.service == service)
        if some or one.bill.gross:
            made.append(one)
    return made


def _compared(
    bill: Bill, kind: str, name: str, some: Sequence[Row], rate: Decimal | None, wanted: Callable[[Line], bool]
) -> Compared:
    known = rate is not None and all(row.amount is not None for row in some)
    book = rows.total(some) * rate if known and rate is not None else None
    far = False
    if book is not None and rate is not None:
        # Which of the jobs on Cloud Run were free, only the bill knows.
        mine = rows.total(row for row in some if not (row.job and row.job.place == RUN)) * rate
        billed = bill.of(lambda line: wanted(line) and line.service != _RUN).gross
        far = abs(billed - mine) > max(_FAR * max(billed, mine), _CENT * rate)
    return Compared(kind, name, bill.of(wanted), book, far)


_LABELS = {"job": "job", "trainer": rows.TRAINER, "tuning": rows.TUNING, "learner": "learner", "person": "started-by"}


def _groups(found: Sequence[Row], by: str) -> Iterator[tuple[str, Callable[[Row], bool]]]:
    """Each name of a kind, and which rows have it."""
    key = "unique" if by == "job" else by
    for name in dict.fromkeys(getattr(row, key) for row in found):
        if name:
            yield name, lambda row, name=name: getattr(row, key) == name


def read(target: Target, export: str, month: Month) -> Bill:
    """The project's lines of a month in the export PROJECT.DATASET. What can't be read is told in the Bill."""
    project, _dot, dataset = export.partition(".")
    try:
        name, fields = _table(target, project, dataset)
        days = list(_days(month, target.now()))
        with ThreadPoolExecutor(_THREADS) as pool:
            found = pool.map(lambda day: list(_rows(target, project, dataset, f"{name}${day:%Y%m%d}", fields)), days)
        lines = [line for some in found for row in some if (line := _line(row, target.account.project, month))]
    except UserError as error:
        return Bill(export, (), error.message, error.hint)
    return Bill(f"{export}.{name}", tuple(sorted(lines, key=lambda line: line.start)))


def _days(month: Month, now: datetime.datetime) -> Iterator[datetime.date]:
    """The partitions in which a month's usage may be: rows are in that of the day on which they were exported."""
    last = min(month.ends + datetime.timedelta(days=_LATE), now).date()
    day = month.begins.date()
    while day <= last:
        yield day
        day += datetime.timedelta(days=1)


def _table(target: Target, project: str, dataset: str) -> tuple[str, list[dict[str, Any]]]:
    """(the export's table for the account's billing account, those fields of it that are wanted). Raises UserError."""
    doing = _("read the billing export {dataset}").format(dataset=f"{project}.{dataset}")
    base = f"{_BASE}/{project}/datasets/{dataset}/tables"
    payer = target.account.payer
    if payer:
        name = PREFIX + payer.replace("-", "_")
    else:
        names = [one["tableReference"]["tableId"] for one in pages(target, base, "tables", doing)]
        names = [one for one in names if one.startswith(PREFIX)]
        if len(names) != 1:
            raise UserError(
                _("{doing}: it has {count} tables of the standard usage cost, and not one").format(
                    doing=doing, count=len(names)
                ),
                _("name the billing account in the settings: cloudkite:budget, billingAccount"),
            )
        name = names[0]
    answer = send(target, "GET", f"{base}/{name}", doing, again=True)
    if answer.status_code == 404:
        raise UserError(
            _("{doing}: it has no table {name} yet").format(doing=doing, name=name),
            _("switch the export on: console.cloud.google.com > Billing > Billing export; it begins within a day"),
        )
    if not answer.ok:
        raise from_google(answer, doing)
    columns = table(answer, doing).get("schema", {}).get("fields", [])
    return name, [one for one in columns if one.get("name") in _FIELDS]


def _rows(
    target: Target, project: str, dataset: str, partition: str, fields: Sequence[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """The rows of one partition as values by the names of their fields; none where it does not exist."""
    url = f"{_BASE}/{project}/datasets/{dataset}/tables/{partition}/data"
    asked = {
        "selectedFields": ",".join(one["name"] for one in fields),
        "maxResults": _PAGE,
        "formatOptions.useInt64Timestamp": "true",
    }
    doing, token = _("read the billing export {dataset}").format(dataset=f"{project}.{dataset}"), ""
    while True:
        answer = send(
            target, "GET", url, doing, again=True, params={**asked, **({"pageToken": token} if token else {})}
        )
        if answer.status_code == 404:
            return
        if not answer.ok:
            raise from_google(answer, doing)
        page = table(answer, doing)
        for row in page.get("rows", []):
            yield _record(row, fields)
        token = page.get("pageToken", "")
        if not token:
            return


def _record(row: Mapping[str, Any], fields: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A row or a record by the names of its fields: {"f": [{"v": value}, ...]}, in the order of the schema."""
    return {
        column["name"]: _value(cell.get("v"), column) for column, cell in zip(fields, row.get("f", []), strict=False)
    }


def _value(value: Any, column: Mapping[str, Any]) -> Any:
    if column.get("mode") == "REPEATED":
        return [_value(one.get("v"), {**column, "mode": ""}) for one in value or []]
    if column.get("type") in ("RECORD", "STRUCT"):
        return _record(value or {}, column.get("fields", []))
    return value


def _line(row: Mapping[str, Any], project: str, month: Month) -> Line | None:
    """A row of this project and month; None for another's, and for one that can't be read."""
    if (row.get("project") or {}).get("id") != project:
        return None
    try:
        start, end = _moment(row["usage_start_time"]), _moment(row["usage_end_time"])
        cost = Decimal(str(row["cost"]))
        credit = sum((Decimal(str(one["amount"])) for one in row.get("credits") or []), Decimal(0))
    except (KeyError, TypeError, ValueError, InvalidOperation, OverflowError):
        return None
    if not month.begins <= start < month.ends:
        return None
    labels = {str(one.get("key")): str(one.get("value")) for one in row.get("labels") or []}
    service, sku = ((row.get(name) or {}).get("description") or "" for name in ("service", "sku"))
    return Line(
        service, sku, start, end, cost, credit, str(row.get("currency", "")), str(row.get("cost_type", "")), labels
    )


def _moment(value: Any) -> datetime.datetime:
    """Microseconds since the epoch."""
    return datetime.datetime.fromtimestamp(int(value) / _MICRO, datetime.UTC)
