"""A run and what it has learned, put together: curves, measures, data, code, versions, cost, and how to repeat it."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudkite.data.declared import CATEGORY, DATE, NUMBER
from cloudkite.jobs.job import RUN, Job
from cloudkite.models.evaluating import curves, measures
from cloudkite.models.evaluating.asking import Found
from cloudkite.models.evaluating.curves import Curves
from cloudkite.models.evaluating.measures import Classified, Estimated, Group, Spread
from cloudkite.show.text import _, counted
from cloudkite.trainers import folders
from cloudkite.trainers.folders import Trainer

_ABOUT_LINES = 30  # of data/README.md
_COMPARED = ("accuracy", "balanced_accuracy", "mae")
_UNSET = (None, False, "")
_NOT_REPEATED = ("require_gpu",)  # the job's machine has it or not


@dataclass(frozen=True)
class Run:
    """What is reported on: `name` as a person calls it, its model and logs on this machine where it has them, and the
    job that it was, if it was one."""

    trainer: Trainer
    name: str
    model: Path | None
    logs: Path | None
    about: Mapping[str, Any]
    job: Job | None = None
    lacks: tuple[str, ...] = ()

    @property
    def told(self) -> Mapping[str, Any]:
        """What the run wrote of itself; {} for one of an older trainer."""
        found = self.about.get("run")
        return found if isinstance(found, dict) and isinstance(found.get("options"), dict) else {}

    @property
    def options(self) -> Mapping[str, Any]:
        """Its options, as the trainer's code calls them."""
        return self.told.get("options", {})


@dataclass(frozen=True)
class Compared:
    """A number that the run wrote down, and the same as it is found now."""

    name: str
    written: float
    found: float
    same: bool


@dataclass(frozen=True)
class Part:
    """Rows that were held out: "validation" or "test". `groups` has those of classes, `spreads` those of numbers, by
    column and value; `left` counts rows in groups beyond the first thousand; `worst` are rows, wrong ones first."""

    name: str
    measured: Classified | Estimated
    groups: dict[str, list[Group]]
    spreads: dict[str, dict[str, Spread]]
    left: dict[str, int]
    worst: list[dict[str, Any]]
    compared: tuple[Compared, ...]


@dataclass(frozen=True)
class File:
    """A file and its SHA-256; of code the first 16 digits. `same`: as in the run, None where that isn't known."""

    name: str
    sha256: str
    same: bool | None = None


@dataclass(frozen=True)
class Report:
    """All that the page shows. `content` is the hash of the rows' content then and now; `source` the beginning of
    data/README.md; `notes` say what was not looked at, and why."""

    run: Run
    curves: Curves
    parts: tuple[Part, ...]
    content: tuple[str, str]
    data: tuple[File, ...]
    source: str
    code: tuple[File, ...]
    wheel: str
    repeat: str
    notes: tuple[str, ...] = field(default=())

    @property
    def data_changed(self) -> bool:
        """Whether the rows are known to be others than those that the run had."""
        then, now = self.content
        return bool(then and now and then != now)


def make(run: Run, found: Found, data: Mapping[str, str], wheel: str) -> Report:
    """The report on what was found; `data` are the files' hashes by name."""
    parts = tuple(_part(run, name, counted) for name, counted in found.parts.items() if counted["rows"])
    made_from = run.told.get("made_from", {})
    code = _code(run.trainer, made_from)
    drawn = curves.of(found.events, run.told.get("epoch") or curves.steps_an_epoch(found.events), run.told.get("step"))
    content = str(made_from.get("the data", "")), found.content
    return Report(
        run=run,
        curves=drawn,
        parts=parts,
        content=content,
        data=tuple(File(name, digest) for name, digest in data.items()),
        source=_source(run.trainer),
        code=code,
        wheel=wheel if code and all(file.same for file in code) else "",
        repeat=repeat(run),
        notes=tuple(_notes(run, found, drawn, parts)),
    )


def _part(run: Run, name: str, counted: Mapping[str, Any]) -> Part:
    classes = [str(one) for one in run.about.get("classes") or ()]
    groups, spreads = {}, {}
    if classes:
        measured = measures.classified(counted, classes)
    else:
        statistics = run.about.get("statistics", {}).get(run.about["label"], {})
        measured = measures.estimated(counted, statistics.get("mean", 0.0))
    for column, found in counted["groups"].items():
        if classes:
            groups[column] = measures.groups_of_classes(found["values"], classes)
        else:
            spreads[column] = {value: measures.spread(sums) for value, sums in found["values"].items()}
    left = {column: found["left"] for column, found in counted["groups"].items() if found["left"]}
    return Part(name, measured, groups, spreads, left, counted["worst"], _compared(run, name, measured))


