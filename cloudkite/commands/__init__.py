"""Commands of Invoke, and the groups `account` and `local`, a file each; here is what all have in common.

A command is thin: it reads its options, calls a journey and prints.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from cloudkite.show.text import _

# The help of options that several commands have.
TRAINER = "the trainer's name or folder"
ACCOUNT = "another account than the one in use"
JSON = "print JSON"
ONE_JOB = {"job": "its id or name, or the start of it (default: the newest)", "account": ACCOUNT}


def command(*, name: str | None = None, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """An Invoke task whose mistakes are told as `error:` and `hint:`; `--debug` shows the traceback instead.

    What --list and --help show of it (its docstring, `help`) is in the reader's language.
    """
    options["help"] = {option: _(said) for option, said in options.get("help", {}).items()}

    def decorate(body: Callable[..., Any]) -> Any:
        @functools.wraps(body)
        def run(c: Context, *arguments: Any, **values: Any) -> None:
            from cloudkite.show import mistakes

            with mistakes.told(debug="--debug" in sys.argv or "-d" in sys.argv):
                _sweep()
                body(c, *arguments, **values)

        run.__doc__ = _(body.__doc__ or "")
        return task(run, name=name, auto_shortflags=False, **options)

    return decorate


def _sweep() -> None:
    """Remove what a command left that was killed, and say so."""
    from cloudkite import leftovers, workspace
    from cloudkite.show import amounts, screen

    if gone := leftovers.sweep(workspace.find()):
        shown = ", ".join(map(amounts.short, gone[:3])) + (", ..." if len(gone) > 3 else "")
        screen.note(_("removed what a killed command left: {what}").format(what=shown))
