"""`invoke prices.…`: where prices come from."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context

from cloudkite.commands import ACCOUNT, JSON, command


@command(help={"account": ACCOUNT, "json": JSON})
def refresh(c: Context, account: str = "", json: bool = False) -> None:
    """Read today's prices from the price list of an account's cloud, and count by them from now on."""
    from cloudkite import workspace
    from cloudkite.journey import refreshing

    refreshing.refresh(workspace.find(), account, as_json=json)


@command(help={"account": "the account on Google through which the list is read", "json": JSON})
def gather(c: Context, account: str = "", json: bool = False) -> None:
    """For maintainers: write Google's price list of today into the bundled price book."""
    from cloudkite import workspace
    from cloudkite.journey import refreshing

    refreshing.gather(workspace.find(), account, as_json=json)


collection = Collection("prices", refresh, gather)
