"""What is tried next, and what is not worth going on with: Optuna's TPE over what is known, and the median rule.

Both are functions of the study alone: who goes on with a study after a kill gets the same suggestions.
"""

from __future__ import annotations

import random
import statistics
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cloudkite.tuning import space as spaces
from cloudkite.tuning.space import Parameter, Space, Value
from cloudkite.tuning.study import Study, Try

if TYPE_CHECKING:
    import optuna

FROM = 3  # tries that must have ended before one is pruned
WARM_UP = 3  # reports before which none is, or a quarter of the shortest whole try's
_ASKS = 12  # suggestions for one try, if they were all tried already
_LEARNS_AFTER = (3, 10)  # tries before the sampler learns: a third of all, but at least and at most


def values(study: Study) -> tuple[dict[str, Value] | None, int]:
    """What the next try is, and how many suggestions before were tried already.

    None where a space without real numbers is exhausted.
    """
    known = {spaces.key(one.values) for one in study.tries}
    number = 1 + max((one.number for one in study.tries), default=0)
    for ask in range(_ASKS):
        found = _ask(study, study.wishes.seed + 1000 * number + ask)
        if spaces.key(found) not in known:
            return found, ask
    if study.space.size is None:
        return None, _ASKS
    left = {key: one for one in study.space.combinations() if (key := spaces.key(one)) not in known}
    return (left[random.Random(number).choice(sorted(left))] if left else None), _ASKS  # noqa: S311


def _ask(study: Study, seed: int) -> dict[str, Value]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    learns_after = min(_LEARNS_AFTER[1], max(_LEARNS_AFTER[0], study.wishes.tries // 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constant_liar is experimental
        # Tries that run count as if they were bad, so that those in parallel don't all try the same.
        sampler = optuna.samplers.TPESampler(n_startup_trials=learns_after, constant_liar=True, seed=seed)
        made = optuna.create_study(sampler=sampler, direction=study.space.goal)
        made.add_trials([_known(study.space, one) for one in study.own])
        trial = made.ask()
        found: dict[str, Value] = {}
        for parameter in study.space.parameters:
            # One that means nothing beside what is chosen already isn't asked for: nothing is learned of it.
            if parameter.name in spaces.effective({**found, parameter.name: 0}):
                found[parameter.name] = _outward(parameter, _suggested(trial, parameter))
    return found


def _known(space: Space, one: Try) -> optuna.trial.FrozenTrial:
    """A try as Optuna knows it; a failed one tells the sampler nothing but that it failed."""
    import optuna

    states = optuna.trial.TrialState
    state = {"done": states.COMPLETE, "pruned": states.PRUNED, "failed": states.FAIL}.get(one.state, states.RUNNING)
    if state == states.COMPLETE and one.metric is None:
        state = states.FAIL
    own = [parameter for parameter in space.parameters if parameter.name in one.values]
    return optuna.trial.create_trial(
        state=state,
        value=one.metric if state == states.COMPLETE else None,
        params={parameter.name: _inward(parameter, one.values[parameter.name]) for parameter in own},
        distributions={parameter.name: _distribution(parameter) for parameter in own},
        intermediate_values=dict(one.history),
    )


def _distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if parameter.kind == "real":
        return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    if parameter.kind == "whole":
        return IntDistribution(int(parameter.low), int(parameter.high), log=parameter.log)
    if _ordered(parameter):  # by its place: 64 is nearer to 32 than to 128
        return IntDistribution(0, len(parameter.choices) - 1)
    return CategoricalDistribution(list(map(spaces.shown, parameter.choices)))


def _ordered(parameter: Parameter) -> bool:
    return all(isinstance(one, int | float) and not isinstance(one, bool) for one in parameter.choices)


def _suggested(trial: optuna.Trial, parameter: Parameter) -> Any:
    if parameter.kind == "real":
        return trial.suggest_float(parameter.name, parameter.low, parameter.high, log=parameter.log)
    if parameter.kind == "whole":
        return trial.suggest_int(parameter.name, int(parameter.low), int(parameter.high), log=parameter.log)
    if _ordered(parameter):
        return trial.suggest_int(parameter.name, 0, len(parameter.choices) - 1)
    return trial.suggest_categorical(parameter.name, list(map(spaces.shown, parameter.choices)))


def _outward(parameter: Parameter, value: Any) -> Value:
    if parameter.kind != "choice":
        return parameter.rounded(value)
    if _ordered(parameter):
        return sorted(parameter.choices)[value]  # pyright: ignore[reportArgumentType]
    return next(one for one in parameter.choices if spaces.shown(one) == value)


def _inward(parameter: Parameter, value: Value) -> Any:
    if parameter.kind != "choice":
        return value
    return sorted(parameter.choices).index(value) if _ordered(parameter) else spaces.shown(value)  # pyright: ignore


def hopeless(study: Study, this: Try) -> bool:
    """Whether a try is to be ended because the best that it had so far is worse than what half of the whole tries had
    by then (the median rule of D. Golovin et al. (2017), https://doi.org/10.1145/3097983.3098043, as Optuna has it).

    Never before the warm-up, and never in the last step: what is about to be exported costs no time any more.
    """
    whole = [one.history for one in study.own if one.state == "done" and one.history]
    if len(whole) < FROM or not this.history:
        return False
    shortest, reports = min(map(len, whole)), len(this.history)
    if reports < max(WARM_UP, shortest // 4) or reports >= shortest - 1:
        return False
    best = max if study.space.goal == "maximize" else min

    def so_far(history: Sequence[tuple[int, float]]) -> float:
        return best(value for _step, value in history[:reports])

    return study.space.better(statistics.median(map(so_far, whole)), so_far(this.history))
