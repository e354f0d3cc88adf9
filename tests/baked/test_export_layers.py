"""Each layer that the page knows, beside Keras on random numbers; and those that it must refuse, by their names."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cloudkite.export import making
from tests import browser
from tests.baked.conftest import Run

pytestmark = pytest.mark.slow

# Writes [[name, program, inputs of 5 rows, Keras' answers], ...] and [[name, refusal], ...].
_SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
import keras, numpy as np, steps
from keras import layers as L, ops as O

chance = np.random.default_rng(1)
keras.utils.set_random_seed(1)
row, line, picture = (6,), (12, 3), (9, 8, 2)
flat = lambda x: L.Flatten()(x)
made = {}

def one(name, shape, body, dtype="float32"):
    x = keras.Input(shape, dtype=dtype, name="x")
    made[name] = keras.Model(x, flat(body(x)))

for name in sorted(steps.CURVES & set(dir(keras.activations))):
    one(name, row, lambda x: L.Dense(5, activation=name)(x * 3))
for name in ("log1p", "exp", "expm1", "sqrt", "square", "abs", "negative", "sin", "cos", "log", "relu", "silu", "tanh"):
    one("ops." + name, row, lambda x: getattr(O, name)(O.abs(x) + 0.5))
for name in ("add", "multiply", "subtract", "divide", "maximum", "minimum", "equal", "not_equal", "greater", "less",
             "greater_equal", "less_equal"):
    one("ops " + name, picture, lambda x: O.cast(getattr(O, name)(x, np.full((8, 1), 0.25, "float32")), "float32"))
one("fewer axes and more", line, lambda x: L.Multiply()([x, L.Reshape((1, 3))(L.Dense(3)(L.GlobalMaxPooling1D()(x)))]))
for pad in ("same", "valid"):
    for step in (1, 2):
        one(f"Conv2D {pad} {step}", picture, lambda x: L.Conv2D(4, (3, 2), strides=step, padding=pad, groups=2)(x))
        how = {"strides": step, "padding": pad}
        one(f"DepthwiseConv2D {pad} {step}", picture, lambda x: L.DepthwiseConv2D(3, depth_multiplier=2, **how)(x))
        one(f"SeparableConv2D {pad} {step}", picture, lambda x: L.SeparableConv2D(4, 3, activation="relu", **how)(x))
        one(f"Conv1D {pad} {step}", line, lambda x: L.Conv1D(4, 3, **how)(x))
        one(f"SeparableConv1D {pad} {step}", line, lambda x: L.SeparableConv1D(4, 3, **how)(x))
        for kind in ("Max", "Average"):
            one(f"{kind} 2D {pad} {step}", picture, lambda x: getattr(L, kind + "Pooling2D")((2, 3), step, pad)(x))
            one(f"{kind}Pooling1D {pad} {step}", line, lambda x: getattr(L, kind + "Pooling1D")(3, step, pad)(x))
one("Conv1D causal", line, lambda x: L.Conv1D(4, 3, padding="causal", dilation_rate=2)(x))
one("Conv2D dilated", picture, lambda x: L.Conv2D(3, 3, dilation_rate=2, use_bias=False)(x))
for kind in ("Max", "Average"):
    one(f"Global{kind}Pooling2D", picture, lambda x: getattr(L, f"Global{kind}Pooling2D")(keepdims=True)(x))
    one(f"Global{kind}Pooling1D", line, lambda x: getattr(L, f"Global{kind}Pooling1D")()(x))
one("Normalization", row, lambda x: L.Normalization(mean=[1, 2, 3, 4, 5, 6e4], variance=[1, 4, 0, 2, 3, 9])(x))
back = L.Normalization(None, 2.0, 9.0, invert=True)
one("Normalization of all, and back", picture, lambda x: back(L.Normalization(None, 1.0, 4.0)(x)))
def batch(x):
    layer = L.BatchNormalization()
    y = layer(x)
    layer.set_weights([chance.uniform(.5, 2, w.shape) for w in layer.get_weights()])
    return y
one("BatchNormalization", picture, batch)
one("LayerNormalization", line, lambda x: L.LayerNormalization()(x))
one("Rescaling", picture, lambda x: L.Rescaling(1 / 255, offset=-0.5)(x))
curves = [L.LeakyReLU(0.3), L.ReLU(negative_slope=0.1), L.ReLU(), L.Softmax()]
one("LeakyReLU, ReLU, Softmax", row, lambda x: L.Concatenate()([curve(x) for curve in curves]))
one("shapes", picture, lambda x: O.squeeze(O.expand_dims(L.Reshape((4, 36))(x), 1), 1))
one("Concatenate", line, lambda x: L.Concatenate(axis=1)([x, x * 2]))
one("ops.stack", line, lambda x: O.stack([x, x * 2], axis=2))
one("ops.take", picture, lambda x: O.take(x, np.array([7, 0, 0]), axis=2))
mean = lambda x: L.Average()([x, L.Dense(6)(x), x])
one("Average, Subtract", row, lambda x: L.Subtract()([mean(x), L.Maximum()([x, L.Minimum()([x, x * 2])])]))
one("Embedding", row, lambda x: L.Dense(2)(L.Flatten()(L.Embedding(9, 4)(x))), "int32")
one("nan_to_num", row, lambda x: O.nan_to_num(x / O.relu(x), nan=2.0))
one("cast", row, lambda x: O.cast(O.cast(x * 3, "int32"), "float32") + O.cast(O.cast(x - x, "bool"), "float32"))
inner = keras.Sequential([keras.Input(row), L.Dense(3, activation="relu"), L.Dropout(.5)])
one("a model in a model", row, lambda x: inner(x))
sequential = keras.Sequential([keras.Input(row, name="x"), L.Dense(3), L.GaussianNoise(1.0), L.Activation("tanh")])
made["Sequential"] = sequential
found = []
for name, model in made.items():
    (x,) = model.inputs
    given = chance.integers(0, 9, (5, *x.shape[1:])) if x.dtype == "int32" else chance.normal(0, 2, (5, *x.shape[1:]))
    given = given.astype(x.dtype)
    expected = np.asarray(model(given, training=False)).reshape(5, -1)
    found.append([name, steps.program(model), given.reshape(5, -1).tolist(), expected.tolist()])

class Own(L.Layer):
    def call(self, x):
        return x * 2

refused = {}
def other(name, shape, body):
    x = keras.Input(shape, name="x")
    try:
        steps.program(keras.Model(x, body(x)))
    except steps.Unsupported as error:
        refused[name] = str(error)
other("own layer", row, lambda x: Own(name="mine")(x))
other("own curve", row, lambda x: L.Dense(3, activation=lambda x: x * x, name="odd")(x))
other("recurrent", line, lambda x: L.LSTM(3, name="memory")(x))
other("half", row, lambda x: L.Dense(3, dtype="mixed_float16", name="small")(x))
other("mask", row, lambda x: L.Embedding(9, 4, mask_zero=True, name="words")(x))
other("limit", row, lambda x: L.ReLU(max_value=6, name="limited")(x))
other("axis", picture, lambda x: L.BatchNormalization(axis=1, name="sideways")(x))
other("ops", row, lambda x: O.sort(x))
json.dump([found, refused], open(sys.argv[2], "w"))
"""
_ASK = """
const cases = JSON.parse(require("fs").readFileSync(process.argv[2], "utf8"));
console.log(JSON.stringify(cases.map(([name, program, rows]) => {
    const bytes = Uint8Array.from(Buffer.from(program.weights, "base64"));
    const run = network(program, new Float32Array(bytes.buffer));
    return rows.map(row => run({ x: Float64Array.from(row) }));
})));
"""


