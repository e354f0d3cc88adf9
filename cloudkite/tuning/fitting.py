"""Whether a space fits a trainer: its options and values are asked of the trainer's own parser, without TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cloudkite.show.errors import BadValue
from cloudkite.show.text import _, near
from cloudkite.trainers import arguments, folders
from cloudkite.trainers.folders import Trainer
from cloudkite.tuning import space as spaces
from cloudkite.tuning.space import Parameter, Space, Value

_NAMED = re.compile(r"--([A-Za-z0-9][A-Za-z0-9-]*)(=.*)?")


@dataclass(frozen=True)
class Fit:
    """What is known of a trainer whose space fits: whether it can be a linear model, which every try is to beat; and
    what is to be said."""

    linear: bool
    notes: tuple[str, ...] = ()


def fit(space: Space, trainer: Trainer, python: Path, given: Sequence[str] = ()) -> Fit:
    """Look at the space beside the arguments `given` to all tries.

    Raises BadValue naming tuning.toml, the key and what is allowed: for an option that the trainer lacks, a value
    that it refuses, a metric that it doesn't report.
    """
    path = trainer.folder / spaces.FILE
    _metric(space, trainer, path)
    named = {found[1] for word in given if (found := _NAMED.fullmatch(word))}
    for parameter in space.parameters:
        if parameter.name in named:
            raise BadValue(
                _("{path}: parameters.{name}: is tried, and given as --{name} too").format(
                    path=path, name=parameter.name
                ),
                _("leave one of them out"),
            )
    samples = [(parameter, value) for parameter in space.parameters for value in parameter.samples]
    lines = [[*given], *([*given, *spaces.arguments({one.name: value})] for one, value in samples)]
    asked = arguments.ask(trainer, python, lines)
    if asked is None:
        note = _("{trainer} reads its options in its own way: a wrong one is only found by the first try")
        return Fit(False, (note.format(trainer=trainer.name),))
    arguments.refuse_bad(trainer, python, given)
    for parameter in space.parameters:
        _option(parameter, asked, trainer, path)
    for (parameter, value), said in zip(samples, asked.said[1:], strict=True):
        if said:
            raise _refused(parameter, value, said, asked.options[parameter.name], path)
    choices = asked.options["model"].choices if "model" in asked.options else None
    return Fit("linear" in (choices or ()) and "model" not in named, tuple(_idle(space)))


def _option(parameter: Parameter, asked: arguments.Asked, trainer: Trainer, path: Path) -> None:
    """Raise BadValue unless the trainer has such an option, which takes a value, or takes none and is on or off."""
    option = asked.options.get(parameter.name)
    where = f"{path}: parameters.{parameter.name}: "
    if option is None:
        known = [name for name in asked.options if name not in ("help", "output")]
        raise BadValue(
            where + _("{trainer} has no option --{name}").format(trainer=trainer.name, name=parameter.name),
            near(parameter.name, known),
        )
    flags = all(isinstance(value, bool) for value in parameter.samples)
    if option.alone and not flags:
        raise BadValue(
            where + _("--{name} takes no value").format(name=parameter.name),
            _("allowed: {names}").format(names="[true, false]"),
        )
    if flags and not option.alone:
        raise BadValue(
            where + _("--{name} takes a value").format(name=parameter.name),
            _("true and false are for options that stand alone"),
        )


def _refused(parameter: Parameter, value: Value, said: str, option: arguments.Option, path: Path) -> BadValue:
    return BadValue(
        _("{path}: parameters.{name}: the trainer refuses {value}: {reason}").format(
            path=path, name=parameter.name, value=spaces.shown(value), reason=said
        ),
        _("allowed: {names}").format(names=", ".join(option.choices))
        if option.choices
        else _("uv run invoke train NAME -- --help lists what it takes"),
    )


def _metric(space: Space, trainer: Trainer, path: Path) -> None:
    """Raise BadValue for a metric that the template's trainers don't have, and that no file of the trainer names."""
    if trainer.plain:
        return
    known = ["accuracy", "loss"] if trainer.declared.classes else ["mae", "loss"]
    if space.tag in known:
        return
    own = re.compile(rf"""["']{re.escape(space.tag)}["']""")
    sources = (one for one in folders.package_files(trainer) if one.suffix == ".py" and one.parent == trainer.package)
    if space.tag in ("accuracy", "mae") or not any(
        own.search(one.read_text(encoding="utf-8", errors="replace")) for one in sources
    ):
        raise BadValue(
            _("{path}: metric: {trainer} doesn't report {metric}").format(
                path=path, trainer=trainer.name, metric=space.metric
            ),
            _("it reports: {names}; or what model.py names in `metrics`").format(
                names=", ".join(f"val_{name}" for name in known)
            ),
        )


def _idle(space: Space) -> list[str]:
    """What is said once of options that mean nothing beside others."""
    return [
        _("{names} mean nothing with {value}, and are left out there").format(names=", ".join(names), value=value)
        for value, names in spaces.idle(space).items()
    ]
