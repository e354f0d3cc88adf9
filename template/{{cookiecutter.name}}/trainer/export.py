"""The finished model for serving: columns as they are written in, a named answer out, and what people need to know."""

import json
from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from trainer import data, rows
from trainer.job import Mistake, speak


def save(model: keras.Model, directory: str, about: Mapping, statistics: Mapping[str, dict]) -> None:
    """Write a SavedModel to `directory` (a path or gs://), with trainer.json and model.keras in its assets.extra.

    Inputs: a scalar a column. Outputs: {LABEL: class, "probabilities": one a class, as in CLASSES} or {LABEL: number}.
    """
    encode, tables = rows.encoder(statistics)
    archive = keras.export.ExportArchive()
    archive.track(model)
    for table in tables:
        archive.track(table)
    kinds = {name: tf.float32 if kind == "number" else tf.string for name, kind in data.COLUMNS.items()}
    signature = {name: tf.TensorSpec([None], kind, name=name) for name, kind in kinds.items()}
    archive.add_endpoint("serve", lambda columns: answer(model, encode(stack(columns))), input_signature=[signature])
    archive.write_out(directory, verbose=False)
    extra = f"{directory.rstrip('/')}/assets.extra"
    tf.io.gfile.makedirs(extra)
    with tf.io.gfile.GFile(f"{extra}/trainer.json", "w") as file:
        file.write(json.dumps({**describe(statistics), **about}, indent=1, ensure_ascii=False) + "\n")
    try:
        model.save(f"{extra}/model.keras")
    except (TypeError, ValueError, NotImplementedError) as error:  # a layer that can't tell its own settings
        speak(f"note: without model.keras: {str(error).splitlines()[0][:200]}", severity="WARNING")


def stack(columns: Mapping[str, tf.Tensor]) -> rows.Rows:
    """A tensor a column -> all numbers in one, all words in another."""
    kinds = {"numbers": rows.names(text=False), "words": rows.names(text=True)}
    return {kind: tf.stack([columns[name] for name in names], -1) for kind, names in kinds.items() if names}


def answer(model: keras.Model, inputs: rows.Rows) -> dict[str, tf.Tensor]:
    """What the served model says about rows whose words are encoded."""
    output = model(inputs, training=False)
    return meaning(output)


def meaning(output: object) -> dict[str, tf.Tensor]:
    """The answer that a model's output stands for; nothing else decides that. Raises Mistake, as `check` does.

    One number a class is the probability of each; one for two classes is that of the second. Without classes, the
    output is the number.
    """
    parts = tf.nest.flatten(output)
    check(parts[0].shape if len(parts) == 1 else parts)
    output = tf.cast(parts[0], tf.float32)
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
    numbers = (shape[1] if len(shape) == 2 else 1) if single and len(shape) in (1, 2) else 0
    if numbers and (numbers == (count or 1) or (numbers, count) == (1, 2)):
        return
    layer = f'Dense({count}, activation="softmax")' if count else "Dense(1)"
    layer += ', or Dense(1, activation="sigmoid")' if count == 2 else ""
    label = f"{count} CLASSES" if count else "a label that is a number"
    found = f"an output of shape {tuple(shape)}" if single else f"{len(shape)} outputs"
    raise Mistake(f"model.py: the model gives {found}, which does not fit {label}", f"the last layer: {layer}")


def describe(statistics: Mapping[str, dict]) -> dict:
    """The contents of trainer.json: who asks the model anywhere knows from it what it takes and gives."""
    return {
        "label": data.LABEL,
        "classes": list(data.CLASSES) or None,
        "task": "classification" if data.CLASSES else "regression",
        "columns": dict(data.COLUMNS),
        "headers": dict(data.HEADERS),
        "words": {name: found["words"] for name, found in statistics.items() if "words" in found},
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }
