"""An account's own copy of its cloud's price list: one layer of prices, in the account's folder, for its owner only.

A process prices by the copy of the account to which it connected last, see catalog.listed.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from catalog import listed
from catalog.gathering import books
from catalog.listed import Layer
from cloudkite.accounts.registry import Account
from cloudkite.show.text import _
from cloudkite.workspace import write_atomically


def lay(account: Account) -> str:
    """Let this process price by the account's copy, or by the bundled book where there is none.

    What must be told: a copy that can't be read, or is of another cloud, isn't used.
    """
    listed.use(None)
    try:
        found = json.loads(_path(account).read_text(encoding="utf-8"), parse_float=Decimal)
        if found["target"] != account.target:
            raise ValueError("of another cloud")
        listed.use(books.checked(found["layer"]))
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        said = _("the copy of the price list in {path} can't be used, so the bundled prices are: {command}")
        command = f"uv run invoke prices --refresh --account {account.name}"
        return said.format(path=_path(account), command=command)
    return ""


def keep(account: Account, layer: Layer) -> None:
    """Keep a copy in place of the one before, and price by it."""
    write_atomically(_path(account), books.written({"target": account.target, "layer": layer}) + "\n")
    listed.use(layer)


def _path(account: Account) -> Path:
    return account.state / "prices.json"
