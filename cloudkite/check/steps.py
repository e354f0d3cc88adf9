"""The whole check of a trainer before anything costs: lint, data, two training steps, the export, versions."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog import images
from cloudkite import leftovers
from cloudkite.check import data, lint, loading, parity, programs, rehearsal, sources
from cloudkite.check.findings import FAILED, WARNING, Findings
from cloudkite.check.parity import Version
from cloudkite.check.rows import Source
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.trainers import folders
from cloudkite.trainers.folders import Trainer
from cloudkite.workspace import Workspace, private_folder, read_json, write_atomically

if TYPE_CHECKING:
    from cloudkite.accounts.target import Target

_CHECK = 3  # a report of another number is from another check, and asked for again
SKIPPED = "skipped"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """One step: `verdict` is "ok", "warning", "failed" or "skipped"; `seconds` it took; `messages` for people."""

    name: str
    verdict: str
    summary: str = ""
    seconds: float = 0.0
    messages: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckReport:
    """A check of one state of a trainer. `ok`: no step failed. `images` are those compared: training, serving."""

    trainer: str
    folder: str
    fingerprint: str
    ok: bool
    seconds: float
    images: tuple[str, str]
    steps: tuple[Step, ...]
    versions: tuple[Version, ...] = ()
    check: int = _CHECK


def passed(
    workspace: Workspace, trainer: Trainer, training: str = images.DEFAULT_CPU, serving: str = images.SERVING
) -> CheckReport | None:
    """The report of a check that this very state of the trainer passed, for these images; None when there is none."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError, UserError):
        report = _load(_path(workspace, trainer))
        now = (_CHECK, str(trainer.folder), (training, serving), folders.fingerprint(trainer))
        if report.ok and (report.check, report.folder, report.images, report.fingerprint) == now:
            return report
    return None


def check(
    workspace: Workspace,
    trainer: Trainer,
    training: str = images.DEFAULT_CPU,
    serving: str = images.SERVING,
    target: Target | None = None,
    progress: Tell | None = None,
) -> CheckReport:
    """Run all steps and keep the report in workspace.state/checks/<trainer>.json.

    Lint and data come first, both in full; the rest is skipped when one of them failed. Data in a bucket is looked at
    through `target`; without one, the steps that need data are skipped with a warning.
    """
    run = _Run(workspace, trainer, target, progress or (lambda _line: None))
    started, mark = time.monotonic(), ""
    with contextlib.suppress(UserError):  # the step that needs what can't be read tells it
        mark = folders.fingerprint(trainer)
    versions: tuple[Version, ...] = ()
    with tempfile.TemporaryDirectory(
        dir=private_folder(workspace.state), prefix=leftovers.prefix("check"), ignore_cleanup_errors=True
    ) as temporary:
        output = Path(temporary) / "output"
        steps = [run.lint(), run.data(Path(temporary))]
        if any(step.verdict == FAILED for step in steps):
            steps += [Step(name, SKIPPED, _("lint and data come first")) for name in _LATER]
        else:
            steps += run.rehearse(output)
            versions_step, versions = run.versions(output, training, serving)
            steps.append(versions_step)
    report = CheckReport(
        trainer=trainer.name,
        folder=str(trainer.folder),
        fingerprint=mark,
        ok=not any(step.verdict == FAILED for step in steps),
        seconds=round(time.monotonic() - started, 2),
        images=(training, serving),
        steps=tuple(steps),
        versions=versions,
    )
    write_atomically(_path(workspace, trainer), json.dumps(dataclasses.asdict(report), ensure_ascii=False, indent=1))
    return report


_LATER = (_("steps"), _("export"), _("versions"))


NO_ACCOUNT = _("{uri} was not read: no account is in use here")


def loaded_or_found(
    workspace: Workspace,
    trainer: Trainer,
    folder: Path,
    findings: Findings,
    target: Target | None = None,
    tell: Tell = lambda _line: None,
) -> list[Source]:
    """The files that DATA names, the beginning of objects in a bucket, or what the trainer's own load() gives; as files
    in `folder` where they are none. Raises UserError."""
    what = trainer.declared
    if what.loads:
        python = folders.environment(trainer, workspace, tell)
        tell(_("reading the data with load() ..."))
        log = private_folder(workspace.state / "checks") / f"{trainer.file}.load.log"
        return loading.rows(trainer, python, folder, log, findings, data.MOST_ROWS)
    if not what.data.startswith("gs://"):
        return sources.local(trainer)
    if target is None:
        raise UserError(NO_ACCOUNT.format(uri=what.data))
    return sources.remote(trainer, target, folder)


