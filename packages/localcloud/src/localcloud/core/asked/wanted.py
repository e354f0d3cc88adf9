"""What a start makes: projects, and the billing accounts that are opened for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_ACCOUNT = re.compile(
    r"(?P<project>[^=]+)=(?P<account>[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6})(:(?P<currency>[A-Z]{3}))?(:(?P<closed>closed))?"
)


@dataclass(frozen=True)
class Wanted:
    """Projects that are paid for, and on free trials; of those, `fresh` are as new ones on Google.

    `accounts` are billing accounts "PROJECT=ACCOUNT:CURRENCY": opened for who owns the project, and paying for it.
    """

    projects: Sequence[str] = ()
    trials: Sequence[str] = ()
    fresh: Sequence[str] = ()
    accounts: Sequence[str] = ()

    def options(self) -> list[str]:
        """As the command line takes them."""
        named = {
            "project": self.projects,
            "trial": self.trials,
            "fresh-project": self.fresh,
            "billing-account": self.accounts,
        }
        return [f"--{name}={value}" for name, values in named.items() for value in values]

    def asked(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each project with the body of the request that makes it. Raises ValueError for what is no account."""
        accounts: dict[str, list[dict[str, Any]]] = {}
        for text in self.accounts:
            match = _ACCOUNT.fullmatch(text)
            if match is None:
                raise ValueError(f"{text!r} isn't PROJECT=ACCOUNT, such as my-project=012345-6789AB-CDEF01:USD")
            one = {"account": match["account"], "currency": match["currency"] or "USD", "open": not match["closed"]}
            accounts.setdefault(match["project"], []).append(one)
        for project in dict.fromkeys((*self.projects, *self.trials, *self.fresh, *accounts)):
            body = {"trial": project in self.trials, "fresh": project in self.fresh}
            yield project, body | {"accounts": accounts.get(project, [])}
