"""One run, from top to bottom: data, model, fit, export."""

import argparse
import math
import os
import sys
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from trainer import data
from trainer import model as models
from trainer.kit import export, resume, rows, tell
from trainer.kit.job import Job, Mistake


def run(job: Job, options: argparse.Namespace) -> dict[str, float]:
    """Train, export, and give the held-out metrics. Raises Mistake for what a person can fix."""
    keras.utils.clear_session()  # names, and so fingerprints, don't depend on what ran before in this process
    where = strategy(job)  # first: it must start before any TensorFlow operation
    keras.utils.set_random_seed(options.seed + 1)
    keras.mixed_precision.set_dtype_policy(models.PRECISION)
    for name in ("model", "layers", "units"):
        setattr(options, name, getattr(options, name) or vars(models).get(name.upper()))
    options.rate = options.rate or models.RATE[options.model]

    earlier = resume.earlier(options.before, vars(models)) if options.before else None
    shares = [0.0 if isinstance(part, str) else part for part in (options.validation, options.test)]
    source = rows.read(options.data, *shares, earlier and earlier.statistics, options.widen)
    training, statistics = source.parts["training"], source.statistics
    held = {part: (source.table, chosen) for part, chosen in source.parts.items() if part != "training"}
    for part in held:
        if isinstance(pattern := getattr(options, part), str):
            other = rows.read(pattern, 0, 0, statistics, widen=False)
            held[part] = (other.table, other.parts["training"])
    count = {part: len(chosen) for part, (_, chosen) in held.items()}
    also = f", {count['test']} for the test" if count["test"] else ""
    job.say(f"data: {len(training)} rows to train on, {count['validation']} held out{also}")
    batch = batch_size(options.batch, len(training), where.num_replicas_in_sync)
    if batch != options.batch:
        job.say(f"batch: {batch} rows" + (f" ({options.batch} do not fit)" if options.batch else ""))
    steps = len(training) // batch
    # Steps that run together divide an epoch; a fiftieth of it may wait for the next epoch's order.
    together = max(n for n in range(1, models.TOGETHER + 1) if steps % n <= steps // 50)
    steps -= steps % together
    plan = resume.Plan(steps * options.epochs, steps, options.steps, options.save_every)
    table = weighted(source.table)

    def train(start: int) -> tf.data.Dataset:
        return rows.stream(table, training, batch, steps, options.seed, start, job.worker, job.workers)

    with where.scope():
        model = models.build(statistics, options, plan.steps)
        # A model that is a class of one's own tells its shape only when it is called: at the export, at the latest.
        export.check(getattr(model, "output_shape", (None, len(data.CLASSES) or 1)))
        # The metrics exist from here on, so that they can be put back. Keras would build them of a batch of all
        # devices, which fails where their parts differ in size.
        model._symbolic_build(data_batch=train(0).element_spec)
        model._maybe_symbolic_build = lambda **_: None
        model.optimizer.build(model.trainable_variables)
        if earlier:
            earlier.give(model, statistics)
    decided = {"--batch": batch, "--validation": shares[0], "--test": shares[1], "the data": source.content}
    decided |= {"--continue": resume.digest(b"".join(v.tobytes() for v in earlier.values.values()))} if earlier else {}
    callbacks = models.callbacks()
    keep = resume.Resume(model, job, plan, callbacks, resume.parts(model, vars(options), **decided), statistics)
    start = keep.restore()

    deal = spread(model, where) if job.workers > 1 else lambda part: part
    known = {part: deal(rows.held(*some, held_batch(batch))) for part, some in held.items() if len(some[1])}
    held_table, chosen = held["validation"]
    some = watched(chosen, len(training))
    after_epochs = deal(rows.held(held_table, some, held_batch(batch))) if len(some) else None
    if not keep.done and start < min(plan.steps, plan.stop or plan.steps):
        # From a step that does not divide by it, fewer run together: a run stops and goes on anywhere. On several
        # devices each step runs alone: TensorFlow 2.21 can't loop over their batches within one graph.
        model.steps_per_execution = math.gcd(together, start, plan.stop) if where.num_replicas_in_sync == 1 else 1
        try:
            model.fit(
                deal(train(start).prefetch(tf.data.AUTOTUNE)), validation_data=after_epochs, steps_per_epoch=steps,
                initial_epoch=start // steps, epochs=options.epochs, callbacks=[*callbacks, tell.Tell(job, keep), keep],
                shuffle=False, verbose=0,
            )  # fmt: skip
        except resume.Stopped:
            pass
        except tf.errors.OpError:
            if keep.code:  # another worker has stopped already, and this step can't be had without it
                raise SystemExit(keep.code) from None
            raise
    metrics: dict[str, float] = {}
    recall: dict[str, dict] = {}
    for part, some in known.items():
        found = tell.in_order(model.evaluate(some, return_dict=True, verbose=0))
        if job.chief and data.CLASSES:
            more, recall[part] = tell.beyond_accuracy(job, model, rows.held(*held[part], 8192))
            found |= more
        metrics |= {f"test_{name}" if part == "test" else name: value for name, value in found.items()}

    if job.chief:
        number = {"training": len(training), "held_out": count["validation"]}
        number |= {"test": count["test"]} if count["test"] else {}
        about: dict = {"metrics": metrics, "recall": recall.get("validation"), "rows": number}
        about["run"] = tell.of_run(keep, options)
        if earlier:
            about["continued_from"] = {"path": options.before, "words": "widened" if options.widen else "kept"}
        export.save(model, job.model_dir, about, statistics)
        job.say(f"model: {job.model_dir}")
        if options.ask:
            tell.keep_answers(model, options, statistics)
    elif job.workers > 1:
        sys.stdout.flush()
        resume.exit_at_once(0)  # TensorFlow's own end takes so long that the chief may be gone before, an error to it
    summary = " ".join(f"{name}={value:.4g}" for name, value in metrics.items()) or "no rows were held out"
    where_to = f"{count['validation']} rows, step {keep.at} of {plan.steps}"
    job.say(f"held-out: {summary} ({where_to})", metrics=metrics, step=keep.at)
    return metrics


def strategy(job: Job) -> tf.distribute.Strategy:
    """How the work is spread: a TPU (experimental), several workers, several GPUs, or none of these."""
    if os.environ.get("CLOUDKITE_TPU") == "1":
        tpu = tf.distribute.cluster_resolver.TPUClusterResolver("local")
        tf.tpu.experimental.initialize_tpu_system(tpu)
        return tf.distribute.TPUStrategy(tpu)
    if job.workers > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def spread(model: keras.Model, where: tf.distribute.Strategy) -> Callable[[tf.data.Dataset], object]:
    """Make the model's steps, and then datasets, what Keras needs for several workers: each has its part of a batch
    already, all see every held-out row, and what a step logs has an axis to average over."""

    def with_axis(step):
        return lambda batch: {name: tf.expand_dims(value, 0) for name, value in step(batch).items()}

    model.train_step, model.test_step = with_axis(model.train_step), with_axis(model.test_step)
    return lambda part: where.distribute_datasets_from_function(lambda _: part)


def batch_size(wanted: int | None, rows: int, replicas: int) -> int:
    """Rows a step for all replicas together: `wanted`, or 32 to 1024 by the number of rows; never more than `rows`."""
    wanted = wanted or min(1024, max(32, 2 ** ((rows // 200) | 1).bit_length()))
    each = min(wanted, rows) // replicas
    if not each:
        raise Mistake(f"{rows} rows in batches of {wanted} are too few for {replicas} replicas", "use fewer workers")
    return each * replicas


def weighted(table: rows.Table) -> rows.Table:
    """The rows with what each counts: by its WEIGHT and by its class."""
    if not models.CLASS_WEIGHT:
        return table
    classes = np.array([models.CLASS_WEIGHT.get(name, 1) for name in data.CLASSES], "float32")[table.labels]
    return table._replace(weights=classes if table.weights is None else classes * table.weights)


def watched(held: np.ndarray, training: int) -> np.ndarray:
    """The held-out rows that are looked at after each epoch: a twentieth as many as are trained on, or 10,000 if that
    is more, from all over the data. Others would take long and tell little; the last look is at all."""
    return held[:: max(1, -(-len(held) // max(10_000, training // 20)))]


def held_batch(batch: int) -> int:
    """Rows that are validated together: nothing is learned from them, so more fit."""
    return 4 * max(batch, 1024)
