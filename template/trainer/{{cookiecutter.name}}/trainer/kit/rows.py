"""The rows: read, shared out into parts, kept as numbers on this machine's disk, dealt out in repeatable batches."""

import collections
import contextlib
import csv
import datetime
import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from trainer import data
from trainer.kit import prepare
from trainer.kit.job import Mistake
from trainer.kit.prepare import Statistics

CHUNK, BLOCK, MIXED = 8192, 1024, 256  # lines read together; rows that stay neighbours, blocks of those mixed together
AT_ONCE = 1 << 20  # numbers that are dealt out together, about
WORDS = {"category": 1000, "text": 2000, "letters": 2000}  # the commonest, which get a place of their own
CHECK = "uv run invoke check . tells the line"


def role(what: str) -> str:
    """The column that data.py names as GROUP, TIME or WEIGHT, if any."""
    return getattr(data, what, "")


class Table(NamedTuple):
    """Rows as the network takes them, their labels (places in CLASSES, or numbers), and what each counts, if not 1."""

    inputs: dict[str, np.ndarray]
    labels: np.ndarray
    weights: np.ndarray | None

    def take(self, rows: np.ndarray, weighted: bool = False) -> tuple:
        """Inputs, labels and, if they are to be `weighted`, what these `rows` count."""
        found = {name: values[rows] for name, values in self.inputs.items()}, self.labels[rows]
        return (*found, self.weights[rows]) if weighted and self.weights is not None else found


