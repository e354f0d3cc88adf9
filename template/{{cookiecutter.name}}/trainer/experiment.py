"""One run, from top to bottom: data, model, loop, export."""

import argparse
import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable

import keras
import tensorflow as tf

from trainer import arrays, csv_files, data, export, fingerprint, loop
from trainer import model as models
from trainer.arrays import Table
from trainer.csv_files import Files
from trainer.job import Job
from trainer.mistakes import Mistake
from trainer.preprocess import Statistics

HELD = 50_000  # held-out rows that are kept, at most, of files too large for memory


@dataclasses.dataclass(frozen=True)
class Source:
    """The rows to train on: how many, what they are like, and the stream of them; and the rows held out."""

    rows: int
    statistics: dict[str, dict]
    held: Table | None
    stream: Callable[..., tf.data.Dataset]  # (batch=, seed=, start=, worker=, workers=)
    data: dict  # what tells these rows from others: a hash of them and, where it decides their order, files' sizes
    how: str  # "in memory" or "read anew in each epoch"


def run(job: Job, options: argparse.Namespace) -> dict[str, float]:
    """Train, export, and give the held-out metrics. Raises Mistake for what a person can mend."""
    keras.utils.clear_session()  # names, and so fingerprints, don't depend on what ran before in this process
    where = loop.strategy(job)  # first: it must start before any TensorFlow operation
    keras.utils.set_random_seed(options.seed + 1)

    source = read(job, options)
    replicas = where.num_replicas_in_sync
    batch = batch_size(options.batch, source.rows, replicas)
    if batch != options.batch:
        job.say(f"batch: {batch} rows" + (f" ({options.batch} do not fit)" if options.batch else ""))
    epoch = source.rows // batch
    plan = loop.Plan(epoch * options.epochs, epoch, options.steps, options.save_every)

    with where.scope():
        model = models.build(source.statistics, options.rate, plan.steps)
    # A model that is a class of one's own tells its shape only when it is called: at the export, at the latest.
    export.check(getattr(model, "output_shape", (None, len(data.CLASSES) or 1)))

    def train(start: int) -> tf.data.Dataset:
        part = source.stream(batch=batch, seed=options.seed, start=start, worker=job.worker, workers=job.workers)
        each = batch // replicas
        return part if replicas == job.workers else part.rebatch(each, drop_remainder=True)

    looped = loop.Loop(model, job, where, train, source.held, max(batch // replicas, 1024))
    share = options.validation if isinstance(options.validation, float) else 0.0  # of the rows that are not trained on
    made_from = fingerprint.parts(model, options, source.data, batch=batch, memory=source.how, validation=share)
    step = looped.run(plan, f"{job.checkpoint_dir}/{fingerprint.short(made_from)}", made_from)

    metrics = looped.evaluate()
    if metrics and data.CLASSES and job.chief:
        metrics |= beyond_accuracy(job, model, source.held)
    held = int(source.held[1].shape[0]) if source.held else 0
    if job.chief:
        export.save(model, job.model_dir, metrics, {"training": source.rows, "held_out": held}, source.statistics)
        job.say(f"model: {job.model_dir}")
    if options.ask and job.chief:
        keep_answers(model, options.ask, options.output)
    summary = " ".join(f"{name}={value:.4g}" for name, value in metrics.items()) or "no rows were held out"
    job.say(f"held-out: {summary} ({held} rows, step {step} of {plan.steps})", metrics=metrics, step=step)
    return metrics


def read(job: Job, options: argparse.Namespace) -> Source:
    """Read the files once: into memory if they are small, else for their statistics and held-out rows."""
    files = csv_files.find(options.data, data.COLUMNS, data.LABEL, data.CLASSES)
    share, other = options.validation if isinstance(options.validation, float) else 0.0, None
    if not isinstance(options.validation, float):
        other = csv_files.find(options.validation, data.COLUMNS, data.LABEL, data.CLASSES)
    small = files.size <= options.memory * 2**20
    source = in_memory(files, share) if small else streamed(files, share)
    if other:
        source = dataclasses.replace(source, held=first_rows(other, HELD))
    if source.rows < 1:
        raise Mistake(f"{options.data}: no rows to train on", "a header and at least two rows are needed")
    held = int(source.held[1].shape[0]) if source.held else 0
    job.say(f"data: {source.rows} rows to train on, {held} held out; {files.size / 1e6:.1f} MB, {source.how}")
    for name, (low, high) in data.RANGES.items():
        found = source.statistics.get(name, {"low": low, "high": high})
        slack = 1e-6 * max(abs(low), abs(high))  # the numbers are read as float32
        if found["low"] < low - slack or found["high"] > high + slack:
            job.say(
                f"note: {name} goes from {found['low']:g} to {found['high']:g}, outside its range in data.py "
                f"({low:g} to {high:g}): another unit?",
                severity="WARNING",
            )
    return source


def in_memory(files: Files, share: float) -> Source:
    """All rows as tensors; `share` of each class is held out."""
    blocks = list(csv_files.once(files))
    if not blocks:
        return Source(0, {}, None, lambda **_: None, {}, "")
    hashes = tf.concat([block[0] for block in blocks], 0)
    table = arrays.join([block[1:] for block in blocks])
    out = arrays.held_out(hashes.numpy(), table[1].numpy(), share)
    train, held = arrays.take(table, ~out), arrays.take(table, out) if out.any() else None
    content = fingerprint.digest(json.dumps(files.header).encode(), hashes.numpy().tobytes())
    stream = functools.partial(arrays.endless, train)
    return Source(len(out) - int(out.sum()), describe([train]), held, stream, {"rows": content}, "in memory")


def streamed(files: Files, share: float) -> Source:
    """Statistics of the files and the first held-out rows; the stream reads the files again in each epoch."""
    rows, held, kept, limit = 0, [], 0, csv_files.held_slots(share)
    content = hashlib.sha256(json.dumps(files.header).encode())

    def training():
        nonlocal rows, kept
        for hashes, *table in csv_files.once(files):
            content.update(hashes.numpy().tobytes())  # of every line, so nothing is read for it alone
            out = hashes < limit
            if kept < HELD and share:
                held.append(arrays.take(tuple(table), out))
                kept += int(held[-1][1].shape[0])
            train = arrays.take(tuple(table), ~out)
            rows += int(train[1].shape[0])
            yield train

    statistics = describe(training())
    kept_rows = arrays.take(arrays.join(held), tf.range(min(kept, HELD))) if kept else None
    stream = functools.partial(csv_files.endless, files, share, rows)
    read_from = {"rows": content.hexdigest()[:16], "files": files.sizes}
    return Source(rows, statistics, kept_rows, stream, read_from, "read anew in each epoch")


def first_rows(files: Files, limit: int) -> Table:
    """The first `limit` rows of `files`."""
    blocks, count = [], 0
    for _, *table in csv_files.once(files):
        blocks.append(tuple(table))
        count += int(table[1].shape[0])
        if count >= limit:
            break
    if not count:
        raise Mistake(f"{files.paths[0]}: no rows to validate with", "leave --validation away to hold rows out")
    return arrays.take(arrays.join(blocks), tf.range(min(count, limit)))


def beyond_accuracy(job: Job, model: keras.Model, held: Table) -> dict[str, float]:
    """What accuracy hides where one class is most of the rows: the mean recall of the classes, and what it is to beat.

    `baseline_accuracy` is that of always answering the commonest class; `balanced_accuracy` of that is 1 / classes.
    """
    rows, labels = held
    answers = []
    for block in tf.data.Dataset.from_tensor_slices(rows).batch(8192):
        output = export.meaning(model(block, training=False))["probabilities"]
        answers.append(tf.argmax(output, -1, output_type=tf.int32))
    table = tf.math.confusion_matrix(labels, tf.concat(answers, 0), len(data.CLASSES)).numpy()  # [class, answer]
    counts, right = table.sum(1), table.diagonal()
    recalls = {name: (int(r), int(n)) for name, r, n in zip(data.CLASSES, right, counts, strict=True) if n}
    most = int(counts.argmax())
    if counts[most] >= 0.9 * counts.sum() and len(recalls) > 1:
        found = ", ".join(f"{r} of {n} {name}" for name, (r, n) in recalls.items())
        always = f"always {data.CLASSES[most]!r} would have accuracy {counts[most] / counts.sum():.4g}"
        job.say(f"note: {always}; of the held-out rows the model knew {found}", severity="WARNING")
    return {
        "balanced_accuracy": sum(r / n for r, n in recalls.values()) / len(recalls),
        "baseline_accuracy": float(counts[most] / counts.sum()),
    }


def keep_answers(model: keras.Model, file: str, folder: str) -> None:
    """Write what Keras itself answers to the rows of a CSV file, as the last layer gives it: folder/answers.json.

    It goes by nothing of the export, so that an export can be compared with it.
    """
    rows, _labels = first_rows(csv_files.find(file, data.COLUMNS, data.LABEL, data.CLASSES), HELD)
    (output,) = tf.nest.flatten(model(rows, training=False))
    tf.io.gfile.makedirs(folder)
    with tf.io.gfile.GFile(f"{folder.rstrip('/')}/answers.json", "w") as answers:
        answers.write(json.dumps(output.numpy().tolist()))


def describe(tables) -> dict[str, dict]:
    """Statistics of the columns, and of a label that is a number."""
    columns = data.COLUMNS if data.CLASSES else {**data.COLUMNS, data.LABEL: float("nan")}
    statistics = Statistics(columns)
    for rows, labels in tables:
        statistics.add(rows if data.CLASSES else {**rows, data.LABEL: labels})
    return statistics.result()


def batch_size(wanted: int | None, rows: int, replicas: int) -> int:
    """Rows a step for all replicas together: `wanted`, or 32 to 1024 by the number of rows; never more than `rows`."""
    if not wanted:
        wanted = 32
        while wanted < 1024 and wanted * 200 <= rows:
            wanted *= 2
    each = min(wanted, rows) // replicas
    if not each:
        raise Mistake(f"{rows} rows in batches of {wanted} are too few for {replicas} replicas", "use fewer workers")
    return each * replicas
