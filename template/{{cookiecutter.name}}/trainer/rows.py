"""CSV files, here or gs://bucket/part-*.csv, as numbers and words: read once, then as endless, repeatable batches."""

import collections
import csv
import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf

from trainer import data
from trainer.job import Mistake

AUTO = tf.data.AUTOTUNE
CHUNK, BLOCK = 8192, 65536  # lines that are decoded together, and those that are shuffled together
SLOTS = 1 << 30  # the hash of a line is below this
HELD = 50_000  # held-out rows that are kept, at most, of files too large for memory
WORDS, COUNTED = 1000, 200_000  # words of a column with a slot of their own, and those that are counted at most
CHECK = "uv run invoke check . tells the line"

Rows = dict[str, tf.Tensor]  # "numbers": [n, columns] float32, "words": [n, columns] string, or int32 once encoded
Table = tuple[Rows, tf.Tensor]  # rows and labels: an index into CLASSES, or a float32


def names(text: bool) -> list[str]:
    """The columns of text, or those of numbers, in the order of data.py."""
    return [name for name, kind in data.COLUMNS.items() if (kind != "number") == text]


def inputs() -> dict[str, keras.KerasTensor]:
    """What the network gets: all numbers of a row in one input, the ids of all its words in another."""
    kinds = {"numbers": (len(names(text=False)), "float32"), "words": (len(names(text=True)), "int32")}
    return {name: keras.Input((count,), name=name, dtype=kind) for name, (count, kind) in kinds.items() if count}


def slots(statistics: Mapping[str, dict]) -> list[int]:
    """How many ids each column of text has: its words, blank among them, and one for all others."""
    return [len(statistics[name]["words"]) + 1 for name in names(text=True)]


def encoder(statistics: Mapping[str, dict]) -> tuple[Callable[[Rows], Rows], list]:
    """Words -> ids, no two columns sharing one; and the tables that it looks them up in."""
    first = np.cumsum([0, *slots(statistics)]).tolist()
    tables = []
    for name, start in zip(names(text=True), first, strict=False):
        words = statistics[name]["words"]
        ids = tf.range(start + 1, start + 1 + len(words), dtype=tf.int64)
        tables.append(tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(words, ids), start))

    def encode(rows: Rows) -> Rows:
        if not tables:
            return rows
        found = [table.lookup(rows["words"][:, i]) for i, table in enumerate(tables)]
        return {**rows, "words": tf.cast(tf.stack(found, -1), tf.int32)}

    return encode, tables


@dataclasses.dataclass(frozen=True)
class Files:
    """CSV files with the same header, and how their lines become rows."""

    paths: list[str]
    header: list[str]
    size: int  # bytes of all
    content: object = dataclasses.field(default_factory=hashlib.sha256)  # of what `once` has read

    def decode(self, lines: tf.Tensor) -> Table:
        """[n] lines -> rows and labels (-1: not in CLASSES). All fields are split, so a missing one is noticed."""
        wanted = {name: float("nan") for name in names(text=False)}
        wanted[data.LABEL] = "" if data.CLASSES else float("nan")
        fields = tf.io.decode_csv(lines, [[wanted.get(name, "")] for name in self.header])
        row = dict(zip(self.header, fields, strict=True))
        answer = row[data.LABEL]
        if data.CLASSES:
            same = tf.equal(answer[:, None], tf.constant([str(c) for c in data.CLASSES]))
            answer = tf.where(tf.reduce_any(same, 1), tf.argmax(same, 1, output_type=tf.int32), -1)
        kinds = {"numbers": names(text=False), "words": names(text=True)}
        return {kind: tf.stack([row[name] for name in found], -1) for kind, found in kinds.items() if found}, answer

    def chunks(self, paths: tf.Tensor) -> tf.data.Dataset:
        """[n] lines of the files `paths`, at most CHUNK together and without blank ones, in a repeatable order."""

        def one(path: tf.Tensor) -> tf.data.Dataset:
            lines = tf.data.TextLineDataset(path, buffer_size=1 << 20).skip(1).batch(CHUNK)
            return lines.map(lambda found: tf.boolean_mask(found, tf.strings.length(found) > 0))

        files = tf.data.Dataset.from_tensor_slices(paths)
        return files.interleave(one, cycle_length=4, num_parallel_calls=AUTO, deterministic=True)

    def once(self) -> Iterator[tuple[np.ndarray, Rows, tf.Tensor]]:
        """Every row once, in blocks: hashes of the lines, rows, labels. `content` gets a hash of all in the end."""
        self.content.update(",".join(self.header).encode())

        def hashed(lines: tf.Tensor) -> tuple:
            return tf.strings.to_hash_bucket_fast(lines, SLOTS), *self.decode(lines)

        try:
            for hashes, rows, labels in self.chunks(tf.constant(self.paths)).map(hashed, num_parallel_calls=AUTO):
                good = labels >= 0 if data.CLASSES else tf.math.is_finite(labels)
                if not tf.reduce_all(good) or np.isinf(rows.get("numbers", 0.0)).any():
                    raise Mistake(f"{self.paths[0]}: a label or a number isn't valid", CHECK)
                self.content.update(b"%d:" % len(hashes) + hashes.numpy().tobytes())  # and how the files share them
                yield hashes.numpy(), rows, labels
        except tf.errors.OpError as error:
            said = re.sub(r".*Iterator::\S+ | in record \d+| \[\[.*", "", error.message.splitlines()[0])
            raise Mistake(f"{self.paths[0]}: {said[:300]}", CHECK) from error


def find(pattern: str) -> Files:
    """The files that `pattern` names (wildcards *, ?)."""
    try:
        # A file of exactly that name wins: "[" or "*" in a folder's name is no pattern then.
        paths = [pattern] if tf.io.gfile.exists(pattern) else sorted(tf.io.gfile.glob(pattern))
        if not paths:
            raise Mistake(f"no file matches {pattern}", "give --data a file, or a pattern such as 'gs://bucket/*.csv'")
        headers = []
        for path in paths:
            with tf.io.gfile.GFile(path, "rb") as file:
                headers.append(next(csv.reader([file.readline().decode("utf-8-sig").rstrip("\r\n")]), []))
        size = sum(tf.io.gfile.stat(path).length for path in paths)
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        raise Mistake(f"{pattern}: {str(error).splitlines()[0][:300]}", CHECK) from error
    wrong = [name for name in (*data.COLUMNS, data.LABEL) if headers[0].count(name) != 1]
    if wrong or any(header != headers[0] for header in headers):
        raise Mistake(f"{paths[0]}: its header doesn't fit data.py or the other files: {', '.join(wrong)}", CHECK)
    return Files(paths, headers[0], size)


class Statistics:
    """Mean, variance and range of numbers (blanks left out) and the commonest words of text, block by block.

    Sums are kept in float64 and merged as Chan, Golub and LeVeque (1979) do, so no pass over the rows is repeated.
    """

    def __init__(self) -> None:
        self.numbers = [*names(text=False), *([] if data.CLASSES else [data.LABEL])]
        self.count, self.mean, self.spread = (np.zeros(len(self.numbers)) for _ in range(3))
        self.low, self.high = np.full(len(self.numbers), np.inf), np.full(len(self.numbers), -np.inf)
        self.words = {name: collections.Counter() for name in names(text=True)}
        self.rows = 0

    def add(self, rows: Rows, labels: tf.Tensor) -> None:
        """Count a block of rows."""
        self.rows += len(labels)
        parts = [rows["numbers"]] if "numbers" in rows else []
        parts += [] if data.CLASSES else [labels[:, None]]
        if parts:
            values = np.concatenate(parts, -1).astype("float64")
            there = ~np.isnan(values)
            count = there.sum(0)
            mean = np.where(there, values, 0).sum(0) / np.maximum(count, 1)
            delta, both = np.where(count, mean - self.mean, 0), np.maximum(self.count + count, 1)
            self.spread += (np.where(there, values - mean, 0) ** 2).sum(0) + delta**2 * count * self.count / both
            self.mean += delta * count / both
            self.count += count
            self.low = np.minimum(self.low, np.where(there, values, np.inf).min(0, initial=np.inf))
            self.high = np.maximum(self.high, np.where(there, values, -np.inf).max(0, initial=-np.inf))
        for i, (name, counter) in enumerate(self.words.items()):
            words, _, counts = tf.unique_with_counts(rows["words"][:, i])
            counter.update(dict(zip(words.numpy().tolist(), counts.numpy().tolist(), strict=True)))
            if len(counter) > COUNTED:  # the rare half of so many: names or ids, which get no slot
                self.words[name] = collections.Counter(dict(counter.most_common(COUNTED // 2)))

    def result(self) -> dict[str, dict]:
        """{column: {"mean", "variance", "low", "high"}} for numbers, {column: {"words": [...]}} for text."""
        variance = np.where(self.count > 0, self.spread / np.maximum(self.count, 1), 1.0)
        columns = zip(self.mean, variance, self.low, self.high, strict=True)
        keys = ("mean", "variance", "low", "high")
        found = {n: dict(zip(keys, map(float, c), strict=True)) for n, c in zip(self.numbers, columns, strict=True)}
        for name, counter in self.words.items():
            counter.pop(b"", None)
            common = sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))[:WORDS]
            # Blank comes first: a word of its own, also where no training row is blank.
            found[name] = {"words": ["", *(word.decode("utf-8", "replace") for word, _ in common)]}
        return found


@dataclasses.dataclass(frozen=True)
class Source:
    """The rows to train on: how many, what they are like, and the stream of them; and the rows held out."""

    rows: int
    statistics: dict[str, dict]
    held: Table | None  # words encoded
    stream: Callable[..., tf.data.Dataset]  # (batch=, steps=, seed=, start=, worker=, workers=)
    content: str  # a hash of all lines
    how: str  # "in memory" or "read anew in each epoch"


def read(pattern: str, validation: float | str, memory: int) -> Source:
    """Read the files once: into memory if they are at most `memory` bytes, else for statistics and held-out rows."""
    files, share = find(pattern), validation if isinstance(validation, float) else 0.0
    source = in_memory(files, share) if files.size <= memory else streamed(files, share)
    if source.rows < 1:
        raise Mistake(f"{pattern}: no rows to train on", "a header and at least two rows are needed")
    if isinstance(validation, str):
        rows, labels = first(find(validation))
        source = dataclasses.replace(source, held=(encoder(source.statistics)[0](rows), labels))
    return source


def first(files: Files) -> Table:
    """The first HELD rows."""
    blocks, count = [], 0
    for _, *table in files.once():
        blocks.append(tuple(table))
        count += len(table[1])
        if count >= HELD:
            break
    if not count:
        raise Mistake(f"{files.paths[0]}: no rows to validate with", "leave --validation away to hold rows out")
    return take(join(blocks), slice(HELD))


def join(blocks: list) -> Table:
    """One of all, in their order."""
    return tf.nest.map_structure(lambda *parts: tf.concat(parts, 0), *blocks)


def take(table: Table, chosen: np.ndarray | slice) -> Table:
    """The rows `chosen`: a mask, or a slice."""
    pick = (lambda values: values[chosen]) if isinstance(chosen, slice) else lambda v: tf.boolean_mask(v, chosen)
    return tf.nest.map_structure(pick, tuple(table))


def in_memory(files: Files, share: float) -> Source:
    """All rows as tensors; `share` of each class is held out."""
    blocks = list(files.once())
    if not blocks:
        return Source(0, {}, None, tf.data.Dataset.range, "", "in memory")
    hashes, *table = (join(parts) for parts in zip(*blocks, strict=True))
    out = held_out(hashes.numpy(), table[1].numpy(), share)
    statistics = Statistics()
    statistics.add(*take(table, ~out))
    found = statistics.result()
    table = encoder(found)[0](table[0]), table[1]
    train = take(table, ~out)

    def stream(batch: int, steps: int, seed: int, start: int, worker: int = 0, workers: int = 1) -> tf.data.Dataset:
        """The part for `worker` of each batch from `start` on. The order of epoch e depends only on (seed, e);
        rows that do not fill the steps of an epoch wait for the next epoch's order."""
        epoch, inside = divmod(start, steps)
        each = batch // workers

        def order(epoch: tf.Tensor) -> tf.data.Dataset:
            mixed = tf.random.experimental.stateless_shuffle(tf.range(len(train[1])), seed=tf.stack([seed, epoch]))
            whole = tf.reshape(mixed[: steps * batch], [-1, batch])
            return tf.data.Dataset.from_tensor_slices(whole[:, worker * each : (worker + 1) * each])

        chosen = tf.data.Dataset.range(epoch, 2**40).flat_map(order).skip(inside)
        return chosen.map(lambda i: tf.nest.map_structure(lambda v: tf.gather(v, i), train), num_parallel_calls=AUTO)

    held = take(table, out) if out.any() else None
    return Source(statistics.rows, found, held, stream, files.content.hexdigest()[:16], "in memory")


def held_out(hashes: np.ndarray, labels: np.ndarray, share: float) -> np.ndarray:
    """A mask of the rows to hold out: `share` of each class (of all rows for a number), lowest hashes first.

    It depends on what the rows say, not on their order or a seed; a class with two rows or more has one in each part.
    """
    mask = np.zeros(len(labels), bool)
    groups = [labels == labels] if labels.dtype.kind == "f" else [labels == kind for kind in np.unique(labels)]
    for group in groups:
        chosen = np.flatnonzero(group)
        count = min(max(1, round(share * len(chosen))), len(chosen) - 1) if share else 0
        mask[chosen[np.argsort(hashes[chosen], kind="stable")[:count]]] = True
    return mask


def streamed(files: Files, share: float) -> Source:
    """Statistics of the files and the first held-out rows; the stream reads the files again in each epoch.

    Lines whose hash is low are held out: a rule that needs no memory and puts equal lines together.
    """
    statistics, held, kept = Statistics(), [], 0
    for hashes, *table in files.once():
        out = hashes < int(share * SLOTS)
        statistics.add(*take(table, ~out))
        if kept < HELD and out.any():
            held.append(take(table, out))
            kept += int(out.sum())
    found = statistics.result()
    encode, _ = encoder(found)

    def stream(batch: int, steps: int, seed: int, start: int, worker: int = 0, workers: int = 1) -> tf.data.Dataset:
        """As of rows in memory, but shuffled among the files and within blocks."""
        epoch, inside = divmod(start, steps)
        each = batch // workers

        def mixed(values: tf.Tensor, number: tf.Tensor, epoch: tf.Tensor) -> tf.Tensor:
            seeds = tf.stack([tf.cast(seed, tf.int64), epoch * 1_000_003 + number + 1])
            return tf.random.experimental.stateless_shuffle(values, seed=seeds)

        def lines(epoch: tf.Tensor) -> tf.data.Dataset:
            def block(number: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
                training = tf.strings.to_hash_bucket_fast(found, SLOTS) >= int(share * SLOTS)
                return mixed(tf.boolean_mask(found, training), number, epoch)

            order = mixed(tf.constant(files.paths), tf.constant(-1, tf.int64), epoch)
            blocks = files.chunks(order).rebatch(BLOCK).enumerate().map(block, num_parallel_calls=2)
            return blocks.rebatch(batch, drop_remainder=True).take(steps)

        def decoded(lines: tf.Tensor) -> Table:
            rows, labels = files.decode(lines[worker * each : (worker + 1) * each])
            return encode(rows), labels

        return tf.data.Dataset.range(epoch, 2**40).flat_map(lines).skip(inside).map(decoded, num_parallel_calls=AUTO)

    rows, labels = take(join(held), slice(HELD)) if held else ({}, None)
    part = (encode(rows), labels) if held else None
    return Source(statistics.rows, found, part, stream, files.content.hexdigest()[:16], "read anew in each epoch")
