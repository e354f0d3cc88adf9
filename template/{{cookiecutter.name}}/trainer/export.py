"""The finished model for serving: raw columns in, a named answer out, and what a person needs to know beside it."""

import json
from collections.abc import Mapping

import keras
import tensorflow as tf

from trainer import data


def save(model: keras.Model, directory: str, metrics: Mapping[str, float], rows: Mapping[str, int]) -> None:
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
        file.write(json.dumps(describe(metrics, rows), indent=1, ensure_ascii=False) + "\n")


def answer(model: keras.Model, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What the served model says about `columns` ([n] each)."""
    output = model(columns, training=False)
    if not data.CLASSES:
        return {data.LABEL: output[:, 0]}
    return {data.LABEL: tf.gather(tf.constant(data.CLASSES), tf.argmax(output, -1)), "probabilities": output}


def describe(metrics: Mapping[str, float], rows: Mapping[str, int]) -> dict:
    """The contents of trainer.json."""
    return {
        "label": data.LABEL,
        "classes": list(data.CLASSES) or None,
        "task": "classification" if data.CLASSES else "regression",
        "columns": {name: "text" if isinstance(blank, str) else "number" for name, blank in data.COLUMNS.items()},
        "metrics": dict(metrics),
        "rows": dict(rows),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }
