"""Where a command's mistakes end: told in two lines, with the right exit code, never as a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cloudkite.show import screen
from cloudkite.show.errors import FAILED, INTERRUPTED, UserError, from_google
from cloudkite.show.text import _


@contextmanager
def told(debug: bool = False) -> Iterator[None]:
    """Run a command's body. A mistake, a refusal or an interruption ends the process with its exit code."""
    try:
        yield
        sys.stdout.flush()  # here, where a reader that has gone is noticed in time
    except KeyboardInterrupt:
        screen.error(UserError(_("interrupted"), code=INTERRUPTED))
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # `invoke jobs | head`: the reader has gone, which is no mistake
        _write_nowhere()
        sys.exit(0)
    except Exception as problem:
        known = explained(problem)
        if debug or known is None:
            screen.trace()  # not raised again: Python would print what it quotes as it is
            sys.exit(FAILED)
        screen.error(known)
        sys.exit(known.code)


def _write_nowhere() -> None:
    """What is still to be written goes nowhere: Python would complain at its end."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # a stream that is no file
        sys.stdout = None


def explained(problem: Exception) -> UserError | None:
    """The mistake in the reader's words; None for a defect of Cloudkite's own, which keeps its traceback."""
    if isinstance(problem, UserError):
        return problem
    if isinstance(problem, OSError) and problem.errno is not None and problem.filename:
        return UserError(f"{problem.filename}: {problem.strerror}", _("check the disk and the folder's permissions"))
    if isinstance(problem, OSError) and problem.errno == 28:
        return UserError(_("the disk is full"), _("free some space and run the same command again"))
    if type(problem).__module__.startswith(("google.", "requests.", "urllib3.")):
        return from_google(problem)
    return None
