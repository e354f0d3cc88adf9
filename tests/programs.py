"""Five programs as people write them for a lesson, with the data that they read: what `new --wrap` is for."""

from __future__ import annotations

import json
from pathlib import Path

CNN = '''
"""Digits, by a small convolutional network."""
import numpy as np
import tensorflow as tf
from tensorflow.keras import layers, models

with np.load("data/digits.npz") as file:
    x, y = file["x"][..., None] / 16.0, file["y"]

model = models.Sequential([
    layers.Input((8, 8, 1)),
    layers.Conv2D(8, 3, activation="relu"),
    layers.MaxPooling2D(),
    layers.Flatten(),
    layers.Dense(10, activation="softmax"),
])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
best = tf.keras.callbacks.ModelCheckpoint("best.keras", save_best_only=True)
history = model.fit(x, y, validation_split=0.25, epochs=5, verbose=2, callbacks=[best])
model.save("digits.keras")
print("loaded again:", models.load_model("digits.keras").count_params(), "numbers")
'''
TEXT = [
    "# Which reviews are good?",
    "!pip install -q numpy\n%matplotlib inline\nimport csv\nimport tensorflow as tf\nfrom tensorflow import keras",
    'with open("reviews.csv", encoding="utf-8") as file:\n    rows = list(csv.reader(file))[1:]\n'
    "texts = tf.constant([row[0] for row in rows])\nlabels = tf.constant([int(row[1]) for row in rows])",
    "vectorize = keras.layers.TextVectorization(max_tokens=200, output_sequence_length=8)\nvectorize.adapt(texts)",
    'model = keras.Sequential([\n    keras.Input((1,), dtype="string"),\n    vectorize,\n'
    "    keras.layers.Embedding(200, 8),\n"
    '    keras.layers.GlobalAveragePooling1D(),\n    keras.layers.Dense(1, activation="sigmoid"),\n])\n'
    'model.compile("adam", "binary_crossentropy")',
    "%%time\nEPOCHS = 10\nmodel.fit(texts[:, None], labels, epochs=EPOCHS, verbose=2)",
    'model.save("reviews_model")\ndisplay(model.predict(tf.constant([["good film"]]), verbose=0).shape)',
]
STEP = '''
import argparse
import os

import keras
import numpy as np
import tensorflow as tf


class Line(keras.Model):
    """A line with a training step of its own."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.seen = keras.metrics.Mean(name="loss")

    def call(self, inputs):
        return self.dense(inputs)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(x, training=True) - y) ** 2)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        self.seen.update_state(loss)
        return {"loss": self.seen.result()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rate", type=float, default=0.1)
    args = parser.parse_args()
    out = "results"
    os.makedirs(out, exist_ok=True)
    x = np.linspace(0, 1, 64, dtype="float32")[:, None]
    model = Line()
    model.compile(optimizer=keras.optimizers.SGD(args.rate))
    model.fit(x, 2 * x + 1, epochs=args.epochs, verbose=2)
    model.save_weights(os.path.join(out, "line.weights.h5"))


if __name__ == "__main__":
    main()
'''
TWO = [
    "from google.colab import drive\ndrive.mount('/content/drive')",
    "import numpy as np\nimport keras\nPATH = '/content/drive/MyDrive/lesson/points.csv'",
    "table = np.loadtxt(PATH, delimiter=',', skiprows=1, dtype='float32')",
    "a = keras.Input((1,), name='a')\nb = keras.Input((1,), name='b')\n"
    "both = keras.layers.Concatenate()([keras.layers.Dense(4, activation='relu')(a), b])\n"
    "model = keras.Model([a, b], keras.layers.Dense(1)(both))\nmodel.compile('adam', 'mse')",
    "model.fit([table[:, :1], table[:, 1:2]], table[:, 2:], epochs=30, batch_size=16, verbose=2)",
    "model.export('served')\nnp.savetxt('weights.txt', model.get_weights()[0])",
]
TRANSFER = """
import numpy as np
import tensorflow as tf

FOLDER = r"C:\\Users\\me\\lesson"
pictures = np.load(FOLDER + r"\\pictures.npy").astype("float32")
labels = (pictures.mean(axis=(1, 2, 3)) > 128).astype("int32")

base = tf.keras.applications.MobileNet((32, 32, 3), alpha=0.25, include_top=False, weights=None, pooling="avg")
base.trainable = False
model = tf.keras.Sequential([tf.keras.layers.Rescaling(1 / 255), base, tf.keras.layers.Dense(2, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(pictures, labels, epochs=3, verbose=2)
model.save("transfer.h5")
"""
# Each program's file, its data by name, and what it leaves among the results.
LEFT = {
    "cnn": {"best.keras", "digits.keras"},
    "text": {"reviews_model.keras"},
    "step": {"results/line.weights.h5"},
    "two": {"saved_model.pb", "weights.txt"},
    "transfer": {"transfer.h5"},
}


def notebook(cells: list[str], **metadata: object) -> str:
    """A notebook of these cells, the first a text where it begins with #; each has an output."""
    made = [
        {
            "cell_type": "markdown" if text.startswith("# ") else "code",
            "metadata": {},
            "source": text.splitlines(keepends=True),
            **({} if text.startswith("# ") else {"execution_count": 1, "outputs": [{"text": ["done\n"]}]}),
        }
        for text in cells
    ]
    return json.dumps({"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def write(folder: Path) -> dict[str, Path]:
    """The five programs with their data in a folder, by name."""
    import numpy as np

    random = np.random.default_rng(0)
    (folder / "data").mkdir(parents=True)
    np.savez(folder / "data" / "digits.npz", x=random.integers(0, 17, (64, 8, 8)), y=random.integers(0, 10, 64))
    np.save(folder / "pictures.npy", random.integers(0, 256, (16, 32, 32, 3), dtype=np.uint8))
    table = random.random((64, 2))
    rows = "".join(f"{a:.3f},{b:.3f},{a - b:.3f}\n" for a, b in table)
    (folder / "points.csv").write_text(f"a,b,c\n{rows}", encoding="utf-8")
    said = "".join(f"a {'good' if i % 2 else 'bad'} film {i},{i % 2}\n" for i in range(32))
    (folder / "reviews.csv").write_text(f"text,good\n{said}", encoding="utf-8")
    files = {
        "cnn.py": CNN,
        "text.ipynb": notebook(TEXT),
        "step.py": STEP,
        "two.ipynb": notebook(TWO),
        "transfer.py": TRANSFER,
    }
    for name, text in files.items():
        (folder / name).write_text(text.lstrip("\n"), encoding="utf-8")
    return {name.partition(".")[0]: folder / name for name in files}
