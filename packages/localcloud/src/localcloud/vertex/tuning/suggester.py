"""Asks the process that suggests parameters (localcloud.vertex.tuning.suggest), which runs only while it is needed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localcloud.core.state.disk import is_full

_PACKAGE = Path(__file__).resolve().parents[3]
_LONGEST = 1 << 24  # bytes of an answer
_PATIENCE = 60.0  # seconds for an answer, and for the process to end


class CantSuggest(Exception):
    """The process gave no answer, twice."""


class Suggester:
    """One process for all studies of a cloud. All methods are called in the server's event loop."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def ask(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The next trial's parameters. Raises CantSuggest, and OSError when the disk is full."""
        line = json.dumps(request).encode() + b"\n"
        async with self._lock:
            for _ in range(2):  # somebody may have ended the process
                try:
                    return json.loads(await asyncio.wait_for(self._exchange(line), _PATIENCE))["parameters"]
                except (OSError, ValueError, TimeoutError) as error:
                    await self._end()
                    if is_full(error):  # whoever asks waits until there is room
                        raise
        raise CantSuggest(f"No parameters could be suggested; see {self._log}.")

    async def close(self) -> None:
        """End the process; the next question starts another."""
        async with self._lock:
            await self._end()

    async def _exchange(self, line: bytes) -> bytes:
        if self._process is None:
            self._process = await self._start()
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(line)
        await self._process.stdin.drain()
        return await self._process.stdout.readline()

    async def _start(self) -> asyncio.subprocess.Process:
        environment = {"PYTHONPATH": str(_PACKAGE), "PATH": os.defpath, "OPENBLAS_NUM_THREADS": "1"}
        if sys.platform == "win32":
            environment |= {name: os.environ[name] for name in ("SYSTEMROOT", "PATH") if name in os.environ}
        with self._log.open("ab") as errors:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "localcloud.vertex.tuning.suggest"),
                cwd=self._log.parent,
                env=environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                limit=_LONGEST,
            )

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            process.kill()  # it keeps nothing
        await process.communicate()  # to the end of its pipes, too
