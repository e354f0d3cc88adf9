"""The finished model for serving: raw columns in, a named answer out, and what a person needs to know beside it."""

import json
from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from trainer import data
from trainer.mistakes import Mistake


def save(
    model: keras.Model,
    directory: str,
    metrics: Mapping[str, float],
    rows: Mapping[str, int],
    statistics: Mapping[str, dict],
) -> None:
    """Write a SavedModel to `directory` (a path or gs://), with assets.extra/trainer.json in it.

    Inputs: a scalar a column. Outputs: {LABEL: class, "probabilities": one a class, as in CLASSES} or {LABEL: number}.
    """
    archive = keras.export.ExportArchive()
    archive.track(model)
    kinds = {name: tf.string if isinstance(blank, str) else tf.float32 for name, blank in data.COLUMNS.items()}
    signature = {name: tf.TensorSpec([None], kind, name=name) for name, kind in kinds.items()}
    archive.add_endpoint("serve", lambda columns: answer(model, columns), input_signature=[signature])
    archive.write_out(directory, verbose=False)
    extra = f"{directory.rstrip('/')}/assets.extra"
    tf.io.gfile.makedirs(extra)
    with tf.io.gfile.GFile(f"{extra}/trainer.json", "w") as file:
        file.write(json.dumps(describe(metrics, rows, statistics), indent=1, ensure_ascii=False) + "\n")


def answer(model: keras.Model, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What the served model says about `columns` ([n] each)."""
    output = model(columns, training=False)
    return meaning(output)


def meaning(output: object) -> dict[str, tf.Tensor]:
    """The answer that a model's output stands for; nothing else decides that. Raises Mistake, as `check` does.

    One number a class is the probability of each; one for two classes is that of the second. Without classes, the
    output is the number.
    """
    parts = tf.nest.flatten(output)
    check(parts[0].shape if len(parts) == 1 else parts)
    (output,) = parts
    if not data.CLASSES:
        return {data.LABEL: tf.reshape(output, [-1])}
    if output.shape.rank == 1 or output.shape[-1] == 1:
        second = tf.reshape(output, [-1])
        chosen, output = tf.cast(second >= 0.5, tf.int32), tf.stack([1 - second, second], -1)
    else:
        chosen = tf.argmax(output, -1, output_type=tf.int32)
    return {data.LABEL: tf.gather(tf.constant(data.CLASSES), chosen), "probabilities": output}


def check(shape: Sequence) -> None:
    """Raise Mistake unless an output of `shape`, (rows, numbers a row) or (rows,), can be read as the label."""
    count, single = len(data.CLASSES), isinstance(shape, tuple | tf.TensorShape)
    if single and len(shape) in (1, 2):
        numbers = shape[1] if len(shape) == 2 else 1
        if numbers == (count or 1) or (numbers, count) == (1, 2):
            return
        found = f"{numbers} number{'s' if numbers != 1 else ''} a row"
    elif single:
        found = f"an output of shape (rows, {', '.join(map(str, shape[1:]))})"
    else:
        found = f"{len(shape)} outputs"
    layer = f'Dense({count}, activation="softmax")' if count else "Dense(1)"
    if count == 2:
        layer += ', or Dense(1, activation="sigmoid")'
    label = f"{count} CLASSES" if count else "a label that is a number"
    raise Mistake(f"model.py: the model gives {found}, which does not fit {label}", f"the last layer: {layer}")


def describe(metrics: Mapping[str, float], rows: Mapping[str, int], statistics: Mapping[str, dict]) -> dict:
    """The contents of trainer.json: who asks the model anywhere knows from it what it takes and gives."""
    return {
        "label": data.LABEL,
        "classes": list(data.CLASSES) or None,
        "task": "classification" if data.CLASSES else "regression",
        "columns": {name: "text" if isinstance(blank, str) else "number" for name, blank in data.COLUMNS.items()},
        "headers": dict(data.HEADERS),
        "words": {name: found["words"] for name, found in statistics.items() if "words" in found},
        "metrics": dict(metrics),
        "rows": dict(rows),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }
