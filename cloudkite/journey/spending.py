"""`invoke costs`: an account's month in tables, with what these figures don't hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from cloudkite.accounts import registry
from cloudkite.journey.reach import connect
from cloudkite.money import currency
from cloudkite.money.currency import Rate
from cloudkite.money.spent import account as accounts
from cloudkite.money.spent import rows
from cloudkite.money.spent.account import Costs
from cloudkite.money.spent.bill import Compared
from cloudkite.money.spent.rows import Row, Sum
from cloudkite.show import amounts, screen
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _, counted
from cloudkite.workspace import Workspace

_KINDS = {
    rows.JOBS: _("jobs"),
    rows.TRIES: _("tuning jobs"),
    rows.PREDICTIONS: _("batch predictions"),
    rows.ENDPOINTS: _("endpoints"),
    rows.STORAGE: _("storage"),
    rows.IMAGES: _("images"),
    rows.OTHER: _("other"),
    rows.FREE: _("free"),
}
_BY = {
    "trainer": _("trainer"),
    "job": _("job"),
    "tuning": _("tuning"),
    "learner": _("learner"),
    "person": _("person"),
}
_LEAST = Decimal("0.00005")  # USD; what costs less has no line of its own
_DIGITS = 4


def show(
    workspace: Workspace, account: str = "", *, month: str = "", by: str = "trainer", everywhere: bool = False,
    as_json: bool = False,
) -> None:  # fmt: skip
    """Show the costs of an account's month. Raises BadValue for what is no month and nothing to sum up by."""
    if by not in rows.BY:
        raise BadValue(_("--by {by!r} isn't one of {known}").format(by=by, known=", ".join(rows.BY)), "--by trainer")
    loaded = registry.load(workspace, account or None)
    made = connect(workspace, loaded)
    found = accounts.read_costs(made, month, everywhere=everywhere)
    compared = accounts.compare(found, by)
    if as_json:
        screen.as_json(_json(found, compared))
        return
    rate = found.rate or currency.DOLLAR
    screen.say(
        _("account {name}, {month}: {until}").format(name=found.account, month=found.month.name, until=_until(found))
    )
    beside = {(one.kind, one.name): one for one in compared}
    if by == "job":
        _jobs(found, rate, beside)
    else:
        _sums(found, by, rate, beside)
    for line in _lines(found, rate):
        screen.say(line)
    for line in _billed(found, compared):
        screen.say(line)
    for note in (*found.notes, *_unseen(found)):
        screen.note(note)


def _until(found: Costs) -> str:
    dates = found.price_dates
    said = _("prices of {dates}").format(dates=dates[0] if len(dates) == 1 else f"{dates[0]} - {dates[-1]}")
    if found.rate and (told := found.rate.told()):
        said += f"; {told}"
    if found.rate_problem:
        said += "; " + _("amounts are in USD alone: {why}").format(why=found.rate_problem)
    ended = found.seen.now >= found.month.ends
    until = _("the whole month") if ended else _("until {time:%Y-%m-%d %H:%M} UTC").format(time=found.seen.now)
    return f"{until} ({said})"


# --- tables


def _money(amount: Decimal | None, rate: Rate) -> list[str]:
    """An amount in dollars, and in the account's currency where that is another."""
    told = [amounts.money(amount, currency.PRICES, _DIGITS)]
    if rate.currency != currency.PRICES:
        told.append("" if amount is None else amounts.money(rate.of(amount), rate.currency))
    return told


def _head(rate: Rate, found: Costs) -> list[str]:
    return [
        _("cost"), *([""] if rate.currency != currency.PRICES else []),
        *([_("by the bill"), _("credits")] if found.bill and found.bill.lines else []),
    ]  # fmt: skip


def _of_bill(found: Costs, one: Compared | None) -> list[str]:
    if not (found.bill and found.bill.lines):
        return []
    if one is None:
        return ["", ""]
    shown = [amounts.money(one.bill.gross, found.bill.currency, _DIGITS)]
    return [*shown, amounts.money(one.bill.credit, found.bill.currency, _DIGITS) if one.bill.credit else ""]


def _whose(ours: bool) -> str:
    return "" if ours else _("not Cloudkite's")


def _sums(found: Costs, by: str, rate: Rate, beside: dict[tuple[str, str], Compared]) -> None:
    """A line for each trainer, tuning, learner or person, and one for each thing that belongs to none."""
    told = []
    small = Decimal(0)
    single = (rows.ENDPOINTS, rows.STORAGE, rows.IMAGES, rows.OTHER, rows.FREE)
    for one in rows.group((row for row in found.rows if row.kind not in single), by):
        told.append((_named(one), str(one.count), _whose(one.ours), _known(one), beside.get((by, one.name))))
    for row in sorted(found.rows, key=lambda row: (row.kind == rows.FREE, not row.ours, -(row.amount or 0))):
        if row.kind not in single:
            continue
        if row.amount is not None and abs(row.amount) < _LEAST and row.kind in (rows.STORAGE, rows.FREE):
            small += row.amount
            continue
        name = f"{_KINDS[row.kind]}: {row.name}"
        told.append((name, "", _whose(row.ours or row.kind == rows.OTHER), row.amount, None))
    if small:
        told.append((_("storage: buckets with next to nothing"), "", "", small, None))
    if one := beside.get((rows.STORAGE, "")):
        told.append((_("storage in all, by the bill"), "", "", "", one))
    head = [_("what"), _("count"), "", *_head(rate, found)]
    width = 1 + (rate.currency != currency.PRICES)
    screen.table(
        head,
        [
            (name, count, whose, *([""] * width if amount == "" else _money(amount, rate)), *_of_bill(found, one))
            for name, count, whose, amount, one in told
        ],
        right=[1, *range(3, len(head))],
        total=[_("total"), "", "", *_money(found.total, rate), *_total_of_bill(found)],
        spare=[1, 2],
    )


def _total_of_bill(found: Costs) -> list[str]:
    if not (found.bill and found.bill.lines):
        return []
    whole = found.bill.total()
    return [amounts.money(one, found.bill.currency, _DIGITS) for one in (whole.gross, whole.credit)]


def _known(one: Sum) -> Decimal | None:
    return None if one.unknown == one.count else one.amount


def _named(one: Sum) -> str:
    if one.kind in _KINDS:
        return _KINDS[one.kind]
    return f"{_BY[one.kind]} {one.name}"


def _jobs(found: Costs, rate: Rate, beside: dict[tuple[str, str], Compared]) -> None:
    """A line for each job: what the gate let it pass for, what was estimated, what it came to."""
    listed = [row for row in found.rows if row.kind in (rows.JOBS, rows.TRIES, rows.PREDICTIONS)]
    head = [_("job"), _("state"), _("whose"), _("at most"), _("estimated"), *_head(rate, found)]
    body = []
    for row in listed:
        gate, estimate = (row.job.gate, row.job.estimate) if row.job else (None, None)
        body.append(
            (
                row.name,
                row.job.state.lower() if row.job else "",
                row.trainer or _whose(row.ours),
                *("" if one is None else amounts.money(one, currency.PRICES, _DIGITS) for one in (gate, estimate)),
                *_money(row.amount, rate),
                *_of_bill(found, beside.get(("job", row.unique)) if row.unique else None),
            )
        )
    whole = rows.total(listed)
    screen.table(
        head,
        body,
        right=range(3, len(head)),
        total=[_("jobs"), "", "", "", "", *_money(whole, rate), *([""] * (len(head) - 5 - len(_money(whole, rate))))],
        spare=[2, 1],
    )
    rest = found.total - whole
    told = rate.beside(rest, _DIGITS)
    screen.say(_("what isn't a job: {rest}; in all {total}").format(rest=told, total=rate.beside(found.total, _DIGITS)))


# --- what goes on


def _lines(found: Costs, rate: Rate) -> Iterator[str]:
    going = sorted(
        (row for row in found.rows if row.hourly is None or row.hourly > 0), key=lambda row: -(row.hourly or 0)
    )
    if found.forecast is not None and going:
        hour, day = (rate.beside(found.hourly * hours, _DIGITS) for hours in (1, 24))
        yield _("goes on costing {hour} an hour, {day} a day:").format(hour=hour, day=day)
        for row in going[:8]:
            if row.hourly is None or row.hourly >= _LEAST:
                each = amounts.money(row.hourly, currency.PRICES, _DIGITS)
                yield "  " + _("{price} an hour: {what}").format(price=each, what=f"{_KINDS[row.kind]}, {row.name}")
        rest = [row for row in going[8:] if row.hourly is None or row.hourly >= _LEAST]
        if rest:
            yield "  " + counted("and {count} more: --json", "and {count} more: --json", len(rest))
    elif found.forecast is not None:
        yield _("nothing goes on costing")
    if (ahead := found.forecast) is not None:
        yield _(
            "by the month's end: {total}, if nothing new begins ({spent} so far, {runs} for what runs until its limit "
            "or the month's end, {stored} for what is stored, as it is now)"
        ).format(
            total=rate.beside(ahead.total),
            spent=_plain(ahead.spent),
            runs=_plain(ahead.runs),
            stored=_plain(ahead.stored),
        )
        if ahead.pace is not None:
            yield _("  not in that: new jobs at the pace of the month so far would add {pace}").format(
                pace=rate.beside(ahead.pace)
            )
        if ahead.unknown:
            yield "  " + counted(
                "{count} thing goes on at no known price", "{count} things go on at no known price", ahead.unknown
            )
    yield from _budget(found)
    if found.whole is not None and found.trial_started is not None:
        yield _("since the trial began on {date}: {amount}").format(
            date=found.trial_started, amount=rate.beside(found.whole, _DIGITS)
        )


def _plain(amount: Decimal) -> str:
    return amounts.money(amount, currency.PRICES)


def _budget(found: Costs) -> Iterator[str]:
    if found.budget is None:
        return
    if found.rate is None:
        yield _("the budget isn't compared: its currency's rate isn't known")
        return
    share = found.rate.of(found.used) / found.budget
    said = (
        _("of the trial's budget of {budget}: {share}")
        if found.period == "trial"
        else _("of the month's budget of {budget}: {share}")
    )
    told = said.format(budget=amounts.money(found.budget, found.rate.currency), share=_percent(share))
    if found.forecast is not None:
        more = found.used + found.forecast.total - found.forecast.spent
        told += _(", {share} by the month's end").format(share=_percent(found.rate.of(more) / found.budget))
    yield told


def _percent(share: Decimal) -> str:
    return f"{100 * share:.1f} %"


def _unseen(found: Costs) -> list[str]:
    return [_("could not be looked at: {what}").format(what=what) for what in found.seen.unseen]


def _billed(found: Costs, compared: Sequence[Compared]) -> Iterator[str]:
    bill = found.bill
    if bill is None:
        return
    if bill.problem:
        screen.warn(_("the bill's own figures could not be read: {why}").format(why=bill.problem))
        if bill.hint:
            screen.note(bill.hint)
        return
    if bill.until is None:
        yield _("the billing export {table} has nothing of this project and month yet").format(table=bill.source)
        return
    yield _("the bill goes until {time:%Y-%m-%d %H:%M} UTC, before taxes and credits ({table})").format(
        time=bill.until, table=bill.source
    )
    for one in compared:
        if one.far and one.book is not None:
            name = f"{_BY.get(one.kind) or _KINDS[one.kind]} {one.name}".strip()
            screen.warn(
                _("{name}: the bill says {bill}, the price book {book}, more than 10 % apart, both until then").format(
                    name=name,
                    bill=amounts.money(one.bill.gross, bill.currency, _DIGITS),
                    book=amounts.money(one.book, bill.currency, _DIGITS),
                )
            )


# --- JSON


def _json(found: Costs, compared: Sequence[Compared]) -> dict[str, Any]:
    """All of it. Amounts are exact texts in USD; beside them those in the account's currency."""
    rate = found.rate
    ahead = found.forecast

    def told(amount: Decimal | None) -> dict[str, str | None]:
        own = None if amount is None or rate is None else str(rate.of(amount).normalize())
        return {"usd": None if amount is None else f"{amount.normalize():f}", "own": own}

    return {
        "account": found.account,
        "month": found.month.name,
        "until": min(found.seen.now, found.month.ends),
        "currency": rate.currency if rate else None,
        "rate": {"per_dollar": str(rate.per_dollar), "date": rate.date, "note": rate.note} if rate else None,
        "rate_problem": found.rate_problem,
        "price_dates": found.price_dates,
        "total": told(found.total),
        "unknown": sum(row.amount is None for row in found.rows),
        "rows": [_row(row, told) for row in found.rows],
        "by": {by: [_sum(one, told) for one in rows.group(found.rows, by)] for by in rows.BY if by != "job"},
        "goes_on": {"hour": told(found.hourly), "day": told(found.hourly * 24)},
        "forecast": None if ahead is None else {
            "total": told(ahead.total), "spent": told(ahead.spent), "runs": told(ahead.runs),
            "stored": told(ahead.stored), "pace": told(ahead.pace), "unknown": ahead.unknown,
        },
        "budget": None if found.budget is None else {
            "amount": str(found.budget), "period": found.period,
            "used": None if rate is None else float(rate.of(found.used) / found.budget),
        },
        "trial": None if found.whole is None else {"started": found.trial_started, "spent": told(found.whole)},
        "bill": _bill(found, compared),
        "notes": found.notes,
        "unseen": found.seen.unseen,
    }  # fmt: skip


def _row(row: Row, told: Any) -> dict[str, Any]:
    job = row.job
    return {
        "kind": row.kind, "name": row.name, "ref": row.ref, "ours": row.ours, "amount": told(row.amount),
        "hourly": told(row.hourly), "ends": row.ends, "why": row.why, "trainer": row.trainer, "tuning": row.tuning,
        "learner": row.learner, "person": row.person,
        "job": None if job is None else {
            "id": job.id, "state": job.state, "place": job.place, "billed_seconds": float(job.billed),
            "at_most": told(job.gate), "estimated": told(job.estimate),
        },
    }  # fmt: skip


def _sum(one: Sum, told: Any) -> dict[str, Any]:
    return {"kind": one.kind, "name": one.name, "amount": told(one.amount), "count": one.count,
            "unknown": one.unknown, "ours": one.ours}  # fmt: skip


def _bill(found: Costs, compared: Sequence[Compared]) -> dict[str, Any] | None:
    bill = found.bill
    if bill is None:
        return None
    whole = bill.total()
    return {
        "table": bill.source, "problem": bill.problem, "until": bill.until, "currency": bill.currency,
        "gross": str(whole.gross), "credits": str(whole.credit),
        "compared": [
            {"kind": one.kind, "name": one.name, "bill": str(one.bill.gross), "credits": str(one.bill.credit),
             "book": None if one.book is None else str(one.book), "far": one.far}
            for one in compared
        ],
    }  # fmt: skip
