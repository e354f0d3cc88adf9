"""What decides the course of a run: checkpoints are taken up only where all of it is the same. Nothing to change."""

import argparse
import hashlib
import importlib.resources
import json
import os
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable

import keras
import tensorflow as tf

FILE = "run.json"  # beside the checkpoints: what they were made from
# Options that leave the course alone, or that stand for something which is looked at itself.
ELSEWHERE = {"data", "seed", "epochs", "steps", "output", "save_every", "ask", "require_gpu"}

Parts = dict[str, object]


def parts(model: keras.Model, options: argparse.Namespace, data: Mapping, **decided: object) -> Parts:
    """Data, code, options, seed and model of a run, as JSON has them.

    `data` has a hash of the "rows" and, if they are streamed, the sizes of the "files". `decided` are options as they
    were understood, such as the batch for a run that left it open.
    """
    given = {name: value for name, value in vars(options).items() if name not in ELSEWHERE}
    found = {
        "data": dict(data),
        "code": {path: digest(text) for path, text in sorted(sources())},
        "options": given | decided,
        "seed": options.seed,
        "model": digest(_network(model).encode()),
        "epochs": options.epochs,  # decides by what the model makes of it, such as a falling learning rate
    }
    return json.loads(json.dumps(found, default=str))


def short(found: Parts) -> str:
    """8 hex digits for `found`."""
    deciding = {name: value for name, value in found.items() if name != "epochs"}
    return digest(json.dumps(deciding, sort_keys=True).encode())[:8]


def digest(*contents: bytes) -> str:
    """16 hex digits for `contents`, one after the other."""
    return hashlib.sha256(b"".join(contents)).hexdigest()[:16]


def sources() -> Iterator[tuple[str, bytes]]:
    """(path, text) of each Python file of this package, also where it runs from a wheel; line ends don't count."""

    def below(folder: Traversable, inside: str) -> Iterator[tuple[str, bytes]]:
        for one in folder.iterdir():
            if one.name.startswith(".") or one.name == "__pycache__":
                continue
            if one.is_dir():
                yield from below(one, f"{inside}{one.name}/")
            elif one.name.endswith(".py"):
                yield inside + one.name, one.read_bytes().replace(b"\r\n", b"\n")

    return below(importlib.resources.files(__package__), "")


def _network(model: keras.Model) -> str:
    try:
        network = model.to_json()
    except (TypeError, ValueError, NotImplementedError):  # a layer that can't tell its own settings
        network = str([(v.path, tuple(v.shape)) for v in model.variables])
    return json.dumps([network, model.get_compile_config()], default=str, sort_keys=True)


def write(folder: str, found: Parts) -> None:
    """Put `found` into the folder of the checkpoints that are made from it."""
    tf.io.gfile.makedirs(folder)
    with tf.io.gfile.GFile(f"{folder}/{FILE}", "w") as file:
        file.write(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def anew(folder: str, found: Parts) -> str:
    """What has changed since the newest checkpoint beside `folder`, in a line; "" if there is no checkpoint."""
    latest: dict[str, str] = {}
    for path in sorted(tf.io.gfile.glob(f"{os.path.dirname(folder)}/*/step-*.index")):
        latest[os.path.dirname(path)] = path
    if not latest:
        return ""
    newest = max(latest, key=lambda other: tf.io.gfile.stat(latest[other]).mtime_nsec)
    try:
        with tf.io.gfile.GFile(f"{newest}/{FILE}") as file:
            changed = list(changes(json.loads(file.read()), found))
    except (tf.errors.OpError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return f"starts anew: the checkpoints in {newest} do not tell what they were made from"
    return f"starts anew: changed since the checkpoints in {newest}: {', '.join(changed)}"


def changes(before: Mapping, now: Mapping) -> Iterator[str]:
    """What is not the same, in words for people."""
    other_model = before["model"] != now["model"]
    one, other = ({**found["options"], "seed": found["seed"]} for found in (before, now))
    if other_model:
        one["epochs"], other["epochs"] = before["epochs"], now["epochs"]
    options = [name for name in dict.fromkeys([*one, *other]) if one.get(name) != other.get(name)]
    files = sorted({path for path, _ in before["code"].items() ^ now["code"].items()})
    # The files' sizes are not known of rows that were in memory.
    known = before["data"].keys() & now["data"].keys()
    other_data = any(before["data"][name] != now["data"][name] for name in known)
    if other_data:
        yield "the data"
    if files:
        yield f"the code ({', '.join(files)})"
    for name in options:
        yield f"--{name.replace('_', '-')} ({one.get(name)}, now {other.get(name)})"
    # The model follows from all these: by itself it differs with another Keras, for example.
    if other_model and not (options or files or other_data):
        yield "the model"
