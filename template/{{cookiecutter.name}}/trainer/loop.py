"""The training loop: Keras' own train step, exact resume, SIGTERM, one worker or several. Nothing to change."""

import dataclasses
import math
import signal
import threading
import time
from collections.abc import Callable
from os import _exit as exit_at_once

import keras
import tensorflow as tf

from trainer import fingerprint
from trainer.arrays import Table
from trainer.fingerprint import Parts
from trainer.job import Job
from trainer.mistakes import Mistake

KEEP = 3  # newest checkpoints; the older ones are removed
PAUSE = 30.0  # seconds between checkpoints, and between lines within a long epoch
GRACE = 15.0  # seconds a worker waits for the chief's checkpoint after SIGTERM
# What tf.summary.scalar says with each value; that function needs the tensorboard package, which training does not.
SCALAR = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
    data_class=1,  # DATA_CLASS_SCALAR, tensorflow/core/framework/summary.proto
)

Metrics = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Plan:
    """How long to train: `steps` in all, `epoch` steps an epoch; stop after step `stop`, save each `save_every`."""

    steps: int
    epoch: int
    stop: int
    save_every: int  # 0: by the clock, each PAUSE seconds

    @property
    def last(self) -> int:
        """The step after which this run ends."""
        return min(self.steps, self.stop or self.steps)

    @property
    def epochs(self) -> int:
        """The number of epochs in `steps`."""
        return -(-self.steps // self.epoch)


def strategy(job: Job) -> tf.distribute.Strategy:
    """How the work is spread: several workers, several GPUs, or neither."""
    if job.workers > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


class Checkpoints:
    """Weights, optimizer and the seeds of Dropout. (model.save and tf.train.Checkpoint(model) forget the seeds.)"""

    def __init__(self, model: keras.Model, job: Job, folder: str, made_from: Parts) -> None:
        model.optimizer.build(model.trainable_variables)
        self.variables = [v.value for v in model.variables + model.optimizer.variables]
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.checkpoint = tf.train.Checkpoint(step=self.step, state=self.variables)
        self.job, self.folder, self.made_from, self.told = job, folder, made_from, False

    def found(self) -> list[str]:
        """Paths, oldest first. The .index file is written last: no index, no checkpoint."""
        return sorted(path.removesuffix(".index") for path in tf.io.gfile.glob(f"{self.folder}/step-*.index"))

    def restore(self) -> int:
        """Take up the newest checkpoint that reads back whole and give its step; 0 if there is none."""
        found = self.found()
        first = [variable.numpy() for variable in self.variables] if found else []
        for path in reversed(found):
            try:
                self.checkpoint.read(path).assert_existing_objects_matched()
            except (tf.errors.OpError, ValueError, IndexError, AssertionError) as error:
                reason = str(error).splitlines()[0][:100]
                self.job.say(f"passed over the damaged checkpoint {path}: {reason}", severity="WARNING")
            else:
                return int(self.step.numpy())
        for variable, value in zip(self.variables, first, strict=False):
            variable.assign(value)  # a damaged checkpoint may have been read in part
        return 0

    def save(self, step: int) -> None:
        """Write the state after `step`, then drop all but the newest KEEP."""
        self.step.assign(step)
        if self.job.chief:
            if not self.told:
                fingerprint.write(self.folder, self.made_from)
                self.told = True
            self.checkpoint.write(f"{self.folder}/step-{step:010d}")
            for old in self.found()[:-KEEP]:
                for path in tf.io.gfile.glob(old + ".*"):
                    tf.io.gfile.remove(path)


class Signals:
    """SIGTERM and Ctrl-C end the run after the step that is under way."""

    def __init__(self, job: Job) -> None:
        self.job, self.code = job, 0
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)

    def _stop(self, number: int, _frame: object) -> None:
        self.code = 128 + number
        if not self.job.chief:
            # The chief needs this worker for the step under way, then nothing comes any more: don't wait for ever.
            timer = threading.Timer(GRACE, exit_at_once, [self.code])
            timer.daemon = True
            timer.start()


class Logs:
    """Scalars for TensorBoard, one folder for each part of the data."""

    def __init__(self, job: Job) -> None:
        self.folder = job.log_dir if job.chief else ""
        self.writers: dict[str, tf.summary.SummaryWriter] = {}

    def write(self, part: str, metrics: Metrics, step: int) -> None:
        """Add `metrics` of `part` ("train", "validation") after `step`."""
        if self.folder:
            if part not in self.writers:
                self.writers[part] = tf.summary.create_file_writer(f"{self.folder}/{part}")
            with self.writers[part].as_default():
                for name, value in metrics.items():
                    tf.summary.write(name, tf.constant(value, tf.float32), step, metadata=SCALAR)

    def close(self) -> None:
        """Write what is left."""
        for writer in self.writers.values():
            writer.close()


