"""Budgets against costs: which thresholds are exceeded, and the notifications that Google sends of it.

https://cloud.google.com/billing/docs/how-to/budgets-programmatic-notifications. Simplified: the forecast goes on at the
period's rate so far; Google's is a model of its own.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from localcloud.billing import currency, pacific
from localcloud.billing.accounts import Accounts
from localcloud.billing.budgets import ahead, caps
from localcloud.billing.charges import GRANULE, Line
from localcloud.billing.ledger import Ledger
from localcloud.core.errors import ApiError
from localcloud.core.state.documents import Documents
from localcloud.projects.store import Projects
from localcloud.pubsub.store import PubSub

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

log = logging.getLogger(__name__)
Body = dict[str, Any]
PUBLISHER = "billing-budget-alert@system.gserviceaccount.com"
_EVERY = 20 * 60  # seconds of the cloud's clock between two notifications
_DAY = 86_400
_CREDIT_TYPES = {"PROMOTION", "FREE_TRIAL"}  # of a trial's credit


@dataclass(frozen=True)
class _Standing:
    """A budget in one period: amounts in nanos of a dollar; the highest thresholds that are exceeded, None for none.

    `begins` and `ends` in seconds: from when on there are costs, and the end of the period (None: it has none).
    """

    first: date
    begins: int
    ends: int | None
    cost: int
    amount: int
    current: float | None
    forecast: float | None


def check(cloud: Cloud, ledger: Ledger, kept: Documents, budget: Body, lines: list[Line], now: int) -> str:
    """Notify of a budget where it is due: at once when a threshold is newly exceeded, else every 20 minutes.

    Gives the state that its spend cap is in by that, "" where it has none or stays as it is.
    """
    cap = ""
    budget = budget | {"projectIds": _ids(cloud, budget), "currency": _currency(cloud, budget)}
    state = _state(kept, budget, now)
    due = now - state["sent"] >= _EVERY
    for first, after in _periods(budget, state["checked"], now):
        over = pacific.begin(after) <= now
        standing = _standing(budget, lines, first, after, now)
        is_new = state["period"] not in ("", first.isoformat())
        if budget.get("spendCap") and not over:
            cap = caps.after(budget, standing.cost >= standing.amount, is_new)
        if state["period"] != first.isoformat():
            state |= {"period": first.isoformat(), "current": None, "forecast": None}
        newly = _above(standing.current, state["current"]) or _above(standing.forecast, state["forecast"])
        if newly:
            _mail(cloud, ledger, budget, standing, state)
        if newly or (due and not over):
            _publish(cloud, budget, standing)
            state["sent"] = now
        state |= {"current": standing.current, "forecast": standing.forecast}
    kept.put(_state_name(budget), "budget-state", state | {"checked": now})
    return cap


def due(
    cloud: Cloud, kept: Documents, budget: Body, lines: list[Line], hourly: list[Line], now: int, grain: float
) -> float | None:
    """When `check` has next something to tell, if what costs `hourly` goes on to do so; None when never.

    Where machines cost, also every 20 minutes, in a move of the clock of over two weeks fifty times.
    """
    budget = budget | {"projectIds": _ids(cloud, budget), "currency": _currency(cloud, budget)}
    state = _state(kept, budget, now)
    period = next(_periods(budget, now, now), None)
    if period is None:
        return None
    standing = _standing(budget, lines, *period, now)
    now_costing = [line for line in hourly if _counts(budget, line)]
    paid_for = standing.cost == 0 and any(line.credit for line in lines if _counts(budget, line))  # by a trial's credit
    rate = 0 if paid_for else _sum(budget, now_costing, date.min, date.max)
    moments: list[float | None] = [standing.ends] if rate else []
    pause = max(_EVERY, 20 * grain)
    if any(line.unit == "hour" for line in now_costing):
        moments.append(max(state["sent"] + pause, now + GRANULE))
    moments += [_reached(rule, standing, rate, now, now + pause) for rule in budget["thresholdRules"]]
    return min((moment for moment in moments if moment is not None), default=None)


def _reached(rule: Body, standing: _Standing, rate: int, now: int, until: float) -> float | None:
    """When a threshold is exceeded if cost grows by `rate` an hour; by a forecast, which bends, at most `until`."""
    limit = max(int(Decimal(str(rule["thresholdPercent"])) * standing.amount), 1)
    if rule["spendBasis"] == "CURRENT_SPEND":
        return ahead.reaches(standing.cost, rate, limit, now)
    if not rate or standing.ends is None or _forecast(standing, standing.cost, now) >= limit:
        return None

    def over(moment: float) -> bool:
        cost = standing.cost + rate * (moment - now) / 3600
        return _forecast(standing, int(cost), int(moment)) >= limit

    return ahead.first(over, now, min(standing.ends, until))


def _state_name(budget: Body) -> str:
    return f"states/{budget['name']}"


def _state(kept: Documents, budget: Body, now: int) -> Body:
    """What was told of a budget: the period, the thresholds in it, and when, in seconds."""
    new = {"checked": now, "sent": 0, "period": "", "current": None, "forecast": None}
    return kept.find(_state_name(budget)) or new


def _ids(cloud: Cloud, budget: Body) -> list[str]:
    """The ids of the projects that a budget's filter names, which may do so by number."""
    named = [name.removeprefix("projects/") for name in budget["budgetFilter"].get("projects") or []]
    return [found["projectId"] for found in map(cloud.of(Projects).find, named) if found]


