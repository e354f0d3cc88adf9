"""Rows in memory: a held-out part of every class, and an endless, repeatable, resumable stream of the others."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from trainer.csv_files import AUTO, Rows

Table = tuple[Rows, tf.Tensor]  # rows and their labels


def join(tables: Sequence[Table]) -> Table:
    """One table of all `tables`, in their order."""
    return tf.nest.map_structure(lambda *parts: tf.concat(parts, 0), *tables)


def take(table: Table, chosen: tf.Tensor) -> Table:
    """The rows `chosen` (indices, or a mask of all rows)."""
    if tf.convert_to_tensor(chosen).dtype == tf.bool:
        return tf.nest.map_structure(lambda values: tf.boolean_mask(values, chosen), table)
    return tf.nest.map_structure(lambda values: tf.gather(values, chosen), table)


def held_out(hashes: np.ndarray, labels: np.ndarray, share: float) -> np.ndarray:
    """A mask of the rows to hold out: `share` of each class (of all rows for a number), lowest hashes first.

    It depends on what the rows say, not on their order or a seed; a class with two rows or more has one in each part.
    """
    mask = np.zeros(len(labels), bool)
    groups = [labels == labels] if labels.dtype.kind == "f" else [labels == kind for kind in np.unique(labels)]
    for group in groups:
        rows = np.flatnonzero(group)
        count = min(max(1, round(share * len(rows))), len(rows) - 1) if share else 0
        mask[rows[np.argsort(hashes[rows], kind="stable")[:count]]] = True
    return mask


def endless(table: Table, batch: int, seed: int, start: int, worker: int = 0, workers: int = 1) -> tf.data.Dataset:
    """The part for `worker` of each batch from number `start` on; `batch` rows are for all workers together.

    The order of epoch e depends only on (seed, e); rows that do not fill a batch wait for the next epoch's order.
    """
    rows = int(table[1].shape[0])
    epoch, first = divmod(start, rows // batch)
    each = batch // workers

    def order(epoch: tf.Tensor) -> tf.data.Dataset:
        mixed = tf.random.experimental.stateless_shuffle(tf.range(rows), seed=tf.stack([seed, epoch]))
        whole = tf.reshape(mixed[: rows // batch * batch], [-1, batch])
        return tf.data.Dataset.from_tensor_slices(whole[:, worker * each : (worker + 1) * each])

    chosen = tf.data.Dataset.range(epoch, 2**40).flat_map(order).skip(first)
    return chosen.map(lambda indices: take(table, indices), num_parallel_calls=AUTO).prefetch(AUTO)
