"""Asks a run's model about the rows that it held out, and reads its logs, with the trainer's own Python.

    python -I -B look_again.py ORDER OUT

ORDER is a file of JSON: {"folder": the trainer's, "logs": folder or "", "model": folder or "", "data": what --data was,
"validation" and "test": shares, or patterns, "by": columns ([]: as the trainer suggests), "classes", "label",
"statistics"}. OUT gets JSON: {"events": ..., "parts": {part: what was counted}, "content": hash of the data} or
{"events", "problem": [kind, text]}. Runs alone, without Cloudkite; rows pass through in batches, and are never all in
memory. The rows, and which of them were held out, come from the trainer's own kit.
"""

import base64
import contextlib
import hashlib
import heapq
import itertools
import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf  # pyright: ignore[reportMissingModuleSource]

TOGETHER = 1024  # rows that the model is asked about at once
NUMBERS = 1 << 22  # numbers in the arrays of those, at most
BINS = 10  # of confidence
WORST = 12  # rows that are shown
FEW = 12  # words of a category for which it is a group by itself
VALUES = 1000  # groups that are counted; rows of further ones together
PARTS = 4  # groups that a column of many numbers is divided into
PAIRS = 5000  # true and predicted numbers that are kept, by chance
LONGEST = 300  # characters of a value that are shown
PICTURE = 256  # sides of an array that is shown as a picture, at most
CLASSES = 12  # classes for which groups are counted one by one


class Problem(Exception):
    """Why there is nothing to count: a word for the kind of it, and what was found."""


# --- the logs


def events(folder: str) -> dict[str, list[dict]]:
    """For each part, its event files in the order in which they were begun: {"begun", "ended": seconds, "points":
    [[step, name, value], ...]}. The end of one that was being written when its process was killed is left out."""
    found: dict[str, list[dict]] = {}
    for path in sorted(tf.io.gfile.glob(f"{folder}/*/events.out.tfevents.*")) if folder else []:
        points, times = [], []
        with contextlib.suppress(tf.errors.DataLossError):
            for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
                event = tf.compat.v1.Event.FromString(record)
                times.append(event.wall_time)
                points += [[event.step, one.tag, float(tf.make_ndarray(one.tensor))] for one in event.summary.value]
        if points:
            part = path.replace("\\", "/").split("/")[-2]
            found.setdefault(part, []).append({"begun": min(times), "ended": max(times), "points": points})
    return {part: sorted(files, key=lambda one: one["begun"]) for part, files in found.items()}


# --- the rows


def with_fields(rows: Any) -> None:
    """Let the trainer's reader of rows hand on all fields of a row, as they are written, beside what it keeps."""
    stacked = rows.stacked
    rows.stacked = lambda columns, hashed: {**stacked(columns, hashed), "fields": dict(columns)}


def shared_out(rows: Any, order: dict) -> tuple[dict[str, tuple[str, np.ndarray | None]], str]:
    """For each part that was held out the pattern and which of its rows (None: all), and a hash of the data; as `read`
    of the trainer's rows.py has it."""
    shares = [0.0 if isinstance(order[part], str) else order[part] for part in ("validation", "test")]
    labels, keys, content = [], [], hashlib.sha256()
    for block in rows.blocks(order["data"]):
        labels.append(rows.places(block["row label"]))
        keys.append(rows.key(block["row key"]))
        content.update(block["row hash"].numpy().tobytes())
    kind = "int32" if order["classes"] else "float32"
    which = rows.parts(np.concatenate([*labels, []]).astype(kind), np.concatenate([*keys, []]), *shares)
    found: dict = {}
    for number, part in enumerate(("validation", "test"), start=1):
        if isinstance(order[part], str):
            found[part] = (order[part], None)
        elif (which == number).any():
            found[part] = (order["data"], which == number)
    return found, content.hexdigest()[:16]


