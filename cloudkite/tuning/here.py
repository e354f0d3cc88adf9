"""Tries as processes on this machine: each runs the trainer as a person would, and tells its metric as to a service.

The trainer goes on exactly from its checkpoints, so a try that was cut short goes on in its own folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cloudkite import children
from cloudkite.check import rehearsal
from cloudkite.children import safe_environment
from cloudkite.models import predictions
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, counted
from cloudkite.trainers.folders import Trainer
from cloudkite.tuning import outcome, suggest
from cloudkite.tuning import space as spaces
from cloudkite.tuning import study as studies
from cloudkite.tuning.orphans import Note
from cloudkite.tuning.study import LINEAR, Study, Try
from cloudkite.workspace import Workspace, private_folder

METRICS, LOG = "metrics.jsonl", "log.txt"  # in a try's folder
MEMORY = 2**30  # bytes that a try needs at least: half of them are TensorFlow's own
_MOST = 8  # tries at once, unless a person asks for more
_POLL = 0.1  # seconds between two looks at what runs
_GRACE = 15.0  # seconds in which a trainer that is told to end saves what it has
_FAILURES = 3  # one after the other end the study
_NICE = 5  # other programs come first
_LINES = 3  # of what a failed try said


@dataclass
class _Running:
    """A try's process, and what was read of it."""

    child: subprocess.Popen[bytes]
    folder: Path
    before: float  # seconds of earlier starts
    began: float = field(default_factory=time.monotonic)
    read: int = -1  # when its metrics were last written, as the file system has it

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.began


