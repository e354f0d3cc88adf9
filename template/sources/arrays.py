"""Your data: the arrays of an .npz file, whose first axis is the row.

Command: python -m trainer.task
Other programs read the literals here without running this file; they run `load` where they need rows.
"""

import io

import numpy as np
import tensorflow as tf

# The columns the model sees, each an array of the file: (28, 28) are the sizes of one row of it.
COLUMNS = {"x": (28, 28)}

# What the file calls a column, where COLUMNS needs a plainer name.
HEADERS = {}

# The array to predict, and the values it can have; no classes, (), makes it a number to estimate.
LABEL = "y"
CLASSES = (0, 1)

# What is read without --data, from this trainer's folder.
DATA = "data/digits.npz"

# Where numbers are expected to be; a run tells which columns leave their range.
RANGES = {}

# The array whose equal values stay in one part, and the one by which the newest rows are held out; "" for none.
GROUP = ""
TIME = ""
WEIGHT = ""


def load(pattern: str) -> dict[str, np.ndarray]:
    """All rows of the files that `pattern` names, here or gs://: an array a column."""
    wanted, parts = dict.fromkeys(name for name in (*COLUMNS, LABEL, GROUP, TIME) if name), []
    for path in sorted(tf.io.gfile.glob(pattern)):
        with tf.io.gfile.GFile(path, "rb") as file:
            arrays = np.load(io.BytesIO(file.read()))
            parts.append({name: arrays[HEADERS.get(name, name)] for name in wanted})
    rows = {name: np.concatenate([part[name] for part in parts]) for name in wanted}
    for name, kind in COLUMNS.items():
        if (kind == "number" or isinstance(kind, tuple)) and rows[name].dtype != "uint8":
            rows[name] = rows[name].astype("float32")
    answers = rows[LABEL].reshape(-1)
    rows[LABEL] = answers.astype("int64") if CLASSES and isinstance(CLASSES[0], int) else answers
    return rows
