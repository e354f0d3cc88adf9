"""`invoke test`: the project's tests."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import command


@command(help={"fast": "only the fast ones: under a minute in all", "k": "only tests whose name matches"})
def test(c: Context, fast: bool = False, k: str = "") -> None:
    """Run the tests."""
    from cloudkite import project

    project.test(fast=fast, select=k)
