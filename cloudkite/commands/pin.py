"""`invoke pin`: exact versions of all that is installed here."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import command


@command(help={"upgrade": "to the newest versions that the requirements allow"})
def pin(c: Context, upgrade: bool = False) -> None:
    """Write the exact versions of what pyproject.toml's packages need, after a change of them."""
    from cloudkite.journey import supply

    supply.pin(upgrade=upgrade)
