"""Exact resume: one callback of Keras' fit that saves all that decides the course of a run, and takes it up again."""

import base64
import hashlib
import importlib.resources
import io
import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from os import _exit as exit_at_once
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from trainer.kit import prepare
from trainer.kit.job import Job, Mistake

KEEP = 3  # newest checkpoints; the older ones are removed
PAUSE = 30.0  # seconds between checkpoints
GRACE = 15.0  # seconds a worker waits for the chief's checkpoint after SIGTERM
FILE = "run.json"  # beside the checkpoints: what they were made from
# Options that leave the course alone, or that stand for something which is looked at itself.
ELSEWHERE = {"data", "steps", "output", "save_every", "ask", "require_gpu", "before"}
BROKEN = (tf.errors.OpError, ValueError, IndexError, AssertionError, EOFError, TypeError, KeyError)
VALUE = "{}/.ATTRIBUTES/VARIABLE_VALUE"  # what tf.train.Checkpoint calls a variable


class Plan(NamedTuple):
    """How long to train: `steps` in all, `epoch` steps an epoch; stop after step `stop`, save each `save_every`."""

    steps: int
    epoch: int
    stop: int  # 0: at the end
    save_every: int  # 0: by the clock, each PAUSE seconds


class Stopped(Exception):
    """The run has reached the step after which it was to stop, and is saved."""


class Resume(keras.callbacks.Callback):
    """Saves weights, optimizer, the seeds of Dropout, metrics and what the other callbacks remember; the last of all.

    (model.save, tf.train.Checkpoint(model) and BackupAndRestore forget the seeds, and begin an epoch anew.)
    """

    def __init__(
        self, model: keras.Model, job: Job, plan: Plan, others: list, made_from: Mapping, statistics: Mapping
    ) -> None:
        super().__init__()
        self.job, self.plan, self.others, self.made_from, self.about = job, plan, others, made_from, statistics
        # Epochs decide by what the model makes of them alone, such as a falling learning rate.
        name = digest(json.dumps({**made_from, "--epochs": 0}, sort_keys=True).encode())[:8]
        self.folder = f"{job.checkpoint_dir}/{name}"
        self.at, self.code, self.due, self.done, self.memory, self.inside = 0, 0, False, False, [], None
        # Of several replicas each has its own.
        self.metrics = model.metrics_variables if model.distribute_strategy.num_replicas_in_sync == 1 else []
        every = [*model.variables, *model.optimizer.variables, *self.metrics]
        self.variables = list({id(one): one for one in every}.values())
        self.state = [one.value for one in self.variables]
        self.step, self.kept = tf.Variable(0, dtype=tf.int64, trainable=False), tf.Variable(b"", trainable=False)
        self.checkpoint = tf.train.Checkpoint(step=self.step, kept=self.kept, state=self.state)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)

    def _signalled(self, number: int, _frame: object) -> None:
        self.code = 128 + number
        if not self.job.chief:
            # The chief needs this worker for the step under way, then nothing comes any more: don't wait for ever.
            timer = threading.Timer(GRACE, exit_at_once, [self.code])
            timer.daemon = True
            timer.start()

    def restore(self) -> int:
        """Take up the newest checkpoint that reads back whole and give its step; 0 if there is none."""
        found = checkpoints(self.folder)
        begun = [variable.numpy() for variable in self.state] if found else []
        for path in reversed(found):
            try:
                self.checkpoint.read(path).assert_existing_objects_matched()
                kept = json.loads(self.kept.numpy(), object_hook=array_again)
                self.memory, self.done = kept["memory"], kept["done"]
            except BROKEN as error:
                reason = str(error).splitlines()[0][:100]
                self.job.say(f"passed over the damaged checkpoint {path}: {reason}", severity="WARNING")
            else:
                self.at = int(self.step.numpy())
                self.inside = [v.numpy() for v in self.metrics] if self.at % self.plan.epoch else None
                self.job.say(f"resumed after step {self.at} of {self.plan.steps} from {self.folder}")
                return self.at
        for variable, value in zip(self.state, begun, strict=False):
            variable.assign(value)  # a damaged checkpoint may have been read in part
        if not found and self.job.chief and (changed := anew(self.folder, self.made_from)):
            self.job.say(changed)
        return 0

    def save(self, done: bool = False) -> None:
        """Write the state, then drop all but the newest KEEP. `done`: a callback has ended the run before its time."""
        self.due, self.saved = False, time.monotonic()
        self.step.assign(self.at)
        kept = {"memory": [dict(remembered(one)) for one in self.others], "done": done, "statistics": self.about}
        kept["names"] = [one.path for one in self.variables]
        self.kept.assign(json.dumps(kept, default=array_in_json))
        if self.job.chief:
            tf.io.gfile.makedirs(self.folder)
            with tf.io.gfile.GFile(f"{self.folder}/{FILE}", "w") as file:
                file.write(json.dumps(self.made_from, indent=1, ensure_ascii=False) + "\n")
            self.checkpoint.write(f"{self.folder}/step-{self.at:010d}")
            for old in checkpoints(self.folder)[:-KEEP]:
                for path in tf.io.gfile.glob(old + ".*"):
                    tf.io.gfile.remove(path)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """After the others, which begin anew: give them back what they remembered."""
        self.saved = time.monotonic()
        for other, kept in zip(self.others, self.memory, strict=False):
            vars(other).update(kept)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """An epoch that was begun before goes on with its metrics."""
        for variable, value in zip(self.metrics, self.inside or [], strict=False):
            variable.assign(value)
        self.inside = None

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Save when it is time. At the end of an epoch that waits until the others have seen its metrics."""
        self.at += self.model.steps_per_execution
        every = self.plan.save_every
        self.due |= self.at % every == 0 if every else time.monotonic() - self.saved > PAUSE
        self.due |= bool(self.code) or self.at == self.plan.stop
        if self.at % self.plan.epoch:
            self._act()
        elif batch + 1 < self.plan.epoch and not self.model.stop_training:
            self.model.stop_training = Resume  # the rest of an epoch is done: Keras' own count is too high

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """The others have seen the epoch's metrics."""
        if self.model.stop_training is Resume:  # not what a callback such as EarlyStopping says
            self.model.stop_training = False
        if self.at < self.plan.steps and not self.model.stop_training:
            self._act()

    def on_train_end(self, logs: dict | None = None) -> None:
        """The others may have put back the best weights: that is what a complete run exports again."""
        self.save(done=self.at < self.plan.steps)

    def _act(self) -> None:
        # A signal may also come after the last step of an epoch, while that is validated.
        if self.job.chief if self.code else self.due:
            self.save()
        if self.code and self.job.chief:
            where = f"after step {self.at} of {self.plan.steps}"
            self.job.say(f"stopped by a signal {where}; the same command goes on from it")
            raise SystemExit(self.code)
        if self.at == self.plan.stop:
            raise Stopped


