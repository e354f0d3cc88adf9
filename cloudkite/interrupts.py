"""A Ctrl-C where several things are done at once: Python gives it to one thread, and the others hear of it here."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cloudkite.show.errors import INTERRUPTED, UserError
from cloudkite.show.text import _

_asked = threading.Condition(threading.RLock())  # a signal may come while this thread holds it
_times = 0


def ask() -> int:
    """A person pressed Ctrl-C; gives how often until now. Nothing new is begun from then on in this process."""
    global _times
    with _asked:
        _times += 1
        _asked.notify_all()
        return _times


@contextmanager
def heard() -> Iterator[None]:
    """Within it a Ctrl-C, or a SIGTERM, raises nothing: it only counts. Outside of the main thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGINT, *([signal.SIGTERM] if os.name == "posix" else [])]
    before = {number: signal.signal(number, lambda _number, _frame: _count()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _count() -> None:
    ask()


def asked() -> int:
    """How often a person pressed Ctrl-C while several things were done at once."""
    return _times


def forget() -> None:
    """What comes now is begun anew: the last of several things has ended."""
    global _times
    with _asked:
        _times = 0


def refuse() -> None:
    """Raise the UserError of an interruption once a person has pressed Ctrl-C."""
    if _times:
        raise told()


def told() -> UserError:
    """What an interruption is told as, wherever it came."""
    return UserError(
        _("interrupted; what was done until then is in the state"),
        _("the same command goes on where it stopped"),
        INTERRUPTED,
    )


def pause(seconds: float) -> None:
    """Sleep, but no longer than until a Ctrl-C. Raises UserError then."""
    with _asked:
        if not _times:
            _asked.wait(seconds)
    refuse()
