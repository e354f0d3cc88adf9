"""Your model: numbers and words of a row in, one probability a class (or one number) out.

For two classes, one probability will do, that of the second: Dense(1, activation="sigmoid"), "binary_crossentropy".
"""

from collections.abc import Mapping

import keras
import numpy as np

from trainer import data
from trainer.kit import prepare

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


def features(inputs: Mapping[str, keras.KerasTensor], statistics: Mapping[str, dict]) -> keras.KerasTensor:
    """[rows, features]: numbers standardised (blank: the mean), words as one of n (unknown: a slot of its own)."""

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
    for name, sizes in prepare.arrays().items():
        image = standard(inputs[name], name)
        if len(sizes) == 3:  # height, width, colours
            for filters in (16, 32):
                image = keras.layers.Conv2D(filters, 3, activation="relu", padding="same")(image)
                image = keras.layers.MaxPooling2D()(image)
        parts.append(keras.layers.Flatten()(image))
    return keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]


def build(statistics: Mapping[str, dict], rate: float, steps: int) -> keras.Model:
    """The compiled model. `rate` is the first learning rate; it falls to zero over `steps` training steps."""
    inputs = prepare.inputs(statistics)
    hidden = keras.layers.Dense(64, activation="relu")(features(inputs, statistics))
    hidden = keras.layers.Dropout(0.1)(hidden)
    hidden = keras.layers.Dense(32, activation="relu")(hidden)
    if data.CLASSES:
        output = keras.layers.Dense(len(data.CLASSES), activation="softmax", dtype="float32")(hidden)
        loss, metrics = "sparse_categorical_crossentropy", ["accuracy"]
    else:
        label = statistics[data.LABEL]
        scaled = keras.layers.Dense(1, dtype="float32")(hidden)
        # Back to the label's own unit: a network that must first grow to 100,000 learns nothing for long.
        scale, mean = label["variance"] ** 0.5 or 1.0, label["mean"]
        output = keras.layers.Rescaling(scale, offset=mean, dtype="float32")(scaled)
        loss, metrics = "mean_squared_error", ["mae"]
    model = keras.Model(inputs, output)
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps)
    # jit_compile=True (XLA) takes longer to start than small models take to train; large ones on a GPU gain.
    model.compile(keras.optimizers.Adam(schedule), loss, metrics=metrics, jit_compile=False)
    return model
