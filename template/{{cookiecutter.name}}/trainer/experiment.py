"""One run, from top to bottom: data, model, fit, export."""

import argparse
import json
import math
import time

import keras
import tensorflow as tf

from trainer import data, export, resume, rows
from trainer import model as models
from trainer.job import Job, Mistake

PAUSE = 30.0  # seconds between lines within a long epoch
# What tf.summary.scalar says with each value; that function needs the tensorboard package, which training does not.
SCALAR = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
    data_class=1,  # DATA_CLASS_SCALAR, tensorflow/core/framework/summary.proto
)


def run(job: Job, options: argparse.Namespace) -> dict[str, float]:
    """Train, export, and give the held-out metrics. Raises Mistake for what a person can fix."""
    keras.utils.clear_session()  # names, and so fingerprints, don't depend on what ran before in this process
    where = strategy(job)  # first: it must start before any TensorFlow operation
    keras.utils.set_random_seed(options.seed + 1)
    keras.mixed_precision.set_dtype_policy(models.PRECISION)

    source = rows.read(options.data, options.validation, options.memory * 2**20)
    held = len(source.held[1]) if source.held else 0
    job.say(f"data: {source.rows} rows to train on, {held} held out; {source.how}")
    tell_ranges(job, source.statistics)
    batch = batch_size(options.batch, source.rows, where.num_replicas_in_sync)
    if batch != options.batch:
        job.say(f"batch: {batch} rows" + (f" ({options.batch} do not fit)" if options.batch else ""))
    steps = source.rows // batch
    # Steps that run together divide an epoch; a fiftieth of it may wait for the next epoch's order.
    together = max(n for n in range(1, models.TOGETHER + 1) if steps % n <= steps // 50)
    steps -= steps % together
    plan = resume.Plan(steps * options.epochs, steps, options.steps, options.save_every)

    with where.scope():
        model = models.build(source.statistics, options.rate, plan.steps)
        # A model that is a class of one's own tells its shape only when it is called: at the export, at the latest.
        export.check(getattr(model, "output_shape", (None, len(data.CLASSES) or 1)))
        # The metrics exist from here on, so that they can be put back. Keras would build them of a batch of all
        # devices, which fails where their parts differ in size.
        model._symbolic_build(data_batch=source.stream(batch, steps, 0, 0).element_spec)
        model._maybe_symbolic_build = lambda **_: None
        model.optimizer.build(model.trainable_variables)
    share = options.validation if isinstance(options.validation, float) else 0.0
    decided = {"batch": batch, "memory": source.how, "validation": share}
    made_from = resume.parts(model, vars(options), source.content, **decided)
    callbacks = models.callbacks()
    folder = f"{job.checkpoint_dir}/{resume.short(made_from)}"
    keep = resume.Resume(model, job, plan, callbacks, folder, made_from)
    start = keep.restore()

    part = source.stream(batch, steps, options.seed, start, job.worker, job.workers)
    train = part.map(weighted, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    validation = tf.data.Dataset.from_tensor_slices(source.held).batch(max(batch, 1024)).cache() if held else None
    if job.workers > 1:
        train, validation = spread(model, where, train, validation)
    if not keep.done and start < min(plan.steps, plan.stop or plan.steps):
        # From a step that does not divide by it, fewer run together: a run stops and goes on anywhere. On several
        # devices each step runs alone: TensorFlow 2.21 can't loop over their batches within one graph.
        model.steps_per_execution = math.gcd(together, start, plan.stop) if where.num_replicas_in_sync == 1 else 1
        try:
            model.fit(
                train, validation_data=validation, steps_per_epoch=steps, initial_epoch=start // steps,
                epochs=options.epochs, callbacks=[*callbacks, Tell(job, keep), keep], shuffle=False, verbose=0,
            )  # fmt: skip
        except resume.Stopped:
            pass
        except tf.errors.OpError:
            if keep.code:  # another worker has stopped already, and this step can't be had without it
                raise SystemExit(keep.code) from None
            raise
    metrics = in_order(model.evaluate(validation, return_dict=True, verbose=0)) if held else {}

    if job.chief:
        if metrics and data.CLASSES:
            metrics |= beyond_accuracy(job, model, source.held)
        about = {"metrics": metrics, "rows": {"training": source.rows, "held_out": held}}
        export.save(model, job.model_dir, about, source.statistics)
        job.say(f"model: {job.model_dir}")
        if options.ask:
            keep_answers(model, options, source)
    summary = " ".join(f"{name}={value:.4g}" for name, value in metrics.items()) or "no rows were held out"
    job.say(f"held-out: {summary} ({held} rows, step {keep.at} of {plan.steps})", metrics=metrics, step=keep.at)
    return metrics


def strategy(job: Job) -> tf.distribute.Strategy:
    """How the work is spread: several workers, several GPUs, or neither."""
    if job.workers > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def spread(model: keras.Model, where: tf.distribute.Strategy, train: tf.data.Dataset, held: tf.data.Dataset | None):
    """Datasets and steps as Keras needs them for several workers: each has its part of a batch already, all see every
    held-out row, and what a step logs has an axis to average over."""

    def with_axis(step):
        return lambda batch: {name: tf.expand_dims(value, 0) for name, value in step(batch).items()}

    model.train_step, model.test_step = with_axis(model.train_step), with_axis(model.test_step)
    return [part and where.distribute_datasets_from_function(lambda _, part=part: part) for part in (train, held)]


def batch_size(wanted: int | None, rows: int, replicas: int) -> int:
    """Rows a step for all replicas together: `wanted`, or 32 to 1024 by the number of rows; never more than `rows`."""
    wanted = wanted or min(1024, max(32, 2 ** ((rows // 200) | 1).bit_length()))
    each = min(wanted, rows) // replicas
    if not each:
        raise Mistake(f"{rows} rows in batches of {wanted} are too few for {replicas} replicas", "use fewer workers")
    return each * replicas


def weighted(inputs: rows.Rows, labels: tf.Tensor) -> tuple:
    """Rows, labels and, where model.py asks for it, what each row counts."""
    if not models.CLASS_WEIGHT:
        return inputs, labels
    return inputs, labels, tf.gather([float(models.CLASS_WEIGHT.get(name, 1)) for name in data.CLASSES], labels)


def tell_ranges(job: Job, statistics: dict[str, dict]) -> None:
    """Tell which columns leave the range that data.py expects."""
    for name, (low, high) in data.RANGES.items():
        found = statistics.get(name, {"low": low, "high": high})
        slack = 1e-6 * max(abs(low), abs(high))  # the numbers are read as float32
        if found["low"] < low - slack or found["high"] > high + slack:
            told = f"note: {name} goes from {found['low']:g} to {found['high']:g}, outside its range in data.py"
            job.say(f"{told} ({low:g} to {high:g}): another unit?", severity="WARNING")


class Tell(keras.callbacks.Callback):
    """Tells how the training goes: people, Cloud Logging, TensorBoard and the tuning service."""

    def __init__(self, job: Job, keep: resume.Resume) -> None:
        super().__init__()
        self.job, self.keep, self.told = job, keep, time.monotonic()
        parts = ("train", "validation") if job.chief else ()
        self.writers = {part: tf.summary.create_file_writer(f"{job.log_dir}/{part}") for part in parts}

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """A line now and then within a long epoch."""
        if time.monotonic() - self.told > PAUSE:
            self.told, step, steps = time.monotonic(), self.keep.at, self.keep.plan.steps
            self.job.say(f"step {step} of {steps}", step=step, steps=steps)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """A line, and the metrics where services look for them."""
        told, step, epochs = in_order(logs or {}), self.keep.at, self.params["epochs"]
        held = {name.removeprefix("val_"): value for name, value in told.items() if name.startswith("val_")}
        train = {name: value for name, value in told.items() if not name.startswith("val_")}
        for writer, metrics in zip(self.writers.values(), (train, held), strict=False):
            with writer.as_default():
                for name, value in metrics.items():
                    tf.summary.write(name, tf.constant(value, tf.float32), step, metadata=SCALAR)
            writer.flush()
        for name, value in told.items():
            if not math.isfinite(value):
                hint = "try a smaller --rate; look for extreme values in the data"
                raise Mistake(f"{name} is {value} after step {step}", hint, code=1)
        text = " ".join(f"{name}={value:.4g}" for name, value in told.items())
        self.job.say(f"epoch {epoch + 1}/{epochs} {text}", epoch=epoch + 1, epochs=epochs, metrics=told)
        self.job.report(held or train, step)
        self.told = time.monotonic()


def in_order(metrics: dict[str, float]) -> dict[str, float]:
    """Of the training rows first, the loss before others."""
    names = sorted(metrics, key=lambda name: (name.startswith("val_"), not name.endswith("loss")))
    return {name: float(metrics[name]) for name in names}


def beyond_accuracy(job: Job, model: keras.Model, held: rows.Table) -> dict[str, float]:
    """What accuracy hides where one class is most of the rows: the mean recall of the classes, and what it is to beat.

    `baseline_accuracy` is that of always answering the commonest class; `balanced_accuracy` of that is 1 / classes.
    """
    blocks = tf.data.Dataset.from_tensor_slices(held[0]).batch(8192)  # not model.predict, which needs all workers
    answers = [tf.argmax(export.meaning(model(block, training=False))["probabilities"], -1) for block in blocks]
    table = tf.math.confusion_matrix(held[1], tf.concat(answers, 0), len(data.CLASSES)).numpy()  # [class, answer]
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


def keep_answers(model: keras.Model, options: argparse.Namespace, source: rows.Source) -> None:
    """Write what Keras itself answers to the rows of a CSV file, as the last layer gives it: answers.json.

    It goes by nothing of the export, so that an export can be compared with it.
    """
    asked, _labels = rows.first(rows.find(options.ask))
    (output,) = tf.nest.flatten(model(rows.encoder(source.statistics)[0](asked), training=False))
    tf.io.gfile.makedirs(options.output)
    with tf.io.gfile.GFile(f"{options.output.rstrip('/')}/answers.json", "w") as answers:
        answers.write(json.dumps(tf.cast(output, tf.float32).numpy().tolist()))
