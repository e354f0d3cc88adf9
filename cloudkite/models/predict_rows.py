"""Answers questions about SavedModels, with a trainer's own Python: one JSON question a line in, one answer a line out.

A question is {"model": folder, "columns": {column: [number | text | null, ...]}, "rows": count}, an answer
{"tensorflow": version, "inputs": {column: data type}, "outputs": {name: [one entry a row]}} or {"error": text}.
Runs alone, without Cloudkite.
"""

import json
import os
import sys

replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)  # what TensorFlow prints is no answer

# Imported while the model is still being trained: it takes seconds.
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402  # pyright: ignore[reportMissingModuleSource]


def tensor(values: list, spec: tf.TensorSpec) -> tf.Tensor:
    """The values of a column, a blank one as the model expects it, with the rank that its signature has."""
    if spec.dtype == tf.string:
        made = tf.constant(["" if v is None else str(v) for v in values])
    elif spec.dtype.is_floating:
        made = tf.constant(np.array(values, "float64"), spec.dtype)  # None becomes nan
    else:
        made = tf.constant([0 if v is None else int(v) for v in values], spec.dtype)
    return tf.reshape(made, [len(values)] + [1] * (spec.shape.rank - 1)) if spec.shape.rank else made


def plain(value: tf.Tensor) -> list:
    """A tensor as JSON has it."""
    found = value.numpy().tolist()
    return json.loads(json.dumps(found, default=_text)) if value.dtype == tf.string else found


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def answer(question: dict, loaded: dict) -> dict:
    """The answer to one question; models stay loaded for the next."""
    folder = question["model"]
    if folder not in loaded:
        loaded[folder] = tf.saved_model.load(folder)
    signature = loaded[folder].signatures["serving_default"]
    specs = signature.structured_input_signature[1]
    given, rows = question["columns"], question["rows"]
    columns = {name: tensor(given.get(name, [None] * rows), spec) for name, spec in specs.items()}
    outputs = {name: plain(value) for name, value in signature(**columns).items()} if rows else {}
    inputs = {name: spec.dtype.name for name, spec in specs.items()}
    return {"tensorflow": tf.__version__, "inputs": inputs, "outputs": outputs}


def main() -> None:
    """Answer until the input ends."""
    loaded: dict = {}
    for line in sys.stdin.buffer:
        try:
            reply = answer(json.loads(line), loaded)
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"[:2000]}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
