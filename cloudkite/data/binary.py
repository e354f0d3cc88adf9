"""Images and TFRecord, as far as one can tell without TensorFlow what is in them, and whether they are whole."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloudkite.show.errors import BadValue
from cloudkite.show.text import _

Feature = tuple[str, list[Any]]  # "string", "float32" or "int64", and the values


def picture(path: Path) -> tuple[int, int, int] | None:
    """(height, width, colours) of a PNG, JPEG, GIF or BMP file that is whole; None for any other."""
    data = path.read_bytes()
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(data)
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith((b"GIF87a", b"GIF89a")) and data.rstrip(b"\0").endswith(b";"):
            width, height = struct.unpack("<HH", data[6:10])
            return height, width, 3
        if data.startswith(b"BM") and struct.unpack("<I", data[2:6])[0] <= len(data):
            width, height, _planes, bits = struct.unpack("<iiHH", data[18:30])
            return abs(height), width, 1 if bits == 8 else 3
    except (struct.error, zlib.error, IndexError):
        pass
    return None


def _png(data: bytes) -> tuple[int, int, int] | None:
    at, size, packed = 8, (0, 0, 0), []
    while True:
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] != zlib.crc32(kind + body):
            return None
        if kind == b"IHDR":
            width, height, _bits, colour = struct.unpack(">IIBB", body[:10])
            size = (height, width, 1 if colour in (0, 4) else 3)
        elif kind == b"IDAT":
            packed.append(body)
        elif kind == b"IEND":
            zlib.decompress(b"".join(packed))
            return size if all(size) else None
        at += 12 + length


def _jpeg(data: bytes) -> tuple[int, int, int] | None:
    at = 2
    while data[at] == 0xFF:
        kind = data[at + 1]
        if kind == 0xFF:
            at += 1
            continue
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width, colours = struct.unpack(">HHB", data[at + 5 : at + 10])
            whole = b"\xff\xd9" in data[-1024:]
            return (height, width, 1 if colours == 1 else 3) if whole and height and width else None
        at += 2 + length
    return None


def image(data: bytes) -> tuple[int, int, int] | None:
    try:
        if data.startswith(b"\x89PNG"):
            return _png(data)
        return _jpeg(data) if data.startswith(b"\xff\xd8") else None
    except (struct.error, zlib.error, IndexError):
        return None


def records(path: Path) -> Iterator[bytes]:
    """The records of a TFRecord file: length, its checksum, data, their checksum.
    https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details"""
    size = path.stat().st_size
    with path.open("rb") as file:
        while head := file.read(12):
            length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else size
            if length > size - file.tell() - 4:
                raise BadValue(
                    _("{path} isn't a whole TFRecord file").format(path=path.name),
                    _("unpack it: gzip -d") if head.startswith(b"\x1f\x8b") else _("write it again"),
                )
            yield file.read(length)
            file.read(4)


def example(record: bytes) -> Iterator[tuple[str, Feature]]:
    """(name, feature) of a tf.train.Example, by the wire format of protocol buffers: Example.features.feature."""
    for _number, features in _parts(record):
        for _number, pair in _parts(features):
            entry = dict(_parts(pair))
            for number, body in _parts(entry[2]):
                packed = [value for _one, value in _parts(body)]
                yield entry[1].decode(), _VALUES[number](packed)


def _parts(message: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 == 0:
            value, at = _varint(message, at)
        elif key & 7 == 5:
            value, at = message[at : at + 4], at + 4
        elif key & 7 == 2:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise IndexError
            value, at = message[at : at + length], at + length
        else:
            raise IndexError
        yield key >> 3, value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (message[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if message[at - 1] < 0x80:
            return value, at


def _floats(parts: list[bytes]) -> Feature:
    joined = b"".join(parts)
    return "float32", list(struct.unpack(f"<{len(joined) // 4}f", joined))


def _whole_numbers(parts: list[Any]) -> Feature:
    found: list[int] = []
    for part in parts:
        at = 0
        if isinstance(part, int):
            found.append(part)
        else:
            while at < len(part):
                value, at = _varint(part, at)
                found.append(value)
    return "int64", [value - (1 << 64) if value >> 63 else value for value in found]


_VALUES = {1: lambda parts: ("string", parts), 2: _floats, 3: _whole_numbers}
