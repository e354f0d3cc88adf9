"""Your model: numbers and words of a row in, one probability a class (of two: of the second), or one number, out."""

import argparse
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from trainer import data
from trainer.kit import prepare

# What a run builds, unless --model, --layers or --units says otherwise: "linear", the output straight from the
# features, with which to begin; "mlp", hidden layers between, each half as wide as the one before; "wide", both added.
MODEL, LAYERS, UNITS = "{{ cookiecutter.model }}", 2, 64

# The first learning rate, unless --rate says otherwise: what has few weights can take larger steps.
RATE = {"linear": 0.02, "mlp": 0.005, "wide": 0.005}

# The column that is a window of the label itself, the newest value last, if there is one: then it is learned by how
# much the label will differ from that value, so that the model follows a series wherever it goes.
WINDOW = "{% if cookiecutter.kind == 'series' %}window{% endif %}"

# How much a row of a class counts while learning, where 1 is not right: {"Chinstrap": 2.0}.
CLASS_WEIGHT = {}

# False: numbers reach the network as they are, for scales that mean something.
NORMALISE = True

# "mixed_float16" (GPUs) or "mixed_bfloat16" (TPUs, new processors) train faster there, with about three digits.
PRECISION = "float32"

# Up to so many steps run together, which saves time between small ones. Steps that take a second: 1.
TOGETHER = 32


def callbacks() -> list[keras.callbacks.Callback]:
    """What watches the training, such as keras.callbacks.EarlyStopping(patience=5); all of it resumes exactly."""
    return []


def features(inputs: Mapping[str, keras.KerasTensor], statistics: Mapping[str, dict]) -> list[keras.KerasTensor]:
    """Numbers standardised (blank: the mean), words as one of n (unknown: a slot of its own), both [rows, features];
    and arrays standardised as a whole, [rows, *sizes]."""

    def standard(values: keras.KerasTensor, *names: str) -> keras.KerasTensor:
        if NORMALISE:
            found = (np.hstack([statistics[name][what] for name in names]) for what in ("mean", "variance"))
            mean, variance = map(np.squeeze, found)
            axis = -1 if mean.ndim else None
            values = keras.layers.Normalization(axis, mean=mean, variance=variance, dtype="float32")(values)
        return keras.ops.nan_to_num(values)

    parts = []
    if "numbers" in inputs:
        parts.append(standard(inputs["numbers"], *prepare.names("number"), *prepare.names("date")))
    if "words" in inputs:
        # Each slot belongs to one column, and is 1 where that column's word is the slot's.
        column = np.repeat(range(inputs["words"].shape[1]), prepare.slots(statistics, "category"))
        hot = keras.ops.equal(keras.ops.take(inputs["words"], column, axis=1), np.arange(len(column), dtype="int32"))
        parts.append(keras.ops.cast(hot, "float32"))
    if "counts" in inputs:
        parts.append(keras.ops.log1p(inputs["counts"]))
    for name in prepare.arrays():
        values = standard(inputs[name], name)
        parts.append(values - newest(values) if name == WINDOW else values)
    return parts


def newest(window: keras.KerasTensor) -> keras.KerasTensor:
    """[rows, 1]: the last value of each window."""
    return keras.ops.take(window, np.array([window.shape[1] - 1]), axis=1)


def flat(parts: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
    """[rows, all numbers of a row]."""
    parts = [keras.layers.Flatten()(part) for part in parts]
    return keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]


def convolved(part: keras.KerasTensor) -> keras.KerasTensor:
    """Of images, (height, width, colours), what two convolutions see in them; other parts stay as they are."""
    for filters in (16, 32) if len(part.shape) == 4 else ():
        part = keras.layers.Conv2D(filters, 3, activation="relu", padding="same")(part)
        part = keras.layers.MaxPooling2D()(part)
    return part


def build(statistics: Mapping[str, dict], options: argparse.Namespace, steps: int) -> keras.Model:
    """The compiled model, by the run's `options`; the learning rate falls to zero over `steps` training steps."""
    inputs = prepare.inputs(statistics)
    parts, outputs = features(inputs, statistics), []
    size = len(data.CLASSES) if len(data.CLASSES) > 2 else 1
    if options.model != "mlp":
        outputs.append(keras.layers.Dense(size, dtype="float32")(flat(parts)))
    if options.model != "linear":
        hidden = flat([convolved(part) for part in parts])
        for layer in range(options.layers):
            hidden = keras.layers.Dropout(0.1)(hidden) if layer else hidden
            hidden = keras.layers.Dense(max(1, options.units >> layer), activation="relu")(hidden)
        outputs.append(keras.layers.Dense(size, dtype="float32")(hidden))
    output = keras.layers.Add(dtype="float32")(outputs) if len(outputs) > 1 else outputs[0]
    if data.CLASSES:
        output = keras.layers.Activation("softmax" if size > 1 else "sigmoid", dtype="float32")(output)
        loss, metrics = "sparse_categorical_crossentropy" if size > 1 else "binary_crossentropy", ["accuracy"]
    else:
        label = statistics[data.LABEL]
        # Back to the label's own unit: a network that must first grow to 100,000 learns nothing for long.
        scale, mean = label["variance"] ** 0.5 or 1.0, 0.0 if WINDOW else label["mean"]
        output = keras.layers.Rescaling(scale, offset=mean, dtype="float32")(output)
        output = keras.layers.Add(dtype="float32")([output, newest(inputs[WINDOW])]) if WINDOW else output
        loss, metrics = "mean_squared_error", ["mae"]
    model = keras.Model(inputs, output)
    schedule = keras.optimizers.schedules.CosineDecay(options.rate, steps)
    # jit_compile=True (XLA) takes longer to start than small models take to train; large ones on a GPU gain.
    model.compile(keras.optimizers.Adam(schedule), loss, metrics=metrics, jit_compile=False)
    return model