class _Run:
    """The steps of one check; each tells its own failures and raises nothing that a person can mend."""

    def __init__(self, workspace: Workspace, trainer: Trainer, target: Target | None, tell: Tell) -> None:
        self.workspace, self.trainer, self.target, self.tell = workspace, trainer, target, tell
        self.sources: list[Source] = []
        self.sample: Path | None = None

    def lint(self) -> Step:
        """Ruff over the trainer's code."""
        self.tell(_("reading the code ..."))
        with _timed(_("lint")) as done:
            findings = lint.lint(self.trainer)
            done(findings.verdict, _summary(findings), findings.lines())
        return done.step

    def data(self, folder: Path) -> Step:
        """Every row against what data.py declares."""
        with _timed(_("data")) as done:
            if self.trainer.plain:
                done(SKIPPED, programs.data(self.trainer))
                return done.step
            what, findings = self.trainer.declared, Findings()
            if what.data.startswith("gs://") and (what.loads or self.target is None):
                said = _("{uri} was not read: load() runs without an account here") if what.loads else NO_ACCOUNT
                done(WARNING, said.format(uri=what.data))
                return done.step
            self.sources = loaded_or_found(self.workspace, self.trainer, folder, findings, self.target, self.tell)
            report = data.check_data(what, self.sources, progress=self.tell, findings=findings)
            done(report.findings.verdict, report.summary, report.findings.lines())
            if report.findings.verdict != FAILED and not what.loads:
                self.sample = sources.small(self.sources, folder)
        return done.step

    def rehearse(self, output: Path) -> list[Step]:
        """Two training steps, then the export. The process that loads it imports TensorFlow meanwhile."""
        steps, export = _LATER[:2]
        if self.trainer.plain:
            return self.start(output)
        declared = self.trainer.declared
        if not self.sources:
            return [Step(name, SKIPPED, _("without data")) for name in (steps, export)]
        log = private_folder(self.workspace.state / "checks") / f"{self.trainer.file}.log"
        with contextlib.ExitStack() as stack:
            with _timed(steps) as done:
                python = folders.environment(self.trainer, self.workspace, self.tell)
                self.tell(_("two training steps ..."))
                if declared.loads:
                    rows, ask = [], loading.pattern(self.trainer)
                else:
                    raw, ask = rehearsal.some_rows(declared, self.sources), str(output.with_name("ask.csv"))
                    rehearsal.write_rows(raw, Path(ask))
                    rows = rehearsal.parsed(declared, raw)
                both = rehearsal.together(self.trainer, python, output, log, self.sample, ask)
                predictor, outcome = stack.enter_context(both)
                done(*_read(outcome()))
            if done.step.verdict == FAILED:
                return [done.step, Step(export, SKIPPED, _("nothing was exported"))]
            self.tell(_("loading the export ..."))
            with _timed(export) as reloaded:
                if declared.loads:
                    rows = loading.questions(python, self.trainer, output, log.with_suffix(".questions.log"))
                reloaded(*_read(rehearsal.reload(predictor, output, declared, rows)))
        return [done.step, reloaded.step]

    def start(self, output: Path) -> list[Step]:
        """A plain trainer's program, and what it left."""
        log = private_folder(self.workspace.state / "checks") / f"{self.trainer.file}.log"
        with _timed(_("run")) as done:
            python = folders.environment(self.trainer, self.workspace, self.tell)
            self.tell(_("running the program ..."))
            done(*_read(programs.run(self.trainer, python, output, log)))
        with _timed(_("results")) as results:
            found = programs.left(output)
            if found.summary:
                results("ok", found.summary, found.notes)
            else:
                results(SKIPPED, _("the run left nothing for `fetch` (AIP_MODEL_DIR)"))
        return [done.step, results.step]

    def versions(self, output: Path, training: str, serving: str) -> tuple[Step, tuple[Version, ...]]:
        """TensorFlow here, in the pins and in both images."""
        versions: tuple[Version, ...] = ()
        with _timed(_LATER[2]) as done:
            versions = parity.compare(self.trainer, rehearsal.tensorflow_of(output), training, serving)
            verdicts = {version.verdict for version in versions}
            verdict = next((v for v in (FAILED, WARNING) if v in verdicts), "ok")
            done(verdict, _("TensorFlow {pin}").format(pin=parity.pinned(self.trainer)), _table(versions))
        return done.step, versions


class _Timed:
    """Called with verdict, summary and messages when a step is done; a UserError is its failure."""

    def __init__(self, name: str) -> None:
        self._started = time.monotonic()
        self.step = Step(name, FAILED)

    def __call__(self, verdict: str, summary: str = "", messages: tuple[str, ...] = ()) -> None:
        self.step = Step(self.step.name, verdict, summary, round(time.monotonic() - self._started, 2), messages)


@contextlib.contextmanager
def _timed(name: str) -> Iterator[_Timed]:
    done = _Timed(name)
    try:
        yield done
    except UserError as error:
        done(FAILED, error.message, (error.hint,) if error.hint else ())


def _summary(findings: Findings) -> str:
    levels = [finding.level for finding in findings.all()]
    failed, warned = levels.count(FAILED), levels.count(WARNING)
    parts = [_("{count} can't run").format(count=failed)] if failed else []
    parts += [_("{count} of style").format(count=warned)] if warned else []
    return ", ".join(parts)


def _read(outcome: rehearsal.Outcome) -> tuple[str, str, tuple[str, ...]]:
    if outcome.problems:
        return FAILED, outcome.problems[0], outcome.problems[1:]
    return (WARNING if outcome.notes else "ok"), outcome.summary, outcome.notes


def _table(versions: tuple[Version, ...]) -> tuple[str, ...]:
    rows = [(v.where, v.tensorflow or "?", v.verdict, v.name, v.note) for v in versions]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return tuple(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)), row[4]]).rstrip()
        for row in rows
    )


def _path(workspace: Workspace, trainer: Trainer) -> Path:
    return private_folder(workspace.state / "checks") / f"{trainer.file}.json"


def _load(path: Path) -> CheckReport:
    raw: dict[str, Any] = read_json(path)
    steps = tuple(Step(**{**step, "messages": tuple(step["messages"])}) for step in raw.pop("steps"))
    versions = tuple(Version(**version) for version in raw.pop("versions"))
    return CheckReport(**{**raw, "images": tuple(raw["images"])}, steps=steps, versions=versions)
