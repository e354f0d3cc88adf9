"""CSV files, on this machine or gs://bucket/part-*.csv, as blocks read once or as an endless, repeatable stream."""

import csv
import dataclasses
from collections.abc import Callable, Iterator

import tensorflow as tf

from trainer import mistakes
from trainer.mistakes import Mistake

AUTO = tf.data.AUTOTUNE
CHUNK = 8192  # lines that are read and decoded together
BLOCK = 65536  # lines that are shuffled together
SLOTS = 1 << 30  # the hash of a line is below this

Rows = dict[str, tf.Tensor]  # column -> [n] float32 or string


@dataclasses.dataclass(frozen=True)
class Files:
    """CSV files with the same header, and how a block of their lines becomes rows and labels."""

    paths: list[str]
    sizes: list[int]  # bytes of each
    header: list[str]
    columns: dict[str, float | str]
    label: str
    classes: tuple

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(self.sizes)

    def decode(self, lines: tf.Tensor) -> tuple[Rows, tf.Tensor]:
        """[n] lines -> columns, and labels: an index into `classes` (-1: unknown) or a float32."""
        wanted = {**self.columns, self.label: "" if self.classes else float("nan")}
        # Columns that are not used are still declared, so that a line with too few or too many fields is noticed.
        fields = tf.io.decode_csv(lines, [[wanted.get(name, "")] for name in self.header])
        row = dict(zip(self.header, fields, strict=True))
        answer = row[self.label]
        if self.classes:
            same = tf.equal(answer[:, None], tf.constant([str(c) for c in self.classes]))
            answer = tf.where(tf.reduce_any(same, 1), tf.argmax(same, 1, output_type=tf.int32), -1)
        return {name: row[name] for name in self.columns}, answer

    def chunks(self, paths: tf.Tensor) -> tf.data.Dataset:
        """[n] lines of the files `paths`, at most CHUNK together and without blank ones, in a repeatable order."""

        def filled(lines: tf.Tensor) -> tf.Tensor:
            return tf.boolean_mask(lines, tf.strings.length(lines) > 0)

        def one(path: tf.Tensor) -> tf.data.Dataset:
            return tf.data.TextLineDataset(path, buffer_size=1 << 20).skip(1).batch(CHUNK).map(filled)

        return tf.data.Dataset.from_tensor_slices(paths).interleave(
            one, cycle_length=4, num_parallel_calls=AUTO, deterministic=True
        )


def find(pattern: str, columns: dict[str, float | str], label: str, classes: tuple) -> Files:
    """The files that `pattern` names (wildcards *, ?), their headers checked; raises Mistake."""
    mistakes.check_names(columns, label)
    try:
        # A file of exactly that name wins: "[" or "*" in a folder's name is no pattern then.
        found = [pattern] if tf.io.gfile.exists(pattern) else tf.io.gfile.glob(pattern)
        paths = sorted(path for path in found if not tf.io.gfile.isdir(path))
        if not paths and tf.io.gfile.isdir(pattern):
            raise Mistake(f"{pattern} is a folder", f"name its files: --data '{pattern.rstrip('/')}/*.csv'")
        if not paths:
            raise Mistake(f"no file matches {pattern}", "give --data a file, or a pattern such as 'gs://bucket/*.csv'")
        headers = [_header(path) for path in paths]
        sizes = [tf.io.gfile.stat(path).length for path in paths]
    except tf.errors.OpError as error:
        raise unreadable(pattern, error) from error
    for path, header in zip(paths, headers, strict=True):
        if header != headers[0]:
            raise Mistake(f"{path} has other columns than {paths[0]}", "files that are read together need one header")
    for name in (label, *columns):
        if headers[0].count(name) != 1:
            found = "twice in the header" if name in headers[0] else "not in the header"
            hint = f"the header has: {', '.join(headers[0])}"
            if len(headers[0]) == 1 and (";" in headers[0][0] or "\t" in headers[0][0]):
                hint = "the fields must be separated by commas"
            raise Mistake(f"{paths[0]}, line 1: column {name!r} is {found}", hint)
    return Files(paths, sizes, headers[0], columns, label, classes)