def _currency(cloud: Cloud, budget: Body) -> str:
    """What the budget's account counts in, and so the budget."""
    return cloud.of(Accounts).get(budget["name"].partition("/budgets/")[0])["currencyCode"]


def _above(threshold: float | None, before: float | None) -> bool:
    return threshold is not None and (before is None or threshold > before)


def _periods(budget: Body, checked: int, now: int) -> Iterator[tuple[date, date]]:
    """The budget's periods that `checked` to `now` touches: a jump of the clock may pass the end of one."""
    filters = budget["budgetFilter"]
    if custom := filters.get("customPeriod"):
        first = _date(custom["startDate"])
        after = _date(custom["endDate"]) + timedelta(days=1) if custom.get("endDate") else date(9999, 1, 1)
        if pacific.begin(first) <= now and checked < pacific.begin(after):
            yield first, after
        return
    kind = filters["calendarPeriod"]
    first, after = pacific.period(kind, pacific.day(checked))
    while pacific.begin(first) <= now:
        yield first, after
        first, after = pacific.period(kind, after)


def _date(given: Body) -> date:
    return date(int(given["year"]), int(given["month"]), int(given["day"]))


def _standing(budget: Body, lines: list[Line], first: date, after: date, now: int) -> _Standing:
    counted = [line for line in lines if _counts(budget, line)]
    cost = _sum(budget, counted, first, after)
    if "specifiedAmount" in budget["amount"]:
        money = budget["amount"]["specifiedAmount"]
        given = int(money.get("units", 0)) * 10**9 + int(money.get("nanos", 0))
        amount = currency.to_dollars(given, budget["currency"])
    else:
        amount = _sum(budget, counted, *pacific.before(budget["budgetFilter"].get("calendarPeriod", "MONTH"), first))
    rules = budget["thresholdRules"]
    begins = min((line.day for line in counted if first <= line.day < after), default=pacific.day(now))
    ends = pacific.begin(after) if after.year < 9999 else None
    made = _Standing(first, pacific.begin(begins), ends, cost, amount, None, None)
    return replace(
        made,
        current=_highest(rules, "CURRENT_SPEND", cost, amount),
        forecast=_highest(rules, "FORECASTED_SPEND", _forecast(made, cost, now), amount),
    )


def _counts(budget: Body, line: Line) -> bool:
    """Whether a line is within the budget's account and filter."""
    filters = budget["budgetFilter"]
    if line.payer != budget["name"].partition("/budgets/")[0]:
        return False
    if filters.get("projects") and line.project not in budget["projectIds"]:
        return False
    if filters.get("services") and f"services/{line.of.service_id}" not in filters["services"]:
        return False
    for key, wanted in (filters.get("labels") or {}).items():
        values = wanted.get("values", []) if isinstance(wanted, dict) else wanted
        if line.labels.get(key) not in values:
            return False
    return True


def _sum(budget: Body, counted: list[Line], first: date, after: date) -> int:
    filters = budget["budgetFilter"]
    treatment = filters["creditTypesTreatment"]
    credited = treatment == "INCLUDE_ALL_CREDITS" or (
        treatment == "INCLUDE_SPECIFIED_CREDITS" and bool(_CREDIT_TYPES & set(filters.get("creditTypes") or []))
    )
    return sum(line.net if credited else line.nanos or 0 for line in counted if first <= line.day < after)