def checkpoints(folder: str) -> list[str]:
    """Paths, oldest first. The .index file is written last: no index, no checkpoint."""
    return sorted(path.removesuffix(".index") for path in tf.io.gfile.glob(f"{folder}/step-*.index"))


def remembered(callback: keras.callbacks.Callback) -> Iterator[tuple[str, object]]:
    """What a callback remembers. Not `min_delta`: Keras makes it negative when it begins, and would once more."""
    for name, value in vars(callback).items():
        simple = isinstance(value, int | float | str | list | dict | tuple | np.ndarray | np.generic | None)
        if simple and not name.startswith("_") and name not in ("min_delta", "params"):
            try:
                json.dumps(value, default=array_in_json)
            except (TypeError, ValueError):  # a list of files, for example
                continue
            yield name, value


def array_in_json(value: object) -> dict[str, str]:
    """What JSON lacks: arrays, and NumPy's numbers. A checkpoint is data: reading one runs nobody's code."""
    if not isinstance(value, np.ndarray | np.generic):
        raise TypeError(type(value).__name__)
    file = io.BytesIO()
    np.save(file, value, allow_pickle=False)
    return {"array": base64.b64encode(file.getvalue()).decode()}


def array_again(found: dict) -> object:
    """The same, back."""
    if found.keys() != {"array"} or not isinstance(found["array"], str):
        return found
    value = np.load(io.BytesIO(base64.b64decode(found["array"])), allow_pickle=False)
    return value if value.ndim else value[()]


