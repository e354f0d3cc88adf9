"""A program as a person has it: a file of Python or a notebook, as lines that each know where they came from."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudkite.show import amounts
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _

MOST = 256 * 2**20  # bytes of a file: notebooks keep pictures in their outputs
_PYTHON_2 = re.compile(r"Missing parentheses in call to '(print|exec)'|multiple exception types must be parenthesized")


@dataclass(frozen=True)
class Line:
    """A line of code; `cell` counts the notebook's cells from 1, and is 0 in a file of Python."""

    text: str
    number: int
    cell: int = 0

    @property
    def place(self) -> str:
        """Where the person finds it."""
        if self.cell:
            return _("cell {cell}, line {line}").format(cell=self.cell, line=self.number)
        return _("line {line}").format(line=self.number)


@dataclass(frozen=True)
class Program:
    """`original` are the bytes of the file; `lines` its code. `texts` are all its words, those of outputs included."""

    path: Path
    original: bytes
    lines: tuple[Line, ...]
    texts: tuple[tuple[str, str], ...]

    @property
    def source(self) -> str:
        """The code as one text."""
        return "".join(f"{line.text}\n" for line in self.lines)

    def place(self, number: int) -> str:
        """Where line `number` of the source, from 1, is in the person's file."""
        return self.lines[min(max(number, 1), len(self.lines)) - 1].place


def read(path: Path) -> Program:
    """The program in a file. Raises BadValue for what isn't one, with its place."""
    name = path.name
    if path.is_dir() or path.suffix.lower() not in (".py", ".ipynb"):
        raise BadValue(
            _("{path} isn't a notebook (.ipynb) or a file of Python (.py)").format(path=name),
            _("--wrap lesson.ipynb, or --wrap train.py"),
        )
    try:
        size = path.stat().st_size
        if size > MOST:
            raise BadValue(
                _("{path} has {size}; a program may have {most}").format(
                    path=name, size=amounts.size(size), most=amounts.size(MOST)
                ),
                _("clear the outputs of its cells, and save it"),
            )
        raw = path.read_bytes()
    except FileNotFoundError:
        raise BadValue(
            _("the file {path} doesn't exist").format(path=path), _("check the name given to --wrap")
        ) from None
    except OSError as error:
        raise BadValue(_("{path} can't be read: {error}").format(path=path, error=error.strerror)) from None
    found = _notebook(path, raw) if path.suffix.lower() == ".ipynb" else _script(path, raw)
    if not any(line.text.strip() and not line.text.strip().startswith("#") for line in found.lines):
        raise BadValue(_("{path} has no code").format(path=name), _("is it saved?"))
    return found


def _script(path: Path, raw: bytes) -> Program:
    if b"\0" in raw:
        line = raw[: raw.index(b"\0")].count(b"\n") + 1
        raise BadValue(_("{path}:{line}: not a text").format(path=path.name, line=line), _SAVE_AS)
    try:
        encoding, _start = tokenize.detect_encoding(io.BytesIO(raw).readline)
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        said = _("{path}:{line}: not in {encoding}").format(path=path.name, line=line, encoding=error.encoding)
        raise BadValue(said, _SAVE_AS) from None
    except SyntaxError as error:  # a declared encoding that isn't one, or that the text is not in
        line = _undecodable(raw)
        raise BadValue(f"{path.name}:{line}: {error.msg}", _SAVE_AS) from None
    lines = tuple(Line(line, i) for i, line in enumerate(_split(text), start=1))
    return Program(path, raw, lines, tuple((line.place, line.text) for line in lines))


def _undecodable(raw: bytes) -> int:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return raw[: error.start].count(b"\n") + 1
    return 1


_SAVE_AS = _("save it as UTF-8 text")


def _split(text: str) -> list[str]:
    """Lines as Python counts them."""
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")


def _notebook(path: Path, raw: bytes) -> Program:
    name = path.name
    try:
        book = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        said = _("{path}:{line}: not in {encoding}").format(path=name, line=line, encoding="utf-8")
        raise BadValue(said, _("open it in Jupyter and save it")) from None
    except (ValueError, RecursionError) as error:
        at = getattr(error, "lineno", 1)
        said = _("{path}:{line}: not a notebook: {error}").format(path=name, line=at, error=error)
        raise BadValue(said, _("open it in Jupyter and save it")) from None
    cells = book.get("cells") if isinstance(book, dict) else None
    if not isinstance(cells, list):
        raise BadValue(_("{path} isn't a notebook of format 4").format(path=name), _("open it in Jupyter and save it"))
    if other := _other_language(book):
        raise BadValue(
            _("{path} is written in {language}").format(path=name, language=other),
            _("only programs in Python 3 can be wrapped"),
        )
    lines: list[Line] = []
    texts: list[tuple[str, str]] = []
    for i, cell in enumerate(cells, start=1):
        where = _("cell {cell}").format(cell=i)
        if not isinstance(cell, dict) or not isinstance(text := _text(cell.get("source", "")), str):
            raise BadValue(_("{path}: {place} isn't a cell").format(path=name, place=where), _("save it in Jupyter"))
        texts += [(where, text), *((where, word) for word in _words(cell.get("outputs")))]
        if cell.get("cell_type") == "code" and text.strip():
            lines += [Line("", 0, i)] if lines else []
            lines += [Line(line, j, i) for j, line in enumerate(_split(text), start=1)]
    return Program(path, raw, tuple(lines), tuple(texts))


def _other_language(book: dict[str, Any]) -> str:
    """The language of a notebook's kernel; "" for Python 3."""
    about = book.get("metadata")
    about = about if isinstance(about, dict) else {}
    kernel, language = (
        part if isinstance(part := about.get(key), dict) else {} for key in ("kernelspec", "language_info")
    )
    name = str(language.get("name") or kernel.get("language") or "python")
    if name.lower() not in ("python", "ipython"):
        return str(kernel.get("display_name") or name)
    if str(language.get("version", "3")).startswith("2") or kernel.get("name") == "python2":
        return "Python 2"
    return ""


def _text(source: Any) -> Any:
    return "".join(map(str, source)) if isinstance(source, list) else source


def _words(value: Any) -> Iterator[str]:
    """Every text in a cell's outputs, pictures left out."""
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            todo += [_text(one)] if one and all(isinstance(part, str) for part in one) else one
        elif isinstance(one, dict):
            todo += [part for key, part in one.items() if not str(key).startswith(("image/", "application/pdf"))]


def parse(program: Program, source: str) -> ast.Module:
    """The syntax tree of a program's source, whose lines are the program's. Raises BadValue with the place."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # escapes such as "\d" are the program's own affair
        try:
            tree = ast.parse(source)
            compile(source, program.path.name, "exec", dont_inherit=True)  # a return outside of a function, say
            return tree
        except SyntaxError as error:
            place = f"{program.path.name}: {program.place(error.lineno or 1)}"
            if _PYTHON_2.search(error.msg or ""):
                raise BadValue(
                    _("{place}: that is Python 2").format(place=place), _("2to3 turns it into Python 3; then wrap that")
                ) from None
            raise BadValue(f"{place}: {error.msg}", _("fix the Python in that line")) from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise BadValue(f"{program.path.name}: {error}", _("fix the Python in it")) from None
