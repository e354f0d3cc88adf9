"""What a trainer's data.py declares, read as literals: the file is never imported, so a check can't run its code."""

from __future__ import annotations

import ast
import keyword
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudkite.show.errors import BadValue
from cloudkite.show.text import _, close, near

# What a column holds: a number; one of few words; sentences, as words or as single letters and pairs of them (which
# suits Korean, Japanese and Chinese); a day or moment in ISO 8601; or, told by its sizes, an array of numbers.
NUMBER, CATEGORY, TEXT, LETTERS, DATE, ARRAY = "number", "category", "text", "letters", "date", "array"
KINDS = (NUMBER, CATEGORY, TEXT, LETTERS, DATE)
_MOST = 1_000_000  # values in one declaration
# TensorFlow makes Python arguments of a signature's inputs, so a column must be able to name one.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Declared:
    """The declarations of one data.py.

    `columns` maps a feature to its kind, `shapes` those that are arrays to the sizes of one; `classes` is empty when
    the label is a number; `ranges` holds the lowest and highest value expected; `data` is a path or pattern, relative
    to the trainer's folder, or gs://. `allow` lists findings of the check that are meant to be, such as "leak:column".
    `headers` is what the person's own file called a column. Rows with the same value in the column `group` stay in one
    part; those that are the newest by the column `time` are held out; the column `weight` says how much each counts;
    "" for none. `loads`: data.py has a function `load`, which gives the rows in place of a CSV file. `forms` tells how
    the person's own file writes its columns, see `fields.of`.
    """

    source: Path
    columns: dict[str, str]
    label: str
    classes: tuple[str, ...]
    data: str
    ranges: dict[str, tuple[float, float]]
    allow: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    group: str = ""
    time: str = ""
    weight: str = ""
    loads: bool = False
    forms: dict[str, dict[str, Any]] = field(default_factory=dict)

    def shown(self, name: str) -> str:
        """A column as a report names it: what the person's file called it comes first."""
        own = self.headers.get(name, name)
        return name if own == name else f"{own} ({name})"


def read(path: Path) -> Declared:
    """The declarations in `path`. Raises BadValue that names file, line and what is wrong."""
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise BadValue(
            _("{path} is missing").format(path=path), _("it declares COLUMNS, LABEL, CLASSES and DATA")
        ) from None
    except (RecursionError, MemoryError):  # what Python's parser says of brackets in brackets
        raise BadValue(_("{path}: nested too deeply").format(path=path), _("fix the Python in it")) from None
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise BadValue(f"{path}{line}: {said}", _("fix the Python in that line")) from None
    values = _Values(path, tree)
    label = values.text("LABEL")
    columns, shapes = values.columns()
    if label in columns:
        raise values.wrong("COLUMNS", _("the label {name} is among the columns").format(name=label),
                           _("the model would see the answer: take it out of COLUMNS"))  # fmt: skip
    return Declared(
        source=path,
        columns=columns,
        label=label,
        classes=values.classes(),
        data=values.text("DATA"),
        ranges=values.ranges(columns),
        allow=values.allow(columns),
        headers=values.headers(),
        shapes=shapes,
        group=values.column("GROUP"),
        time=values.column("TIME"),
        weight=values.column("WEIGHT"),
        forms=values.forms(),
        loads=any(isinstance(node, ast.FunctionDef) and node.name == "load" for node in tree.body),
    )