class Earlier(NamedTuple):
    """What an earlier run learned, and how it prepared its rows."""

    statistics: dict[str, dict]
    values: dict[str, np.ndarray]

    def give(self, model: keras.Model, statistics: prepare.Statistics) -> None:
        """Give the model the weights and the optimizer's state; words that are new begin as they would anyway."""
        old, new = prepare.layout(self.statistics), prepare.layout(statistics)
        place = {name: i for i, name in enumerate(old)}
        known = [i for i, name in enumerate(new) if name in place]
        for variable in [*model.weights, *model.optimizer.variables]:
            value, fresh = self.values.get(variable.path, np.zeros(0)), variable.numpy()
            wider = value.ndim and value.shape[1:] == fresh.shape[1:]
            if value.shape == fresh.shape:
                fresh = value
            elif wider and len(value) - len(old) == len(fresh) - len(new) >= 0:
                fresh[known] = value[[place[new[i]] for i in known]]
                fresh[len(new) :] = value[len(old) :]
            else:
                said = f"model.py isn't as in the run to learn on from: {variable.path}"
                raise Mistake(said, "leave --continue away")
            variable.assign(fresh)
        if not isinstance(model.optimizer._learning_rate, keras.Variable):
            model.optimizer.iterations.assign(0)  # the rate falls once more


def earlier(path: str, custom: Mapping) -> Earlier:
    """Read a model's folder, or one of checkpoints. Raises Mistake."""
    path = path.rstrip("/")
    found = checkpoints(path) or checkpoints(f"{path}/*")
    try:
        if found:
            reader = tf.train.load_checkpoint(max(found, key=lambda one: tf.io.gfile.stat(f"{one}.index").mtime_nsec))
            kept = json.loads(reader.get_tensor(VALUE.format("kept")))
            names = enumerate(kept["names"])
            return Earlier(kept["statistics"], {n: reader.get_tensor(VALUE.format(f"state/{i}")) for i, n in names})
        with tf.io.gfile.GFile(f"{path}/assets.extra/trainer.json") as file:
            statistics = json.loads(file.read())["statistics"]
        model = keras.saving.load_model(f"{path}/assets.extra/model.keras", custom)
        return Earlier(statistics, {one.path: one.numpy() for one in [*model.weights, *model.optimizer.variables]})
    except (*BROKEN, OSError, AttributeError) as error:
        said = f"{path} isn't a model or a folder of checkpoints to learn on from: {str(error).splitlines()[0][:200]}"
        raise Mistake(said, "--continue takes a folder with assets.extra, or with step-... files") from error


def parts(model: keras.Model, options: Mapping, **more: object) -> dict[str, object]:
    """What decides the course of a run: options, `more` as they were understood, code, model."""
    found = {f"--{name.replace('_', '-')}": value for name, value in options.items() if name not in ELSEWHERE}
    code = {f"trainer/{path}": digest(text) for path, text in sorted(sources(importlib.resources.files("trainer")))}
    try:
        network = model.to_json()
    except (TypeError, ValueError, NotImplementedError):  # a layer that can't tell its own settings
        network = str([(v.path, tuple(v.shape)) for v in model.variables])
    network = json.dumps([network, model.get_compile_config()], default=str, sort_keys=True)
    return json.loads(json.dumps({**code, **found, **more, "the model": digest(network.encode())}))


def digest(content: bytes) -> str:
    """16 hex digits for `content`."""
    return hashlib.sha256(content).hexdigest()[:16]


def sources(folder: object, inside: str = "") -> Iterator[tuple[str, bytes]]:
    """(path, text) of each Python file of this package, also where it runs from a wheel; line ends don't count."""
    for one in folder.iterdir():
        if one.is_dir() and not one.name.startswith(".") and one.name != "__pycache__":
            yield from sources(one, f"{inside}{one.name}/")
        elif one.name.endswith(".py") and not one.name.startswith("."):
            yield inside + one.name, one.read_bytes().replace(b"\r\n", b"\n")


def anew(folder: str, now: Mapping) -> str:
    """What has changed since the newest checkpoint beside `folder`, in a line; "" if there is no checkpoint."""
    found = checkpoints(f"{os.path.dirname(folder)}/*")
    if not found:
        return ""
    newest = os.path.dirname(max(found, key=lambda path: tf.io.gfile.stat(f"{path}.index").mtime_nsec))
    try:
        with tf.io.gfile.GFile(f"{newest}/{FILE}") as file:
            before = dict(json.loads(file.read()))
    except (tf.errors.OpError, ValueError, TypeError):
        return f"starts anew: the checkpoints in {newest} do not tell what they were made from"
    names = [name for name in dict.fromkeys([*now, *before]) if before.get(name) != now.get(name)]
    # The model follows from the rest: by itself it differs with another Keras, for example.
    causes = [name for name in names if name != "the model" and (name != "--epochs" or "the model" in names)] or names
    told = [f"{n} ({before.get(n)}, now {now.get(n)})" if n.startswith("--") else n for n in causes]
    return f"starts anew: changed since the checkpoints in {newest}: {', '.join(told)}"
