"""All printing: tables and progress for people, JSON for scripts, `error:` and `hint:` for mistakes."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudkite.show.errors import BadValue, UserError
from cloudkite.show.text import _, visible, visible_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_consoles: dict[Any, Console] = {}  # by the stream that each writes to
_MANY = 1000  # rows, from which on a table is not laid out by the terminal's width
_PIPE_WIDTH = 160  # columns of a table where there is no terminal to ask


def console(error: bool = False) -> Console:
    """The terminal, or the plain pipe, that people read. Made at the first use: `--list` needs none."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    made = _consoles.get(stream)
    if made is None:
        made = Console(stderr=error, highlight=False, soft_wrap=True, emoji=False)
        made.on_broken_pipe = _reader_has_gone
        if not made.is_terminal and not os.environ.get("COLUMNS", "").isdecimal():  # who says it knows the reader
            made.width = _PIPE_WIDTH
        _consoles[stream] = made
    return made


def _reader_has_gone() -> None:
    """Rich would end the process as failed; see show/mistakes.py."""
    raise BrokenPipeError


def say(text: str = "", style: str = "") -> None:
    """One line for people."""
    console().print(_shown(text), style=style or None, markup=False)


def note(text: str) -> None:
    """One line beside the result, on standard error, so that a pipe gets the result alone."""
    console(error=True).print(_shown(text), style="dim", markup=False)


def warn(text: str) -> None:
    """Something that does not stop the work but should be known."""
    console(error=True).print(_shown(_("warning: {text}").format(text=text)), style="yellow", markup=False)


def trace() -> None:
    """The traceback of the exception that is being handled, for whoever looks for a defect."""
    import traceback

    console(error=True).print(_shown(traceback.format_exc().rstrip()), markup=False)


def error(problem: UserError) -> None:
    """`error:`, a blank line, `hint:`, on standard error."""
    out = console(error=True)
    out.print(_shown("error: " + problem.message), style="red", markup=False)
    if problem.hint:
        out.print()
        out.print(_shown("hint: " + problem.hint), markup=False)


def heading(text: str) -> None:
    """The title of a step."""
    say()
    say(text, style="bold")


def as_json(value: Any) -> None:
    """A value for scripts, on standard output."""
    print(_json(value, indent=2))


def as_json_line(value: Any) -> None:
    """One of many values for scripts: JSON in a line of its own, sent at once."""
    print(_json(value), flush=True)


def relay(text: str, as_json: bool = False) -> None:
    """The whole output of another program of ours: lines for people, or JSON."""
    print(_encodable(visible_json(text) if as_json else visible(text)), end="", flush=True)


def _json(value: Any, indent: int | None = None) -> str:
    text = visible_json(json.dumps(value, default=_plain, ensure_ascii=False, indent=indent))
    # A console that lacks letters gets them escaped: with `?` the value would be another.
    return text if _encodable(text) == text else json.dumps(value, default=_plain, indent=indent)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    right: Sequence[int] = (),
    total: Any = None,
    spare: Sequence[int] = (),
) -> None:
    """Columns aligned by width; those whose index is in `right` are numbers. `total` is one last line.

    Those in `spare` are left out, in that order, as far as the terminal is too narrow for all.
    """
    rows = [list(row) for row in rows]
    if len(rows) > _MANY:
        _long_table(columns, rows)
        return
    console().print(laid_out(columns, rows, right, total, spare), soft_wrap=False)


