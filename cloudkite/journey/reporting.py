"""The report of a run: what it has learned, on one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudkite import names
from cloudkite.accounts import registry
from cloudkite.accounts.target import Target
from cloudkite.data.declared import ARRAY, LETTERS, TEXT
from cloudkite.journey.reach import connect
from cloudkite.show import amounts, screen
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _
from cloudkite.workspace import Workspace, private_folder

if TYPE_CHECKING:
    from cloudkite.jobs.service import Job
    from cloudkite.models.evaluating.report import Report, Run
    from cloudkite.trainers.folders import Trainer

_OUTPUT = "output"  # where a trainer that runs here leaves its model, unless it is told otherwise
_PAGE = "report.html"


def report(
    workspace: Workspace,
    text: str,
    *,
    by: Sequence[str] = (),
    output: str = "",
    account: str = "",
    as_json: bool = False,
) -> None:
    """Look once more at the newest run of a trainer here, or at a job, and write the page. Nothing is submitted.

    `by` names columns by whose values the rows are divided. The page is written to `output`, else beside the model; as
    JSON, only where `output` is given.
    """
    from cloudkite.models.evaluating import pages
    from cloudkite.show.page import document

    document.check(output)
    run, target = _run(workspace, text, account)
    made = look(workspace, run, target, by)
    if as_json:
        screen.as_json(_facts(made))
    if as_json and not output:
        return
    written = document.save(pages.html(made), Path(output) if output else _beside(run))
    if not as_json:
        _summary(made)
    screen.note(_("written: {path}").format(path=amounts.short(written)))


def look(workspace: Workspace, run: Run, target: Target | None = None, by: Sequence[str] = ()) -> Report:
    """Ask the run's model again, and put all of it together. Raises UserError, and BadValue for a column in `by`."""
    from cloudkite.models.evaluating import asking
    from cloudkite.models.evaluating import report as reports
    from cloudkite.trainers import folders

    trainer, data = run.trainer, _Data(workspace, run)
    asked = asking.Asked(
        model=run.model if run.told else None,
        logs=run.logs,
        about=run.about,
        data=data.pattern,
        validation=data.held("validation"),
        test=data.held("test"),
        by=[_column(trainer, name) for name in by],
        variables=target.child_environment() if target else {},
    )
    with screen.waiting(_("looking at {name} ...").format(name=run.name)):
        found = asking.look(workspace, trainer, asked)
        return reports.make(run, found, data.hashes(), folders.build_wheel(trainer, workspace).sha256)


# --- which run


def _run(workspace: Workspace, text: str, account: str) -> tuple[Run, Target | None]:
    """The run that a person means: a trainer's newest here, or a job. Raises UserError when there is none."""
    from cloudkite.trainers import folders

    trainer = _trainer(workspace, text)
    if trainer and trainer.declared and not account and (found := here(trainer)):  # raises for a plain trainer
        return found, None
    chosen = _account(workspace, account)
    if chosen is None and trainer:
        raise UserError(
            _("no run of {name} yet").format(name=trainer.name),
            _("uv run invoke train {name}; or in its folder: uv run python -m trainer.task").format(
                name=folders.typed(workspace, trainer)
            ),
        )
    if chosen is None:
        folders.find(workspace, text)  # raises, with the names that are near
    chosen = chosen or registry.load(workspace, account or None)
    target = connect(workspace, chosen)
    return of_job(workspace, target, trainer.name if trainer else text), target


def _account(workspace: Workspace, name: str) -> registry.Account | None:
    """The account to look for jobs in: the one that is named, or the one in use, unless it was never set up."""
    try:
        found = registry.load(workspace, name or None)
    except UserError:
        if name:
            raise
        return None
    return found if name or found.outputs_file.is_file() else None


def _trainer(workspace: Workspace, text: str) -> Trainer | None:
    """The trainer of that name or in that folder; None where it must be a job. Raises BadValue for a wrong folder."""
    from cloudkite.trainers import folders

    if text in folders.names(workspace) or folders.is_path(text):
        return folders.find(workspace, text)
    try:
        return folders.find(workspace, text)
    except BadValue:
        return None


