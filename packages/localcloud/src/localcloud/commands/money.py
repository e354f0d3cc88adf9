"""The verbs of the local cloud's command line that are about time and money: clock, bill, export, upgrade."""

from __future__ import annotations

import argparse
import json
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from localcloud import launch
from localcloud.billing import currency

_UNIT_WORDS = {"gibibyte month": "GiB-months", "gibibyte": "GiB"}
_SECOND_WORDS = {"vCPU second": "vCPU-seconds", "gibibyte second": "GiB-seconds"}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """The verbs and their options."""
    clock = verbs.add_parser("clock", parents=[shared], help="show its time, or move it forward")
    clock.add_argument(
        "--forward", default="", metavar="TIME", help="let so much time pass: 90s, 30m, 12h, 3d, 2w, or 1d12h"
    )
    bill = verbs.add_parser("bill", parents=[shared], help="show what all would have cost on Google")
    bill.add_argument("--project", default="", metavar="ID", help="only this project")
    bill.add_argument("--month", default="", metavar="YYYY-MM", help="only this month, in Pacific time as Google's")
    export = verbs.add_parser("export", parents=[shared], help="export the bill to BigQuery from now on")
    export.add_argument("--dataset", required=True, metavar="PROJECT.DATASET", help="made where it isn't there")
    export.add_argument(
        "--account", default="", metavar="ID", help="the billing account (default: who pays the project)"
    )
    upgrade = verbs.add_parser("upgrade", parents=[shared], help="upgrade a free trial to a paid account")
    upgrade.add_argument("project", metavar="PROJECT", help="the trial's project")


def seconds(text: str) -> int:
    """Seconds of a time such as "3d" or "1d12h". Raises launch.Failed for what is none."""
    parts = re.findall(r"(\d+)([smhdw])", text)
    if not parts or "".join(map("".join, parts)) != text:
        hint = "a whole number and s, m, h, d or w: 90s, 30m, 12h, 3d, 2w, 1d12h"
        raise launch.Failed(f"--forward {text} isn't a time to move by", hint, 2)
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


def clock(options: argparse.Namespace) -> int:
    """Show the time, after moving it. Raises launch.Failed."""
    if options.forward:
        found = launch.forward(options.root, seconds(options.forward))
    else:
        found = launch.control(options.root, "GET", "/clock")
    ahead = timedelta(seconds=round(found["ahead_seconds"]))
    words = f"{ahead} ahead of the real time (reset sets it back)" if ahead else "the real time"
    print(json.dumps(found, indent=2) if options.json else f"{found['now']}: {words}")
    return 0


def bill(options: argparse.Namespace) -> int:
    """Show the bill. Raises launch.Failed."""
    query = urlencode({"project": options.project, "month": options.month})
    found = launch.control(options.root, "GET", f"/bill?{query}")
    print(json.dumps(found, indent=2) if options.json else table(found))
    return 0


def export(options: argparse.Namespace) -> int:
    """Switch the export of the bill on. Raises launch.Failed."""
    wanted = {"dataset": options.dataset, "account": options.account}
    found = launch.control(options.root, "POST", "/export", wanted)
    words = f"{found['account']} is exported to {found['dataset']} from now on; rows come about six hours late"
    print(json.dumps(found, indent=2) if options.json else words)
    return 0


def upgrade(options: argparse.Namespace) -> int:
    """Upgrade a trial. Raises launch.Failed."""
    found = launch.control(options.root, "POST", f"/projects/{options.project}/upgrade", {})
    print(json.dumps(found, indent=2) if options.json else trial_words((options.project, found)))
    return 0


def trial_words(trial: tuple[str, dict[str, Any]]) -> str:
    """A free trial in one line."""
    project, found = trial
    credit = f"{Decimal(found['credit_left']):.2f} USD"
    if found["currency"] != "USD":
        own = currency.from_dollars(int(Decimal(found["credit_left"]) * 10**9), found["currency"])
        credit += f" ({currency.written(own, found['currency'])})"
    left = f"{credit} of credit and {found['days_left']} days left"
    return f"{project}: trial {found['state']}, {left}"


