"""Room on the disk that an account's state is on: the engine leaves a state that is cut off where there is none."""

from __future__ import annotations

import shutil

from cloudkite.engine.folder import Folder
from cloudkite.show import amounts
from cloudkite.show.errors import UserError
from cloudkite.show.text import _

_SPARE = 4_000_000  # bytes, for all that is not the state
_COPIES = (
    8  # of the state that a run may write: its own copies, one for the history, ours, and each while it is written
)


def check(folder: Folder) -> None:
    """Raises UserError where a run could not write all that it has to."""
    free, needed = _free(folder), _needed(folder)
    if free < needed:
        raise UserError(
            _("the disk is full: a run on account {name} needs {needed} in {path}, and {free} are free").format(
                path=folder.backend,
                name=folder.account.name,
                needed=amounts.size(needed),
                free=amounts.size(free),
            ),
            _("free some space, then run the same command again"),
        )


def runs_out(folder: Folder) -> bool:
    """Whether the disk is about to be full, so that the run has to end while its state is still whole."""
    return _free(folder) < _needed(folder) // 4


def _free(folder: Folder) -> int:
    place = folder.backend
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _needed(folder: Folder) -> int:
    try:
        return _SPARE + _COPIES * folder.checkpoint.stat().st_size
    except FileNotFoundError:
        return _SPARE