class _Values:
    """The top-level assignments of a module, evaluated as literals when they are asked for."""

    def __init__(self, path: Path, tree: ast.Module) -> None:
        self._path = path
        self._left = _MOST
        self._nodes: dict[str, ast.expr] = {}
        for node in tree.body:
            if isinstance(node, ast.Assign):
                self._nodes |= {t.id: node.value for t in node.targets if isinstance(t, ast.Name)}
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                self._nodes[node.target.id] = node.value

    def wrong(self, name: str, what: str, hint: str = "") -> BadValue:
        """The error for the value of `name`."""
        return BadValue(f"{self._path}:{self._nodes[name].lineno}: {what}", hint)

    def _get(self, name: str) -> Any:
        if name not in self._nodes:
            raise BadValue(_("{path} declares no {name}").format(path=self._path, name=name), _HOW[name])
        self._left = _MOST
        try:
            return self._literal(self._nodes[name], name, frozenset())
        except (RecursionError, TypeError):  # TypeError: a table as the key of another
            raise self.wrong(name, _("{name} is nested too deeply").format(name=name), _HOW.get(name, "")) from None

    def _literal(self, node: ast.expr, name: str, using: frozenset[str]) -> Any:
        """The value of a literal; also float("nan") and names that were given a literal before."""
        self._left -= 1
        if self._left < 0:  # names of names of names can mean billions of values
            raise self.wrong(name, _("{name} has too many values").format(name=name), _HOW.get(name, ""))
        match node:
            case ast.Name(id=other) if other in self._nodes and other not in using:
                return self._literal(self._nodes[other], name, using | {other})
            case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str() as text)], keywords=[]):
                try:
                    return float(text)
                except ValueError:
                    pass
            case ast.Attribute(value=ast.Name(id="math" | "np" | "numpy"), attr="nan" | "inf" as constant):
                return float(constant)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value = self._literal(operand, name, using)
                if isinstance(value, int | float):
                    return -value
            case ast.Constant(value=value):
                return value
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                return tuple(self._literal(part, name, using) for part in parts)
            case ast.Dict(keys=keys, values=parts):
                made: dict[Any, Any] = {}
                for key, part in zip(keys, parts, strict=True):
                    value = self._literal(part, name, using)
                    if key is not None:
                        made[self._literal(key, name, using)] = value
                    elif isinstance(value, dict):  # {**OTHER}
                        made |= value
                return made
        raise BadValue(
            _("{path}:{line}: {name} is not a literal").format(path=self._path, line=node.lineno, name=name),
            _("write the values out: this file is read without running it"),
        )

    def text(self, name: str) -> str:
        value = self._get(name)
        if not isinstance(value, str) or not value:
            raise self.wrong(name, _("{name} is {value!r}").format(name=name, value=value), _HOW[name])
        return value

    def column(self, name: str) -> str:
        """The column of the data that `name` is given, if any."""
        value = self._get(name) if name in self._nodes else ""
        if not isinstance(value, str):
            raise self.wrong(name, _("{name} is {value!r}").format(name=name, value=value), _HOW[name])
        return value

    def columns(self) -> tuple[dict[str, str], dict[str, tuple[int, ...]]]:
        value = self._get("COLUMNS")
        if not isinstance(value, dict) or not value:
            raise self.wrong("COLUMNS", _("COLUMNS names no column"), _HOW["COLUMNS"])
        kinds, shapes, lower = {}, {}, {}
        for name, given in value.items():
            if not isinstance(name, str) or not _NAME.fullmatch(name) or keyword.iskeyword(name) or name == "self":
                raise self.wrong("COLUMNS", _("the column {name!r} can't name an input of a model").format(name=name),
                                 _("rename it here and in the file: letters a to z, digits and _"))  # fmt: skip
            if other := lower.get(name.lower()):
                raise self.wrong("COLUMNS", _("{a} and {b} differ by capital letters only").format(a=other, b=name),
                                 _("rename one of them"))  # fmt: skip
            lower[name.lower()] = name
            kind = _kind(given)
            if not kind:
                raise self.wrong("COLUMNS", _("the column {name} is {value!r}").format(name=name, value=given),
                                 close(str(given), list(KINDS)) or _HOW["COLUMNS"])  # fmt: skip
            kinds[name] = kind
            if kind == ARRAY:
                shapes[name] = given
        return kinds, shapes

    def classes(self) -> tuple[str, ...]:
        value = self._get("CLASSES")
        if not isinstance(value, tuple) or any(isinstance(c, tuple | dict | float) or c is None for c in value):
            raise self.wrong("CLASSES", _("CLASSES is {value!r}").format(value=value), _HOW["CLASSES"])
        named = tuple(str(c) for c in value)
        if len(named) == 1 or len(set(named)) < len(named) or "" in named:
            raise self.wrong("CLASSES", _("CLASSES is {value!r}").format(value=value),
                             _("two or more different classes, or () for a number to estimate"))  # fmt: skip
        return named

    def ranges(self, columns: Mapping[str, str]) -> dict[str, tuple[float, float]]:
        value = self._get("RANGES") if "RANGES" in self._nodes else {}
        if not isinstance(value, dict):
            raise self.wrong("RANGES", _("RANGES is {value!r}").format(value=value), _RANGES)
        for name, pair in value.items():
            if columns.get(name) != NUMBER:
                raise self.wrong("RANGES", _("RANGES has {name!r}, which isn't a column of numbers").format(name=name),
                                 near(str(name), [n for n, kind in columns.items() if kind == NUMBER]))  # fmt: skip
            fits = isinstance(pair, tuple) and len(pair) == 2 and all(_is_number(p) for p in pair)
            if not fits or not pair[0] <= pair[1]:
                raise self.wrong("RANGES", _("the range of {name} is {value!r}").format(name=name, value=pair), _RANGES)
        return {name: (float(low), float(high)) for name, (low, high) in value.items()}

    def headers(self) -> dict[str, str]:
        value = self._get("HEADERS") if "HEADERS" in self._nodes else {}
        if not isinstance(value, dict) or not all(isinstance(text, str) for pair in value.items() for text in pair):
            raise self.wrong("HEADERS", _("HEADERS is {value!r}").format(value=value), _HEADERS)
        return value

    def forms(self) -> dict[str, dict[str, Any]]:
        value = self._get("FORMS") if "FORMS" in self._nodes else {}
        if not isinstance(value, dict) or not all(isinstance(form, dict) for form in value.values()):
            raise self.wrong("FORMS", _("FORMS is {value!r}").format(value=value), _FORMS)
        known = {"": ("codec", "sheet", "query", "missing")}
        for name, form in value.items():
            allowed = known.get(name, ("style", "unit", "order"))
            if other := next((key for key in form if key not in allowed), None):
                raise self.wrong("FORMS", _("FORMS has {key!r} for {name!r}").format(key=other, name=name),
                                 near(str(other), list(allowed)))  # fmt: skip
        return value

    def allow(self, columns: Mapping[str, str]) -> tuple[str, ...]:
        value = self._get("ALLOW") if "ALLOW" in self._nodes else ()
        known = [f"leak:{name}" for name in columns]
        for word in value if isinstance(value, tuple) else (value,):
            if word not in known:
                raise self.wrong("ALLOW", _("ALLOW has {word!r}").format(word=word), near(str(word), known))
        return value


