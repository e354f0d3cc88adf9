"""The page of a study: what the best is worth, how it was found, and every try."""

from __future__ import annotations

from collections.abc import Sequence

from cloudkite.show import amounts
from cloudkite.show.page import document, tries
from cloudkite.show.page.document import Cell, Html
from cloudkite.show.page.tries import Coordinate
from cloudkite.show.text import _, counted
from cloudkite.tuning import importance, outcome
from cloudkite.tuning import space as spaces
from cloudkite.tuning.study import LINEAR, Study, Try

FEW = 2  # tries that ended well, below which nothing is compared


def html(study: Study, commands: Sequence[str] = ()) -> str:
    """The whole page; `commands` train the best in full."""
    return document.page(
        _("Tuning of {trainer}: {name}").format(trainer=study.trainer, name=study.name),
        [
            document.line(_what(study)),
            document.line(study.why, "strong"),
            document.section(
                _("The best"),
                _best(study),
                document.points(outcome.verdict(study)),
                _baselines(study),
                document.heading(_("Train it in full")) if commands else Html(),
                *(document.block(command) for command in commands),
            ),
            document.section(_("How it was found"), _history(study), _coordinates(study), _importance(study)),
            document.section(_("All tries"), _table(study)),
            document.section(_("The space"), _space(study)),
        ],
    )


def _what(study: Study) -> str:
    states = [one.state for one in study.own]
    words = {
        "done": _("ended well"), "pruned": _("pruned"), "failed": _("failed"), "killed": _("killed"),
        "running": _("running"), "waiting": _("waiting"),
    }  # fmt: skip
    counts = ", ".join(f"{states.count(state)} {word}" for state, word in words.items() if state in states)
    return _(
        "{metric}, {goal}; {tries}: {counts}; {time} in all; engine {engine}, seed {seed}, begun {date} UTC"
    ).format(
        metric=study.space.metric,
        goal=_("larger is better") if study.space.goal == "maximize" else _("smaller is better"),
        tries=counted("{count} try", "{count} tries", len(states)),
        counts=counts or "-",
        time=amounts.duration(study.seconds),
        engine=study.engine,
        seed=study.wishes.seed,
        date=study.created[:16].replace("T", " "),
    )


def _best(study: Study) -> Html:
    best = study.best
    if best is None:
        return document.line(_("no try has ended well yet"))
    values = ", ".join(f"{name} {spaces.shown(value)}" for name, value in spaces.effective(best.values).items())
    return document.line(_("try {number}: {values}").format(number=best.number, values=values), "strong")


def _baselines(study: Study) -> Html:
    best = study.best
    if best is None:
        return Html()
    rows: list[list[Cell]] = [[_("the best, try {number}").format(number=best.number), _number(best.metric),
                               _interval(best.interval)]]  # fmt: skip
    for one in outcome.baselines(study):
        rows.append([one.name, _number(one.metric) or one.note, _interval(one.interval)])
    return document.table(
        ["", study.space.metric, _("95 times in 100")], rows, _("Beside what is to be beaten"), right=[1]
    )


def _history(study: Study) -> Html:
    points = [(one.number, one.metric) for one in study.own if one.state == "done" and one.metric is not None]
    level = [(one.name, one.metric) for one in outcome.baselines(study) if one.metric is not None]
    told = _("{count} tries that ended well, in their order, and the best so far").format(count=len(points))
    return tries.history(
        _("{metric} by try").format(metric=study.space.metric), told, points, level, _("try"),
        (_("a try"), _("the best so far")), larger=study.space.goal == "maximize",
    )  # fmt: skip


def _coordinates(study: Study) -> Html:
    done = [one for one in study.ranked if one.state == "done" and one.metric is not None]
    if not done:
        return Html()
    axes = [
        Coordinate(
            parameter.name,
            [_value(parameter, one) for one in done],
            tuple(map(spaces.shown, parameter.choices)),
            parameter.log,
        )
        for parameter in study.space.parameters
    ]
    axes.append(Coordinate(study.space.metric, [one.metric for one in done]))
    told = _("a line for each of {count} tries that ended well, through its values; the best is thick").format(
        count=len(done)
    )
    below = _("A line that passes below an axis has no such value: it means nothing beside its others.")
    return tries.coordinates(_("Values that went together"), told, axes, 0, below)


def _value(parameter: spaces.Parameter, one: Try) -> float | str | None:
    value = spaces.effective(one.values).get(parameter.name)
    return None if value is None else spaces.shown(value) if parameter.kind == "choice" else float(value)


def _importance(study: Study) -> Html:
    """What moved the metric; nothing is claimed that chance explains as well."""
    done = sum(one.state == "done" for one in study.own)
    title = document.heading(_("What moved the metric"))
    found = importance.of(study)
    if not found:
        said = _("{count} tries that ended well are too few to tell; from {least} on it is looked at")
        return Html(title + document.line(said.format(count=done, least=importance.LEAST), "small"))
    rows: list[list[Cell]] = [
        [one.name, f"{one.share:.0%}", f"{one.chance:.2g}", _("yes") if one.shown else _("chance explains it as well")]
        for one in found
    ]
    said = _(
        "The share of the variance of the tries' ranks that lies between a parameter's choices, or thirds of a range; "
        "how often shuffled results have as much. Tries gather where results were good, and pruned ones are left "
        "out: a hint for the next space, not a law."
    )
    return Html(
        title
        + document.table(["", _("share"), _("by chance"), _("shown by these tries")], rows, right=[1, 2])
        + document.line(said, "small")
    )


def _table(study: Study) -> Html:
    names = [parameter.name for parameter in study.space.parameters]
    rows: list[list[Cell]] = []
    for one in [*study.ranked, *filter(None, [study.linear])]:
        values = spaces.effective(one.values)
        rows.append(
            [
                _("linear, as it comes") if one.number == LINEAR else one.number,
                *(spaces.shown(values[name]) if name in values else "" for name in names),
                _number(one.metric), _interval(one.interval), _number(one.test), one.state,
                amounts.duration(one.seconds), one.why,
            ]
        )  # fmt: skip
    header = [
        _("try"),
        *names,
        study.space.metric,
        _("95 times in 100"),
        _("last look"),
        _("state"),
        _("time"),
        _("why"),
    ]
    return document.table(header, rows, right=[len(names) + 1, len(names) + 3])


def _space(study: Study) -> Html:
    rows: list[list[Cell]] = [[f"--{one.name}", one.told] for one in study.space.parameters]
    given = " ".join(study.wishes.arguments)
    return Html(
        document.table([_("option"), _("tried")], rows)
        + (document.line(_("given to all: {arguments}").format(arguments=given)) if given else "")
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _interval(found: tuple[float, float] | None) -> str:
    return "" if found is None else f"{found[0]:.3g} - {found[1]:.3g}"
