"""Which studies can't be: the rules of the documentation of StudySpec, in the form of Vertex AI's own refusals.

https://cloud.google.com/vertex-ai/docs/reference/rest/v1/StudySpec and .../projects.locations.hyperparameterTuningJobs
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from localcloud.core.errors import NotEmulated
from localcloud.vertex.jobs import validation
from localcloud.vertex.jobs.validation import REQUIRED, Violation
from localcloud.vertex.tuning.space import CONDITIONS, KINDS

Body = Mapping[str, Any]

_MOST_VALUES = 1000  # of a discrete parameter
_NOT_EMULATED = {
    "convexAutomatedStoppingSpec": "the convex rule of early stopping (study_spec.convex_automated_stopping_spec)",
    "studyStoppingConfig": "conditions that end a study (study_spec.study_stopping_config)",
}
_PARENTS = tuple(CONDITIONS.values())


def check(job: Body, location: str) -> None:
    """Raises 400 for a tuning job that can't be, with all that is wrong; 501 for one that asks for what is not here."""
    trial = {"displayName": job.get("displayName", ""), "labels": job.get("labels", {})}
    study = job.get("studySpec", {})
    violations = [*_counts(job), *_study(study), *validation.with_nul("study_spec", study)]  # they become arguments
    for one in validation.violations(trial | {"jobSpec": job.get("trialJobSpec", {})}):
        violations.append(Violation(re.sub(r"^job_spec", "trial_job_spec", one.path), one.message))
    validation.refuse(violations)
    for field, what in _NOT_EMULATED.items():
        if field in job["studySpec"]:
            raise NotEmulated(what)
    validation.check_emulated(job, job["trialJobSpec"], location)


def _counts(job: Body) -> Iterator[Violation]:
    most, parallel = int(job.get("maxTrialCount", 0)), int(job.get("parallelTrialCount", 0))
    failed = int(job.get("maxFailedTrialCount", 0))
    if most < 1:
        yield Violation("max_trial_count", "The maximum trial count must be positive.")
    if parallel < 1:
        yield Violation("parallel_trial_count", "The parallel trial count must be positive.")
    if failed < 0:
        yield Violation("max_failed_trial_count", "The maximum failed trial count must not be negative.")


def _study(study: Body) -> Iterator[Violation]:
    metrics, specs = study.get("metrics", []), study.get("parameters", [])
    if not metrics:
        yield Violation("study_spec.metrics", REQUIRED)
    names = [metric.get("metricId", "") for metric in metrics]
    for number, metric in enumerate(metrics):
        path = f"study_spec.metrics[{number}]"
        if not names[number]:
            yield Violation(f"{path}.metric_id", REQUIRED)
        elif names[number] in names[:number]:
            yield Violation(f"{path}.metric_id", f"The metric ID `{names[number]}` is not unique.")
        if metric.get("goal", "") not in ("MAXIMIZE", "MINIMIZE"):
            yield Violation(f"{path}.goal", REQUIRED)
        if "safetyConfig" in metric:
            yield Violation(f"{path}.safety_config", _only_vizier("safety_config"))
    if study.get("observationNoise"):
        yield Violation("study_spec.observation_noise", _only_vizier("observation_noise"))
    if not specs:
        yield Violation("study_spec.parameters", REQUIRED)
    yield from _parameters("study_spec.parameters", specs)
    if study.get("algorithm") == "GRID_SEARCH" and any("doubleValueSpec" in spec for spec in _all(specs)):
        words = "To use grid search, all parameters must be INTEGER, CATEGORICAL, or DISCRETE."
        yield Violation("study_spec.algorithm", words)


def _only_vizier(field: str) -> str:
    return f"`{field}` is only supported by the Vertex AI Vizier service, not by HyperparameterTuningJob."


def _all(specs: Sequence[Body]) -> Iterator[Body]:
    for spec in specs:
        yield spec
        yield from _all([one.get("parameterSpec", {}) for one in spec.get("conditionalParameterSpecs", [])])


def _parameters(path: str, specs: Sequence[Body]) -> Iterator[Violation]:
    taken: set[str] = set()
    for number, spec in enumerate(specs):
        # One name may be there several times below one parent: under different values of it.
        names = {one["parameterId"] for one in _all([spec]) if one.get("parameterId")}
        for name in sorted(names & taken):
            yield Violation(f"{path}[{number}].parameter_id", f"The parameter ID `{name}` is not unique.")
        taken |= names
        yield from _parameter(f"{path}[{number}]", spec)


