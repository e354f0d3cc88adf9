"""`invoke lint`: the project's format, lint and types."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import command


@command(help={"fix": "fix what can be fixed"})
def lint(c: Context, fix: bool = False) -> None:
    """Check format, lint and types."""
    from cloudkite.journey import project

    project.lint(fix=fix)
