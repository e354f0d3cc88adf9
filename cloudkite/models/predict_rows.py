"""Answers questions about SavedModels, with a trainer's own Python. Runs alone, without Cloudkite.

A question is a line of JSON, {"model": folder, "rows": count, "columns": {column: part}}, and the bytes of its parts,
in that order. A part is {"type": "d", "shape": [...]}, numbers of a type of numpy's; {"words": [...], "shape": [...]},
for each entry the place of its word, an int32; or {"values": [...]} without bytes. An answer is {"tensorflow": version,
"inputs": {column: data type}, "outputs": {name: part}} and the bytes of its parts, or {"error": text}.
"""

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping
from typing import BinaryIO

replies = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # what TensorFlow prints is no answer

# Imported while the model is still being trained: it takes seconds.
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402  # pyright: ignore[reportMissingModuleSource]

WORD = "i"  # an int32


def received(part: Mapping, stream: BinaryIO) -> tf.Tensor | np.ndarray:
    """A column as it was sent: numbers, with nan for a blank, or texts, with "" for one."""
    if "values" in part:
        return np.array(part["values"], dtype=object)
    kind = part.get("type", WORD)
    raw = stream.read(np.dtype(kind).itemsize * math.prod(part["shape"]))
    values = np.frombuffer(raw, kind).reshape(part["shape"])
    return tf.gather(tf.constant(part["words"]), values) if "words" in part else values


def tensor(values: tf.Tensor | np.ndarray | None, spec: tf.TensorSpec, rows: int) -> tf.Tensor:
    """A column as the model's signature wants it; a column that wasn't given is blank in each row."""
    sizes = [size or 1 for size in spec.shape[1:]] if spec.shape.rank else []
    if isinstance(values, tf.Tensor) and len(sizes) == 3:  # names of files
        values = np.stack([picture(path, sizes) for path in values.numpy()])
    if values is None or (math.prod(sizes) > 1 and values.shape == (rows,)):  # blanks alone: no array has a size
        values = np.full([rows, *sizes], math.nan)
    if isinstance(values, np.ndarray):
        if spec.dtype == tf.string:
            values = tf.constant(["" if _blank(v) else str(v) for v in values.ravel().tolist()])
        elif spec.dtype.is_floating:
            values = values.astype("float64") if values.dtype == object else values  # None becomes nan
            values = tf.cast(tf.constant(values), spec.dtype)
        else:
            values = tf.constant([0 if _blank(v) else int(v) for v in values.ravel().tolist()], spec.dtype)
    return tf.reshape(values, [rows, *sizes])


def picture(path: bytes, sizes: list[int]) -> np.ndarray:
    """An image file as an array of (height, width, colours), as trainers bring images to a size; blank without one."""
    if not path:
        return np.full(sizes, math.nan)
    pixels = tf.io.decode_image(tf.io.read_file(path), channels=sizes[2], expand_animations=False)
    return tf.image.resize(pixels, sizes[:2], antialias=True).numpy()


def _blank(value: object) -> bool:
    return value is None or value != value


def part_of(value: tf.Tensor) -> tuple[dict, bytes]:
    """An output as it is sent: what it is, and its bytes."""
    found = value.numpy()
    if value.dtype == tf.string and found.ndim == 1:
        places: dict[bytes, int] = {}
        codes = np.array([places.setdefault(text, len(places)) for text in found.tolist()], WORD)
        return {"words": list(map(_text, places)), "shape": found.shape}, codes.tobytes()
    if found.ndim and (value.dtype.is_floating or value.dtype.is_integer):
        kind = "q" if value.dtype.is_integer else "d" if value.dtype == tf.float64 else "f"
        return {"type": kind, "shape": found.shape}, found.astype(kind).tobytes()
    return {"values": json.loads(json.dumps(found.tolist(), default=_text))}, b""


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def answer(question: dict, given: Mapping, loaded: dict) -> tuple[dict, list[bytes]]:
    """The answer to one question; models stay loaded for the next."""
    folder, rows = question["model"], question["rows"]
    if folder not in loaded:
        loaded[folder] = tf.saved_model.load(folder)
    signature = loaded[folder].signatures["serving_default"]
    specs = signature.structured_input_signature[1]
    columns = {name: tensor(given.get(name), spec, rows) for name, spec in specs.items()}
    parts = {name: part_of(value) for name, value in signature(**columns).items()} if rows else {}
    return {
        "tensorflow": tf.__version__,
        "inputs": {name: spec.dtype.name for name, spec in specs.items()},
        "outputs": {name: part for name, (part, _raw) in parts.items()},
    }, [raw for _part, raw in parts.values()]


def reply(said: dict, parts: Iterable[bytes] = ()) -> None:
    """Send one answer."""
    replies.write(json.dumps(said).encode() + b"\n")
    for part in parts:
        replies.write(part)
    replies.flush()


def main() -> None:
    """Answer until the input ends."""
    loaded: dict = {}
    for line in iter(sys.stdin.buffer.readline, b""):
        try:
            question = json.loads(line)
            given = {name: received(part, sys.stdin.buffer) for name, part in question["columns"].items()}
            said, parts = answer(question, given, loaded)
        except Exception as error:
            reply({"error": f"{type(error).__name__}: {error}"[:2000]})
        else:
            reply(said, parts)


if __name__ == "__main__":
    main()
