"""A training script as people write it, with pandas and `fit`: a yardstick for the generated trainer, end to end.

python pandas_script.py FILE.csv EPOCHS: the last column is the label.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import pandas as pd

path, epochs = sys.argv[1], int(sys.argv[2])
table = pd.read_csv(path)
label = table.pop(table.columns[-1])
table = pd.get_dummies(table, dtype=float)
train = table.sample(frac=0.8, random_state=0)
test = table.drop(train.index)
mean, std = train.mean(), train.std()
train, test = (train - mean) / std, (test - mean) / std
model = keras.Sequential([
    keras.layers.Dense(64, activation="relu"),
    keras.layers.Dropout(0.1),
    keras.layers.Dense(32, activation="relu"),
    keras.layers.Dense(label.nunique(), activation="softmax"),
])  # fmt: skip
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(
    train, label[train.index], batch_size=1024, epochs=epochs, verbose=0, validation_data=(test, label[test.index])
)
model.save(f"{path}.keras")
print(model.evaluate(test, label[test.index], verbose=0))
