"""Reads the price list of an account's cloud: all pages of each service, whole or not at all.

https://cloud.google.com/billing/docs/reference/rest/v1/services.skus/list: an API key or a signed-in caller, no
permission; Compute Engine's list alone has some 30,000 SKUs, 5,000 a page at most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from catalog.gathering import layer, names
from catalog.gathering.layer import Gathered
from cloudkite.accounts.api import NoAnswer, call
from cloudkite.accounts.target import Target
from cloudkite.money.currency import PRICES
from cloudkite.show.errors import UserError
from cloudkite.show.text import _, counted

_LIST = "https://cloudbilling.googleapis.com/v1/services/{service}/skus"
_PAGE = 5000
_MOST = 200  # pages of a service: far more than there are
_SOURCES = {
    "google": "Google's price list (Cloud Billing Catalog API)",
    "local": "the local cloud's price list (Cloud Billing Catalog API)",
}


@dataclass(frozen=True)
class PriceList:
    """What was made of `count` SKUs. `left_out` tells of services whose list wasn't whole: none of it is used."""

    found: Gathered
    count: int
    left_out: tuple[str, ...]


def read(target: Target, progress: Callable[[str], object] = lambda _line: None) -> PriceList:
    """The price list of the account's cloud in dollars, as a layer of the price book of today, by the cloud's clock.

    Raises UserError where no service's list can be read, or the network fails: then nothing is known to be whole.
    """
    lists: dict[str, list[Any]] = {}
    problems: list[UserError] = []
    for service, name in names.SERVICES.items():
        try:
            lists[service] = _all(target, service, name, progress)
        except NoAnswer:
            raise
        except UserError as problem:
            problems.append(problem)
    if not lists:
        raise problems[0]
    found = layer.gather(lists, target.now(), _SOURCES[target.account.target])
    if not found.used:
        raise UserError(_("the price list has no price that is known here"))
    count = sum(map(len, lists.values()))
    return PriceList(found, count, tuple(problem.message.partition("\n")[0] for problem in problems))


def _all(target: Target, service: str, name: str, progress: Callable[[str], object]) -> list[Any]:
    """All SKUs of a service. Raises UserError for a page that isn't whole, or pages without an end."""
    doing = _("read the price list of {service}").format(service=name)
    found: list[Any] = []
    tokens, token = {""}, ""
    for _page in range(_MOST):
        asked = {"currencyCode": PRICES, "pageSize": _PAGE, **({"pageToken": token} if token else {})}
        page = call(target, "GET", _LIST.format(service=service), doing, params=asked)
        rows, token = page.get("skus", []), page.get("nextPageToken", "")
        if not isinstance(rows, list) or not isinstance(token, str):
            raise UserError(_("{doing}: a page of it isn't whole").format(doing=doing))
        found += rows
        progress(counted("{service}: {count} SKU", "{service}: {count} SKUs", len(found), service=name))
        if not token and not found:
            raise UserError(_("{doing}: it is empty").format(doing=doing))
        if not token:
            return found
        if token in tokens:
            raise UserError(_("{doing}: it gives the same page again").format(doing=doing))
        tokens.add(token)
    raise UserError(_("{doing}: it doesn't end").format(doing=doing))
