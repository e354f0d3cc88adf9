"""Your data: folders of texts, a folder for each class and a file for each text.

Command: python -m trainer.task
Other programs read the literals here without running this file; they run `load` where they need rows.
"""

import random

import numpy as np
import tensorflow as tf

# The column the model sees: "text" counts words, "letters" single letters and pairs (for Korean, Japanese, Chinese).
COLUMNS = {"text": "text"}

HEADERS = {}

# What is predicted, and its values: the names of the folders.
LABEL = "label"
CLASSES = ("ham", "spam")

# The folder that is read without --data, from this trainer's folder, and the encoding of its files.
DATA = "data/texts"
ENCODING = "utf-8-sig"

# Rows to hold out are chosen by chance; files say nothing of a group or a time.
GROUP = ""
TIME = ""
WEIGHT = ""

RANGES = {}


def load(pattern: str) -> dict[str, np.ndarray]:
    """The texts in the folders of `pattern`, here or gs://, mixed but always in the same order."""
    folders = [(name, f"{pattern}/{name}") for name in CLASSES]
    found = [(f"{place}/{file}", name) for name, place in folders for file in sorted(tf.io.gfile.listdir(place))]
    random.Random(0).shuffle(found)
    texts = []
    for path, _ in found:
        with tf.io.gfile.GFile(path, "rb") as file:
            texts.append(" ".join(file.read().decode(ENCODING).split()))
    return {"text": np.array(texts, object), LABEL: np.array([name for _, name in found], object)}
