"""Preparation that travels with the model: statistics of the training rows, then plain Keras layers."""

import collections
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from trainer.csv_files import Rows
from trainer.mistakes import Mistake

WORDS = 1000  # of a text column that get a slot of their own; the rarer ones share one
DISTINCT = 200_000  # more different words than this: a name or an id, nothing to learn from


class Statistics:
    """Mean, variance and range of numbers (blanks left out) and the commonest words of text, block by block.

    Sums are kept in float64 and merged as Chan, Golub and LeVeque (1979) do, so no pass over the rows is repeated.
    """

    def __init__(self, columns: Mapping[str, float | str]) -> None:
        self.numbers = {n: (0, 0.0, 0.0, np.inf, -np.inf) for n, blank in columns.items() if not isinstance(blank, str)}
        self.words = {n: collections.Counter() for n, blank in columns.items() if isinstance(blank, str)}

    def add(self, rows: Rows) -> None:
        """Count the columns of `rows`; raises Mistake for text that is not UTF-8 or has no repeated words."""
        for name, (count, mean, spread, low, high) in self.numbers.items():
            values = rows[name].numpy().astype("float64")
            values = values[~np.isnan(values)]
            if values.size:
                both, delta = count + values.size, values.mean() - mean
                spread += values.var() * values.size + delta**2 * count * values.size / both
                mean += delta * values.size / both
                self.numbers[name] = both, mean, spread, min(low, values.min()), max(high, values.max())
        for name, counter in self.words.items():
            words, _, counts = tf.unique_with_counts(rows[name])
            counter.update(dict(zip(words.numpy().tolist(), counts.numpy().tolist(), strict=True)))
            if len(counter) > DISTINCT:
                raise Mistake(
                    f"column {name!r} has more than {DISTINCT:,} different words", "leave it out of COLUMNS in data.py"
                )

    def result(self) -> dict[str, dict]:
        """{column: {"mean", "variance", "low", "high"}} for numbers, {column: {"words": [...]}} for text."""
        found: dict[str, dict] = {}
        for name, (count, mean, spread, low, high) in self.numbers.items():
            if count:
                found[name] = {"mean": mean, "variance": spread / count, "low": float(low), "high": float(high)}
            else:
                found[name] = {"mean": 0.0, "variance": 1.0, "low": np.nan, "high": np.nan}
        for name, counter in self.words.items():
            counter.pop(b"", None)
            common = sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))[:WORDS]
            try:
                # Blank comes first: a word of its own, also where no training row is blank.
                found[name] = {"words": ["", *(word.decode("utf-8") for word, _ in common)]}
            except UnicodeDecodeError as error:
                raise Mistake(f"column {name!r} holds text that is not UTF-8", "save the file as UTF-8") from error
        return found


def inputs(columns: Mapping[str, float | str]) -> dict[str, keras.KerasTensor]:
    """One scalar input a column, so that a row is served as it is written: {"bill_length_mm": 39.1, "sex": "male"}."""
    return {
        name: keras.Input((), name=name, dtype="string" if isinstance(blank, str) else "float32")
        for name, blank in columns.items()
    }


def encode(raw: Mapping[str, keras.KerasTensor], statistics: Mapping[str, dict]) -> keras.KerasTensor:
    """Raw columns -> [rows, features]: numbers standardised (blank: the mean), words as one of n (unknown: a slot)."""
    numbers = [name for name in raw if "mean" in statistics[name]]
    parts = []
    if numbers:
        standard = keras.layers.Normalization(
            mean=[statistics[name]["mean"] for name in numbers],
            variance=[statistics[name]["variance"] for name in numbers],
        )
        parts.append(keras.ops.nan_to_num(standard(keras.ops.stack([raw[name] for name in numbers], -1))))
    for name in raw:
        if name not in numbers:
            words = keras.layers.StringLookup(vocabulary=statistics[name]["words"], output_mode="one_hot")
            parts.append(words(raw[name]))
    return keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