def here(trainer: Trainer) -> Run | None:
    """The run in the trainer's own output folder; None where there is none."""
    from cloudkite.models.evaluating.report import Run

    folder = trainer.folder / _OUTPUT
    model, logs = folder / "model", folder / "logs"
    has_model, has_logs = (model / "saved_model.pb").is_file(), any(logs.glob("*/events.out.tfevents.*"))
    if not has_model and not has_logs:
        return None
    lacks = [] if has_model else [_("the run has not ended, so it has no model: the same command goes on with it")]
    return _made(Run(trainer, trainer.name, model if has_model else None, logs if has_logs else None, {}, None), lacks)


def of_job(workspace: Workspace, target: Target, text: str) -> Run:
    """The job, with its model and its logs on this machine."""
    from cloudkite.jobs import choosing
    from cloudkite.models.evaluating.report import Run
    from cloudkite.trainers import folders, places

    job = choosing.choose(target, text, choosing.FETCH, folders.names(workspace))
    if text not in (job.name, job.id):
        said = _("job {name} ({state}, {date} UTC)")
        screen.note(said.format(name=job.name, state=job.state, date=f"{job.created:%Y-%m-%d %H:%M}"))
    folder = places.folder_of(workspace, job.trainer or "unknown", job.name)
    if not (folder / "pyproject.toml").is_file():
        raise UserError(
            _("the trainer {name} of this job isn't on this machine").format(name=job.trainer or "?"),
            _("put its folder into {path}").format(path=amounts.short(workspace.trainers)),
        )
    trainer = folders.Trainer(folder.name, folder)
    lacks: list[str] = []
    own = private_folder(private_folder(workspace.state / "reports") / names.component(job.name))
    with screen.waiting(_("fetching ...")) as tell:
        model = _model(target, job, trainer, own, lacks, tell)
        logs = _logs(target, job, own, lacks, tell)
    return _made(Run(trainer, job.name, model, logs, {}, job), lacks)


def _model(target: Target, job: Job, trainer: Trainer, own: Path, lacks: list[str], tell: Any) -> Path | None:
    """The job's model where `fetch` has put it, or in `own`."""
    from cloudkite.models import fetching

    fetched = trainer.folder / "models" / names.component(job.name)
    if (fetched / "saved_model.pb").is_file():
        return fetched
    try:
        return fetching.fetch(target, job, own / "model", progress=tell).folder
    except UserError as refused:
        if job.active:
            raise
        lacks.append(refused.message)
        return None


def _logs(target: Target, job: Job, own: Path, lacks: list[str], tell: Any) -> Path | None:
    from cloudkite.models import fetching

    bucket, _slash, base = job.output.removeprefix("gs://").partition("/")
    try:
        fetching.save(target, bucket, own / "logs", progress=tell, prefix=f"{base.rstrip('/')}/logs/")
    except UserError as refused:
        lacks.append(_("the logs could not be fetched: {why}").format(why=refused.message))
    return own / "logs" if (own / "logs").is_dir() else None


def _made(run: Run, lacks: Sequence[str]) -> Run:
    """The run with what its model tells of itself."""
    from dataclasses import replace

    from cloudkite.models import predictions

    about: Mapping[str, Any] = predictions.facts(run.model) if run.model else {}
    run = replace(run, about=about, lacks=tuple(lacks))
    if about and not run.told:
        said = _("the model was made by an older version of the trainer, which doesn't tell which rows it held out: "
                 "no row was looked at")  # fmt: skip
        run = replace(run, lacks=(*lacks, said))
    return run


# --- its data