@pytest.mark.skipif(not shutil.which("node"), reason=f"no Node; {browser.NEEDS}")
def test_every_layer_answers_as_keras_does_or_is_refused(run: Run, tmp_path: Path) -> None:
    package = Path(making.__file__).parent
    done = run(
        tmp_path,
        "-c",
        _SCRIPT,
        str(package / "inside"),
        str(tmp_path / "cases.json"),
        env={"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cases, refused = json.loads((tmp_path / "cases.json").read_text(encoding="utf-8"))
    assert len(cases) > 80
    (tmp_path / "asked.json").write_text(json.dumps(cases), encoding="utf-8")
    runtime = (package / "page" / "runtime.js").read_text(encoding="utf-8")
    (tmp_path / "ask.cjs").write_text(runtime + _ASK, encoding="utf-8")
    told = subprocess.run(
        ["node", str(tmp_path / "ask.cjs"), str(tmp_path / "asked.json")], capture_output=True, encoding="utf-8"
    )
    assert told.returncode == 0, told.stderr[-2000:]
    wrong = {}
    for (name, _program, _rows, expected), found in zip(cases, json.loads(told.stdout), strict=True):
        largest = max(1.0, float(np.max(np.abs(expected))))
        difference = float(np.max(np.abs(np.array(found) - np.array(expected)))) / largest
        if not difference <= 1e-5:
            wrong[name] = difference
    assert not wrong
    assert refused == {
        "own layer": "mine (Own)", "own curve": "odd (Dense: activation <lambda>)", "recurrent": "memory (LSTM)",
        "half": "small (Dense: float16)", "mask": "words (Embedding: mask_zero)",
        "limit": "limited (ReLU: max_value, threshold)", "axis": "sideways (BatchNormalization: axis 1)",
        "ops": refused["ops"],
    }  # fmt: skip
    assert refused["ops"].endswith("(Sort)")