def _kind(given: Any) -> str:
    """The kind of column that a value in COLUMNS stands for; "" for none. A blank field's value is the older way."""
    if isinstance(given, tuple):
        sizes = all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in given)
        return ARRAY if given and sizes else ""
    if given == "":
        return CATEGORY
    if isinstance(given, int | float) and not isinstance(given, bool):
        return NUMBER
    return given if given in KINDS else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


_HEADERS = _('HEADERS = {"column": "what your file calls it"}')
_FORMS = _('FORMS = {"column": {"style": "german", "unit": "kg", "order": "dmy"}}')
_RANGES = _('RANGES = {"column": (lowest, highest)}')
_HOW = {
    "COLUMNS": _(
        'COLUMNS = {"height": "number", "city": "category"}; a column may also be "text", "letters" or "date"'
    ),
    "GROUP": _('GROUP = "patient": the column whose equal values stay together, or "" for none'),
    "WEIGHT": _('WEIGHT = "times_seen": the column of numbers that says how much a row counts, or "" for none'),
    "TIME": _('TIME = "visited_on": the column by which the newest rows are held out, or "" for none'),
    "LABEL": _('LABEL = "column": the name of the column to predict'),
    "CLASSES": _('CLASSES = ("no", "yes"), or () when the label is a number'),
    "DATA": _('DATA = "data/file.csv", a pattern such as "data/*.csv", or gs://...'),
}
