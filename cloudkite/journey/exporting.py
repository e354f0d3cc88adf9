"""A fetched model for devices: what is written, how near it is to the trained one, and if an older copy can go."""

from __future__ import annotations

import shlex
from pathlib import Path

from cloudkite import locks
from cloudkite.export import languages, making, manifest, place
from cloudkite.export.making import Export, File, Wishes
from cloudkite.models import predictions
from cloudkite.show import amounts, screen
from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, counted, near
from cloudkite.trainers import folders, places
from cloudkite.trainers.folders import Trainer
from cloudkite.workspace import Workspace

_NEARLY_ALL = 0.99  # of the rows: fewer same answers are worth a warning


def language(wanted: str) -> str:
    """The language of the page and the card. Raises BadValue for one that they aren't written in."""
    if wanted and wanted not in languages.LANGUAGES:
        known = ", ".join(languages.LANGUAGES)
        raise BadValue(
            _("--language {given} isn't known").format(given=wanted), _("known: {names}").format(names=known)
        )
    return wanted or languages.of_person()


def export(
    workspace: Workspace,
    name: str,
    output: str,
    compare: str,
    wishes: Wishes,
    *,
    yes: bool = False,
    as_json: bool = False,
) -> None:
    """Write the export of a trainer's newest model, or of a job's, and show what came of it."""
    if wishes.rows < 1:
        raise BadValue(_("--rows must be 1 or more, not {given}").format(given=wishes.rows))
    trainer, model = find(workspace, name)
    places.remember(workspace, trainer)
    about = predictions.facts(model)
    if lacking := [key for key in about["columns"] if not isinstance(about.get("statistics"), dict)]:
        raise UserError(
            _("{model} is from an older trainer: it doesn't tell what {column} was like").format(
                model=amounts.short(model), column=lacking[0]
            ),
            _("train again, then: uv run invoke fetch"),
        )
    job = model.parent.name if model.name == "model" else model.name
    usual = "export" if job == "output" else f"export-{job}"  # of a model that was trained here
    folder = (Path(output) if output else trainer.folder / "output" / usual).resolve()
    other = manifest.read(Path(compare)) if compare else None
    if compare and other is None:
        raise BadValue(_("{path} has no {file}").format(path=compare, file=manifest.NAME), _("name an export's folder"))
    if place.check(folder) and not yes:
        said = _("{path} has an earlier export; replace it?").format(path=amounts.short(folder))
        if not screen.confirm(said):
            return
    hint = _("run the same command again when it has ended")
    busy = _("another command exports to {folder} (process {pid})")
    alone = locks.folder(
        workspace, "export", folder, lambda pid: busy.format(folder=amounts.short(folder), pid=pid), hint
    )
    with alone, screen.waiting(_("exporting ...")) as tell:
        made = making.make(workspace, trainer, model, folder, about, wishes, tell)
    fit = manifest.compare(other, manifest.read(folder) or {}) if other else made.fit
    if as_json:
        told = {"folder": folder, "rows": made.rows, "files": list(made.files), "lacking": list(made.lacking)}
        screen.as_json({**told, "fit": {"same": fit.same, "changes": list(fit.changes)} if fit else None})
        return
    show(made, fit)


def find(workspace: Workspace, name: str) -> tuple[Trainer, Path]:
    """The trainer and the folder of the model that a person means. Raises BadValue."""
    known = folders.names(workspace)
    fetched = {
        job: (trainer, model)
        for trainer in known
        for job, model in predictions.fetched(workspace.trainers / trainer).items()
    }
    if name not in known and name in fetched:
        trainer, model = fetched[name]
        return folders.find(workspace, trainer), model
    try:
        trainer = folders.find(workspace, name)
    except BadValue as error:
        if folders.is_path(name):
            raise
        said = _("no trainer and no fetched job is called {name}").format(name=name)
        hint = near(name, [*known, *fetched]) or error.hint
        raise BadValue(said, hint) from None
    return trainer, predictions.latest_model(trainer)


def show(made: Export, fit: manifest.Fit | None) -> None:
    """The table of files, and what to know of them."""
    screen.table(
        [_("file"), _("size"), _("largest difference"), _("same answers"), _("one row"), ""],
        [_line(one) for one in made.files],
        right=[1, 2, 3, 4],
    )
    for one in made.files:
        if one.refused:
            screen.warn(_("{file} was not written: {reason}").format(file=one.name, reason=one.refused))
        elif one.agree and one.agree < _NEARLY_ALL:
            said = _("{file} answers otherwise than the trained model in {share:.1f} % of the rows")
            screen.warn(said.format(file=one.name, share=100 * (1 - one.agree)))
    if made.lacking:
        said = _("LiteRT has no {names}: the app makes numbers of sentences and dates itself, see {file}")
        screen.note(said.format(names=", ".join(made.lacking), file=making.PREPARATION))
    rows = counted("{count} row", "{count} rows", made.rows)
    screen.say(
        _("compared with the trained model on {rows}, in {path}").format(rows=rows, path=amounts.short(made.folder))
    )
    if fit:
        screen.say(_("beside the earlier export: {fit}").format(fit=fit.told()))
    if any(one.name == making.PAGE and one.bytes for one in made.files):
        page = shlex.quote(amounts.short(made.folder / making.PAGE))
        screen.say(_("next: open {page} in a browser, or send it to a phone").format(page=page))


def _line(one: File) -> tuple[str, ...]:
    if one.refused:
        return (one.name, "", "", "", "", _("not written"))
    if not one.agree:  # a page where no Node could be asked
        return (one.name, amounts.size(one.bytes), "", "", "", _("checks itself when it starts"))
    time = f"{one.milliseconds:.3f} ms" if one.milliseconds else ""
    share = f"{100 * one.agree:.1f} %"
    return (one.name, amounts.size(one.bytes), f"{one.error:.1e}", share, time, _("exact") if one.exact else "")
