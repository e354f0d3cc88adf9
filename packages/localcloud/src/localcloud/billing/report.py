"""The bill in JSON; amounts of money are exact texts in dollars."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from localcloud.billing import currency
from localcloud.billing.charges import Line, dollars

Body = dict[str, Any]


def bill(found: Sequence[Line], hourly: Sequence[Line], this_month: Sequence[Line]) -> Body:
    """Lines and sums of what is `found`; what goes on to cost a day; how much of this month's free amounts is used.

    What is wholly free is no line.
    """
    gross = sum(line.nanos or 0 for line in found)
    credit = sum(line.credit for line in found)
    return {
        "lines": [_shown(line) for line in found if line.nanos != 0 or not line.free],
        "cost": dollars(gross),
        "credit": dollars(-credit),
        "total": dollars(gross - credit),
        "currency": "USD",
        "unpriced": sorted({line.sku for line in found if line.nanos is None}),
        "a_day": _a_day(hourly),
        "free": _free(this_month),
    }


def in_currencies(found: Sequence[Line], of: Mapping[str, str]) -> list[Body]:
    """What is to be paid in each currency but dollars, and by which rate; `of` has the currency of each account.

    An account in one of which no rate is known is charged a dollar as one of it, and `as_of` is "".
    """
    made = []
    for one in sorted(set(of.values()) - {"USD"}):
        net = sum(line.net for line in found if of.get(line.payer) == one)
        made.append({**currency.told(one), "total": currency.written(currency.from_dollars(net, one), one)})
    return made


def _shown(line: Line) -> Body:
    return {
        "day": line.day.isoformat(),
        "project": line.project,
        "account": line.payer,
        "service": line.service,
        "sku": line.sku,
        "resource": line.resource,
        "title": line.title,
        "amount": str(line.amount.quantize(Decimal("1e-9"))),
        "unit": line.unit,
        "cost": None if line.nanos is None else dollars(line.nanos),
        "credit": dollars(-line.credit),
    }


def _a_day(hourly: Sequence[Line]) -> list[Body]:
    """What costs now, by resource, for 24 hours, before credits and free amounts; dearest first."""
    costs: dict[tuple[str, str, str], int] = defaultdict(int)
    for line in hourly:
        costs[line.project, line.resource, line.title] += 24 * (line.nanos or 0)
    return [
        {"project": project, "resource": resource, "title": title, "cost": dollars(nanos)}
        for (project, resource, title), nanos in sorted(costs.items(), key=lambda item: -item[1])
        if nanos
    ]


def _free(lines: Sequence[Line]) -> list[Body]:
    """How much of each free amount is used, by whom it is for: an account, or a project."""
    used: dict[tuple[str, str, str, Decimal], Decimal] = defaultdict(Decimal)
    for line in lines:
        if free := line.of.free:
            owner = f"projects/{line.project}" if free.per_project else line.payer
            used[owner, free.name, line.unit, free.amount] += line.free * free.weight
    return [
        {"for": owner, "what": what, "used": str(amount.quantize(Decimal("1e-9"))), "of": str(most), "unit": unit}
        for (owner, what, unit, most), amount in sorted(used.items())
    ]
