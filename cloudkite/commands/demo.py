"""`invoke demo`: the whole journey on this machine."""

from __future__ import annotations

from invoke.context import Context

from cloudkite.commands import command


@command(help={"keep": "keep the throw-away account and its files, and say where"})
def demo(c: Context, keep: bool = False) -> None:
    """Run the whole journey on this machine, on real data, without an account: about a minute."""
    from cloudkite.journey import demo

    demo.run(keep=keep)