def _parameter(path: str, spec: Body) -> Iterator[Violation]:
    if not spec.get("parameterId"):
        yield Violation(f"{path}.parameter_id", REQUIRED)
    field = next((field for field in KINDS if field in spec), None)
    if field is None:
        words = "One of `double_value_spec`, `integer_value_spec`, `categorical_value_spec` and `discrete_value_spec`"
        yield Violation(f"{path}.parameter_value_spec", f"{words} must be set.")
        return
    where, kind, given = f"{path}.{_snake(field)}", KINDS[field], spec[field]
    if "defaultValue" in given:
        yield Violation(f"{where}.default_value", _only_vizier("default_value"))
    lowest = yield from _bounds(where, given) if kind in ("DOUBLE", "INTEGER") else _values(where, kind, given)
    scale = spec.get("scaleType", "SCALE_TYPE_UNSPECIFIED")
    if scale != "SCALE_TYPE_UNSPECIFIED" and kind == "CATEGORICAL":
        yield Violation(f"{path}.scale_type", "`scale_type` must not be set for a CATEGORICAL parameter.")
    elif scale in ("UNIT_LOG_SCALE", "UNIT_REVERSE_LOG_SCALE") and lowest is not None and lowest <= 0:
        words = f"The entire feasible space must be strictly positive for {scale}."
        yield Violation(f"{path}.scale_type", words)
    for number, condition in enumerate(spec.get("conditionalParameterSpecs", [])):
        yield from _condition(f"{path}.conditional_parameter_specs[{number}]", kind, given, condition)


def _bounds(path: str, given: Body) -> Generator[Violation, None, float | None]:
    """Gives back the lowest value."""
    low, high = float(given.get("minValue", 0)), float(given.get("maxValue", 0))
    if not (math.isfinite(low) and math.isfinite(high)):
        yield Violation(path, "`min_value` and `max_value` must be finite.")
        return None
    if low > high:
        yield Violation(path, f"`min_value` ({low:g}) can't be greater than `max_value` ({high:g}).")
    return low


def _values(path: str, kind: str, given: Body) -> Generator[Violation, None, float | None]:
    """Gives back the lowest value, where values are numbers."""
    values = given.get("values", [])
    if not values:
        yield Violation(f"{path}.values", REQUIRED)
        return None
    if kind == "CATEGORICAL":
        if len(set(values)) < len(values):
            yield Violation(f"{path}.values", "The values must be unique.")
        return None
    numbers = [float(value) for value in values]
    if len(numbers) > _MOST_VALUES:
        yield Violation(f"{path}.values", f"The list should not contain more than {_MOST_VALUES:,} values.")
    if any(after - before < 1e-10 for before, after in itertools.pairwise(numbers)):
        yield Violation(f"{path}.values", "The values should be in increasing order and at least 1e-10 apart.")
    return numbers[0]


def _condition(path: str, kind: str, given: Body, condition: Body) -> Iterator[Violation]:
    field = next((field for field in _PARENTS if field in condition), None)
    if field is None:
        yield Violation(f"{path}.parent_value_condition", REQUIRED)
    elif kind not in CONDITIONS:
        yield Violation(path, "A DOUBLE parameter can't have conditional parameters.")
    elif field != CONDITIONS[kind]:
        words = f"`{_snake(field)}` does not match the {kind} type of the parent parameter."
        yield Violation(f"{path}.{_snake(field)}", words)
    else:
        for value in _strangers(kind, given, condition[field].get("values", [])):
            words = f"The value `{value}` is not a feasible value of the parent parameter."
            yield Violation(f"{path}.{_snake(field)}.values", words)
    if "parameterSpec" not in condition:
        yield Violation(f"{path}.parameter_spec", REQUIRED)
    else:
        yield from _parameter(f"{path}.parameter_spec", condition["parameterSpec"])


def _strangers(kind: str, given: Body, values: Sequence[Any]) -> list[Any]:
    if kind == "CATEGORICAL":
        return [value for value in values if value not in given.get("values", [])]
    if kind == "INTEGER":
        low, high = int(given.get("minValue", 0)), int(given.get("maxValue", 0))
        return [value for value in values if not low <= int(value) <= high]
    return [v for v in values if all(abs(float(v) - float(own)) >= 1e-10 for own in given.get("values", []))]


def _snake(field: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", field).lower()
