"""How a run goes and what it has learned, told to people and services; and Keras' own answers, for the check."""

import argparse
import io
import json
import math
import os
import platform
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from trainer import data
from trainer.kit import export, prepare, resume, rows
from trainer.kit.job import Job, Mistake

PAUSE = 30.0  # seconds between lines within a long epoch
# What tf.summary.scalar says with each value; that function needs the tensorboard package, which training does not.
SCALAR = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
    data_class=1,  # DATA_CLASS_SCALAR, tensorflow/core/framework/summary.proto
)


class Tell(keras.callbacks.Callback):
    """Tells how the training goes: people, Cloud Logging, TensorBoard and the tuning service."""

    def __init__(self, job: Job, keep: resume.Resume) -> None:
        super().__init__()
        self.job, self.keep, self.told = job, keep, time.monotonic()
        parts = ("train", "validation") if job.chief else ()
        self.writers = {part: tf.summary.create_file_writer(f"{job.log_dir}/{part}") for part in parts}

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """A line now and then within a long epoch."""
        if time.monotonic() - self.told > PAUSE:
            self.told, step, steps = time.monotonic(), self.keep.at, self.keep.plan.steps
            self.job.say(f"step {step} of {steps}", step=step, steps=steps)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """A line, and the metrics where services look for them."""
        told, step, epochs = in_order(logs or {}), self.keep.at, self.params["epochs"]
        held = {name.removeprefix("val_"): value for name, value in told.items() if name.startswith("val_")}
        train = {name: value for name, value in told.items() if not name.startswith("val_")}
        for writer, metrics in zip(self.writers.values(), (train, held), strict=False):
            with writer.as_default():
                for name, value in metrics.items():
                    tf.summary.write(name, tf.constant(value, tf.float32), step, metadata=SCALAR)
            writer.flush()
        for name, value in told.items():
            if not math.isfinite(value):
                hint = "try a smaller --rate; look for extreme values in the data"
                raise Mistake(f"{name} is {value} after step {step}", hint, code=1)
        text = " ".join(f"{name}={value:.4g}" for name, value in told.items())
        self.job.say(f"epoch {epoch + 1}/{epochs} {text}", epoch=epoch + 1, epochs=epochs, metrics=told)
        self.job.report(held or train, step)
        self.told = time.monotonic()


def in_order(metrics: dict[str, float]) -> dict[str, float]:
    """Of the training rows first, the loss before others."""
    names = sorted(metrics, key=lambda name: (name.startswith("val_"), not name.endswith("loss")))
    return {name: float(metrics[name]) for name in names}


def beyond_accuracy(job: Job, model: keras.Model, held: tf.data.Dataset) -> tuple[dict, dict]:
    """What accuracy hides where one class is most of the rows: the recall of each class, and what is to be beaten.

    `baseline_accuracy` is that of always answering the commonest class; `balanced_accuracy` of that is 1 / classes.
    """
    count, table = len(data.CLASSES), 0
    for inputs, labels in held:  # not model.predict, which needs all workers
        answers = tf.argmax(export.meaning(model(inputs, training=False))["probabilities"], -1)
        table += tf.math.confusion_matrix(labels, answers, count).numpy()  # [class, answer]
    counts, right = table.sum(1), table.diagonal()
    recall = {str(name): [int(r), int(n)] for name, r, n in zip(data.CLASSES, right, counts, strict=True) if n}
    most = int(counts.argmax())
    if counts[most] >= 0.9 * counts.sum() and len(recall) > 1:
        found = ", ".join(f"{r} of {n} {name}" for name, (r, n) in recall.items())
        always = f"always {data.CLASSES[most]!r} would have accuracy {counts[most] / counts.sum():.4g}"
        job.say(f"note: {always}; of the held-out rows the model knew {found}", severity="WARNING")
    balanced, baseline = np.mean([r / n for r, n in recall.values()]), counts[most] / counts.sum()
    return {"balanced_accuracy": float(balanced), "baseline_accuracy": float(baseline)}, recall


def of_run(keep: resume.Resume, options: argparse.Namespace) -> dict:
    """What a report needs to look at the same rows, and to repeat the run. Paths are told from this folder on."""
    home = f"{Path(__file__).resolve().parents[2]}{os.sep}"
    said = {name: value for name, value in vars(options).items() if name not in ("output", "ask")}
    said = {name: value.removeprefix(home) if isinstance(value, str) else value for name, value in said.items()}
    found = {"made_from": keep.made_from, "options": said, "step": keep.at, "epoch": keep.plan.epoch}
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, {len(tf.config.list_physical_devices('GPU'))} GPUs"
    return found | {"python": platform.python_version(), "machine": f"{platform.system()} {machine}"}


def keep_answers(model: keras.Model, options: argparse.Namespace, statistics: dict) -> None:
    """Write what Keras itself answers to rows, as the last layer gives it: answers.json; without a CSV file that says
    which, to the first 40, and these: questions.npz.

    It goes by nothing of the export, so that an export can be compared with it.
    """
    (columns,) = rows.blocks(options.ask).unbatch().batch(40 if hasattr(data, "load") else 10_000).take(1)
    (output,) = tf.nest.flatten(model(prepare.encoder(statistics)[0](columns), training=False))
    tf.io.gfile.makedirs(options.output)
    with tf.io.gfile.GFile(f"{options.output.rstrip('/')}/answers.json", "w") as answers:
        answers.write(json.dumps(tf.cast(output, tf.float32).numpy().tolist()))
    if hasattr(data, "load"):
        asked = {name: columns[name] for name in data.COLUMNS if name in columns}
        for kind in ("number", "category"):
            asked |= {n: columns[f"all {kind}"][:, i] for i, n in enumerate(prepare.names(kind))}
        asked = {n: v.numpy().astype("U") if v.dtype == tf.string else v.numpy() for n, v in asked.items()}
        np.savez(file := io.BytesIO(), **asked)
        with tf.io.gfile.GFile(f"{options.output.rstrip('/')}/questions.npz", "wb") as questions:
            questions.write(file.getvalue())
