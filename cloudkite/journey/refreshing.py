"""Prices are read anew from the price list of an account's cloud: for the account, or for the bundled book."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudkite.accounts import pricelist, registry
from cloudkite.accounts.target import Target
from cloudkite.journey import reach
from cloudkite.show import amounts, screen
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, counted
from cloudkite.workspace import Workspace, write_atomically

if TYPE_CHECKING:
    from catalog.gathering.books import Change
    from cloudkite.money.book.reading import PriceList
    from cloudkite.money.currency import Rate

_ROWS = 30  # of changes that are shown; --json has all
_SHOWN = 5  # SKUs that weren't believed


def refresh(workspace: Workspace, account_name: str = "", as_json: bool = False) -> None:
    """Read the price list of an account's cloud, keep it as the account's own copy, and show what it changes.

    Where the account isn't in dollars, its rate is read too. Raises UserError where no list can be read; the copy of
    before is kept then.
    """
    from catalog import listed
    from catalog.gathering import books

    account = registry.load(workspace, account_name or None)
    target = reach.connect(workspace, account, new=True)
    read = _read(target)
    changes = books.changes(read.found.layer)
    listed.use(None)
    far = [one for one in books.changes(read.found.layer) if one.far]  # from the bundled book, however often it is read
    pricelist.keep(account, read.found.layer)
    rate, why = _rate(target)
    if as_json:
        screen.as_json({**_told(read, changes, far), "account": account.name, "rate": _rate_told(rate)})
        return
    _show(read, changes, far)
    if why:
        screen.warn(why)
    elif rate is not None:
        screen.say(rate.told(), style="dim")
    screen.say(_("account {name} counts by these prices from now on").format(name=account.name))


def gather(workspace: Workspace, account_name: str, as_json: bool = False) -> None:
    """Read Google's price list through an account, put it on top of the bundled price book, and show what it changes.

    Raises BadValue for an account on the local cloud, whose prices are the bundled ones.
    """
    import catalog
    from catalog import listed
    from catalog.gathering import books

    account = registry.load(workspace, account_name or None)
    if account.target != "google":
        raise BadValue(
            _("account {name} is on the local cloud, whose prices are the bundled ones").format(name=account.name),
            _("--account names one on Google"),
        )
    target = reach.connect(workspace, account, new=True)
    listed.use(None)  # the bundled book is what changes
    read = _read(target)
    changes = books.changes(read.found.layer)
    far = [one for one in changes if one.far]
    path = Path(catalog.__file__).parent / "prices.json"
    bundle(path, read)
    if as_json:
        screen.as_json({**_told(read, changes, far), "written": str(path)})
        return
    _show(read, changes, far)
    screen.say(_("written: {path}").format(path=amounts.short(path)))


def bundle(path: Path, read: PriceList) -> None:
    """Put what was read on top of the price book in a file, which is whole before and after."""
    import json
    from decimal import Decimal

    from catalog.gathering import books

    book = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    write_atomically(path, books.written(books.put(book, read.found.layer)) + "\n", mode=0o644)


def _read(target: Target) -> PriceList:
    from cloudkite.money.book import reading

    with screen.waiting(_("reading the price list of Google's services"), live=True) as tell:
        return reading.read(target, tell)


def _rate(target: Target) -> tuple[Rate | None, str]:
    """(the rate of the account's currency, why there is none): both empty for dollars."""
    from cloudkite.money import currency

    code = target.account.currency
    if code in (None, currency.PRICES):
        return None, ""
    try:
        return currency.renew(target, code), ""
    except UserError as problem:
        return None, problem.message.partition("\n")[0]


def _rate_told(rate: Rate | None) -> dict[str, str] | None:
    return rate and {"currency": rate.currency, "per_dollar": str(rate.per_dollar), "date": rate.date}


def _show(read: PriceList, changes: Sequence[Change], far: Sequence[Change]) -> None:
    found = read.found
    for line in read.left_out:
        screen.warn(_("{problem}: none of it is used").format(problem=line))
    if changes:
        rows = _rows(changes)
        screen.table([_("price"), _("where"), _("before"), _("now"), _("USD per")], rows[:_ROWS], right=(2, 3))
        if len(rows) > _ROWS:
            screen.say(_("and {count} more: --json has all").format(count=len(rows) - _ROWS))
    else:
        screen.say(_("no price has changed"))
    for one in far:
        said = _("{name} in {region} is {after} USD, and {before} USD in the bundled book: look at it")
        before, after = f"{one.before:f}", f"{one.after:f}"
        screen.warn(said.format(name=one.name, region=_where([one.region]), before=before, after=after))
    for told in found.refused[:_SHOWN]:
        said = _("not used: {description} ({sku}): {why}")
        screen.note(said.format(description=told.description or "?", sku=told.sku or "?", why=_why(told.why)))
    rest = len(found.refused) - _SHOWN
    if rest > 0:
        screen.note(counted("{count} more isn't used: --json has it", "{count} more aren't used: --json has all", rest))
    said = _("{used} of {all} SKUs are used as of {date}; {unmapped} are of kinds that aren't priced here")
    told = {"used": found.used, "unmapped": len(found.unmapped), "date": found.layer["as_of"]}
    screen.say(said.format(all=read.count, **told))


def _rows(changes: Sequence[Change]) -> list[list[str]]:
    """A row for each price that became another one, with all regions where it did."""
    regions: dict[tuple[str, str, str, str], list[str]] = {}
    for one in changes:
        before = _("unknown") if one.before is None else f"{one.before:f}"
        regions.setdefault((one.table, one.name, before, f"{one.after:f}"), []).append(one.region)
    said = {
        "compute": _("Compute Engine"),
        "spot": _("spot"),
        "training": _("Vertex AI"),
        "fee": _("fee of Vertex AI"),
        "storage": _("Cloud Storage"),
        "operation": _("Cloud Storage"),
        "egress": _("Cloud Storage"),
        "run": _("Cloud Run"),
        "free": _("free amount"),
    }
    return [
        [f"{said[table]}: {name}", _where(where), before, after, _per(table, name)]
        for (table, name, before, after), where in regions.items()
    ]


def _where(regions: Sequence[str]) -> str:
    if list(regions) == ["*"]:
        return _("everywhere")
    return ", ".join(regions[:2]) + (f", +{len(regions) - 2}" if len(regions) > 2 else "")


def _per(table: str, name: str) -> str:
    if table == "free":
        return ""
    if table == "run":
        return _("second")
    if table in ("storage", "operation", "egress"):
        return {"storage": _("GiB and month"), "operation": _("operation"), "egress": _("GiB")}[table]
    return _("GiB and hour") if name.endswith(" memory") or name.startswith("pd-") else _("hour")


def _why(reason: str) -> str:
    return {
        "torn": _("it isn't whole"),
        "not in force": _("its price isn't in force yet"),
        "unit": _("its unit isn't known"),
        "currency": _("it isn't in the currency asked for"),
        "price": _("its price is missing, zero, negative or too large"),
        "tiers": _("its tiers contradict each other"),
        "two prices": _("another SKU has another price for the same"),
    }[reason]


def _told(read: PriceList, changes: Sequence[Change], far: Sequence[Change]) -> dict[str, Any]:
    found = read.found
    return {
        "as_of": found.layer["as_of"],
        "source": found.layer["source"],
        "newest_since": found.since,
        "skus": read.count,
        "used": found.used,
        "left_out": list(read.left_out),
        "unmapped_by_service": Counter(one.service for one in found.unmapped),
        "unmapped": [asdict(one) for one in found.unmapped],
        "refused": [asdict(one) for one in found.refused],
        "changes": [_change(one) for one in changes],
        "far_from_bundled": [_change(one) for one in far],
    }


def _change(one: Change) -> dict[str, Any]:
    return {**asdict(one), "before": one.before and str(one.before), "after": str(one.after)}
