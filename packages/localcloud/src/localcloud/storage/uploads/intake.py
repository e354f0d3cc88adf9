"""Takes the bytes of an upload into a blob without holding up the event loop or growing with the upload."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from localcloud.storage.blobs import BlobWriter

_BLOCK = 1 << 20  # bytes collected before a thread writes and hashes them
_T = TypeVar("_T")
_SMALL = 1 << 16  # bytes that are sooner written than handed to a thread


class Intake:
    """Collects what arrives; a thread writes one block while the next comes in. So it holds two blocks at most."""

    def __init__(self, writer: BlobWriter, pool: ThreadPoolExecutor) -> None:
        self._writer = writer
        self._pool = pool
        self._held: list[bytes] = []
        self._size = 0
        self._writing: asyncio.Future[None] | None = None

    async def write(self, data: bytes) -> None:
        """Take some bytes. Raises OSError when the disk is full."""
        self._held.append(data)
        self._size += len(data)
        if self._size >= _BLOCK:
            await self._flush()

    async def finish(self) -> BlobWriter:
        """Write what is left and close; the blob is complete then."""
        try:
            if self._writing is None and self._size <= _SMALL:
                self._writer.write(b"".join(self._held))
            else:
                await self._flush()
                await self._settle()
        finally:
            self._writer.close()
        return self._writer

    async def keep(self) -> BlobWriter:
        """The same when the client went away or the task is cancelled: what came is kept for a resumption."""
        return await _to_its_end(self.finish())

    async def abandon(self) -> None:
        """Drop the blob."""
        self._held.clear()
        try:
            await _to_its_end(self._settle())
        finally:
            self._writer.abandon()

    async def _flush(self) -> None:
        await self._settle()
        block, self._held, self._size = b"".join(self._held), [], 0
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(self._pool, self._writer.write, block)

    async def _settle(self) -> None:
        if self._writing is not None:
            await asyncio.shield(self._writing)  # a thread can't be cancelled: never go on beside it


async def _to_its_end(work: Coroutine[Any, Any, _T]) -> _T:
    """Its result; a cancellation is raised once it is over, so that nobody else writes beside it."""
    task, cancelled = asyncio.ensure_future(work), False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    return task.result()
