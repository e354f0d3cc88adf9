"""Your model: raw columns in, one probability a class (or one number) out.

For two classes, one probability will do, that of the second: Dense(1, activation="sigmoid"), "binary_crossentropy".
"""

from collections.abc import Mapping

import keras

from trainer import data, preprocess


def build(statistics: Mapping[str, dict], rate: float, steps: int) -> keras.Model:
    """The compiled model. `rate` is the first learning rate; it falls to zero over `steps` training steps."""
    raw = preprocess.inputs(data.COLUMNS)
    features = preprocess.encode(raw, statistics)
    hidden = keras.layers.Dense(64, activation="relu")(features)
    hidden = keras.layers.Dropout(0.1)(hidden)
    hidden = keras.layers.Dense(32, activation="relu")(hidden)
    if data.CLASSES:
        output = keras.layers.Dense(len(data.CLASSES), activation="softmax")(hidden)
        loss, metrics = "sparse_categorical_crossentropy", ["accuracy"]
    else:
        label = statistics[data.LABEL]
        scaled = keras.layers.Dense(1)(hidden)
        # Back to the label's own unit: a network that must first grow to 100,000 learns nothing for long.
        output = keras.layers.Rescaling(label["variance"] ** 0.5 or 1.0, offset=label["mean"])(scaled)
        loss, metrics = "mean_squared_error", ["mae"]
    model = keras.Model(raw, output)
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps)
    # No XLA: it takes longer to start than small models take to train, and does not know text.
    model.compile(keras.optimizers.Adam(schedule), loss, metrics=metrics, jit_compile=False)
    return model