class Loop:
    """One run of `model`. `train(start)` gives the endless batches from batch `start`, one a replica and step."""

    def __init__(
        self,
        model: keras.Model,
        job: Job,
        where: tf.distribute.Strategy,
        train: Callable[[int], tf.data.Dataset],
        held: Table | None,
        batch: int,
    ) -> None:
        self.model, self.job, self.where, self.train = model, job, where, train
        with where.scope():  # metrics made during the first step, as Keras does by default, fail on several devices
            model._symbolic_build(data_batch=train(0).element_spec)
        if job.workers > 1:  # Keras averages logs over workers along axis 0, so they need one
            model.train_step, model.test_step = _with_axis(model.train_step), _with_axis(model.test_step)
        model.make_train_function()
        model.make_test_function()
        self.local = where.num_replicas_in_sync // job.workers  # replicas, so batches, of this worker
        self.batches, self.held = 0, None
        if held:
            rows = int(held[1].shape[0])
            # Every replica sees every batch: same number of steps, same mean, nothing to divide.
            copies = tf.data.Dataset.from_tensor_slices(held).batch(batch).cache()
            if self.local > 1:
                copies = copies.flat_map(lambda *one: tf.data.Dataset.from_tensors(one).repeat(self.local))
            self.batches, self.held = -(-rows // batch), self._spread(copies)

    def _spread(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        if self.where.num_replicas_in_sync == 1:
            return dataset
        # Known to be endless, it needs no check for its end in each step.
        dataset = dataset.repeat().apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
        return self.where.distribute_datasets_from_function(lambda _: dataset)

    def run(self, plan: Plan, folder: str, made_from: Parts) -> int:
        """Train from the newest checkpoint in `folder` to plan.last; gives the step reached.

        `folder` is for runs with the fingerprint `made_from` alone; those of others are beside it.
        Raises SystemExit 143 (SIGTERM) or 130 (Ctrl-C), with the state saved.
        """
        signals = Signals(self.job)
        with self.where.scope():
            saved = Checkpoints(self.model, self.job, folder, made_from)
            start = saved.restore()
        if start:
            self.job.say(f"resumed after step {start} of {plan.steps} from {folder}")
        elif self.job.chief and not saved.found() and (changed := fingerprint.anew(folder, made_from)):
            self.job.say(changed)
        if start >= plan.last:
            return start
        logs, batches = Logs(self.job), iter(self._spread(self.train(start)))
        self.model.reset_metrics()
        told = kept = time.monotonic()
        for step in range(start + 1, plan.last + 1):
            try:
                self.model.train_function(batches)
            except tf.errors.OpError:
                if signals.code:  # another worker has stopped already, and this step can't be had without it
                    raise SystemExit(signals.code) from None
                raise
            now = time.monotonic()
            due = step % plan.save_every == 0 if plan.save_every else now - kept > PAUSE
            if due or step == plan.last or (signals.code and self.job.chief):
                saved.save(step)
                kept = now
            if signals.code and self.job.chief:
                logs.close()
                self.job.say(f"stopped by a signal after step {step} of {plan.steps}; the same command goes on from it")
                raise SystemExit(signals.code)
            if step % plan.epoch == 0 or step == plan.last:
                self._tell(plan, step, logs)
                told = now
            elif now - told > PAUSE:
                self.job.say(f"step {step} of {plan.steps}", step=step, steps=plan.steps)
                told = now
        logs.close()
        return plan.last

    def _tell(self, plan: Plan, step: int, logs: Logs) -> None:
        metrics = {name: float(value) for name, value in self.model.get_metrics_result().items()}
        self.model.reset_metrics()
        logs.write("train", metrics, step)
        held = self.evaluate()
        if held:
            logs.write("validation", held, step)
        told = metrics | {f"val_{name}": value for name, value in held.items()}
        for name, value in told.items():
            if not math.isfinite(value):
                hint = "try a smaller --rate; look for extreme values in the data"
                raise Mistake(f"{name} is {value} after step {step}", hint, code=1)
        epoch = -(-step // plan.epoch)
        text = " ".join(f"{name}={value:.4g}" for name, value in told.items())
        self.job.say(f"epoch {epoch}/{plan.epochs} {text}", epoch=epoch, epochs=plan.epochs, metrics=told)
        self.job.report(held or metrics, step)

    def evaluate(self) -> Metrics:
        """Loss and metrics of the held-out rows; {} without any."""
        if not self.held:
            return {}
        self.model.reset_metrics()
        batches = iter(self.held)
        for _ in range(self.batches):
            self.model.test_function(batches)
        metrics = {name: float(value) for name, value in self.model.get_metrics_result().items()}
        self.model.reset_metrics()
        return metrics


def _with_axis(step: Callable) -> Callable:
    return lambda data: {name: tf.expand_dims(value, 0) for name, value in step(data).items()}
