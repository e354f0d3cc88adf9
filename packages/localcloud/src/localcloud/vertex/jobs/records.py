"""The custom jobs of one local cloud, in SQLite: what Google tells about them, and what runs them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.core.state import database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    parent TEXT NOT NULL,
    state TEXT NOT NULL,
    body TEXT NOT NULL,
    run TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_parent ON jobs (parent, sequence);
CREATE INDEX IF NOT EXISTS jobs_state ON jobs (state, sequence);
CREATE TABLE IF NOT EXISTS offsets (
    job TEXT NOT NULL, replica TEXT NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY (job, replica)
);
"""


@dataclass(frozen=True)
class Tuned:
    """What makes a job the trial of a tuning job: the ids of both, and the folder for what its replicas report.

    The replica NAME appends its measurements to FOLDER/NAME/metrics, which the job's run makes the folder of.
    """

    job: str
    trial: str
    folder: str


@dataclass
class Job:
    """`body`: Google's CustomJob in JSON. `project` is the project's id.

    `run` is what only this cloud knows: account (e-mail), listed, and while an attempt has been launched, replicas
    (names) and began (its instant, from which it is charged). Where there were any: attempt (the number of the one that
    runs, from 1), retries (how many by kind, see retries), restarts (of a worker in its place in this
    attempt, by name), stockouts (how often it asked for machines in vain), ending (why it was told to end: "timeout",
    "preempted" or an error). Of a job that another resource runs: tuned (a trial, see Tuned), variables (added to every
    replica's environment).
    """

    id: str
    project: str
    body: dict[str, Any]
    run: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """Without JOB_STATE_."""
        return self.body["state"].removeprefix("JOB_STATE_")

    @property
    def number(self) -> str:
        """The project's number."""
        return self.body["name"].split("/")[1]

    @property
    def region(self) -> str:
        return self.body["name"].split("/")[3]

    @property
    def attempt(self) -> int:
        """Which of its attempts runs, from 1."""
        return self.run.get("attempt", 1)

    @property
    def tuned(self) -> Tuned | None:
        """What it is the trial of."""
        return Tuned(**self.run["tuned"]) if self.run.get("tuned") else None


class Jobs:
    """A table of jobs; each change is one transaction. All methods may be called from any thread."""

    def __init__(self, path: Path, noted: Callable[[Job], None] = lambda job: None) -> None:
        """`noted` is called before each change is kept: it must not lose what a kill in between would leave."""
        self._noted = noted
        self._database = database.connect(path, _SCHEMA)
        self._lock = threading.RLock()

    def add(self, job: Job, listed: bool = True) -> None:
        """Keep a new job; one that is not `listed` is found by its id only."""
        parent = job.body["name"].partition("/customJobs/")[0] if listed else ""
        with self._lock:
            self._database.execute(
                "INSERT INTO jobs (id, parent, state, body, run) VALUES (?, ?, ?, ?, ?)",
                (job.id, parent, job.state, json.dumps(job.body), self._run(job)),
            )

    def save(self, job: Job) -> None:
        """Keep a change."""
        self._noted(job)
        with self._lock:
            self._database.execute(
                "UPDATE jobs SET state = ?, body = ?, run = ? WHERE id = ?",
                (job.state, json.dumps(job.body), self._run(job), job.id),
            )

    def _run(self, job: Job) -> str:
        return json.dumps({**job.run, "project": job.project})

    def find(self, job_id: str) -> Job | None:
        """The job, or None."""
        with self._lock:
            row = self._database.execute("SELECT id, body, run FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return _job(row) if row else None

    def below(self, parent: str) -> list[tuple[int, dict[str, Any]]]:
        """Sequence number and body of all jobs of "projects/NUMBER/locations/R", newest first."""
        with self._lock:
            rows = self._database.execute(
                "SELECT sequence, body FROM jobs WHERE parent = ? ORDER BY sequence DESC", (parent,)
            ).fetchall()
        return [(sequence, json.loads(body)) for sequence, body in rows]

    def in_state(self, *states: str) -> list[Job]:
        """All jobs in these states, oldest first."""
        marks = ", ".join("?" * len(states))
        query = f"SELECT id, body, run FROM jobs WHERE state IN ({marks}) ORDER BY sequence"  # noqa: S608
        with self._lock:
            rows = self._database.execute(query, states).fetchall()
        return [_job(row) for row in rows]

    def count(self) -> int:
        """How many jobs are listed."""
        with self._lock:
            return self._database.execute("SELECT count(*) FROM jobs WHERE parent != ''").fetchone()[0]

    def delete(self, job_id: str) -> None:
        """Forget a job."""
        with self._lock:
            self._database.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
            self._database.execute("DELETE FROM offsets WHERE job = ?", (job_id,))

    def delete_below(self, project: str) -> None:
        """Forget all jobs that are listed in "projects/NUMBER"."""
        prefix = f"{project}/"
        with self._lock:
            query = "SELECT id FROM jobs WHERE substr(parent, 1, ?) = ?"
            rows = self._database.execute(query, (len(prefix), prefix)).fetchall()
        for (job_id,) in rows:
            self.delete(job_id)

    def offset(self, job_id: str, replica: str) -> int:
        """How far the replica's output has been read."""
        with self._lock:
            row = self._database.execute(
                "SELECT offset FROM offsets WHERE job = ? AND replica = ?", (job_id, replica)
            ).fetchone()
        return row[0] if row else 0

    def set_offset(self, job_id: str, replica: str, offset: int) -> None:
        """Remember how far the replica's output has been read."""
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO offsets VALUES (?, ?, ?)", (job_id, replica, offset))


def _job(row: tuple[str, str, str]) -> Job:
    job_id, body, run = row
    kept = json.loads(run)
    return Job(job_id, kept.pop("project"), json.loads(body), kept)
