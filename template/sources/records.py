"""Your data: TFRecord files of tf.train.Example.

Command: python -m trainer.task
Other programs read the literals here without running this file; they run `load` where they need rows.
"""

import tensorflow as tf

# The columns the model sees, features of the records; sizes are those of an array, or to which images are brought.
COLUMNS = {"image": (28, 28, 1)}

# What the records call a column, where COLUMNS needs a plainer name.
HEADERS = {}

# The feature to predict, and the values it can have; no classes, (), makes it a number to estimate.
LABEL = "label"
CLASSES = (0, 1)

# What is read without --data, from this trainer's folder.
DATA = "data/digits.tfrecord"

# How the records hold each feature: "int64", "float32" or "string"; an array that is a string is an encoded image.
STORED = {"image": "string", "label": "int64"}

# Where numbers are expected to be; a run tells which columns leave their range.
RANGES = {}

# The feature whose equal values stay in one part, and the one by which the newest rows are held out; "" for none.
GROUP = ""
TIME = ""
WEIGHT = ""


def load(pattern: str) -> tf.data.Dataset:
    """The records in the files that `pattern` names, here or gs://, in batches."""
    sizes = {name: kind for name, kind in COLUMNS.items() if isinstance(kind, tuple)}
    images = {name for name in sizes if STORED[name] == "string"}

    def one(record: tf.Tensor) -> dict[str, tf.Tensor]:
        shapes = {name: () if name in images else sizes.get(name, ()) for name in STORED}
        found = {HEADERS.get(name, name): tf.io.FixedLenFeature(shapes[name], STORED[name]) for name in STORED}
        found = tf.io.parse_single_example(record, found)
        row = {name: found[HEADERS.get(name, name)] for name in STORED}
        for name, kind in COLUMNS.items():
            if name in images:
                pixels = tf.io.decode_image(row[name], channels=kind[2], expand_animations=False)
                row[name] = tf.image.resize(pixels, kind[:2], antialias=True)
            elif STORED[name] != "string":
                row[name] = tf.cast(row[name], tf.float32)
        if CLASSES and isinstance(CLASSES[0], int):
            row[LABEL] = tf.cast(row[LABEL], tf.int64)
        return row

    files = tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(pattern)))
    return files.map(one, num_parallel_calls=tf.data.AUTOTUNE).batch(256)
