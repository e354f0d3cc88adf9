"""`invoke test`: the project's tests."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import command


@command(
    help={
        "fast": "only the fast ones: about a minute in all",
        "changed": "only those that a change since main can affect",
        "k": "only tests whose name matches",
    }
)
def test(c: Context, fast: bool = False, changed: bool = False, k: str = "") -> None:
    """Run the tests."""
    from cloudkite.journey import project

    project.test(fast=fast, changed=changed, select=k)
