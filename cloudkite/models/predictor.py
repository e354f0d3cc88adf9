"""A process with a trainer's own TensorFlow that loads SavedModels and predicts."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from cloudkite import children
from cloudkite.children import safe_environment
from cloudkite.show.errors import UserError
from cloudkite.show.text import _

_SECONDS = 600  # for one answer, TensorFlow's import included


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

    def ask_columns(self, model: Path, columns: Mapping[str, Sequence[Any]], count: int) -> Answer:
        """The same for `count` rows, column by column."""
        assert self._child.stdin and self._child.stdout
        question = json.dumps({"model": str(model), "columns": columns, "rows": count}) + "\n"
        patience = threading.Timer(_SECONDS, self._child.kill)
        patience.start()
        try:
            self._child.stdin.write(question.encode())
            self._child.stdin.flush()
            line = self._child.stdout.readline()
        except OSError:
            line = b""
        finally:
            patience.cancel()
        if not line:
            raise UserError(_("the prediction process ended: {said}").format(said=self._last_words()))
        reply = _reply(line)
        if "error" in reply:
            raise UserError(_("{model} can't be used: {error}").format(model=model, error=reply["error"]))
        return Answer(reply["tensorflow"], reply["inputs"], reply["outputs"])

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else _("exit code {code}").format(code=self._child.wait())


def _reply(line: bytes) -> dict[str, Any]:
    """An answer, or what is wrong with it as one: the model ran in that process, and could have written there."""
    try:
        found = json.loads(line)
        if isinstance(found, dict) and ("error" in found or found.keys() >= {"tensorflow", "inputs", "outputs"}):
            return found
    except (ValueError, RecursionError):
        pass
    return {"error": _("it answered {line!r}").format(line=line[:200])}