class _Data:
    """The data of a run: where they are, and their hashes."""

    def __init__(self, workspace: Workspace, run: Run) -> None:
        self.workspace, self.run = workspace, run
        self.pattern = self._pattern(str(run.options.get("data") or run.trainer.declared.data))
        self._hashes = self._of(self.pattern)

    def held(self, part: str) -> float | str:
        """The share of the rows that was held out, or the files."""
        found = self.run.options.get(part, 0.0)
        return self._place(found) if isinstance(found, str) else float(found)

    def hashes(self) -> dict[str, str]:
        """SHA-256 by the name of each file here that the run had, or has now; in a bucket the address has it."""
        others = [self.run.options.get(part) for part in ("validation", "test")]
        found = dict(self._hashes)
        for pattern in others:
            if isinstance(pattern, str):
                found |= self._of(self._place(pattern))
        return found

    def _pattern(self, recorded: str) -> str:
        """The data as they were: here if these are what a job was sent, which an address tells by its hash."""
        from cloudkite.jobs import staging

        if not recorded.startswith("gs://"):
            return self._place(recorded)
        own = self._place(self.run.trainer.declared.data)
        hashes = self._of(own)
        return own if hashes and f"/{staging.content_key(hashes)}" in recorded else recorded

    def _place(self, pattern: str) -> str:
        return pattern if pattern.startswith("gs://") else str(self.run.trainer.folder / pattern)

    def _of(self, pattern: str) -> dict[str, str]:
        from cloudkite.jobs import staging
        from cloudkite.trainers import folders

        if pattern.startswith("gs://"):
            return {}
        trainer = self.run.trainer
        folder = Path(pattern)
        inside = folder.is_dir() and trainer.declared.loads
        files = folders.files_in(folder) if inside else folders.files_of(trainer.folder, pattern)
        digests = staging.hash_files(files, self.workspace.state / staging.HASHES)
        return {
            (path.relative_to(folder).as_posix() if inside else path.name): digest for path, digest in digests.items()
        }


def _column(trainer: Trainer, name: str) -> str:
    """The column that a person means: by the trainer's name, or by what their own file calls it. Raises BadValue."""
    declared = trainer.declared
    own = {header.strip(): column for column, header in declared.headers.items()}
    column = name if name in declared.columns else own.get(name.strip(), name)
    if declared.columns.get(column) in (TEXT, LETTERS, ARRAY):
        raise BadValue(
            _("--by {name}: its values are sentences or arrays, not groups").format(name=declared.shown(column)),
            _("name a column of words, numbers or dates"),
        )
    return column


# --- what is shown


def _beside(run: Run) -> Path:
    """Where the page goes when nobody says where: beside the model, which git leaves alone."""
    if run.job is None:
        return run.trainer.folder / _OUTPUT / _PAGE
    return run.trainer.folder / "models" / f"{names.component(run.job.name)}-{_PAGE}"


def _summary(made: Report) -> None:
    from cloudkite.models.evaluating import pages

    for part in made.parts:
        rows = [
            (pages.measure_name(one.name), pages.number(one.value), pages.number(one.baseline))
            for one in part.measured.headlines
        ]
        screen.table([pages.part_name(part.name), f"{part.measured.rows:,}", _("knows nothing")], rows, right=[1, 2])
        for one in part.compared:
            if not one.same:
                said = _("the run wrote down {name} {written}, and its model now has {found}")
                screen.warn(
                    said.format(name=one.name, written=pages.number(one.written), found=pages.number(one.found))
                )
    if made.data_changed:
        said = _("the data have changed since the run: their content was {then} and is {now}")
        screen.warn(said.format(then=made.content[0], now=made.content[1]))
    if not made.parts:
        for note in made.notes:
            screen.note(note)


def _facts(made: Report) -> dict[str, Any]:
    """The report for scripts."""
    from dataclasses import asdict

    run, job = made.run, made.run.job
    parts = {
        part.name: {
            **asdict(part.measured),
            "accuracy_interval": getattr(getattr(part.measured, "accuracy", None), "interval", None),
            "groups": {
                column: {
                    one.value: {"all": one.all.facts(), "classes": {n: s.facts() for n, s in one.classes.items()}}
                    for one in groups
                }
                for column, groups in part.groups.items()
            }
            or {
                column: {value: {**asdict(one), "tells": one.tells} for value, one in some.items()}
                for column, some in part.spreads.items()
            },
            "worst": [{k: v for k, v in row.items() if k != "fields"} for row in part.worst],
            "compared": part.compared,
        }
        for part in made.parts
    }
    return {
        "trainer": run.trainer.name,
        "name": run.name,
        "job": job,
        "label": run.about.get("label"),
        "classes": run.about.get("classes"),
        "parts": parts,
        "curves": made.curves.values,
        "seconds": job.seconds if job else made.curves.seconds,
        "cost": job.cost if job else 0,
        "data": {
            "files": made.data,
            "content_then": made.content[0],
            "content_now": made.content[1],
            "changed": made.data_changed,
        },
        "code": made.code,
        "wheel": made.wheel,
        "versions": {name: run.about.get(name) for name in ("tensorflow", "keras")}
        | {"python": run.told.get("python")},
        "options": run.options,
        "repeat": made.repeat,
        "not_looked_at": made.notes,
    }
