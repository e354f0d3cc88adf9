"""A full disk: noticed, said in words that no client takes for "try again", and never quite reached by objects."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from pathlib import Path

from localcloud.core.errors import ApiError

# Bytes that the contents of objects leave free: with nothing left, databases could not even note what is deleted.
_RESERVE = 16 << 20
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def check_room(folder: Path, size: int) -> None:
    """Raises OSError (ENOSPC) when `size` more bytes in `folder` would not leave the reserve free."""
    if shutil.disk_usage(folder).free < size + _RESERVE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def is_full(error: BaseException) -> bool:
    """Whether something failed because a disk is full, a quota used up, or a file as large as files may get."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in _FULL


def refusal() -> ApiError:
    """What is answered then: 413, because clients try a 5xx or a 429 again for minutes."""
    words = "The disk that the local cloud is on is full: nothing was stored. Free some space and try again."
    return ApiError(413, words, "RESOURCE_EXHAUSTED", "uploadTooLarge")


def told(error: BaseException, otherwise: ApiError) -> ApiError:
    """The answer to a request that failed by `error`: about the disk, or `otherwise`."""
    return refusal() if is_full(error) else otherwise
