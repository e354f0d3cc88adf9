"""A model as devices take it, with a trainer's own TensorFlow. Runs alone, without Cloudkite.

    python -I device.py ORDER      ORDER: a JSON file, see `main`

A device has no tables of TensorFlow's for sentences and dates: LiteRT 2.3 runs `HashTable` lookups of whole words, and
needs Flex for `RegexReplace`, `UnicodeSplit`, `StringNGrams` and the like. So the model for devices takes numbers,
words (or their places, where a device's interpreter has no text inputs), arrays, and what `preparation.json` tells to
make of sentences and dates.
"""

import hashlib
import importlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import keras  # pyright: ignore[reportMissingImports]
import numpy as np
import steps  # pyright: ignore[reportMissingImports]
import tensorflow as tf  # pyright: ignore[reportMissingModuleSource]

PARTS = 8  # numbers that a date becomes
KINDS = {"float32": [], "float16": [tf.float16], "dynamic int8": [], "int8": []}
AT_ONCE = 1024  # rows
CALIBRATED = 100  # rows by which ranges are found
# Operations of LiteRT that scale and arrange inputs; the layers of a network are others.
IN_FLOAT = (
    "SUB MUL DIV CONCATENATION RESHAPE SELECT SELECT_V2 EXPAND_DIMS STRIDED_SLICE PACK MINIMUM MAXIMUM CAST".split()
)
_LACKING = re.compile(r"'tf\.(\w+)' op (?:is neither|requires)")


class Refused(Exception):
    """Why something can't be: a word, for which export/making.py has a sentence, and what is to be filled in there."""

    def __init__(self, why: str, what: str = "") -> None:
        super().__init__(why, what)
        self.reason = [why, what]


def names(about: Mapping, *kinds: str) -> list[str]:
    """The model's columns of these kinds."""
    return [name for name, kind in about["columns"].items() if kind in kinds]


def words(about: Mapping, name: str) -> list[str]:
    """The words of a column that the model knows."""
    return about["statistics"][name]["words"]


def inputs(about: Mapping, coded: bool) -> dict[str, tf.TensorSpec]:
    """What the model for devices takes, by column; `coded`: the place of a word in place of the word."""
    specs = {}
    for name, kind in about["columns"].items():
        sizes = {"date": [PARTS]}.get(kind, []) if isinstance(kind, str) else list(kind)
        sizes = [len(words(about, name))] if kind in ("text", "letters") else sizes
        dtype = "float32" if kind != "category" else "int32" if coded else "string"
        specs[name] = tf.TensorSpec([None, *sizes], dtype, name=name)
    return specs


def of_network(about: Mapping, columns: Mapping, tables: Mapping) -> dict[str, tf.Tensor]:
    """Columns of the model for devices -> the network's inputs, as the trainer's kit/prepare.py has them."""
    made = {name: columns[name] for name, kind in about["columns"].items() if not isinstance(kind, str)}
    numbers = [columns[name][:, None] for name in names(about, "number")]
    if numbers := numbers + [columns[name] for name in names(about, "date")]:
        made["numbers"] = tf.concat(numbers, -1)
    ids, first = [], 0
    for name in names(about, "category"):
        place = tables[name].lookup(columns[name]) if name in tables else columns[name]
        # The shape is lost in a lookup; without one, LiteRT's int8 leaves a part of the graph unquantised, and fails.
        ids.append(tf.reshape(tf.cast(place, tf.int32), [-1]) + first)
        first += len(words(about, name)) + 1
    if ids:
        made["words"] = tf.stack(ids, -1)
    if counts := [columns[name] for name in names(about, "text", "letters")]:
        made["counts"] = tf.concat(counts, -1)
    return made


def table(known: list[str]) -> tf.lookup.StaticHashTable:
    """The place of a word: 0 for one that isn't known, and those of the others from 1 on."""
    places = tf.range(1, len(known) + 1, dtype=tf.int64)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(tf.constant(known, tf.string), places), 0)


def load(folder: Path, trainer: str) -> keras.Model:
    """The Keras model beside a SavedModel. Raises Refused."""
    path = folder / "assets.extra" / "model.keras"
    if not path.is_file():
        raise Refused("unsaved")
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as first:  # a layer of the person's own, which model.py registers
        try:
            sys.path.insert(0, trainer)
            importlib.import_module("trainer.model")

            return keras.models.load_model(path, compile=False)
        except Exception:
            raise Refused("load", str(first).splitlines()[0][:300]) from None