def _header(path: str) -> list[str]:
    with tf.io.gfile.GFile(path, "rb") as file:
        line = file.readline()
    try:
        return next(csv.reader([line.decode("utf-8-sig").rstrip("\r\n")]), [])
    except UnicodeDecodeError as error:
        raise mistakes.not_utf8(path, 1) from error


def unreadable(name: str, error: tf.errors.OpError) -> Mistake:
    """The message for a file or bucket that could not be read."""
    hint = "check the name"
    if isinstance(error, tf.errors.PermissionDeniedError | tf.errors.UnauthenticatedError):
        hint = "check who runs this, and that this account may read it"
    return Mistake(f"{name}: {error.message.splitlines()[0][:300]}", hint)


def once(files: Files) -> Iterator[tuple[tf.Tensor, Rows, tf.Tensor]]:
    """Every row once, in blocks: (hashes of the lines [n] int64, rows, labels). Raises Mistake for bad rows."""

    def hashed(lines: tf.Tensor) -> tuple[tf.Tensor, Rows, tf.Tensor]:
        return tf.strings.to_hash_bucket_fast(lines, SLOTS), *files.decode(lines)

    try:
        for hashes, rows, labels in files.chunks(tf.constant(files.paths)).map(hashed, num_parallel_calls=AUTO):
            numbers = [column for column in rows.values() if column.dtype.is_floating]
            bad = tf.reduce_any(labels < 0) if files.classes else tf.reduce_any(~tf.math.is_finite(labels))
            if bad or any(tf.reduce_any(tf.math.is_inf(column)) for column in numbers):
                raise _explain(files, "a value that can't be")
            yield hashes, rows, labels
    except tf.errors.InvalidArgumentError as error:
        raise _explain(files, error.message) from error
    except tf.errors.OpError as error:
        raise unreadable(files.paths[0], error) from error


def _explain(files: Files, otherwise: str) -> Mistake:
    found = mistakes.first(files.paths, files.header, files.columns, files.label, files.classes)
    return found or Mistake(f"{files.paths[0]}: {otherwise}")


def endless(
    files: Files, share: float, rows: int, batch: int, seed: int, start: int, worker: int = 0, workers: int = 1
) -> tf.data.Dataset:
    """The part for `worker` of each batch from number `start` on; `batch` rows are for all workers together.

    `rows` are the rows to train on: those whose hash is not in the held-out `share`. The order of epoch e depends
    only on (seed, e); each epoch gives rows // batch batches, and what does not fill one waits for the next order.
    """
    epoch, first = divmod(start, rows // batch)
    each = batch // workers

    def mixed(number: tf.Tensor, epoch: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
        seeds = tf.stack([seed, epoch * 1_000_003 + number + 1])
        return lambda values: tf.random.experimental.stateless_shuffle(values, seed=seeds)

    def lines(epoch: tf.Tensor) -> tf.data.Dataset:
        def block(number: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
            hashes = tf.strings.to_hash_bucket_fast(found, SLOTS)
            training = tf.boolean_mask(found, hashes >= held_slots(share))
            return mixed(number, epoch)(training)

        order = mixed(tf.constant(-1, tf.int64), epoch)(tf.constant(files.paths))
        blocks = files.chunks(order).rebatch(BLOCK).enumerate().map(block, num_parallel_calls=2)
        return blocks.rebatch(batch, drop_remainder=True)

    batches = tf.data.Dataset.range(epoch, 2**40).flat_map(lines).skip(first)
    return batches.map(
        lambda found: files.decode(found[worker * each : (worker + 1) * each]), num_parallel_calls=AUTO
    ).prefetch(AUTO)


def held_slots(share: float) -> int:
    """Lines whose hash is below this are held out: a rule that needs no memory and puts equal lines together."""
    return int(share * SLOTS)