def blocks(pattern: str) -> tf.data.Dataset:
    """The rows of CSV files, or those that data.py's `load` gives, many together: columns, stacked, and of each row a
    hash, the label, and what decides its part."""
    if hasattr(data, "load"):
        found = data.load(pattern)
        found = tf.data.Dataset.from_tensor_slices(dict(found)).batch(CHUNK) if isinstance(found, Mapping) else found
        return found.map(lambda columns: stacked(columns, hashes(columns)))
    # A file of exactly that name wins: "[" or "*" in a folder's name isn't a pattern then.
    paths = [pattern] if tf.io.gfile.exists(pattern) else sorted(tf.io.gfile.glob(pattern))
    if not paths:
        raise Mistake(f"no file matches {pattern}", "give --data a file, or a pattern such as 'gs://bucket/*.csv'")
    headers = [next(csv.reader([tf.io.gfile.GFile(p, "rb").readline().decode("utf-8-sig")]), []) for p in paths]
    wanted = {name for name in (*data.COLUMNS, data.LABEL, role("GROUP"), role("TIME"), role("WEIGHT")) if name}
    if any(header != headers[0] for header in headers) or any(headers[0].count(name) != 1 for name in wanted):
        raise ValueError("its header doesn't fit data.py or the other files")
    numbers = {*prepare.names("number"), role("WEIGHT"), "" if data.CLASSES else data.LABEL}
    blanks = [[float("nan") if name in numbers else ""] for name in headers[0]]

    def decode(lines: tf.Tensor) -> dict[str, tf.Tensor]:
        columns = dict(zip(headers[0], tf.io.decode_csv(lines, blanks), strict=True))  # all, so none can be missing
        return stacked(columns, tf.strings.to_hash_bucket_fast(lines, 1 << 40))

    def one(path: tf.Tensor) -> tf.data.Dataset:
        lines = tf.data.TextLineDataset(path, buffer_size=1 << 20).skip(1).batch(CHUNK)
        return lines.map(lambda some: tf.boolean_mask(some, tf.strings.length(some) > 0))

    files = tf.data.Dataset.from_tensor_slices(paths)
    lines = files.interleave(one, cycle_length=4, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return lines.map(decode, num_parallel_calls=tf.data.AUTOTUNE)


def stacked(columns: prepare.Columns, hashed: tf.Tensor) -> dict[str, tf.Tensor]:
    """What is kept of some rows."""
    key = columns[role("TIME") or role("GROUP")] if role("TIME") or role("GROUP") else hashed
    weight = {"row weight": tf.cast(columns[role("WEIGHT")], tf.float32)} if role("WEIGHT") else {}
    return {**prepare.stack(columns), **weight, "row hash": hashed, "row label": columns[data.LABEL], "row key": key}


def hashes(columns: prepare.Columns) -> tf.Tensor:
    """[rows]: the same on every machine, and for equal rows."""
    texts = []
    for _, values in sorted(columns.items()):
        if values.dtype != tf.string:
            bits = tf.cast(tf.bitcast(tf.cast(values, tf.float32), tf.int32), tf.int64)
            bits = tf.reshape(bits, [tf.shape(bits)[0], int(np.prod(bits.shape[1:]))])
            values = tf.strings.as_string(tf.reduce_sum(bits * (tf.range(bits.shape[1], dtype=tf.int64) * 2 + 1), -1))
        texts.append(values)
    return tf.strings.to_hash_bucket_fast(tf.strings.join(texts, "\0"), 1 << 40)


class Source(NamedTuple):
    """All rows, the numbers of those of each part, what those to train on are like, and a hash of all."""

    table: Table
    parts: dict[str, np.ndarray]
    statistics: dict[str, dict]
    content: str


def read(pattern: str, validation: float, test: float, given: Statistics | None = None, widen: bool = True) -> Source:
    """Read the data. `given` statistics of an earlier run stay, or, to `widen` them, get the words that are new."""
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            found = blocks(pattern).prefetch(2).cache(f"{folder}/rows")
            labels, keys, weights, content = [], [], [], hashlib.sha256()
            for block in found:
                weights += [block["row weight"].numpy()] if role("WEIGHT") else []
                labels.append(places(block["row label"]))
                keys.append(key(block["row key"]))
                content.update(block["row hash"].numpy().tobytes())
            labels = np.concatenate([*labels, []]).astype("int32" if data.CLASSES else "float32")
            which = parts(labels, np.concatenate([*keys, []]), validation, test)
            words = dict(given) if given and not widen else vocabularies(found, which == 0, given or {})
            table = Table(encoded(found, words), labels, np.concatenate(weights) if weights else None)
    except (tf.errors.OpError, ValueError, KeyError) as error:
        raise Mistake(f"{pattern}: {str(error).splitlines()[0][:300]}", CHECK) from error
    valid = (labels >= 0 if data.CLASSES else np.isfinite(labels)).all() and (not weights or (table.weights >= 0).all())
    if not valid or not (which == 0).any():
        raise Mistake(f"{pattern}: a label or a weight isn't valid, or there are too few rows", CHECK)
    named = {name: np.flatnonzero(which == part) for part, name in enumerate(("training", "validation", "test"))}
    known = words if given and not widen else words | moments(table, named["training"])
    return Source(table, named, known, content.hexdigest()[:16])


def places(label: tf.Tensor) -> np.ndarray:
    """The places of labels in CLASSES (-1: none), or the numbers that they are."""
    if not data.CLASSES:
        return label.numpy()
    label = label if label.dtype == tf.string else tf.strings.as_string(label)
    same = tf.equal(label[:, None], tf.constant([str(one) for one in data.CLASSES]))
    return tf.where(tf.reduce_any(same, 1), tf.argmax(same, 1), -1).numpy()


def key(values: tf.Tensor) -> np.ndarray:
    """What decides the part of a row, the lowest being held out: a hash, of it or of its GROUP, or minus its TIME."""
    if role("TIME") and values.dtype == tf.string:
        return np.array([-when(text.decode()) for text in values.numpy()])
    if role("GROUP") and not role("TIME"):
        values = tf.strings.to_hash_bucket_fast(
            values if values.dtype == tf.string else tf.strings.as_string(values), 1 << 40
        )
    return values.numpy().astype("float64") * (-1 if role("TIME") else 1)


def when(text: str) -> float:
    """A date in ISO 8601, or a number, as one that grows; what is neither is of old."""
    try:
        return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp()
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return float("-inf")


def parts(labels: np.ndarray, keys: np.ndarray, validation: float, test: float) -> np.ndarray:
    """For each row 0, to train on, 1, for validation, or 2, the test: shares of each class, or, if the label is a
    number or there is a GROUP or TIME, of all. Rows with the same key stay together; one of each kind is trained on."""
    which = np.zeros(len(labels), "int8")
    alike = not data.CLASSES or role("GROUP") or role("TIME")
    for rows in [np.arange(len(labels))] if alike else [np.flatnonzero(labels == one) for one in np.unique(labels)]:
        _, inverse, counts = np.unique(keys[rows], return_inverse=True, return_counts=True)
        for part, share in ((1, validation + test), (2, test)):
            if share and len(counts) > 1:
                which[rows[held_keys(counts, round(share * len(rows)))[inverse]]] = part
    return which


def held_keys(counts: np.ndarray, most: int) -> np.ndarray:
    """Which keys, of so many rows each, are held out: the first ones, `most` rows or few more, never all keys."""
    fits = (counts <= most) | bool(role("TIME"))  # of TIME the newest, however many they are
    held = fits & (np.cumsum(counts * fits) <= most)
    if not held.any():
        held[0 if role("TIME") else counts.argmin()] = True
    held[-1] &= not held.all()
    return held


def vocabularies(found: tf.data.Dataset, chosen: np.ndarray, before: Statistics) -> dict[str, dict]:
    """The words of `before`, and the commonest ones in the rows that `chosen` marks."""
    counters = {name: collections.Counter() for name in prepare.names("category", "text", "letters")}
    at = 0
    for block in found if counters else []:
        mask = chosen[at : at + len(block["row hash"])]
        at += len(mask)
        texts = {name: prepare.tokens(name, block[name][mask]).flat_values for name in prepare.names("text", "letters")}
        texts |= {name: block["all category"][:, i][mask] for i, name in enumerate(prepare.names("category"))}
        for name, words in texts.items():
            unique, _, counts = tf.unique_with_counts(words)
            counters[name].update(dict(zip(unique.numpy().tolist(), counts.numpy().tolist(), strict=True)))
    known = {}
    for name, counter in counters.items():
        best = sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))[: WORDS[data.COLUMNS[name]]]
        # A blank category is a word of its own, also where no training row is blank.
        first = before.get(name, {"words": [""] * (data.COLUMNS[name] == "category")})["words"]
        known[name] = {"words": [*dict.fromkeys([*first, *(word.decode("utf-8", "replace") for word, _ in best)])]}
    return known


