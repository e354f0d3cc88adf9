"""What people read: every sentence passes through gettext, and is written as docs/style.md says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudkite.show import text

ROOT = Path(__file__).parents[2]
# What prints a sentence or raises one. Of bench, only those who work on the project read anything.
SAID_BY = {"UserError", "BadValue", "say", "note", "warn", "heading", "confirm", "ask", "waiting", "table"}
FILES = [path for path in sorted((ROOT / "cloudkite").rglob("*.py")) if "bench" not in path.parts]
# docs/style.md has what to write in their place.
AWKWARD = re.compile(
    r"can't be$|\b(?:is|are) no (?!longer|more)|\bmend|\bnobody\b|\(s\)|\bso often\b|[^,] who$|\belse$", re.I
)
# Same in every language: what is typed, names, numbers.
NO_SENTENCE = re.compile(
    r"[^a-z]*|(?:--?[a-z-]+ ?)*[^ ]*|uv run invoke .*|pip install uv|[A-Za-z]+|\{.*\}|USD|https:\S+"
)


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield getattr(node.func, "attr", getattr(node.func, "id", "")), node


def words(node: ast.expr) -> Iterator[str]:
    """The text that stands in an argument as it is: a string, the plain parts of an f-string, those in a list."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)  # pyright: ignore
    elif isinstance(node, ast.List | ast.Tuple):
        for item in node.elts:
            yield from words(item)
    elif isinstance(node, ast.BinOp):
        yield from words(node.left)
        yield from words(node.right)
    elif isinstance(node, ast.IfExp):
        yield from words(node.body)
        yield from words(node.orelse)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_sentence_can_be_translated(path: Path):
    bare = [
        f"{path.name}:{call.lineno}: {found}"
        for name, call in calls(path)
        if name in SAID_BY
        for argument in [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg != "style")]
        for found in words(argument)
        if not NO_SENTENCE.fullmatch(found)
    ]
    assert not bare


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_sentences_are_plain_english(path: Path):
    awkward = [
        f"{path.name}:{call.lineno}: {found}"
        for name, call in calls(path)
        if name in ("_", "counted")
        for argument in call.args
        for found in words(argument)
        if AWKWARD.search(found)
    ]
    assert not awkward


def test_the_scan_finds_what_it_looks_for(tmp_path: Path):
    sample = tmp_path / "sample.py"
    sample.write_text('raise UserError(f"no {x} here", "try again" if a else _("fix it"))\n_("--port {n} can\'t be")\n')
    found = [said for name, call in calls(sample) if name == "UserError" for a in call.args for said in words(a)]
    assert found == ["no {} here", "try again"] and not any(map(NO_SENTENCE.fullmatch, found))
    assert AWKWARD.search("--port {n} can't be") and AWKWARD.search("'x' is no number")
    assert not AWKWARD.search("the file can't be read") and not AWKWARD.search("is no longer there")


@pytest.mark.parametrize(("count", "said"), [(0, "0 files of a"), (1, "1 file of a"), (2, "2 files of a")])
def test_a_number_of_things(count: int, said: str):
    assert text.counted("{count} file of {name}", "{count} files of {name}", count, name="a") == said