def archive(model: keras.Model, about: Mapping, folder: Path, coded: bool) -> None:
    """Write the model for devices as a SavedModel."""
    tables = {} if coded else {name: table(words(about, name)) for name in names(about, "category")}
    made = keras.export.ExportArchive()
    for one in (model, *tables.values()):
        made.track(one)
    output = lambda columns: {"output": flat(model(of_network(about, columns, tables), training=False))}  # noqa: E731
    made.add_endpoint("serve", output, [inputs(about, coded)])
    made.write_out(str(folder), verbose=False)


def flat(output: object) -> tf.Tensor:
    """The one output of a model: [rows, numbers]."""
    parts = tf.nest.flatten(output)
    if len(parts) != 1:
        raise Refused("outputs", str(len(parts)))
    return tf.reshape(tf.cast(parts[0], tf.float32), [tf.shape(parts[0])[0], -1])


def convert(folder: Path, kind: str, given: Mapping[str, np.ndarray]) -> bytes:
    """The SavedModel in `folder` as LiteRT. Raises Refused, with the operations that LiteRT lacks."""
    made = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=["serving_default"])
    if kind != "float32":
        made.optimizations = [tf.lite.Optimize.DEFAULT]
        made.target_spec.supported_types = KINDS[kind]
    try:
        return quantised(made, given) if kind == "int8" else made.convert()
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        lacking = sorted(set(_LACKING.findall(str(error))))
        raise Refused("lacking" if lacking else "said", ", ".join(lacking) or lines[0][:300]) from None


def quantised(made: tf.lite.TFLiteConverter, given: Mapping[str, np.ndarray]) -> bytes:
    """Layers in int8, by the ranges that some rows show; how inputs are scaled stays in float32.

    In int8 all numbers of a row would share one scale, which leaves nothing of small ones beside large ones.
    """
    some = sorted(set(np.linspace(0, len(next(iter(given.values()))) - 1, CALIBRATED).astype(int)))
    made.representative_dataset = lambda: ({name: v[i : i + 1] for name, v in given.items()} for i in some)
    tool = tf.lite.experimental
    kept = tool.QuantizationDebugOptions(denylisted_ops=IN_FLOAT)
    debugger = tool.QuantizationDebugger(converter=made, debug_dataset=made.representative_dataset, debug_options=kept)
    return debugger.get_nondebug_quantized_model()


def prepared(about: Mapping, rows: Mapping[str, np.ndarray], serve) -> dict[str, np.ndarray]:
    """Columns as people write them -> those of the model for devices. Sentences and dates go by `serve`, see `main`."""
    found = {}
    for name, kind in about["columns"].items():
        values = rows[name]
        if kind == "category":
            found[name] = values.astype(str)
        elif isinstance(kind, str) and kind != "number":
            found[name] = serve(name, values.astype(str)).astype("float32")
        else:
            found[name] = values.astype("float32")
    return found


def loaded(folder: str, pattern: str, columns: list[str], most: int) -> dict[str, np.ndarray]:
    """The first rows that a trainer's own load() gives."""
    sys.path.insert(0, folder)
    from trainer import data  # pyright: ignore[reportMissingImports]

    found = data.load(pattern)
    parts, count = [], 0
    for batch in [found] if isinstance(found, Mapping) else found:
        parts.append({name: np.asarray(batch[name])[: most - count] for name in columns})
        count += len(parts[-1][columns[0]])
        if count >= most:
            break
    rows = {name: np.concatenate([part[name] for part in parts]) for name in columns}
    texts = {name: values for name, values in rows.items() if values.dtype.kind in "SO"}
    return rows | {name: np.array([plain(v) for v in values.tolist()], "U") for name, values in texts.items()}


