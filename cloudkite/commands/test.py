"""`invoke test`: the project's tests."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import command


@command(
    help={
        "fast": "only the fast ones: about a minute in all",
        "changed": "only those that a change since main can affect",
        "k": "only tests whose name matches",
        "matrix": "each kind of trainer with each model instead; writes the table of docs/reliability.md",
    }
)
def test(c: Context, fast: bool = False, changed: bool = False, k: str = "", matrix: bool = False) -> None:
    """Run the tests."""
    from cloudkite.journey import project

    if matrix:
        from cloudkite.bench import matrix as kinds

        kinds.run()
        return
    project.test(fast=fast, changed=changed, select=k)
