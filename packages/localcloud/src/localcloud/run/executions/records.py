"""What is kept of executions: what Google tells about them, and what runs them; durable documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
JOB, EXECUTION = "run.job", "run.execution"  # kinds of documents
_OFFSET = "run.offset"
WAITING, RUNNING, SUCCEEDED, FAILED, CANCELLED = "waiting", "running", "succeeded", "failed", "cancelled"
OVER = frozenset({SUCCEEDED, FAILED, CANCELLED})


@dataclass
class Task:
    """One task: `attempt` is the number of the one that runs, or ran last, from 0; -1 before the first.

    `began` and `ended` are those of the last attempt, `started` of the first, as stamps or "". `why` is what it was
    told to end for: "timeout" or "cancelled".
    """

    index: int
    uid: str
    state: str = WAITING
    attempt: int = -1
    started: str = ""
    began: str = ""
    ended: str = ""
    why: str = ""
    exit_code: int = 0
    term_signal: int = 0
    message: str = ""


@dataclass
class Execution:
    """`body`: Google's Execution in JSON. `project` is the project's id, `account` the e-mail that tasks act as.

    `operation` is the name of the one that tells how it goes; `ending` why it was told to end: "", "cancelled", or
    words for its author. `deleted`: it goes when it has ended.
    """

    body: Body
    project: str
    account: str
    operation: str
    tasks: list[Task] = field(default_factory=list)
    ending: str = ""
    deleted: bool = False
    sequence: float = 0.0

    @property
    def name(self) -> str:
        return self.body["name"]

    @property
    def id(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def job(self) -> str:
        """The job's id."""
        return self.name.split("/")[5]

    @property
    def job_name(self) -> str:
        return self.name.partition("/executions/")[0]

    @property
    def region(self) -> str:
        return self.name.split("/")[3]

    @property
    def parent(self) -> str:
        """projects/ID/locations/R"""
        return self.name.partition("/jobs/")[0]

    @property
    def container(self) -> Body:
        return self.body["template"]["containers"][0]

    @property
    def over(self) -> bool:
        return "completionTime" in self.body


class Executions:
    """Any thread may call. What they give are copies."""

    def __init__(self, cloud: Cloud) -> None:
        self._documents = cloud.documents

    def save(self, one: Execution) -> None:
        """Keep one, new or not."""
        kept = {**vars(one), "tasks": [vars(task) for task in one.tasks]}
        self._documents.put(one.name, EXECUTION, kept)

    def find(self, name: str) -> Execution | None:
        """The one with that full name, or None."""
        found = self._documents.find(name)
        return _made(found) if found and "/executions/" in name else None

    def get(self, name: str) -> Execution:
        """One that is there, because it has not ended."""
        found = self.find(name)
        assert found is not None, f"{name} runs, and is gone"
        return found

    def below(self, prefix: str) -> list[Execution]:
        """All whose name starts so, newest first."""
        found = [_made(body) for body in self._documents.list(EXECUTION, prefix)]
        return sorted(found, key=lambda one: -one.sequence)

    def unfinished(self) -> list[Execution]:
        """All that have not ended, oldest first."""
        return [one for one in reversed(self.below("")) if not one.over]

    def delete(self, name: str) -> None:
        """Forget one."""
        self._documents.delete(name)

    def offset(self, folder: str) -> int:
        """How far the output of an attempt has been read."""
        found = self._documents.find(f"{_OFFSET}/{folder}")
        return found["offset"] if found else 0

    def set_offset(self, folder: str, offset: int) -> None:
        """Remember how far the output of an attempt has been read."""
        self._documents.put(f"{_OFFSET}/{folder}", _OFFSET, {"offset": offset})

    def forget_offset(self, folder: str) -> None:
        """Its attempt is over."""
        if self._documents.find(f"{_OFFSET}/{folder}"):
            self._documents.delete(f"{_OFFSET}/{folder}")


def _made(kept: Body) -> Execution:
    tasks = [Task(**task) for task in kept["tasks"]]
    return Execution(**{**kept, "tasks": tasks})
