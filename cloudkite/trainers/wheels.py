"""Writes wheels of pure Python packages, byte for byte the same for the same content.

The format: https://packaging.python.org/en/latest/specifications/binary-distribution-format/ . Files are stored, not
compressed, so that no version of zlib can change a byte; a trainer's package is some ten kilobytes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloudkite import leftovers
from cloudkite.workspace import private_file, private_folder

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")  # of a project; another could write lines of its own
_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip file can tell


@dataclass(frozen=True)
class Wheel:
    """A wheel on this machine; `sha256` is that of its bytes, in hexadecimal."""

    path: Path
    sha256: str


def filename(name: str, version: str) -> str:
    """The name of the wheel's file, with project name and version escaped as the format wants."""
    return f"{_escaped(name)}-{_version(version)}-py3-none-any.whl"


def wheel(name: str, version: str, python: str, requirements: Sequence[str], contents: Mapping[str, bytes]) -> bytes:
    """The bytes of a wheel that holds `contents` (path with slashes -> bytes).

    `python` is a version specifier such as ">=3.11", or "".
    """
    about = f"{_escaped(name)}-{_version(version)}.dist-info"
    metadata = ["Metadata-Version: 2.1", f"Name: {name if _NAME.fullmatch(name) else _escaped(name)}", f"Version: {_version(version)}"]
    metadata += [f"Requires-Python: {python}"] if python else []
    metadata += [f"Requires-Dist: {requirement}" for requirement in requirements]
    tags = ["Wheel-Version: 1.0", "Generator: cloudkite", "Root-Is-Purelib: true", "Tag: py3-none-any"]
    files = dict(sorted(contents.items()))
    files[f"{about}/METADATA"] = _lines(metadata)
    files[f"{about}/WHEEL"] = _lines(tags)
    record = [f"{path},sha256={_digest(data)},{len(data)}" for path, data in files.items()]
    files[f"{about}/RECORD"] = _lines([*record, f"{about}/RECORD,,"])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, data in files.items():
            entry = zipfile.ZipInfo(path, _DATE)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16  # Unix, whatever system writes it
            archive.writestr(entry, data)
    return buffer.getvalue()


def keep(folder: Path, name: str, data: bytes) -> Wheel:
    """The wheel as folder/<sha256>/<name>; written only when it is not there."""
    digest = hashlib.sha256(data).hexdigest()
    path = private_folder(private_folder(folder) / digest) / name
    if not path.is_file() or path.stat().st_size != len(data):
        part = path.with_name(leftovers.prefix("tmp") + "whl")  # several may write the same wheel at once
        with private_file(part) as file:
            file.write(data)
        part.replace(path)
    return Wheel(path, digest)


def _escaped(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:100] or "trainer"


def _version(version: str) -> str:
    return re.sub(r"[^A-Za-z0-9.!+]+", ".", version) or "0"


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _lines(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