def encoded(found: tf.data.Dataset, words: Statistics) -> dict[str, np.ndarray]:
    """All rows as the network takes them, in files that are read as they are needed."""
    encode, _ = prepare.encoder(words)
    files: dict[str, tuple] = {}
    with contextlib.ExitStack() as opened:
        for block in found.map(encode, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2).as_numpy_iterator():
            for name, values in block.items():
                values = values.astype("uint16") if name == "counts" else values
                if name not in files:
                    files[name] = opened.enter_context(tempfile.TemporaryFile()), values.dtype, values.shape[1:]
                files[name][0].write(np.ascontiguousarray(values).data)
        return {name: np.memmap(file, kind, "r").reshape(-1, *sizes) for name, (file, kind, sizes) in files.items()}


def moments(table: Table, rows: np.ndarray) -> dict[str, dict]:
    """Mean, variance and range of the numbers in these rows, without blanks, in float64; lists for a date's numbers."""
    found: dict[str, dict] = {}
    numbers = iter(_moments(table.inputs["numbers"], rows) if "numbers" in table.inputs else ())
    for name in [*prepare.names("number"), *prepare.names("date")]:
        date = [next(numbers) for _ in range(prepare.PARTS)] if name in prepare.names("date") else []
        found[name] = {what: [one[what] for one in date] for what in date[0]} if date else next(numbers)
    for name in prepare.arrays():
        (found[name],) = _moments(table.inputs[name].reshape(len(table.labels), -1), rows, axis=None)
    if not data.CLASSES:
        (found[data.LABEL],) = _moments(table.labels[:, None], rows)
    return found


def _moments(values: np.ndarray, rows: np.ndarray, axis: int | None = 0) -> list[dict[str, float]]:
    chunks = [rows[i : i + 4 * CHUNK] for i in range(0, len(rows), 4 * CHUNK)]
    count, total, spread, low, high = 0, 0.0, 0.0, np.inf, -np.inf
    for chunk in chunks:
        part = values[chunk].astype("float64")
        low, high = np.fmin(low, np.fmin.reduce(part, axis)), np.fmax(high, np.fmax.reduce(part, axis))
        count, total = count + np.sum(~np.isnan(part), axis), total + np.nansum(part, axis)
    mean = total / np.maximum(count, 1)
    for chunk in chunks:
        spread = spread + np.nansum((values[chunk] - mean) ** 2, axis)
    variance = np.where(count, spread / np.maximum(count, 1), 1.0)
    columns = zip(*map(np.ravel, (mean, variance, low, high)), strict=True)
    return [dict(zip(("mean", "variance", "low", "high"), map(float, one), strict=True)) for one in columns]


def order(count: int, seed: int, epoch: int) -> np.ndarray:
    """The numbers up to `count`, mixed; of very many, those that are near each other on the disk stay so."""
    chance = np.random.default_rng([seed, epoch])
    blocks = chance.permutation(-(-count // BLOCK))
    found = [(blocks[i : i + MIXED, None] * BLOCK + np.arange(BLOCK)).ravel() for i in range(0, len(blocks), MIXED)]
    return np.concatenate([chance.permutation(some[some < count]) for some in found])


def stream(
    table: Table, rows: np.ndarray, batch: int, steps: int, seed: int, start: int, worker: int = 0, workers: int = 1
) -> tf.data.Dataset:
    """The part for `worker` of each batch from step `start` on, for ever. The order of epoch e depends on (seed, e)
    alone; rows that don't fill the `steps` of an epoch wait for the next one's order."""
    each = batch // workers
    some = table.take(rows[:1], weighted=True)
    together = max(1, AT_ONCE // (each * sum(values.size for values in tf.nest.flatten(some))))

    def deal() -> Iterator[tuple]:
        epoch, inside = divmod(start, steps)
        while True:
            chosen = rows[order(len(rows), seed, epoch)[: steps * batch]].reshape(steps, batch)
            for i in range(inside, steps, together):
                few = chosen[i : i + together, worker * each : (worker + 1) * each]
                yield table.take(few, weighted=True)
            epoch, inside = epoch + 1, 0

    shape = tf.nest.map_structure(lambda values: tf.TensorSpec([None, each, *values.shape[1:]], values.dtype), some)
    return tf.data.Dataset.from_generator(deal, output_signature=shape).unbatch()


def held(table: Table, rows: np.ndarray, batch: int) -> tf.data.Dataset:
    """These rows once, in their order."""

    def deal() -> Iterator[tuple]:
        yield from (table.take(rows[i : i + batch]) for i in range(0, len(rows), batch))

    some = table.take(rows[:1])
    shape = tf.nest.map_structure(lambda values: tf.TensorSpec([None, *values.shape[1:]], values.dtype), some)
    found = tf.data.Dataset.from_generator(deal, output_signature=shape)
    return found.apply(tf.data.experimental.assert_cardinality(-(-len(rows) // batch)))
