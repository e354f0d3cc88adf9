"""The file through which a supervisor hands a replica's output to the server: one JSON line for each line of output.

Lines are in the order in which they came, across both streams. A reader takes whole lines only, so a file that was cut
short in the middle of one loses nothing that was complete. Standard library only: supervisors import this.
"""

from __future__ import annotations

import codecs
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from localcloud.core.state.disk import is_full

_LONGEST = 100_000  # characters of a line; a LogEntry may have 256 KiB
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Line:
    """One line of output: nanoseconds since the epoch, "stdout" or "stderr", its text, and where it is in the file.

    `end` is the offset behind it: what a reader that has it passes on to read what follows.
    """

    at: int
    stream: str
    text: str
    offset: int
    end: int


class Writer:
    """Splits output into lines and appends them. Instants grow from line to line, so that sorting by them is exact."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        self._decoders = {s: codecs.getincrementaldecoder("utf-8")("replace") for s in ("stdout", "stderr")}
        self._open = {"stdout": "", "stderr": ""}
        self._last = 0
        self._lost = 0  # lines, since the disk is full

    def feed(self, stream: str, data: bytes) -> None:
        """Output as it came; b"" at its end, when an unfinished line is written too."""
        *whole, rest = (self._open[stream] + self._decoders[stream].decode(data, final=not data)).split("\n")
        if rest and (not data or len(rest) > _LONGEST):
            whole, rest = [*whole, rest], ""
        self._open[stream] = rest
        self._write(stream, whole)

    def say(self, stream: str, text: str) -> None:
        """A line of the supervisor's own."""
        self._write(stream, [text])

    def _write(self, stream: str, lines: list[str]) -> None:
        records = []
        if self._lost and lines:
            records.append(self._note())
        for line in lines:
            line = line.rstrip("\r")
            for start in range(0, max(len(line), 1), _LONGEST):
                self._last = max(time.time_ns(), self._last + 1)
                text = line[start : start + _LONGEST]
                # Not escaped: a record must stay below _CHUNK, also one of rare characters.
                records.append(json.dumps([self._last, stream, text], ensure_ascii=False) + "\n")
        if records:
            self._lost = 0 if self._append("".join(records).encode()) else self._lost + len(lines)

    def _note(self) -> str:
        self._last = max(time.time_ns(), self._last + 1)
        words = f"Lines that are not here, because the disk was full: {self._lost}."
        return json.dumps([self._last, "stderr", words]) + "\n"

    def _append(self, records: bytes) -> bool:
        """False when the disk is full: a job goes on without its log, and the file has whole records only."""
        size = os.fstat(self._handle).st_size
        data = memoryview(records)
        try:
            while data:
                data = data[os.write(self._handle, data) :]
        except OSError as error:
            if not is_full(error):
                raise
            os.ftruncate(self._handle, size)
            return False
        return True

    def close(self) -> bool:
        """False when it is not yet noted that lines were lost, because the disk is still full: try again."""
        if self._lost and not self._append(self._note().encode()):
            return False
        os.close(self._handle)
        return True


def read(path: Path, offset: int) -> Iterator[Line]:
    """Whole lines from `offset` on, about a mebibyte of them at most; none when the file is not there."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(_CHUNK)
    except FileNotFoundError:
        return
    for record in data[: data.rfind(b"\n") + 1].splitlines(keepends=True):
        at, stream, text = json.loads(record)
        yield Line(at, stream, text, offset, offset + len(record))
        offset += len(record)
