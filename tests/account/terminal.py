"""A person at a real terminal: a command in a pseudo-terminal, read until it asks, and answered."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cloudkite.workspace import CLONE

# A command line in a workspace of its own, whose accounts and trainers are not the clone's.
_IN_OWN_SPACE = """
import sys
from pathlib import Path
from cloudkite import workspace
space = workspace.throw_away(Path(sys.argv.pop(1)))
workspace.find = lambda: space
sys.argv[0] = "invoke"
from invoke.main import program
program.run()
"""
_ASKS = re.compile(r"(?:: |\[y/N\] )$")


class Terminal:
    """`invoke WORDS` in the workspace at `state`. `said` is all that it wrote since the last answer."""

    def __init__(self, state: Path, *words: str, **variables: str) -> None:
        import pty

        self.said = ""
        pid, self._fd = pty.fork()
        if pid == 0:
            environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120", "TERM": "dumb", **variables}
            os.chdir(CLONE)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # who runs the tests in the background ignores it
            os.execve(sys.executable, [sys.executable, "-c", _IN_OWN_SPACE, str(state), *words], environment)
        self._pid = pid
        self._code: int | None = None

    def question(self, seconds: float = 120.0) -> str:
        """The line on which it waits for an answer. Fails when it ends, or asks nothing for so long."""
        self._read(seconds, lambda: bool(_ASKS.search(self.said)))
        assert _ASKS.search(self.said), f"no question: {self.said}"
        return self.said.rpartition("\n")[2]

    def until(self, text: str, seconds: float = 240.0) -> None:
        """Read on until it has written a text."""
        self._read(seconds, lambda: text in self.said)
        assert text in self.said, self.said

    def answer(self, text: str) -> None:
        """Type a line. What was said before is forgotten."""
        self.said = ""
        os.write(self._fd, f"{text}\n".encode())

    def interrupt(self) -> None:
        """Ctrl-C, as soon as a person could: between the question and the reading of its answer Python hears of it only
        when something is typed.
        """
        time.sleep(0.3)
        self.said = ""
        os.write(self._fd, b"\x03")

    def end(self, seconds: float = 120.0) -> int:
        """The exit code; `said` has the rest. Fails when it goes on for so long without a word."""
        self._read(seconds, lambda: False)
        code = self._code
        self.close()
        assert code is not None, f"it goes on: {self.said}"
        return code

    def close(self) -> None:
        """End it, however far it is."""
        if self._code is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._code = -signal.SIGKILL
            os.close(self._fd)

    def _read(self, seconds: float, done: Callable[[], bool]) -> None:
        """Until `done`, or its end, or so many seconds without a word."""
        last = time.monotonic()
        while self._code is None and not done() and time.monotonic() - last < seconds:
            if self._more(0.2):
                last = time.monotonic()
                continue
            # Not every system tells a reader that the other side of a pseudo-terminal is closed.
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                while self._more(0):
                    pass
                self._code = os.waitstatus_to_exitcode(status)
                os.close(self._fd)

    def _more(self, seconds: float) -> bool:
        """Take what it has written, if it has; False where there is nothing."""
        if not select.select([self._fd], [], [], seconds)[0]:
            return False
        try:
            part = os.read(self._fd, 65_536)
        except OSError:  # Linux's way to say that the other side is closed
            return False
        self.said += part.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(part)
