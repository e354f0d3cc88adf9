"""The finished model for serving: columns as they are written in, a named answer out, and what people need to know."""

import json
from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from trainer import data
from trainer.kit import prepare
from trainer.kit.job import Mistake, speak


def save(model: keras.Model, directory: str, about: Mapping, statistics: prepare.Statistics) -> None:
    """Write a SavedModel to `directory` (a path or gs://), with trainer.json and model.keras in its assets.extra.

    Inputs: a scalar a column. Outputs: {LABEL: class, "probabilities": one a class, as in CLASSES} or {LABEL: number}.
    """
    encode, tables = prepare.encoder(statistics)
    archive = keras.export.ExportArchive()
    for one in (model, *tables):
        archive.track(one)
    signature = {name: tf.TensorSpec([None], tf.string, name=name) for name in data.COLUMNS}
    signature |= {name: tf.TensorSpec([None], tf.float32, name=name) for name in prepare.names("number")}
    signature |= {name: tf.TensorSpec([None, *sizes], tf.float32, name) for name, sizes in prepare.arrays().items()}
    archive.add_endpoint(
        "serve", lambda columns: meaning(model(encode(prepare.stack(columns)), training=False)), [signature]
    )
    archive.write_out(directory, verbose=False)
    extra = f"{directory.rstrip('/')}/assets.extra"
    tf.io.gfile.makedirs(extra)
    with tf.io.gfile.GFile(f"{extra}/trainer.json", "w") as file:
        file.write(json.dumps({**describe(statistics), **about}, indent=1, ensure_ascii=False) + "\n")
    try:
        model.save(f"{extra}/model.keras")
    except (TypeError, ValueError, NotImplementedError) as error:  # a layer that can't tell its own settings
        speak(f"note: without model.keras: {str(error).splitlines()[0][:200]}", severity="WARNING")


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


def describe(statistics: prepare.Statistics) -> dict:
    """The contents of trainer.json: who asks the model anywhere knows from it what it takes and gives."""
    return {
        "label": data.LABEL,
        "classes": list(data.CLASSES) or None,
        "task": "classification" if data.CLASSES else "regression",
        "columns": dict(data.COLUMNS),
        "headers": dict(getattr(data, "HEADERS", {})),
        "forms": dict(getattr(data, "FORMS", {})),
        "words": {name: statistics[name]["words"] for name in prepare.names("category")},
        "statistics": statistics,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }
