"""Suggests the parameters of a trial: `python -m localcloud.vertex.tuning.suggest`, a process of its own for Optuna.

Each line of standard input is a request in JSON: parameters (the study's), goals ("MAXIMIZE" or "MINIMIZE" for each
metric), algorithm, seed, startup (trials before it learns), and trials (all so far: parameters, and values, which are
null while one runs and [] when it failed). Each line of standard output is an answer: {"parameters": [...]}. It keeps
nothing between two requests: the same request gets the same answer. It ends with its standard input.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna

from localcloud.vertex.tuning.space import Chosen, Parameter, Value, as_body, chosen, parameters

_STATES = optuna.trial.TrialState


def main() -> None:
    """Answer until the end of the input."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")  # constant_liar is experimental
    for line in sys.stdin:
        print(json.dumps({"parameters": suggestion(json.loads(line))}), flush=True)


def suggestion(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The next trial's parameters in Google's JSON."""
    those = parameters(request["parameters"])
    study = optuna.create_study(
        sampler=_sampler(request), directions=["maximize" if g == "MAXIMIZE" else "minimize" for g in request["goals"]]
    )
    study.add_trials([_known(those, trial) for trial in request["trials"]])
    trial = study.ask()
    made: Chosen = []
    waiting = list(those)
    while waiting:
        parameter = waiting.pop(0)
        value = _ask(trial, parameter)
        made.append((parameter, value))
        waiting = [*parameter.below(value), *waiting]
    return as_body(made)


def _sampler(request: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    if request["algorithm"] == "RANDOM_SEARCH":
        return optuna.samplers.RandomSampler(seed=request["seed"])
    # Trials that run count as if they were bad, so that those in parallel do not all try the same.
    return optuna.samplers.TPESampler(n_startup_trials=request["startup"], constant_liar=True, seed=request["seed"])


def _known(those: Sequence[Parameter], trial: Mapping[str, Any]) -> optuna.trial.FrozenTrial:
    values = trial["values"]
    state = _STATES.RUNNING if values is None else _STATES.COMPLETE if values else _STATES.FAIL
    found = chosen(those, trial["parameters"])
    return optuna.trial.create_trial(
        state=state,
        values=values or None,
        params={parameter.key: _inward(parameter, value) for parameter, value in found},
        distributions={parameter.key: _distribution(parameter) for parameter, _ in found},
    )


def _distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    log = parameter.scale in ("LOG", "REVERSE_LOG")
    match parameter.kind:
        case "DOUBLE":
            return optuna.distributions.FloatDistribution(parameter.low, parameter.high, log=log)
        case "INTEGER":
            return optuna.distributions.IntDistribution(int(parameter.low), int(parameter.high), log=log)
        case "DISCRETE":  # by its place in the order
            return optuna.distributions.IntDistribution(0, len(parameter.values) - 1)
    return optuna.distributions.CategoricalDistribution([str(value) for value in parameter.values])


def _ask(trial: optuna.Trial, parameter: Parameter) -> Value:
    match _distribution(parameter):
        case optuna.distributions.FloatDistribution(low=low, high=high, log=log):
            value: Value = trial.suggest_float(parameter.key, low, high, log=log)
        case optuna.distributions.IntDistribution(low=low, high=high, log=log):
            value = trial.suggest_int(parameter.key, low, high, log=log)
        case _:
            value = trial.suggest_categorical(parameter.key, [str(one) for one in parameter.values])
    return _outward(parameter, value)


def _outward(parameter: Parameter, value: Value) -> Value:
    """The parameter's value of Optuna's; a reversed scale is a logarithmic one seen from the other end."""
    if parameter.kind == "CATEGORICAL":
        return value
    number = float(value)
    if parameter.kind == "DISCRETE":
        return parameter.values[int(number)]
    return parameter.low + parameter.high - number if parameter.scale == "REVERSE_LOG" else number


def _inward(parameter: Parameter, value: Value) -> Value:
    """Optuna's value of the parameter's."""
    if parameter.kind == "CATEGORICAL":
        return value
    number = float(value)
    if parameter.kind == "DISCRETE":
        return min(range(len(parameter.values)), key=lambda place: abs(float(parameter.values[place]) - number))
    if parameter.scale == "REVERSE_LOG":
        number = parameter.low + parameter.high - number
    number = min(max(number, parameter.low), parameter.high)
    return int(number) if parameter.kind == "INTEGER" else number


if __name__ == "__main__":
    main()