def save(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write columns to an .npz file."""
    arrays: dict[str, Any] = dict(columns)
    np.savez(path, **arrays)


def plain(value: object) -> str:
    """A text of TensorFlow's, which is bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def some(rows: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """The rows, so many at once as fit into the memory."""
    for start in range(0, len(next(iter(rows.values()))), AT_ONCE):
        yield {name: values[start : start + AT_ONCE] for name, values in rows.items()}


def answers(folder: Path, about: Mapping, rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """What the SavedModel answers, as the label's number or one probability a class: [rows, numbers]."""
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    specs = signature.structured_input_signature[1]
    found = []
    for part in some(rows):
        given = {n: tf.cast(tf.constant(part[n]), spec.dtype) if spec.dtype != tf.string else tf.constant(part[n])
                 for n, spec in specs.items()}  # fmt: skip
        out = signature(**given)["probabilities" if about["classes"] else about["label"]].numpy()
        found.append(out.reshape(len(out), -1))
    return np.concatenate(found)


def main(order: Mapping) -> dict:
    """Write SavedModels, LiteRT files and the page's program into order["out"].

    `order` has "model" and "trainer", folders; "rows", an .npz file of columns, or "load", a pattern for the trainer's
    own load(), and "most", rows; "page" and "coded", whether these are wanted. Written are answers.npz ("expected",
    what the SavedModel says), given.npz (the columns for devices), words/ and coded/ (SavedModels), NAME.tflite for
    each kind, program.json, and told.json, what came of it.
    """
    folder, out = Path(order["model"]), Path(order["out"])
    about = json.loads((folder / "assets.extra" / "trainer.json").read_text(encoding="utf-8"))
    model = load(folder, order["trainer"])
    wanted = {"numbers", "words", "counts", *(n for n, kind in about["columns"].items() if not isinstance(kind, str))}
    if not isinstance(getattr(model, "inputs", None), list) or {t.name for t in model.inputs} - wanted:
        raise Refused("inputs")
    if order.get("rows"):
        rows = dict(np.load(order["rows"], allow_pickle=False))
    else:
        rows = loaded(order["trainer"], order["load"], list(about["columns"]), order["most"])
        save(out / "rows.npz", rows)
    expected = answers(folder, about, rows)

    def by_trainer(name: str, values: np.ndarray) -> np.ndarray:
        """Sentences and dates as the trainer's own functions have them: a device's must give the same."""
        sys.path.insert(0, order["trainer"])
        from trainer.kit import prepare  # pyright: ignore[reportMissingImports]

        if about["columns"][name] == "date":
            return prepare.calendar(tf.constant(values)).numpy()
        known = tf.constant(words(about, name), tf.string)
        places = tf.lookup.KeyValueTensorInitializer(known, tf.range(tf.size(known, tf.int64)))
        return prepare.counted(tf.lookup.StaticHashTable(places, len(known)), prepare.tokens(name, tf.constant(values)))

    given = prepared(about, rows, lambda name, values: np.asarray(by_trainer(name, values)))
    known = {name: {w: i for i, w in enumerate(words(about, name), start=1)} for name in names(about, "category")}
    coded = given | {n: np.array([m.get(str(v), 0) for v in given[n]], "int32") for n, m in known.items()}
    np.savez(out / "answers.npz", expected=expected)
    save(out / "given.npz", given)
    save(out / "coded.npz", coded)
    archive(model, about, out / "words", coded=False)
    told: dict = {"rows": len(expected), "files": {}, "refused": {}, "page": ""}
    told["inputs"] = {name: [spec.dtype.name, spec.shape[1:]] for name, spec in inputs(about, False).items()}
    told["width"] = int(expected.shape[1])
    told["output"] = int(model.output_shape[-1]) if len(model.output_shape) > 1 else 1
    told["weights"] = hashlib.sha256(b"".join(v.numpy().tobytes() for v in model.weights)).hexdigest()
    told["tensorflow"], told["keras"] = tf.__version__, keras.__version__
    told["lacking"] = []
    if names(about, "text", "letters", "date"):
        try:
            convert(folder, "float32", given)
        except Refused as error:
            told["lacking"] = error.reason[1].split(", ") if error.reason[0] == "lacking" else []
    for kind in KINDS:
        name = f"model_{kind.replace(' ', '_')}.tflite"
        try:
            (out / name).write_bytes(convert(out / "words", kind, given))
            told["files"][kind] = name
        except Refused as error:
            told["refused"][kind] = error.reason
    if order.get("coded") and known and "float32" in told["files"]:
        archive(model, about, out / "coded", coded=True)
        (out / "coded.tflite").write_bytes(convert(out / "coded", "float32", coded))
        told["coded"] = "coded.tflite"
    if order.get("page"):
        try:
            program = steps.program(model)
            (out / "program.json").write_text(json.dumps(program), encoding="utf-8")
        except steps.Unsupported as error:
            told["page"] = str(error)
    return told


if __name__ == "__main__":
    work = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        reply = main(work)
    except Refused as error:
        reply = {"error": error.reason}
    Path(work["out"], "told.json").write_text(json.dumps(reply, default=list), encoding="utf-8")
