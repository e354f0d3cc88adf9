"""Reads a process' standard output and error at once, in the order in which they become readable."""

from __future__ import annotations

import os
import sys
from typing import IO

_CHUNK = 65_536

if sys.platform == "win32":
    import queue
    import threading

    class Pipes:
        """`read` gives what came within `timeout` seconds: (stream, data) pairs, data b"" at a stream's end."""

        def __init__(self, pipes: dict[str, IO[bytes]]) -> None:
            self._came: queue.Queue[tuple[str, bytes]] = queue.Queue()
            self.open = set(pipes)
            for stream, pipe in pipes.items():  # Windows has no way to wait for several pipes
                threading.Thread(target=self._pump, args=(stream, pipe.fileno()), daemon=True).start()

        def _pump(self, stream: str, handle: int) -> None:
            while data := os.read(handle, _CHUNK):
                self._came.put((stream, data))
            self._came.put((stream, b""))

        def read(self, timeout: float) -> list[tuple[str, bytes]]:
            try:
                found = [self._came.get(timeout=timeout)]
            except queue.Empty:
                return []
            while not self._came.empty():
                found.append(self._came.get())
            self.open -= {stream for stream, data in found if not data}
            return found
else:
    import selectors
    import time

    class Pipes:
        """`read` gives what came within `timeout` seconds: (stream, data) pairs, data b"" at a stream's end."""

        def __init__(self, pipes: dict[str, IO[bytes]]) -> None:
            self._selector = selectors.DefaultSelector()
            for stream, pipe in pipes.items():
                self._selector.register(pipe.fileno(), selectors.EVENT_READ, stream)
            self.open = set(pipes)

        def read(self, timeout: float) -> list[tuple[str, bytes]]:
            if not self.open:
                time.sleep(min(timeout, 0.01))  # only the end of the process is awaited
                return []
            found = []
            for key, _ in self._selector.select(timeout):
                data = os.read(key.fd, _CHUNK)
                if not data:
                    self._selector.unregister(key.fd)
                    self.open.discard(key.data)
                found.append((key.data, data))
            return found
