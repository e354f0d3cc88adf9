"""Tells what is wrong with a settings file: each mistake with its key, its value and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic.fields import FieldInfo

ALLOWED = "errorMessage"  # in a field's schema: what its value must be; some editors show it, too


class SettingsError(ValueError):
    """Mistakes in an account's settings, one in each line."""

    def __init__(self, stack: str, mistakes: Collection[str]) -> None:
        super().__init__("\n".join(f"Pulumi.{stack}.yaml: {mistake}" for mistake in mistakes))
        self.mistakes = tuple(mistakes)


def told(error: ValidationError, model: type[BaseModel], values: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each key of `values` that `model` does not take; a list of plain values is told as a whole."""
    seen: set[str] = set()
    for one in error.errors(include_url=False):
        name, value, field, known = _place(one["loc"], model, values)
        if name not in seen:
            seen.add(name)
            yield f"{name} {_problem(one, value, field, known)}"


def nearest(word: str, words: Collection[str]) -> str:
    """The one of `words` that looks most like `word`, or ""."""
    return next(iter(difflib.get_close_matches(word, sorted(words), n=1)), "")


def _problem(error: Mapping[str, Any], value: Any, field: FieldInfo | None, known: Collection[str]) -> str:
    kind = error["type"]
    if field is None:
        near = nearest(str(error["loc"][-1]), known)
        return f"isn't a setting; {f'did you mean {near}?' if near else 'known are ' + ', '.join(sorted(known))}"
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    allowed = str(error.get("ctx", {}).get("error", "")) or str(extra.get(ALLOWED, ""))
    if kind == "missing":
        return f"is missing; {allowed}"
    text = repr(value)
    needed = {"model_type": "a mapping is needed", "tuple_type": "a list is needed"}
    return f"is {text if len(text) <= 80 else text[:77] + '...'}; {allowed or needed[kind]}"


def _place(
    path: tuple[int | str, ...], model: type[BaseModel], values: Any
) -> tuple[str, Any, FieldInfo | None, Collection[str]]:
    """The name of what is at `path` as a person reads it, its value, its field (None: there is none), known names."""
    name, field, fields = "", None, {}
    for part in path:
        if isinstance(part, int):
            if not fields:
                break
            name, values = f"{name}[{part}]", values[part]
            continue
        fields = {str(f.alias): f for f in model.model_fields.values()}
        name, field = f"{name}.{part}" if name else part, fields.get(part)
        values = values.get(part)
        inner = _model_of(field.annotation) if field else None
        if inner is None:
            break
        model = inner
    return name, values, field, fields


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """The model in an annotation such as `Budget | None` or `tuple[Quota, ...]`."""
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_of, get_args(annotation))), None)
