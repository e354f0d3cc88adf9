"""`invoke bench`: speed, measured."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import JSON, command


@command(help={"only": "rows whose name contains this", "json": JSON})
def bench(c: Context, only: str = "", json: bool = False) -> None:
    """Measure speed: medians and ratios against a peer, in one run."""
    from cloudkite.bench.report import run

    run(only=only, as_json=json)
