"""The bytes of objects: one file each, written once, never changed, found only through the metadata.

A file becomes part of an object when the metadata that names it is committed, so a torn file is never visible: a killed
server leaves at most files that nothing names, and `sweep` removes those at the next start.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from localcloud.core.state.disk import check_room
from localcloud.core.state.files import private_folder

_BLOCK = 1 << 20


class Blobs:
    """A folder of files named by random ids, spread over 256 sub-folders."""

    def __init__(self, folder: Path) -> None:
        self._folder = private_folder(folder)
        self._bin = ThreadPoolExecutor(1, "storage-discard")

    def path(self, blob: str) -> Path:
        return self._folder / blob[:2] / blob

    def create(self) -> BlobWriter:
        """A writer of a new, empty blob."""
        return BlobWriter(self._made(uuid.uuid4().hex))

    def append(self, blob: str, hashes: Hashes | None = None) -> BlobWriter:
        """A writer that goes on at the end of a blob; without its running `hashes` they are read from the file."""
        path = self._made(blob)
        if hashes is None or hashes.size != (path.stat().st_size if path.exists() else 0):
            hashes = self.hash(blob) if path.exists() else Hashes()
        return BlobWriter(path, hashes)

    def open(self, blob: str) -> BinaryIO:
        """The bytes; stay readable when the object is overwritten meanwhile. Raises FileNotFoundError."""
        return self.path(blob).open("rb", buffering=0)

    def hash(self, blob: str) -> Hashes:
        """Size and checksums of what the file has now."""
        hashes = Hashes()
        with self.open(blob) as file:
            while block := file.read(_BLOCK):
                hashes.update(block)
        return hashes

    def join(self, files: Iterable[BinaryIO]) -> BlobWriter:
        """A new blob, complete and closed, with the bytes of files one after another."""
        writer = self.create()
        try:
            for file in files:
                while block := file.read(_BLOCK):
                    writer.write(block)
            writer.close()
        except BaseException:
            writer.abandon()
            raise
        return writer

    def size(self, blob: str) -> int:
        """Bytes in the file; 0 when there is none yet."""
        try:
            return self.path(blob).stat().st_size
        except FileNotFoundError:
            return 0

    def discard(self, blobs: Iterable[str]) -> None:
        """Soon remove files that nothing names any more, in a thread: a large file takes a while to go."""
        self._bin.submit(self._remove, list(blobs))

    def _remove(self, blobs: list[str]) -> None:
        for blob in blobs:
            # Windows keeps a file that is being read: the next sweep takes it.
            try:
                self.path(blob).unlink(missing_ok=True)
            except PermissionError:
                continue

    def sweep(self, named: set[str]) -> int:
        """Remove all files but the `named`; gives how many. Only before requests are served."""
        strays = [path.name for path in self._folder.glob("??/*") if path.name not in named]
        self._remove(strays)
        return len(strays)

    def close(self) -> None:
        """Finish what is being removed."""
        self._bin.shutdown()

    def _made(self, blob: str) -> Path:
        path = self.path(blob)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        return path


class Hashes:
    """Running size, CRC32C and MD5."""

    def __init__(self) -> None:
        self.size = 0
        self.crc32c = 0
        self._md5 = hashlib.md5(usedforsecurity=False)

    def update(self, data: bytes) -> None:
        self.size += len(data)
        self.crc32c = google_crc32c.extend(self.crc32c, data)
        self._md5.update(data)

    @property
    def md5(self) -> bytes:
        return self._md5.digest()


class BlobWriter:
    """Appends to one file and keeps its hashes; not for several threads at once."""

    def __init__(self, path: Path, hashes: Hashes | None = None) -> None:
        self.blob = path.name
        self.hashes = hashes or Hashes()
        self._path = path
        self._file = path.open("ab", buffering=0)

    def write(self, data: bytes) -> None:
        """Append; raises OSError when the disk is full, or all but."""
        check_room(self._path.parent, len(data))
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) or 0 :]
        self.hashes.update(data)

    def close(self) -> None:
        """Hand all bytes to the operating system, where they survive a kill of this process."""
        self._file.close()

    def abandon(self) -> None:
        """Close and remove the file."""
        self._file.close()
        self._path.unlink(missing_ok=True)
