"""States of all kinds of jobs and pipelines: which are the end, and what can't be asked before and after it."""

from __future__ import annotations

from localcloud.core.errors import ApiError

# Without what stands before them: JOB_STATE_, PIPELINE_STATE_.
ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


def short(state: str) -> str:
    """Such as "RUNNING", of "JOB_STATE_RUNNING"."""
    return state.rpartition("_STATE_")[2]


def check_cancel(what: str, state: str) -> None:
    """Raises 400 when a job in `state` can't be cancelled any more; `what` is the resource ("CustomJob")."""
    if short(state) in ENDED:
        raise ApiError(400, f"The {what} is in state {state} and can't be cancelled.", "FAILED_PRECONDITION")


def check_delete(what: str, state: str) -> None:
    """Raises 400 when a job in `state` can't be deleted yet; `what` is the resource ("CustomJob")."""
    if short(state) not in ENDED:
        words = f"The {what} is in state {state}: cancel it before you delete it."
        raise ApiError(400, words, "FAILED_PRECONDITION")