def _compared(run: Run, part: str, measured: Classified | Estimated) -> tuple[Compared, ...]:
    """Both numbers, where the run has one of that name. They come from the same rows, so they differ by less than one
    row of an accuracy, or a thousandth of an error."""
    written = run.about.get("metrics", {})
    made = []
    for one in measured.headlines:
        there = written.get(f"test_{one.name}" if part == "test" else one.name)
        if one.name in _COMPARED and isinstance(there, int | float) and one.value is not None:
            allowed = 1 / measured.rows + 1e-6 if one.more else 1e-3 * max(abs(there), 1e-6)
            made.append(Compared(one.name, float(there), one.value, abs(there - one.value) < allowed))
    return tuple(made)


def _code(trainer: Trainer, made_from: Mapping[str, Any]) -> tuple[File, ...]:
    """The run's code, and whether it is as it was; line ends don't count, as they don't for the trainer itself."""
    now = {}
    for path in folders.package_files(trainer):
        if path.suffix == ".py":
            text = path.read_bytes().replace(b"\r\n", b"\n")
            now[path.relative_to(trainer.folder).as_posix()] = hashlib.sha256(text).hexdigest()[:16]
    then = {name: digest for name, digest in made_from.items() if name.endswith(".py") and isinstance(digest, str)}
    return tuple(File(name, digest, now.get(name) == digest) for name, digest in sorted(then.items()))


def _source(trainer: Trainer) -> str:
    try:
        text = (trainer.folder / "data" / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[:_ABOUT_LINES])


def repeat(run: Run) -> str:
    """The one command that does the same again; "" where the run doesn't tell its options."""
    if not run.told:
        return ""
    words = _words(run)
    if run.job is None:
        return shlex.join(["uv", "run", "python", "-m", "trainer.task", "--output", "output/again", *words])
    job = run.job
    more = ["--on", "run"] if job.place == RUN else []
    more += ["--machine", job.machine]
    more += ["--gpu", job.accelerator, "--gpus", str(job.count)] if job.accelerator else []
    more += ["--workers", str(job.replicas)] if job.replicas > 1 else []
    more += ["--spot"] if job.spot else []
    more += ["--limit", f"{max(job.limit_seconds // 60, 1)}m"]
    return shlex.join(["uv", "run", "invoke", "train", run.trainer.name, *more, "--", *words])


def _words(run: Run) -> list[str]:
    """The run's options as they are typed."""
    words = []
    for name, value in run.options.items():
        zero = value == 0 and name in ("steps", "save_every")  # what they are when nobody sets them
        if name in _NOT_REPEATED or zero or any(value is unset for unset in _UNSET[:2]) or value == "":
            continue
        if name == "data" and (value == run.trainer.declared.data or run.job is not None):
            continue
        option = "--continue" if name == "before" else f"--{name.replace('_', '-')}"
        words += [option] if value is True else [option, str(value)]
    return words


def _notes(run: Run, found: Found, drawn: Curves, parts: Sequence[Part]) -> list[str]:
    """What was not looked at."""
    notes = [*run.lacks]
    if found.why:
        notes.append(_("the model was not asked about any row: {why}").format(why=found.why))
    if not drawn.values:
        notes.append(
            _("no learning curves: the logs are gone, or are those of another run")
            if found.events
            else _("no learning curves: the run left no logs")
        )
    if not parts:
        return notes
    rows = run.about.get("rows", {})
    training, held = rows.get("training", 0), rows.get("held_out", 0)
    if isinstance(training, int):
        notes.append(
            counted(
                "the {count} row learnt from was not looked at: the numbers are of rows that the model never saw",
                "the {count:,} rows learnt from were not looked at: the numbers are of rows that the model never saw",
                training,
            )
        )
    if isinstance(held, int) and held > max(10_000, training // 20):
        notes.append(
            _("after each epoch, the run itself looked at a part of the held-out rows: the curves are of those")
        )
    if not any(part.name == "test" for part in parts):
        notes.append(_("no rows were held out for a last look (--test): choices made by these numbers flatter them"))
    shown = {column for part in parts for column in (*part.groups, *part.spreads)}
    kinds = {name: kind for name, kind in run.about.get("columns", {}).items() if kind in (NUMBER, CATEGORY, DATE)}
    if others := [run.trainer.declared.shown(name) for name in kinds if name not in shown]:
        notes.append(_("not divided into groups: {columns}; --by COLUMN does that").format(columns=", ".join(others)))
    notes += [
        counted(
            "{column}: {count} row is in a group beyond the first thousand, and in none of the tables",
            "{column}: {count} rows are in groups beyond the first thousand, and in none of the tables",
            count,
            column=run.trainer.declared.shown(column),
        )
        for part in parts
        for column, count in part.left.items()
    ]
    if run.trainer.declared.weight:
        notes.append(_("each row counts the same here, whatever its weight while learning"))
    return notes