def table(found: dict[str, Any]) -> str:
    """Days summed up, a row for what was sold of each resource; it fits on a terminal of 80 columns."""
    rows: dict[tuple[str, ...], tuple[Decimal, Decimal | None]] = {}
    for line in found["lines"]:
        key = (line["project"], line["service"], _named(line, 76), line["sku"], line["unit"])
        amount, cost = rows.get(key, (Decimal(), Decimal()))
        more = None if line["cost"] is None or cost is None else cost + Decimal(line["cost"])
        rows[key] = amount + Decimal(line["amount"]), more
    text, above = [], ("", "", "")
    for key, (amount, cost) in sorted(rows.items()):
        project, service, resource, sku, unit = key
        if (project, service) != above[:2]:
            text.append(f"{project}: {service}")
        if (project, service, resource) != above:
            text.append(f"  {resource}")
        above = (project, service, resource)
        price = f"{'not known' if cost is None else f'{cost:.4f}':>10} USD"
        text += [f"    {_short(sku)}", f"      {_amount(amount, unit):<44}{price}"]
    if not text:
        text = ["nothing was charged"]
    else:
        text += ["", f"cost {Decimal(found['cost']):.4f} USD"]
        if Decimal(found["credit"]):
            text.append(f"credit {Decimal(found['credit']):.4f} USD")
        text.append(f"total {Decimal(found['total']):.4f} USD, before taxes")
    text += [f"no price is known, so not in the total: {sku}" for sku in found["unpriced"]]
    text += [_other(one) for one in found["other_currencies"]]
    a_day = [one for one in found["a_day"] if Decimal(one["cost"]) >= Decimal("0.005")]
    if a_day:
        text.append(f"goes on to cost {sum(Decimal(one['cost']) for one in a_day):.2f} USD a day:")
        text += [f"  {Decimal(one['cost']):>8.2f} USD  {_named(one, 64)}" for one in a_day]
    if found["free"]:
        text.append("free this month, so far used:")
        text += [f"  {_free(one)}" for one in found["free"]]
    text += [trial_words(trial) for trial in found["trials"].items()]
    text += [f"e-mail {mail['time'][:16]} to {mail['to']}: {mail['subject']}" for mail in found["mail"]]
    return "\n".join(text)


def _other(one: dict[str, Any]) -> str:
    """Such as: total 1,234 KRW for the account that counts in it (1 USD = 1,335.27 KRW of 2026-10-30)"""
    if not one["as_of"]:
        return f"an account counts in {one['currency']}: amounts are dollars all the same, for no rate is known"
    rate = f"1 USD = {Decimal(one['per_dollar']):,.6g} {one['currency']} of {one['as_of']}"
    return f"total {one['total']} for who is billed in {one['currency']} ({rate})"


def _named(one: dict[str, Any], width: int) -> str:
    """A resource as a person knows it, in so many columns: customJobs/123 "my training", us-central1."""
    place, _, rest = one["resource"].removeprefix("locations/").partition("/")
    if not one["resource"].startswith("locations/"):
        return one["resource"]
    room = width - len(f'{rest} "", {place}')
    title = one["title"] if len(one["title"]) <= room else f"{one['title'][: room - 3]}..."
    return f'{rest} "{title}", {place}' if one["title"] and room > 6 else f"{rest}, {place}"


def _short(sku: str) -> str:
    """Without what its heading says already."""
    return sku.removeprefix("Vertex AI: ")


def _amount(amount: Decimal, unit: str) -> str:
    if unit == "hour":
        minutes = round(amount * 60)
        return f"{minutes // 60} h {minutes % 60} min" if amount >= Decimal("0.1") else f"{round(amount * 3600)} s"
    if unit == "operation":
        return f"{amount:,.0f} operations"
    if unit in _SECOND_WORDS:
        return f"{amount:,.0f} {_SECOND_WORDS[unit]}"
    return f"{amount:.4f} {_UNIT_WORDS[unit]}"


def _free(one: dict[str, Any]) -> str:
    """Such as: 12 of 5,000 Class A operations (billingAccounts/0-0-0)"""
    words = {"bytes": "GiB-months of Standard storage", "logs": "GiB of logs", "messages": "GiB of messages"}
    operations = one["unit"] == "operation"
    what = words.get(one["what"], f"{one['what']} operations of Standard storage" if operations else one["what"])
    used = Decimal(one["used"])
    shown = f"{used:,.0f}" if operations or one["unit"].endswith("second") else f"{used:.4f}"
    return f"{shown} of {int(one['of']):,} {what} ({one['for'].partition('/')[2]})"