def _forecast(standing: _Standing, cost: int, now: int) -> int:
    """Where a cost at `now` gets by the end of the period."""
    return cost + cost * max((standing.ends or now) - now, 0) // max(now - standing.begins, _DAY)


def _highest(rules: list[Body], basis: str, cost: int, amount: int) -> float | None:
    exceeded = [
        rule["thresholdPercent"]
        for rule in rules
        if rule["spendBasis"] == basis and cost > 0 and cost >= Decimal(str(rule["thresholdPercent"])) * amount
    ]
    return max(exceeded, default=None)


def _publish(cloud: Cloud, budget: Body, standing: _Standing) -> None:
    rule = budget.get("notificationsRule") or {}
    if not rule.get("pubsubTopic"):
        return
    account, budget_id = budget["name"].split("/")[1::2]
    attributes = {"billingAccountId": account, "budgetId": budget_id, "schemaVersion": "1.0"}
    data = json.dumps(_payload(budget, standing)).encode()
    try:
        publish(cloud, rule["pubsubTopic"], data, attributes)
    except ApiError as error:
        log.warning("no notification of budget %s to %s: %s", budget["name"], rule["pubsubTopic"], error.message)


def publish(cloud: Cloud, topic: str, data: bytes, attributes: dict[str, str]) -> None:
    """As Google's own account for budgets, which must have the right on the topic. Raises 403, 404."""
    from localcloud.core.asked.callers import Caller
    from localcloud.pubsub import resources

    name = resources.full_name(cloud, topic)
    resources.allow(cloud, Caller(PUBLISHER, ""), "pubsub.topics.publish", resources.resource(name))
    cloud.of(PubSub).publish(name, data, attributes)


def _own(budget: Body, standing: _Standing) -> int:
    """The budget's amount in nanos of its own currency: to the last what it says, where it says one."""
    if "specifiedAmount" in budget["amount"]:
        money = budget["amount"]["specifiedAmount"]
        return int(money.get("units", 0)) * 10**9 + int(money.get("nanos", 0))
    return currency.from_dollars(standing.amount, budget["currency"])


def _payload(budget: Body, standing: _Standing) -> Body:
    begins = datetime.fromtimestamp(pacific.begin(standing.first), UTC)
    exceeded: Body = {}
    if standing.current is not None:
        exceeded["alertThresholdExceeded"] = standing.current
    if standing.forecast is not None:
        exceeded["forecastThresholdExceeded"] = standing.forecast
    specified = "specifiedAmount" in budget["amount"]
    return {
        "budgetDisplayName": budget.get("displayName", ""),
        **exceeded,
        "costAmount": currency.from_dollars(standing.cost, budget["currency"]) / 10**9,
        "costIntervalStart": begins.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "budgetAmount": _own(budget, standing) / 10**9,
        "budgetAmountType": "SPECIFIED_AMOUNT" if specified else "LAST_PERIODS_COST",
        "currencyCode": budget["currency"],
    }


def _mail(cloud: Cloud, ledger: Ledger, budget: Body, standing: _Standing, before: Body) -> None:
    rule = budget.get("notificationsRule") or {}
    account = budget["name"].split("/")[1]
    receivers = [] if rule.get("disableDefaultIamRecipients") else [f"billing administrators of {account}"]
    for channel in rule.get("monitoringNotificationChannels") or []:
        found = cloud.documents.find(channel) or {}
        receivers.append(found.get("labels", {}).get("email_address", channel))
    if rule.get("enableProjectLevelRecipients"):
        receivers += [f"owners of {project}" for project in budget["projectIds"]]
    amount = _own(budget, standing)
    shown = f"{amount / 10**9:,.2f}" if budget["currency"] == "USD" else currency.written(amount, budget["currency"])
    for word, now, then in (
        ("", standing.current, before["current"]),
        ("forecast to reach ", standing.forecast, before["forecast"]),
    ):
        if now is not None and _above(now, then):
            verb = word or "has reached "
            subject = f"{budget.get('displayName') or 'your budget'} {verb}{now:.0%} of {shown}"
            for receiver in receivers:
                ledger.post(cloud.clock.stamp(), receiver, subject, budget["name"])