def laid_out(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    right: Sequence[int] = (),
    total: Any = None,
    spare: Sequence[int] = (),
) -> Any:
    """The same table as rich shows it, for what stays in place while it changes."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    if left_out := _too_wide(columns, rows, spare):
        kept = [i for i in range(len(columns)) if i not in left_out]
        columns, right = [columns[i] for i in kept], [kept.index(i) for i in right if i in kept]
        rows = [[row[i] for i in kept] for row in rows]
        total = None if total is None else [total[i] for i in kept]
    made = Table(box=SIMPLE_HEAD if _unicode() else None, pad_edge=False, show_edge=False, header_style="bold")
    for i, name in enumerate(columns):
        number = i in right
        made.add_column(_cell(name), justify="right" if number else "left", no_wrap=number or i == 0, overflow="fold")
    for row in rows:
        made.add_row(*map(_cell, row))
    if total is not None:
        made.add_section()
        made.add_row(*map(_cell, total), style="bold")
    return made


def bars(counts: Sequence[int]) -> str:
    """A small histogram in one line of letters; "" where the console has none for it."""
    letters, most = " ▁▂▃▄▅▆▇█", max(counts, default=0)
    drawn = "".join(letters[-(-8 * count // most)] for count in counts) if most else ""
    return drawn if _encodable(drawn) == drawn else ""


def _too_wide(columns: Sequence[str], rows: Sequence[Sequence[Any]], spare: Sequence[int]) -> list[int]:
    """How many of the `spare` columns must go for the others to fit the console."""
    between = 3  # spaces between two columns
    widths = [max(_cell(row[i]).cell_len for row in (columns, *rows)) + between for i in range(len(columns))]
    gone: list[int] = []
    for i in spare:
        if sum(width for k, width in enumerate(widths) if k not in gone) - between <= console().width:
            break
        gone.append(i)
    return gone


def _long_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """The same for so many rows that nobody sees them all: aligned and printed at once, in a moment."""
    lines = [[_one_line(value) for value in row] for row in (columns, *rows)]
    widths = [max(map(_width, cells)) for cells in zip(*lines, strict=True)]
    padded = ([cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)] for line in lines)
    print(_encodable("\n".join("  ".join(line).rstrip() for line in padded)))


def _width(text: str) -> int:
    """Columns of a console: Korean letters take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _one_line(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if text.isprintable() else visible(text, lines=False)


def _cell(value: Any) -> Text:
    from rich.text import Text

    # A Text is shown as it is, while rich looks for its markup in strings: [red], [link=...].
    return Text(_encodable(_one_line(value)))


def can_ask() -> bool:
    """Whether somebody is at a terminal to answer."""
    return sys.stdin is not None and sys.stdin.isatty()


def confirm(question: str) -> bool:
    """Ask on a terminal; yes is `y`. Raises UserError where nobody can answer."""
    if not can_ask():
        raise UserError(_("no terminal to ask on: {question}").format(question=question), _("add --yes"), 2)
    return _typed(f"{question} [y/N] ").lower() in ("y", "yes", "ㅛ")  # the same key on a Korean keyboard


def ask(question: str, default: str = "") -> str:
    """A line typed by a person; `default` when they just press Enter, or where nobody can answer."""
    if not can_ask():
        if default:
            return default
        raise BadValue(_("a value is missing: {question}").format(question=question), _("give it as an option"))
    return _typed(f"{question}{f' [{default}]' if default else ''}: ") or default


def _typed(question: str) -> str:
    try:
        return input(_shown(question)).strip()
    except EOFError:  # Ctrl-D: no answer, and none to come
        raise KeyboardInterrupt from None


@contextmanager
def waiting(text: str, live: bool = False) -> Iterator[Any]:
    """A spinner while something takes long; yields a function that changes the text.

    A pipe gets each text as a line, unless it is `live`: a clock or a count that only makes sense in place.
    """
    out = console(error=True)
    if out.is_terminal:
        with out.status(_cell(text)) as status:
            yield lambda line: status.update(_cell(line))
    else:
        last = ""

        def tell(line: str) -> None:
            nonlocal last
            if line != last and not live:
                last = line
                out.print(_shown(line), markup=False)

        yield tell


def row(text: str, style: str = "") -> Text:
    """A line of what stays in place while it changes, no wider than the terminal."""
    made = _cell(text)
    made.stylize(style)
    made.no_wrap, made.overflow = True, "ellipsis"
    return made


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)


def _unicode() -> bool:
    return (getattr(sys.stdout, "encoding", "") or "ascii").lower().replace("-", "") in ("utf8", "cp65001")


def _shown(text: str) -> str:
    return _encodable(_quoted(visible(text)))


def _quoted(text: str) -> str:
    """The text may quote what others wrote, and no line of theirs may pass for our own `error:` or `hint:`."""
    return re.sub(r"(?<=\n)(?=\s*(?:error|hint)\s*:)", "  ", text, flags=re.IGNORECASE)


def _encodable(text: str) -> str:
    """The text as this console can write it: a Windows console without UTF-8 gets `?` instead of a crash."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return text.encode(encoding, "replace").decode(encoding)
