"""Your data: folders of images, a folder for each class.

Command: python -m trainer.task
Other programs read the literals here without running this file; they run `load` where they need rows.
"""

import random

import tensorflow as tf

# The column the model sees: height, width and colours (3, or 1 for shades of grey) to which every image is brought.
COLUMNS = {"image": (64, 64, 3)}

HEADERS = {}

# What is predicted, and its values: the names of the folders.
LABEL = "label"
CLASSES = ("cat", "dog")

# The folder that is read without --data, from this trainer's folder.
DATA = "data/images"

# Rows to hold out are chosen by chance; files say nothing of a group or a time.
GROUP = ""
TIME = ""
WEIGHT = ""

RANGES = {}


def load(pattern: str) -> tf.data.Dataset:
    """The images in the folders of `pattern`, here or gs://, in batches, mixed but always in the same order."""
    height, width, colours = COLUMNS["image"]
    folders = [(name, f"{pattern}/{name}") for name in CLASSES]
    found = [(f"{place}/{file}", name) for name, place in folders for file in sorted(tf.io.gfile.listdir(place))]
    random.Random(0).shuffle(found)
    paths, names = (list(part) for part in zip(*found, strict=True))

    def one(path: tf.Tensor, name: tf.Tensor) -> dict[str, tf.Tensor]:
        pixels = tf.io.decode_image(tf.io.read_file(path), channels=colours, expand_animations=False)
        return {"image": tf.image.resize(pixels, (height, width), antialias=True), LABEL: name}

    return tf.data.Dataset.from_tensor_slices((paths, names)).map(one, num_parallel_calls=tf.data.AUTOTUNE).batch(64)
