"""The Pulumi CLI from its official release: the archive is unpacked only if it has its published checksum.

The checksums come from the project's release page and the archive from another host, so that who changes one of the
two is found out. They are not pinned here: nobody could compare them with the release yet.
"""

from __future__ import annotations

import hashlib
import hmac
import platform
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from cloudkite import network
from cloudkite.show.text import _
from cloudkite.workspace import private_folder

CHECKSUMS = "https://github.com/pulumi/pulumi/releases/download/v{version}/pulumi-{version}-checksums.txt"
ARCHIVES = "https://get.pulumi.com/releases/sdk/{name}"
_SYSTEMS = {"linux": "linux", "darwin": "darwin", "win32": "windows"}
_PROCESSORS = {"x86_64": "x64", "amd64": "x64", "arm64": "arm64", "aarch64": "arm64"}
_PATIENCE = (5, 60)  # seconds until a connection stands, and between two pieces
_MOST = 1 << 30  # bytes of an archive


class NotInstalled(Exception):
    """The release can't be used; the text says why."""


def install(root: Path, version: str) -> None:
    """Put the programs of that version into root/bin.

    Raises NotInstalled, and what requests raises when the network does not lead there.
    """
    name = _archive(version)
    expected = _checksum(_text(CHECKSUMS.format(version=version)), name)
    path = private_folder(root) / name
    try:
        found = _download(ARCHIVES.format(name=name), path)
        if not hmac.compare_digest(found, expected):
            raise NotInstalled(
                _("{name} has the SHA-256 {found}, and its release says {expected}").format(
                    name=name, found=found, expected=expected
                )
            )
        _unpack(path, private_folder(root / "bin"))
    finally:
        path.unlink(missing_ok=True)


def _archive(version: str) -> str:
    system, processor = _SYSTEMS.get(sys.platform), _PROCESSORS.get(platform.machine().lower())
    if not system or not processor:
        said = _("no release exists for {system} on {processor}")
        raise NotInstalled(said.format(system=sys.platform, processor=platform.machine()))
    return f"pulumi-v{version}-{system}-{processor}" + (".zip" if system == "windows" else ".tar.gz")


def _checksum(text: str, name: str) -> str:
    """The SHA-256 of a file in a list of lines "<hexadecimal>  <name>"."""
    words = [line.split() for line in text.splitlines()]
    found = {line[0].lower() for line in words if len(line) == 2 and line[1].removeprefix("*") == name}
    if len(found) != 1 or len(only := found.pop()) != 64:
        raise NotInstalled(_("its release has no checksum of {name}").format(name=name))
    return only


def _session() -> Any:
    import requests

    return network.lead(requests.Session())


def _text(address: str) -> str:
    with _session() as session, session.get(address, timeout=_PATIENCE) as answer:
        _refuse_other(address, answer.url)
        answer.raise_for_status()
        return answer.text


def _download(address: str, path: Path) -> str:
    """Write what is there to `path`; its SHA-256."""
    total, size = hashlib.sha256(), 0
    with (
        _session() as session,
        session.get(address, timeout=_PATIENCE, stream=True) as answer,
        path.open("wb") as file,
    ):
        _refuse_other(address, answer.url)
        answer.raise_for_status()
        for piece in answer.iter_content(1 << 20):
            size += len(piece)
            if size > _MOST:
                raise NotInstalled(_("{address} is larger than any release").format(address=address))
            total.update(piece)
            file.write(piece)
    return total.hexdigest()


def _refuse_other(asked: str, answered: str) -> None:
    """A redirection may lead to another host, but not out of TLS."""
    if asked.startswith("https://") and not answered.startswith("https://"):
        raise NotInstalled(_("{address} leads to {other}").format(address=asked, other=answered))


def _unpack(archive: Path, folder: Path) -> None:
    """The archive's files, all into one folder: no name in it is a path, and nothing but files is taken."""
    try:
        for name, source in _files(archive):
            place = folder / PurePosixPath(name.replace("\\", "/")).name
            with source, place.open("xb") as file:
                shutil.copyfileobj(source, file)
            place.chmod(0o700)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, FileExistsError) as error:
        raise NotInstalled(_("{name} can't be unpacked: {error}").format(name=archive.name, error=error)) from None


def _files(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                if not entry.is_dir():
                    yield entry.filename, packed.open(entry)
        return
    with tarfile.open(archive) as packed:
        for member in packed:
            if member.isfile() and (source := packed.extractfile(member)):
                yield member.name, source
