"""A process with a trainer's own TensorFlow that loads SavedModels and predicts."""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import tempfile
import threading
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from cloudkite import children
from cloudkite.children import safe_environment
from cloudkite.show.errors import UserError
from cloudkite.show.text import _

_SECONDS = 600  # for one answer, TensorFlow's import included
_MOST = 2**32  # bytes of one output

# No start-up notes, no GPU (a check must not take one from somebody's training), the same numbers everywhere.
QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "PYTHONNOUSERSITE": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONUTF8": "1",
}


@dataclass(frozen=True)
class Answer:
    """`inputs` maps the model's inputs to data types; `outputs` has one entry a row under each output's name."""

    tensorflow: str
    inputs: dict[str, str]
    outputs: dict[str, list[Any]]


class Predictor:
    """Starts at once and gets TensorFlow ready while the caller does something else; end it with `with`.

    `by`: another script and its arguments, which becomes the one that predicts.
    """

    def __init__(self, python: Path, by: Sequence[str] = ()) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by __exit__
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # where nobody else leaves settings
        script = Path(__file__).with_name("predict_rows.py")
        # -I: neither this folder nor the person's own packages come before TensorFlow's.
        self._child = subprocess.Popen(
            [str(python), "-I", *by, str(script)],
            cwd=self._folder.name,
            env=safe_environment(QUIET),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def __enter__(self) -> Predictor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        children.end(self._child)
        for pipe in (self._child.stdin, self._child.stdout, self._errors):
            with contextlib.suppress(OSError):  # an unsent question
                if pipe:
                    pipe.close()
        self._folder.cleanup()

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._child.poll() is not None

    def ask(self, model: Path, rows: Sequence[Mapping[str, Any]]) -> Answer:
        """What the SavedModel in `model` says about rows (column -> number, text or None for blank).

        Raises UserError when it can't be loaded or refuses the rows.
        """
        names = dict.fromkeys(name for row in rows for name in row)
        return self.ask_columns(model, {name: [row.get(name) for row in rows] for name in names}, len(rows))

    def ask_columns(self, model: Path, columns: Mapping[str, Any], count: int) -> Answer:
        """The same for `count` rows, column by column: lists, or arrays of numpy.

        An entry of a list may also be a list of numbers, always as many.
        """
        assert self._child.stdin and self._child.stdout
        parts = {name: _part(values) for name, values in columns.items()}
        question = {"model": str(model), "rows": count, "columns": {name: part for name, (part, _) in parts.items()}}
        patience = threading.Timer(_SECONDS, self._child.kill)
        patience.start()
        try:
            self._child.stdin.write(json.dumps(question).encode() + b"\n")
            for _what, raw in parts.values():
                self._child.stdin.write(raw)
            self._child.stdin.flush()
            reply = _reply(self._child.stdout, count)
        except OSError:
            reply = None
        finally:
            patience.cancel()
        if reply is None:
            raise UserError(_("the prediction process ended: {said}").format(said=self._last_words()))
        if "error" in reply:
            raise UserError(_("{model} can't be used: {error}").format(model=model, error=reply["error"]))
        return Answer(reply["tensorflow"], reply["inputs"], reply["outputs"])

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else _("exit code {code}").format(code=self._child.wait())


def _part(values: Any) -> tuple[dict[str, Any], bytes]:
    """A column as `predict_rows` gets it: numbers and words as bytes, anything else as JSON."""
    if shape := getattr(values, "shape", None):  # of numpy
        return {"type": values.dtype.str, "shape": shape}, values.tobytes()
    entry = next((value for value in values if value is not None), None)
    try:
        if isinstance(entry, str):
            places: dict[str, int] = {}
            codes = array("i", [places.setdefault(value or "", len(places)) for value in values])
            return {"words": list(places), "shape": [len(values)]}, codes.tobytes()
        if isinstance(entry, list):
            numbers = array("d", chain.from_iterable(value or [math.nan] * len(entry) for value in values))
            return {"type": "d", "shape": [len(values), len(entry)]}, numbers.tobytes()
        numbers = array("d", [math.nan if value is None else value for value in values] if None in values else values)
        return {"type": "d", "shape": [len(values)]}, numbers.tobytes()
    except (TypeError, OverflowError):  # texts among numbers, or whole numbers without end
        return {"values": list(values)}, b""


def _reply(stream: IO[bytes], count: int) -> dict[str, Any] | None:
    """An answer, or what is wrong with it as one: the model ran in that process, and could have written there.

    None when there is no answer to come.
    """
    line = stream.readline()
    if not line:
        return None
    try:
        found = json.loads(line)
        if isinstance(found, dict) and "error" in found:
            return found
        if isinstance(found, dict) and found.keys() >= {"tensorflow", "inputs", "outputs"}:
            outputs = {name: _entries(part, stream, count) for name, part in found["outputs"].items()}
            return {**found, "outputs": outputs}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        pass
    return {"error": _("it answered {line!r}").format(line=line[:200])}


def _entries(part: Mapping[str, Any], stream: IO[bytes], count: int) -> list[Any]:
    """One entry a row of an output. Raises ValueError, TypeError or LookupError for what no `predict_rows` sends."""
    if "values" in part:
        return part["values"]
    rows, *sizes = part["shape"]
    numbers = array("i" if "words" in part else part["type"])
    size = numbers.itemsize * math.prod(part["shape"])
    if rows != count or not 0 <= size <= _MOST:
        raise ValueError(part["shape"])
    numbers.frombytes(stream.read(size))
    if len(numbers) * numbers.itemsize < size:
        raise ValueError(size)
    if "words" in part:
        words = part["words"]
        return [words[place] for place in numbers]
    entries: list[Any] = numbers.tolist()
    for each in reversed(sizes):
        entries = [entries[i : i + each] for i in range(0, len(entries), each)]
    return entries
