"""One live line for each of several things that are done at once; plain lines where nobody looks at a terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cloudkite.show import screen

Tell = Callable[[str, str], None]  # whose line it is, and what it says now


@contextmanager
def lines(names: Sequence[str]) -> Iterator[tuple[Tell, Tell]]:
    """(says what one of `names` does now, says how it ended); any thread may call both.

    A terminal shows the lines of those that have begun, each in its place. A pipe gets a line for each end alone.
    """
    out = screen.console(error=True)
    lock = threading.Lock()
    if not out.is_terminal:

        def ended(name: str, text: str) -> None:
            with lock:
                screen.note(f"{name}: {text}")

        yield lambda _name, _text: None, ended
        return
    from rich.live import Live

    width = max(map(len, names), default=0)
    now: dict[str, tuple[str, str]] = {}

    def drawn() -> Any:
        from rich.console import Group

        with lock:
            rows = [screen.row(f"{name:<{width}}  {text}", style) for name, (text, style) in now.items()]
        return Group(*rows)

    def put(name: str, text: str, style: str) -> None:
        with lock:
            now[name] = (text, style)

    # As high as the terminal: rich shows the last lines of what is higher, and all of it at the end.
    with Live(get_renderable=drawn, console=out, refresh_per_second=8, vertical_overflow="visible"):
        yield lambda name, text: put(name, text, "dim"), lambda name, text: put(name, text, "")


@contextmanager
def table() -> Iterator[Callable[..., None]]:
    """Shows a table in place of the one before; takes what `screen.table` takes. For a terminal alone."""
    from rich.live import Live

    with Live(console=screen.console(), auto_refresh=False, vertical_overflow="ellipsis") as live:
        yield lambda *columns, **more: live.update(screen.laid_out(*columns, **more), refresh=True)
