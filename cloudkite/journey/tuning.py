"""Tuning: look at the space, say what comes, try, show the table, tell what it says and the command for the best."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudkite.accounts import registry
from cloudkite.accounts.registry import Account
from cloudkite.journey import training, tuning_google
from cloudkite.journey.reach import connect, look_at_machine
from cloudkite.show import amounts, screen
from cloudkite.show.errors import FAILED, BadValue, UserError
from cloudkite.show.text import _, counted
from cloudkite.workspace import Workspace

if TYPE_CHECKING:
    from cloudkite.trainers.folders import Trainer
    from cloudkite.tuning.study import Engine, Study, Try, Wishes

ENGINES = ("here", "google")
_MOST = 1000  # tries of a study
_PAGE = "report.html"


@dataclass(frozen=True)
class Asked:
    """What a person typed."""

    tries: int = 12
    parallel: int = 0
    engine: str = ""
    name: str = ""
    limit: str = ""
    try_limit: str = ""
    patience: int = 0
    seed: int = 0
    max_cost: str = ""
    arguments: tuple[str, ...] = ()
    output: str = ""
    account: str = ""
    yes: bool = False  # tries here ask nothing
    machines: Mapping[str, Any] = field(default_factory=dict)  # of each try on Google, as `train` has them


def tune(workspace: Workspace, name: str, asked: Asked, *, as_json: bool = False) -> None:
    """Try options of a trainer within its tuning.toml. Ctrl-C ends what runs; the same command goes on."""
    from cloudkite import locks
    from cloudkite.show.page import document
    from cloudkite.trainers import folders
    from cloudkite.tuning import fitting, space, study

    say = screen.note if as_json else screen.say
    wishes = _wishes(asked)
    document.check(asked.output)
    trainer = folders.find(workspace, name)
    account = _account(workspace, asked.account)
    engine = _engine_name(asked, account)
    what = space.read(trainer.folder / space.FILE)
    look_at_machine(workspace, trainer.requirements)
    with screen.waiting(_("preparing the trainer's environment ...")) as tell:
        python = folders.environment(trainer, workspace, tell)
    found = fitting.fit(what, trainer, python, wishes.arguments)
    _check(workspace, trainer, say, quiet=as_json)
    taken = _("another command tunes {name} (process {pid})")
    with locks.folder(workspace, "tune", trainer.folder, lambda pid: taken.format(name=trainer.name, pid=pid),
                      locks.GOES_ON):  # fmt: skip
        begun = study.begin(trainer, engine, what, wishes, folders.fingerprint(trainer), asked.name)
        for line in (*found.notes, *filter(None, [begun.note])):
            say(line)
        if engine == "here":
            _announce(begun.study, begun.goes_on, say)
            runs = _here(workspace, trainer, python, account, linear=found.linear)
        else:
            from cloudkite.jobs import plans

            owner = account or registry.load(workspace, None)
            machines = plans.Wishes(**asked.machines, limit=asked.try_limit)
            runs = tuning_google.engine(workspace, owner, trainer, begun.study, machines, yes=asked.yes, quiet=as_json)
        ended = _run(runs, begun.study, say)
        ended = _with_mean(workspace, trainer, ended)
    _end(workspace, trainer, account, ended, asked.output, as_json)


def report(workspace: Workspace, name: str, study_name: str = "", *, output: str = "", as_json: bool = False) -> None:
    """Write the page of a study, the newest or the one of that name, from what is kept of it; nothing is tried."""
    from cloudkite.show.page import document
    from cloudkite.trainers import folders
    from cloudkite.tuning import study

    document.check(output)
    trainer = folders.find(workspace, name)
    known = study.names(trainer)
    if not known or (study_name and study_name not in known):
        raise BadValue(
            _("no study of {trainer} is called {name}").format(trainer=trainer.name, name=study_name)
            if known
            else _("no study of {trainer} yet").format(trainer=trainer.name),
            _("one of: {names}").format(names=", ".join(known[:10]))
            if known
            else _("uv run invoke tune {trainer} begins one").format(trainer=folders.typed(workspace, trainer)),
        )
    found = study.load(trainer, study_name or known[0])
    assert found is not None
    _end(workspace, trainer, _account(workspace, ""), found, output, as_json)


# --- before it starts


def _wishes(asked: Asked) -> Wishes:
    """What was typed, understood. Raises BadValue."""
    from cloudkite.money import limits
    from cloudkite.trainers import arguments
    from cloudkite.tuning.study import Wishes, check_name

    for option, value, least, most in (
        ("--tries", asked.tries, 1, _MOST), ("--parallel", asked.parallel, 0, 100),
        ("--patience", asked.patience, 0, _MOST), ("--seed", asked.seed, 0, 2**31 - 1),
    ):  # fmt: skip
        if not least <= value <= most:
            raise BadValue(
                _("{option} must be {least} to {most}, not {value}").format(
                    option=option, least=least, most=most, value=value
                )
            )
    if asked.name:
        check_name(asked.name)
    if asked.max_cost:
        limits.parse_amount(limits.split_currency(asked.max_cost)[0])
    if arguments.asks_for_help(asked.arguments):
        raise BadValue(
            _("a try that shows the trainer's help learns nothing"), _("uv run invoke train NAME -- --help shows it")
        )
    return Wishes(
        tries=asked.tries,
        parallel=asked.parallel,
        limit_seconds=limits.parse_limit(asked.limit) if asked.limit else None,
        try_seconds=limits.parse_limit(asked.try_limit, "--try-limit") if asked.try_limit else limits.DEFAULT,
        patience=asked.patience,
        seed=asked.seed,
        max_cost=asked.max_cost,
        arguments=asked.arguments,
    )


def _engine_name(asked: Asked, account: Account | None) -> str:
    """The engine that was asked for; else where the account's jobs run. Raises BadValue, also for what it can't do."""
    here, google = ENGINES
    if asked.engine and asked.engine not in ENGINES:
        raise BadValue(
            _("--engine {name} isn't known").format(name=asked.engine),
            _("one of: {names}").format(names=", ".join(ENGINES)),
        )
    name = asked.engine or (google if account and account.costs_money else here)
    unfit = {
        "--limit": asked.limit and _("--try-limit ends each try"),
        "--patience": asked.patience and _("Google stops tries early by itself"),
        "--seed": asked.seed and _("Google's suggestions have none"),
    }
    if name == google and (option := next((option for option, hint in unfit.items() if hint), "")):
        raise BadValue(_("{option} is for --engine here").format(option=option), str(unfit[option]))
    typed = next((f"--{option}" for option, value in asked.machines.items() if value), "")
    if name == here and typed:
        raise BadValue(
            _("{option} is for --engine google: tries here run on this machine").format(option=typed),
            _("leave {option} out, or add --engine google").format(option=typed),
        )
    return name


def _here(workspace: Workspace, trainer: Trainer, python: Path, account: Account | None, *, linear: bool) -> Engine:
    """Processes on this machine; an account is needed only for data in a bucket."""
    from cloudkite.tuning.here import Here

    variables = {}
    if trainer.data.startswith("gs://"):
        variables = connect(workspace, account or registry.load(workspace, None)).child_environment()
    return Here(workspace, trainer, python, variables=variables, linear=linear)


def _account(workspace: Workspace, name: str) -> Account | None:
    """The account that is named, or in use; None where there is none yet, as tries here need none."""
    try:
        return registry.load(workspace, name or None)
    except UserError:
        if name:
            raise
        return None


def _check(workspace: Workspace, trainer: Trainer, say: Callable[[str], None], *, quiet: bool) -> None:
    """A trainer that can't learn isn't tried twelve times. Raises UserError."""
    from cloudkite.check import steps

    if steps.passed(workspace, trainer):
        say(_("check passed before, nothing has changed since"))
    elif not training.run_check(workspace, trainer, quiet=quiet).ok:
        raise UserError(
            _("the check of {name} failed").format(name=trainer.name), _("fix what is listed above; nothing was tried")
        )


def _announce(study: Study, goes_on: bool, say: Callable[[str], None]) -> None:
    """What will happen, what it costs, when it ends, and what happens where nobody comes back."""
    from cloudkite.tuning import here

    wishes, ended = study.wishes, sum(one.ended for one in study.own)
    if goes_on:
        killed = [str(one.number) for one in study.tries if not one.ended]
        said = _("goes on with study {name}: {ended} of {tries} tries have ended")
        say(said.format(name=study.name, ended=ended, tries=wishes.tries))
        if killed:
            say(_("cut short, and tried on from their checkpoints: {tries}").format(tries=", ".join(killed)))
    else:
        say(_("study {name} of {trainer}").format(name=study.name, trainer=study.trainer))
    ranges = "  ".join(f"{one.name} {one.told}" for one in study.space.parameters)
    size, way = study.space.size, _("larger is better") if study.space.goal == "maximize" else _("smaller is better")
    say(_("measures {metric} ({way}) over  {ranges}").format(metric=study.space.metric, way=way, ranges=ranges))
    if size is not None and size < wishes.tries:
        say(
            counted(
                "the space has {count} combination: no more is tried",
                "the space has {count} combinations: no more are tried",
                size,
            )
        )
    at_once = wishes.parallel or here.at_once(wishes.tries)
    say(
        _("{tries} tries, {parallel} at once, as processes on this machine, seed {seed}").format(
            tries=wishes.tries, parallel=at_once, seed=wishes.seed
        )
    )
    say(_("price: nothing is spent; this machine's time and electricity are yours"))
    if wishes.max_cost:
        say(_("--max-cost {amount} changes nothing here").format(amount=wishes.max_cost))
    limit = _("after {time}").format(time=amounts.duration(wishes.limit_seconds)) if wishes.limit_seconds else ""
    patience = (
        counted("after {count} try without a better one", "after {count} tries without a better one", wishes.patience)
        if wishes.patience
        else ""
    )
    ends = [*filter(None, [limit, patience]), _("after {count} tries").format(count=wishes.tries)]
    say(
        _("ends by itself {when}; a try that takes longer than {time} is ended").format(
            when=_(" or ").join(ends), time=amounts.duration(wishes.try_seconds)
        )
    )
    say(_("Ctrl-C ends the tries that run; the same command goes on with all that was done, also after a kill"))


# --- while it goes


def _run(engine: Engine, study: Study, say: Callable[[str], None]) -> Study:
    """Try until the study is over; a line for each try that has ended."""
    told = {one.number for one in study.tries if one.ended}
    with screen.waiting(_("starting ..."), live=True) as tell:
        try:
            for now in engine.watch(study):
                study = now
                for one in study.tries:
                    if one.ended and one.number not in told:
                        told.add(one.number)
                        say(_line(study, one))
                tell(_progress(study))
        except KeyboardInterrupt:
            tell(_("ending what runs ..."))
            study = engine.stop(study)
        except BaseException:
            engine.stop(study)
            raise
    return study


def _line(study: Study, one: Try) -> str:
    """A try that has ended."""
    best = study.best
    mark = _("  the best so far") if best and one.number == best.number and len(_done(study)) > 1 else ""
    metric = f"{study.space.metric} {one.metric:.4g}" if one.metric is not None else ""
    what = _("linear") if one.number == 0 else _("try {number}").format(number=one.number)
    words = [what, " ".join(_values(one)), metric, one.state if one.state != "done" else "",
             amounts.duration(one.seconds), one.why]  # fmt: skip
    return "  ".join(filter(None, words)) + mark


def _done(study: Study) -> list[Try]:
    """The tries that ended well."""
    return [one for one in study.own if one.state == "done"]


def _values(one: Try) -> Iterator[str]:
    from cloudkite.tuning import space

    for name, value in space.effective(one.values).items():
        yield f"{name}={space.shown(value)}"


def _progress(study: Study) -> str:
    """How far it is, and, once a try has ended, how long it will take."""
    ended, best = [one for one in study.own if one.ended], study.best
    running = [one for one in study.tries if one.state == "running"]
    said = [_("{ended} of {tries} tries").format(ended=len(ended), tries=study.wishes.tries)]
    said.append(_("{count} running").format(count=len(running)))
    if best:
        said.append(_("best {value} (try {number})").format(value=f"{best.metric:.4g}", number=best.number))
    seconds = [one.seconds for one in study.tries if one.state == "done"]
    if seconds:
        left = max(study.wishes.tries - len(ended), 0) * sum(seconds) / len(seconds) / max(len(running), 1)
        said.append(_("about {time} left").format(time=amounts.duration(left)))
    return ", ".join(said)


def _with_mean(workspace: Workspace, trainer: Trainer, study: Study) -> Study:
    """Of a label that is a number, what always answering the mean would have on the rows that the best was measured on;
    the model is asked about them once, as `report` does."""
    from cloudkite.journey import reporting
    from cloudkite.models import predictions
    from cloudkite.models.evaluating.report import Run
    from cloudkite.tuning import study as studies

    best = study.best
    if best is None or study.space.tag != "mae" or trainer.plain or "mean" in study.facts:
        return study
    model = Path(best.output) / "model"
    about = predictions.facts(model) if (model / "assets.extra" / "trainer.json").is_file() else {}
    if not about:
        return study
    try:
        parts = reporting.look(workspace, Run(trainer, study.name, model, None, about, None)).parts
    except UserError as problem:
        screen.warn(_("the mean to compare with is unknown: {why}").format(why=problem.message))
        return study
    headlines = [one for part in parts if part.name == "validation" for one in part.measured.headlines]
    found = next((one.baseline for one in headlines if one.name == "mae"), None)
    if found is not None:
        study = replace(study, facts={**study.facts, "mean": found})
        studies.save(trainer, study)
    return study


# --- at the end


def _end(
    workspace: Workspace, trainer: Trainer, account: Account | None, study: Study, output: str, as_json: bool
) -> None:
    """The table, what it says, the page, the command for the best. A study that failed is exit code 1."""
    from cloudkite.show.page import document
    from cloudkite.tuning import outcome, page
    from cloudkite.tuning import study as studies

    commands = _commands(workspace, trainer, account, study)
    place = Path(output) if output else studies.folder(trainer, study.name) / _PAGE
    written = document.save(page.html(study, commands), place)
    if as_json:
        screen.as_json(
            studies.facts(study)
            | {"best": study.best and study.best.number, "command": commands[0] if commands else None}
            | {"baselines": outcome.baselines(study), "verdict": outcome.verdict(study), "page": written}
        )
    else:
        _table(study)
        for line in outcome.verdict(study):
            screen.say(line)
        if study.repeats:
            screen.say(
                counted(
                    "{count} suggestion was what had been tried: its result was taken, and another one tried",
                    "{count} suggestions were what had been tried: their results were taken, and others tried",
                    study.repeats,
                )
            )
        screen.note(_("written: {path}").format(path=amounts.short(written)))
    if study.state == "failed":
        best = study.best
        raise UserError(
            _("study {name} ended: {why}").format(name=study.name, why=study.why),
            _("their output: {path}").format(path=amounts.short(studies.folder(trainer, study.name) / studies.TRIES))
            if best is None
            else _("fix what is told above; or narrow {file}").format(file="tuning.toml"),
            FAILED,
        )
    if as_json:
        return
    if study.why:
        screen.say(_("ended early: {why}").format(why=study.why) if study.state == "done" else study.why)
    if study.state == "stopped":
        screen.say(_("the same command goes on with it"))
    for word, line in zip((_("next: {command}"), _("or here: {command}")), commands, strict=False):
        screen.say(word.format(command=line))


def _table(study: Study) -> None:
    """All tries, the best first."""
    from cloudkite.tuning import space

    names = [parameter.name for parameter in study.space.parameters]
    costs = any(one.cost for one in study.tries)
    rows = []
    tries = [*study.ranked, *filter(None, [study.linear])]
    for one in tries:
        values = space.effective(one.values)
        rows.append([
            "linear" if one.number == 0 else one.number,
            *(space.shown(values[name]) if name in values else "" for name in names),
            "" if one.metric is None else f"{one.metric:.4g}",
            one.state, amounts.duration(one.seconds),
            *([amounts.money(one.cost, "USD", 4)] if costs else []),
            one.why[:80],
        ])  # fmt: skip
    screen.say()
    count = len(names)
    screen.table(
        [_("try"), *names, study.space.metric, _("state"), _("time"), *([_("cost")] if costs else []), ""],
        rows,
        right=[*range(count + 2), *([count + 4] if costs else [])],
        spare=[count + 4 + costs, count + 3],
    )
    if costs:
        total = sum((one.cost for one in study.tries if one.cost), Decimal(0))
        screen.say(_("the tries cost {amount} until now").format(amount=amounts.money(total, "USD", 4)))
    screen.say()


def _commands(workspace: Workspace, trainer: Trainer, account: Account | None, study: Study) -> list[str]:
    """How the best is trained in full, or the linear model if that is as good: as a job, and on this machine."""
    from cloudkite.trainers import folders
    from cloudkite.tuning import space

    if not study.winner:
        return []
    words = shlex.join([*study.wishes.arguments, *space.arguments(study.winner.values)])
    other = registry.option(workspace, account) if account else ""
    job = f"uv run invoke train {folders.typed(workspace, trainer)}{other} -- {words}"
    place = shlex.quote(amounts.short(trainer.folder))
    return [job, f"cd {place} && uv run python -m trainer.task {words}"]
