"""The lines of a notebook that are no Python: commands for a shell, and IPython's own."""

from __future__ import annotations

import ast
import re
import shlex
import warnings
from dataclasses import dataclass, field

from cloudkite.show.text import _
from cloudkite.trainers.wrapping.reading import Line, Program

_MAGIC = re.compile(r"\s*(?:[!%?]|[\w.\[\]]+\?{1,2}\s*$)")
_ASSIGNED = re.compile(r"\s*[\w, ]+=\s*[!%]")
_PIP = re.compile(r"[!%]\s*(?:(?:python3?|\{sys\.executable\}) -m )?(?:uv )?(?:pip3?|conda)\s+install\s+(?P<rest>.*)")
_SILENT = {
    "matplotlib",
    "load_ext",
    "reload_ext",
    "autoreload",
    "config",
    "tensorboard",
    "time",
    "timeit",
    "capture",
    "precision",
}
_FETCHES = ("wget", "curl", "gdown", "kaggle", "git", "unzip", "tar", "7z", "unrar", "gsutil", "aria2c")
_OPTIONS_WITH_VALUE = {"-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-t", "--target"}


@dataclass
class Found:
    """What the lines were. `pips` are (place, requirement); `dropped` and `refused` are (place, what is said)."""

    source: str = ""
    pinned: bool = False
    pips: list[tuple[str, str]] = field(default_factory=list)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    look: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


def take_out(program: Program, pinned: bool = False) -> Found:
    """The program's source with these lines as comments; it keeps its number of lines.

    `pinned`: a file of requirements is given, so one that pip was told of is needed no more.
    """
    found = Found(pinned=pinned)
    lines = list(program.lines)
    _cells(lines, found)
    for _try in range(len(lines)):
        number = _stumble(lines)
        if not number:
            break
        line = lines[number - 1]
        if _ASSIGNED.match(line.text):
            said = _("the output of a command is used: `{text}`").format(text=line.text.strip())
            found.refused.append((line.place, said))
        elif not _MAGIC.match(line.text):
            break
        lines[number - 1] = _commented(line, found)
    found.source = "".join(f"{line.text}\n" for line in lines)
    return found


def _stumble(lines: list[Line]) -> int:
    """The first line at which Python can't go on; 0 when there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse("".join(f"{line.text}\n" for line in lines))
        except SyntaxError as error:
            return min(max(error.lineno or 1, 1), len(lines))
        except (ValueError, RecursionError, MemoryError):
            pass
    return 0


def _cells(lines: list[Line], found: Found) -> None:
    """Cells that begin with %%: what is around Python goes, another language is refused."""
    first: dict[int, int] = {}
    for i, line in enumerate(lines):
        if line.cell and line.number and line.text.strip():
            first.setdefault(line.cell, i)
    for cell, i in first.items():
        text = lines[i].text.strip()
        if not text.startswith("%%"):
            continue
        name = text[2:].split(maxsplit=1)[0] if text[2:].strip() else ""
        if name in ("time", "timeit", "capture", "prun"):
            lines[i] = Line(f"# {text}", lines[i].number, cell)
            found.dropped.append((lines[i].place, text))
            continue
        if name in ("html", "HTML", "javascript", "js", "latex", "markdown", "svg"):
            found.dropped.append((lines[i].place, _("{text}: shown in a notebook only").format(text=text)))
        elif name in ("bash", "sh", "shell"):
            for line in (one for one in lines if one.cell == cell and one.number > lines[i].number):
                if line.text.strip() and not line.text.strip().startswith("#"):
                    _tell(f"!{line.text.strip()}", line, found)
        else:
            found.refused.append((lines[i].place, _("`{text}` isn't Python").format(text=text)))
        for j, line in enumerate(lines):
            if line.cell == cell:
                lines[j] = Line(f"# {line.text}".rstrip(), line.number, cell)


def _commented(line: Line, found: Found) -> Line:
    text = line.text.strip()
    indent = line.text[: len(line.text) - len(line.text.lstrip())]
    timed = re.match(r"%time\s+(?P<code>\S.*)", text)
    if timed:
        found.dropped.append((line.place, "%time"))
        return Line(indent + timed["code"], line.number, line.cell)
    _tell(text, line, found)
    return Line(f"{indent}pass  # {text}" if indent else f"# {text}", line.number, line.cell)


def _tell(text: str, line: Line, found: Found) -> None:
    """Sort a command into what becomes a pin, what goes, and what the person must do something about."""
    place, words = line.place, text.lstrip("!%").split()
    name = words[0] if words else ""
    if pip := _PIP.match(text):
        _pips(pip["rest"], place, found)
    elif text.startswith("%tensorflow_version") and words[1:2] and words[1].startswith("1"):
        found.refused.append((place, _("`{text}`: TensorFlow 1").format(text=text)))
    elif text.startswith("%") and name in _SILENT | {"tensorflow_version"}:
        found.dropped.append((place, text))
    elif text.startswith("%") and name in ("env", "set_env"):
        key = " ".join(words[1:]).partition("=")[0].strip()
        said = _("sets the variable {name}, which a job doesn't have").format(name=key)
        found.look.append((place, said))
    elif text.startswith("%") and name in ("run", "load", "pylab", "sql"):
        found.refused.append((place, _("`{text}` can't be left out, and only a notebook can do it").format(text=text)))
    elif name in ("python", "python3", "jupyter", "papermill"):
        found.refused.append((place, _("`{text}` runs another program").format(text=text)))
    elif name == "cd":
        found.look.append((place, _("`{text}` is left out: files are looked for in data/").format(text=text)))
    elif name in _FETCHES:
        said = _("`{text}` is left out: put what it brings into data/, which a job gets").format(text=text)
        found.look.append((place, said))
    else:
        found.dropped.append((place, text))


def _pips(rest: str, place: str, found: Found) -> None:
    try:
        words = shlex.split(rest, comments=True)
    except ValueError:
        words = rest.split()
    skip = False
    for word in words:
        if word in ("&&", ";", "|", "||", ">", ">>") or word.startswith((">", "&>")):
            break
        if skip or word.startswith("-"):
            if word in ("-r", "--requirement", "-e", "--editable", "-c") and not skip:
                if found.pinned:
                    return
                said = _("`pip install {word} ...` names packages elsewhere: give them by --requirements FILE")
                found.refused.append((place, said.format(word=word)))
                return
            skip = word in _OPTIONS_WITH_VALUE and not skip
            continue
        if "://" in word or word.startswith((".", "/", "{")) or word.endswith((".whl", ".tar.gz", ".zip")):
            said = _("`pip install {word}`: only packages of the index can be pinned").format(word=word)
            found.refused.append((place, said))
            continue
        if not re.fullmatch(r"(?:pip|setuptools|wheel)\b.*", word):
            found.pips.append((place, word))
