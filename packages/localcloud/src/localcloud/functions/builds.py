"""Makes a function out of its source: the archive's files in a folder, and an environment with what it requires.

As Google's buildpack does it: https://cloud.google.com/functions/docs/writing/specifying-dependencies-python
"""

from __future__ import annotations

import io
import re
import shutil
import stat
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments import EnvironmentFailed, environment
from localcloud.core.errors import ApiError
from localcloud.core.network import Network
from localcloud.core.state.files import private_folder
from localcloud.storage.store import Storage

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

FRAMEWORK = "functions-framework==3.10.2"  # what the buildpack adds where the source does not name it
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(\[[A-Za-z0-9._, -]+\])?==[A-Za-z0-9][A-Za-z0-9.!+_-]*(\s*;[^\r\n]+)?")
_LARGEST, _MOST = 100 * 2**20, 5000  # bytes in all, and files: https://cloud.google.com/functions/quotas


def source(cloud: Cloud, where: dict[str, Any], folder: Path) -> None:
    """Unpack the archive of a storageSource into a folder, made anew. Raises 400."""
    try:
        data = cloud.of(Storage).get_object(where["bucket"], where["object"])
    except ApiError as error:
        words = f"The source gs://{where['bucket']}/{where['object']} can't be read: {error.message}"
        raise ApiError(400, words) from None
    shutil.rmtree(folder, ignore_errors=True)
    private_folder(folder)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _unpack(archive, folder)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise ApiError(400, f"The source archive can't be unpacked: {error}") from None
    if not (folder / "main.py").is_file():
        raise ApiError(400, "Build failed: missing main.py and GOOGLE_FUNCTION_SOURCE not specified.")


def _unpack(archive: zipfile.ZipFile, folder: Path) -> None:
    rows = archive.infolist()
    if len(rows) > _MOST or sum(row.file_size for row in rows) > _LARGEST:
        raise ApiError(400, f"The source archive is too large: at most {_LARGEST // 2**20} MB in {_MOST} files.")
    for row in rows:
        path = (folder / row.filename).resolve()
        kind = stat.S_IFMT(row.external_attr >> 16)
        if not path.is_relative_to(folder.resolve()) or kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ApiError(400, f"The source archive has an entry that is no file of its own: {row.filename!r}")
        if row.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive.read(row))


def python(cloud: Cloud, folder: Path) -> Path:
    """The interpreter that has what the source's requirements.txt names. Raises 400."""
    path = folder / "requirements.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    pins = [line for raw in lines if (line := raw.partition(" #")[0].strip()) and not line.startswith("#")]
    if wrong := next((pin for pin in pins if not _PIN.fullmatch(pin)), None):
        raise ApiError(400, f"requirements.txt: the local cloud takes exact pins such as six==1.17.0, not {wrong!r}")
    if not any(pin.startswith("functions-framework") for pin in pins):
        pins.append(FRAMEWORK)
    try:
        return environment(cloud.envs, pins, "3.11", variables=cloud.of(Network).variables)
    except EnvironmentFailed as error:
        raise ApiError(400, f"Build failed: {error}") from None