class Here:
    """The engine of this machine. `variables` are for data in a bucket; `linear` says that a linear model is tried too,
    to be compared with."""

    name = "here"

    def __init__(
        self,
        workspace: Workspace,
        trainer: Trainer,
        python: Path,
        *,
        variables: Mapping[str, str] | None = None,
        linear: bool = True,
    ) -> None:
        self.trainer, self.python, self.linear = trainer, python, linear
        self.variables = dict(variables or {})
        self._note = Note(workspace)
        self._running: dict[int, _Running] = {}
        self._died: dict[int, int] = {}  # how often each was killed by others
        self._parallel = 1
        self._study: Study  # as it is known here; `watch` begins with one

    def watch(self, study: Study) -> Iterator[Study]:
        """Try until the study is over; see Engine. Raises BadValue where the trainer doesn't report the metric."""
        began, before, over = time.monotonic(), study.seconds, ""
        self._parallel = study.wishes.parallel or at_once(study.wishes.tries)
        yield self._saved(_taken_up(study))
        while self._study.state == "running":
            changed = self._look()
            seconds = time.monotonic() - began
            self._study = replace(self._study, seconds=before + seconds)
            limit, over = study.wishes.limit_seconds, over or outcome.patience_over(self._study)
            if limit is not None and seconds > limit:
                self._end_all(_("the time limit was over; the same command goes on"))
                self._study = replace(self._study, state="stopped", why=_("the time limit was over"))
            elif failures := _failures(self._study):
                self._end_all(_("the study ended"))
                self._study = replace(self._study, state="failed", why=failures)
            else:
                while len(self._running) < self._parallel and (following := self._next(bool(over))):
                    self._start(following)
                    changed = True
                if not self._running:
                    why = over or ("" if self._study.complete else _("every combination was tried"))
                    self._study = replace(self._study, state="done", why=why)
            if changed or self._study.state != "running":
                yield self._saved(self._study)
            else:
                time.sleep(_POLL)

    def stop(self, study: Study) -> Study:
        """End what runs, with time to save it, and write the study down."""
        self._study = self._study if self._study.name == study.name else study
        with contextlib.suppress(UserError):  # what was raised before is raised again by who looks
            self._look()
        self._end_all(_("stopped; the same command goes on"))
        if self._study.state == "running":
            self._study = replace(self._study, state="stopped", why=_("stopped"))
        return self._saved(self._study)

    def _saved(self, study: Study) -> Study:
        studies.save(self.trainer, study)
        self._study = study
        return study

    # --- one try

    def _next(self, over: bool) -> Try | None:
        """What to start: what was cut short, the linear baseline, what is suggested; None for nothing."""
        study = self._study
        for one in study.tries:
            if not one.ended and one.number not in self._running:
                return one
        if self.linear and not study.linear:
            return Try(LINEAR, {"model": "linear"})
        if over or len(study.own) >= study.wishes.tries:
            return None
        values, repeats = suggest.values(study)
        self._study = replace(study, repeats=study.repeats + repeats)
        return None if values is None else Try(1 + max((one.number for one in study.own), default=0), values)

    def _start(self, one: Try) -> None:
        study = self._study
        folder = studies.folder(self.trainer, study.name) / studies.TRIES / f"{one.number:03d}"
        private_folder(folder)
        shared = max(1, (os.cpu_count() or 1) // self._parallel)
        variables = {
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_NUM_INTRAOP_THREADS": str(shared),
            "TF_NUM_INTEROP_THREADS": str(shared),
            "OMP_NUM_THREADS": str(shared),
            "PYTHONNOUSERSITE": "1",
            "PYTHONUNBUFFERED": "1",
            "PYTHONUTF8": "1",
            "CLOUD_ML_HP_METRIC_FILE": str(folder / METRICS),
            "CLOUD_ML_TRIAL_ID": str(one.number),
        }
        words = ["-m", "trainer.task", "--output", str(folder), *self.arguments(study, one)]
        self._note.about_to_start(folder)
        with _appended(folder / LOG) as log:
            child = subprocess.Popen(
                [str(self.python), *words],
                cwd=self.trainer.folder,
                env=safe_environment({**self.variables, **variables}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the command, which then ends it as it should
            )
        self._running[one.number] = _Running(child, folder, one.seconds)
        self._note.started(folder, child.pid)
        _last_in_the_queue(child.pid)
        self._study = study.with_try(replace(one, state="running", output=str(folder), starts=one.starts + 1, why=""))

    @staticmethod
    def arguments(study: Study, one: Try) -> tuple[str, ...]:
        """What the trainer is given for a try, but for its folder."""
        return (*study.wishes.arguments, *spaces.arguments(one.values))

    def _look(self) -> bool:
        """Take in what has happened since the last look, and say whether something has."""
        changed, study = False, self._study
        for number, process in list(self._running.items()):
            one = study.given(number)
            if one is None:  # interrupted while it was started
                continue
            code = process.child.poll()  # before its metrics are read: none is missed
            history = self._history(study, process, one)
            if history != one.history:
                one, changed = replace(one, history=history, metric=history[-1][1], seconds=process.seconds), True
            if code is not None:
                one = self._ended(study, process, one, code)
            elif number != LINEAR and suggest.hopeless(study, one):
                one = self._cut(process, one, "pruned", _pruned(one))
            elif process.seconds - process.before > study.wishes.try_seconds:
                limit = counted("no end after {count} second", "no end after {count} seconds", study.wishes.try_seconds)
                one = self._cut(process, one, "failed", limit)
            if one.state != "running":
                self._forget(number)
                changed = True
                if one.ended:
                    shutil.rmtree(process.folder / "checkpoints", ignore_errors=True)
                study = outcome.with_facts(study, one, _told(process.folder))
            study = study.with_try(one)
        self._study = study
        return changed

    def _forget(self, number: int) -> None:
        self._note.ended(self._running.pop(number).folder)

    def _history(self, study: Study, process: _Running, one: Try) -> tuple[tuple[int, float], ...]:
        """What the try has reported; the file has only the newest, so earlier ones are kept."""
        path = process.folder / METRICS
        try:
            written = path.stat().st_mtime_ns
            if written == process.read:
                return one.history
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return one.history
        process.read = written
        found, names = dict(one.history), set[str]()
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError):  # half written
                report = json.loads(line)
                names |= report.keys() - {"timestamp", "trial", "checkpoint_path", "global_step"}
                if study.space.tag in report:
                    found[int(report["global_step"])] = float(report[study.space.tag])
        if names and study.space.tag not in names:
            known = ", ".join(sorted(f"val_{name}" for name in names))
            raise BadValue(
                _("{path}: metric: the trainer doesn't report {metric}").format(
                    path=self.trainer.folder / spaces.FILE, metric=study.space.metric
                ),
                _("it reports: {names}").format(names=known),
            )
        return tuple(sorted(found.items()))

    def _ended(self, study: Study, process: _Running, one: Try, code: int) -> Try:
        """What came of a try whose process has ended by itself, or by somebody else."""
        one = replace(one, seconds=process.seconds)
        if code == 0:
            told = outcome.of_model(study, one, _told(process.folder))
            if told.metric is not None:
                return replace(told, state="done", why=_("went on after a kill") if one.starts > 1 else "")
            said = _("it reported no {metric} (CLOUD_ML_HP_METRIC_FILE)").format(metric=study.space.metric)
            return replace(one, state="failed", why=said)
        if code < 0 or code in (137, 143):
            killer = -code if code < 0 else code - 128
            said = _("killed by signal {number}").format(number=killer)
            said += _(": the memory may be full") if killer == 9 else ""
            self._died[one.number] = self._died.get(one.number, 0) + 1
            return replace(one, state="failed" if self._died[one.number] > 1 else "killed", why=said)
        said = (process.folder / LOG).read_text(encoding="utf-8", errors="replace")
        reasons = rehearsal.explain(said, self.trainer.folder) or [_("exit code {code}").format(code=code)]
        return replace(one, state="failed", why=" / ".join(reasons[:_LINES]))

    def _cut(self, process: _Running, one: Try, state: studies.State, why: str) -> Try:
        children.end(process.child)
        return replace(one, state=state, why=why, seconds=process.seconds)

    def _end_all(self, why: str) -> None:
        """End all that runs: each trainer is told to, saves its state, and is killed where it doesn't end."""
        with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C: at once
            for process in self._running.values():
                process.child.terminate()
            late = time.monotonic() + _GRACE
            while any(one.child.poll() is None for one in self._running.values()) and time.monotonic() < late:
                time.sleep(_POLL / 2)
        for number, process in list(self._running.items()):
            children.end(process.child)
            if one := self._study.given(number):
                told = replace(one, state="killed", why=why, seconds=process.seconds)
                self._study = self._study.with_try(told)
            self._forget(number)


def at_once(tries: int) -> int:
    """How many tries this machine bears at once: a core and a GiB of free memory each."""
    import psutil

    room = max(1, psutil.virtual_memory().available // MEMORY)
    return max(1, min(tries, _MOST, os.cpu_count() or 1, room))


def _taken_up(study: Study) -> Study:
    """A study whose command is gone: what it left running was ended, and goes on."""
    why = _("its command was killed; goes on")
    tries = (replace(one, state="killed", why=why) if one.state == "running" else one for one in study.tries)
    return replace(study, tries=tuple(tries), state="running", why="")


def _failures(study: Study) -> str:
    """Why the study can't go on: the newest tries to end all failed; "" while it can."""
    newest = [one for one in study.own if one.state in ("done", "pruned", "failed")][-_FAILURES:]
    if len(newest) < _FAILURES or any(one.state != "failed" for one in newest):
        return ""
    said = _("{count} tries failed one after the other; the last: {why}")
    return said.format(count=_FAILURES, why=newest[-1].why)


def _pruned(one: Try) -> str:
    return _("worse than half of the others after {count} epochs: {value}").format(
        count=len(one.history), value=f"{one.history[-1][1]:.4g}"
    )


def _told(folder: Path) -> Mapping[str, Any]:
    """What the model that a try left tells of itself; {} where there is none."""
    model = folder / "model"
    return predictions.facts(model) if (model / "assets.extra" / "trainer.json").is_file() else {}


def _appended(path: Path) -> Any:
    """Open a file to go on with it; only its owner can read it."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _last_in_the_queue(pid: int) -> None:
    """Let other programs come first."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        psutil.Process(pid).nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else _NICE)