def chosen(rows: Any, pattern: str, mask: np.ndarray | None) -> Iterator[tuple[np.ndarray, dict[str, tf.Tensor]]]:
    """The rows of a part, some at once: their numbers from 1 on, and all of their fields."""
    at = 0
    for block in rows.blocks(pattern).prefetch(2):
        count = len(block["row hash"])
        places = np.arange(count) if mask is None else np.flatnonzero(mask[at : at + count])
        size = max((math.prod(field.shape[1:]) for field in block["fields"].values()), default=1)
        each = max(1, min(TOGETHER, NUMBERS // max(size, 1)))
        for start in range(0, len(places), each):
            some = places[start : start + each]
            yield at + some + 1, {name: tf.gather(field, some) for name, field in block["fields"].items()}
        at += count


def texts(values: tf.Tensor) -> list[str]:
    """Fields as a person reads them; an array by its size."""
    if values.shape.rank != 1:
        return [" x ".join(map(str, values.shape[1:]))] * len(values)
    found = values.numpy().tolist()
    if values.dtype == tf.string:
        return [value.decode("utf-8", "replace") for value in found]
    return [str(value) if isinstance(value, int) else "" if value != value else f"{value:.7g}" for value in found]


# --- what is counted


class Groups:
    """Rows by the values of one column. `add` is given what to add up for each row: [rows, sums]."""

    def __init__(self, name: str, kind: Any) -> None:
        self.name, self.kind = name, kind
        self.edges: list[float] | None = None
        self.sums: dict[str, np.ndarray] = {}
        self.left = 0

    def add(self, fields: Mapping[str, tf.Tensor], amounts: np.ndarray) -> None:
        """Add some rows to the groups that they belong to."""
        values, inverse = np.unique(self.called(fields[self.name]), return_inverse=True)
        for place, value in enumerate(values.tolist()):
            some = amounts[inverse == place]
            if value in self.sums:
                self.sums[value] = self.sums[value] + some.sum(0)
            elif len(self.sums) < VALUES:
                self.sums[value] = some.sum(0)
            else:
                self.left += len(some)

    def called(self, values: tf.Tensor) -> np.ndarray:
        """The group of each row: its word, the year of its date, or the range of its number."""
        if values.dtype == tf.string:
            found = texts(values)
            return np.array([text[:4] for text in found] if self.kind == "date" else found)
        numbers = values.numpy().astype("float64")
        if self.edges is None:  # the first rows decide, so that nothing is read twice
            known = np.unique(numbers[~np.isnan(numbers)])
            cuts = np.nanquantile(numbers, np.arange(1, PARTS) / PARTS) if len(known) > FEW else []
            self.edges = sorted({float(f"{cut:.3g}") for cut in cuts})
        if not self.edges:
            return np.array(texts(values))
        marks = [f"{edge:.6g}" for edge in self.edges]
        names = np.array([f"< {marks[0]}", *(f"{a} - {b}" for a, b in itertools.pairwise(marks)),
                          f">= {marks[-1]}"])  # fmt: skip
        return np.where(np.isnan(numbers), "", names[np.searchsorted(self.edges, numbers, "right").clip(0, len(marks))])

    def told(self) -> dict:
        """For JSON."""
        order = sorted(self.sums, key=lambda value: self._place(value))
        return {"values": {value: self.sums[value].tolist() for value in order}, "left": self.left}

    def _place(self, value: str) -> tuple:
        if self.edges and value:
            return (0, -math.inf if value[0] == "<" else float(value.removeprefix(">= ").partition(" - ")[0]), value)
        return (0, 0.0, value)


class Worst:
    """The rows that were answered most wrongly, with all of their fields."""

    def __init__(self, label: str, statistics: Mapping) -> None:
        self.label, self.statistics = label, statistics
        self.heap: list[tuple[float, int, dict]] = []

    def add(self, grave: np.ndarray, numbers: np.ndarray, fields: Mapping[str, tf.Tensor], told: Mapping) -> None:
        """`grave` says how wrong each row is (nan: it isn't), `told` has what else to keep of it, by name."""
        wrong = np.flatnonzero(~np.isnan(grave))
        for i in wrong[np.argsort(-grave[wrong], kind="stable")][:WORST]:
            entry = (float(grave[i]), -int(numbers[i]))
            if len(self.heap) == WORST and entry < self.heap[0][:2]:
                break
            row = {"row": int(numbers[i]), **{name: values[i] for name, values in told.items()}}
            row["fields"] = {name: self.shown(name, fields[name][i : i + 1]) for name in fields if name != self.label}
            (heapq.heappushpop if len(self.heap) == WORST else heapq.heappush)(self.heap, (*entry, row))

    def shown(self, name: str, value: tf.Tensor) -> dict:
        """A field as text or, of an array with the size of one, as a picture."""
        sizes = tuple(value.numpy().shape[1:])
        if len(sizes) not in (2, 3) or (len(sizes) == 3 and sizes[2] not in (1, 3)) or max(sizes[:2]) > PICTURE:
            return {"text": texts(value)[0][:LONGEST]}
        about = self.statistics.get(name, {})
        array = value.numpy()[0].astype("float64")
        low, high = about.get("low", array.min()), about.get("high", array.max())
        grey = np.nan_to_num((array - low) / ((high - low) or 1) * 255).clip(0, 255).astype("uint8")
        png = tf.io.encode_png(grey.reshape(*sizes[:2], -1)).numpy()
        return {"picture": base64.b64encode(png).decode(), "height": sizes[0], "width": sizes[1]}

    def told(self) -> list[dict]:
        """For JSON, the worst first."""
        return [row for *_, row in sorted(self.heap, key=lambda one: one[:2], reverse=True)]


class ClassesCount:
    """What comes of a label with classes."""

    def __init__(self, classes: list[str], label: str, groups: list[Groups], worst: Worst) -> None:
        self.classes, self.label, self.groups, self.worst = classes, label, groups, worst
        self.place = {name: i for i, name in enumerate(classes)}
        self.table = np.zeros((len(classes), len(classes)), "int64")  # [label, answer]
        self.bins = np.zeros((BINS, 3))
        self.loss = 0.0

    def add(self, numbers: np.ndarray, labels: np.ndarray, fields: dict, said: dict[str, tf.Tensor]) -> None:
        """Some rows, with what the model said of them."""
        answers = np.array([self.place[text] for text in texts(said[self.label])])
        shares = said["probabilities"].numpy().astype("float64")
        rows, count = np.arange(len(labels)), len(self.classes)
        right, sure = answers == labels, shares[rows, answers]
        self.table += np.bincount(labels * count + answers, minlength=count**2).reshape(count, count)
        self.loss -= float(np.log(shares[rows, labels].clip(1e-7, 1)).sum())
        where = (sure * BINS).astype(int).clip(0, BINS - 1)
        np.add.at(self.bins, where, np.stack([np.ones(len(sure)), sure, right], 1))
        each = count if count <= CLASSES else 1
        amounts = np.zeros((len(labels), each, 2), "int64")
        amounts[rows, labels if each > 1 else 0] = np.stack([np.ones(len(labels)), right], 1)
        for group in self.groups:
            group.add(fields, amounts)
        told = {"label": [self.classes[i] for i in labels], "answer": [self.classes[i] for i in answers]}
        told |= {"sure": sure.tolist(), "of_label": shares[rows, labels].tolist()}
        self.worst.add(np.where(right, np.nan, sure), numbers, fields, told)

    def told(self) -> dict:
        """For JSON."""
        return {"table": self.table.tolist(), "loss": self.loss, "bins": self.bins.tolist()}


class NumbersCount:
    """What comes of a label that is a number. `mean` is that of the rows learnt from."""

    def __init__(self, mean: float, label: str, groups: list[Groups], worst: Worst) -> None:
        self.mean, self.label, self.groups, self.worst = mean, label, groups, worst
        self.sums = np.zeros(7)
        self.pairs, self.order = np.zeros((0, 2)), np.zeros(0)
        self.chance = np.random.default_rng(0)

    def add(self, numbers: np.ndarray, labels: np.ndarray, fields: dict, said: dict[str, tf.Tensor]) -> None:
        """Some rows, with what the model said of them."""
        labels, answers = labels.astype("float64"), said[self.label].numpy().astype("float64")
        error, apart = answers - labels, labels - self.mean
        amounts = np.stack([np.ones(len(error)), abs(error), error**2, error], 1)
        self.sums += [*amounts.sum(0), abs(apart).sum(), (apart**2).sum(), apart.sum()]
        for group in self.groups:
            group.add(fields, amounts)
        self.worst.add(abs(error), numbers, fields, {"label": labels.tolist(), "answer": answers.tolist()})
        pairs = np.concatenate([self.pairs, np.stack([labels, answers], 1)])
        order = np.concatenate([self.order, self.chance.random(len(labels))])
        kept = np.sort(np.argsort(order)[:PAIRS])
        self.pairs, self.order = pairs[kept], order[kept]

    def told(self) -> dict:
        """For JSON: the sums are rows, |error|, error², error, and |label - mean|, its square, label - mean."""
        return {"sums": self.sums.tolist(), "pairs": self.pairs.tolist()}


# --- all of it


def columns_to_group_by(order: dict, data: Any, fields: Mapping[str, tf.Tensor]) -> list[str]:
    """Those that were asked for; else GROUP of data.py, else each category of few words."""
    for name in order["by"]:
        if name not in fields or fields[name].shape.rank != 1 or name == order["label"]:
            raise Problem("by", name, [one for one in fields if one != order["label"]])
    if order["by"]:
        return order["by"]
    if (group := getattr(data, "GROUP", "")) and group in fields:
        return [group]
    words = {name: about.get("words", []) for name, about in order["statistics"].items()}
    few = [name for name, kind in data.COLUMNS.items() if kind == "category"]
    return [name for name in few if name in fields and len([word for word in words.get(name, []) if word]) <= FEW]


def asked(signature: Any, specs: Mapping, fields: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What the model says of some rows."""
    given = {}
    for name, spec in specs.items():
        values = fields[name]
        if spec.dtype == tf.string:
            given[name] = values if values.dtype == tf.string else tf.constant(texts(values))
        else:
            given[name] = tf.reshape(tf.cast(values, spec.dtype), [-1, *spec.shape[1:]])
    return signature(**given)


def looked_at(order: dict) -> dict:
    """What came of all parts that were held out. Raises Problem."""
    sys.path.insert(0, order["folder"])
    from trainer import data  # pyright: ignore[reportMissingImports]
    from trainer.kit import rows  # pyright: ignore[reportMissingImports]

    if [str(one) for one in data.CLASSES] != order["classes"] or order["label"] != data.LABEL:
        raise Problem("label", data.LABEL, [str(one) for one in data.CLASSES])
    model = tf.saved_model.load(order["model"])
    signature = model.signatures["serving_default"]
    specs = signature.structured_input_signature[1]
    with_fields(rows)
    found, content = shared_out(rows, order)
    told: dict = {"content": content, "parts": {}}
    for part, (pattern, mask) in found.items():
        count, numbered = None, 0
        for numbers, fields in chosen(rows, pattern, mask):
            if lacking := [name for name in (*specs, data.LABEL) if name not in fields]:
                raise Problem("columns", ", ".join(lacking), [])
            if count is None:
                groups = [Groups(name, data.COLUMNS.get(name)) for name in columns_to_group_by(order, data, fields)]
                worst = Worst(data.LABEL, order["statistics"])
                mean = order["statistics"].get(data.LABEL, {}).get("mean", 0.0)
                count = (
                    ClassesCount(order["classes"], data.LABEL, groups, worst)
                    if data.CLASSES
                    else NumbersCount(mean, data.LABEL, groups, worst)
                )
            labels = rows.places(fields[data.LABEL])
            if not (labels >= 0 if data.CLASSES else np.isfinite(labels)).all():
                raise Problem("rows", data.LABEL, [])
            count.add(numbers, labels, fields, asked(signature, specs, fields))
            numbered += len(numbers)
        if count:
            by = {group.name: group.told() for group in count.groups}
            told["parts"][part] = {"rows": numbered, **count.told(), "groups": by, "worst": count.worst.told()}
    return told


def main() -> None:
    """Look, and write."""
    order = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    out = Path(sys.argv[2])
    told: dict = {"events": events(order["logs"]), "tensorflow": tf.__version__}
    if order["model"]:
        try:
            told |= looked_at(order)
        except Problem as problem:
            told["problem"] = list(problem.args)
        except Exception as error:
            said = str(error).strip().splitlines()
            words = said[0].removeprefix("error: ")[:LONGEST] if said else ""
            told["problem"] = ["failed", words or type(error).__name__, []]
    part = out.with_name(f"{out.name}.part")
    part.write_text(json.dumps(told), encoding="utf-8")
    part.replace(out)


if __name__ == "__main__":
    main()
