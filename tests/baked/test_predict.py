"""What the process that predicts makes of columns, with a model of every kind of input, and what it answers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from cloudkite.models.predictor import Predictor
from cloudkite.show.errors import UserError
from tests.baked.conftest import Run

pytestmark = pytest.mark.slow

_MODEL = """
import sys, tensorflow as tf
specs = {"x": ([None], "float32"), "high": ([None, 1], "float64"), "word": ([None], "string"),
         "whole": ([None], "int64"), "photo": ([None, 2, 3], "float32")}
root = tf.Module()
@tf.function
def serve(x, high, word, whole, photo):
    return {"sum": tf.reshape(x, [-1, 1]) + tf.cast(high, "float32"), "word": word, "whole": whole * 2, "photo": photo,
            "blank": tf.math.is_nan(x), "pair": tf.stack([word, tf.strings.as_string(whole)], 1),
            "half": tf.cast(x, tf.bfloat16)}
root.serve = serve
made = serve.get_concrete_function(*(tf.TensorSpec(*spec, name) for name, spec in specs.items()))
tf.saved_model.save(root, sys.argv[1], signatures={"serving_default": made})
"""


def test_columns_of_every_kind_come_through_and_answers_come_back(run: Run, python: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    done = run(tmp_path, "-c", _MODEL, str(model))
    assert done.returncode == 0, done.stderr[-3000:]
    photo = [1.0, 2.0, 3.0, 4.0, 5.0, 6.5]
    with Predictor(python) as predictor:
        given = {"x": [1.5, None, 3.0], "high": [1.0, 2.0, 3.0], "word": ["서울", None, "a\nb"], "whole": [7, None, -1],
                 "photo": [photo, None, photo], "extra": ["not", "an", "input"]}  # fmt: skip
        answer = predictor.ask_columns(model, given, 3)
        few = predictor.ask(model, [{"x": 1000, "word": 5.0}, {"whole": 8}])
        with pytest.raises(UserError, match="can't be used"):
            predictor.ask_columns(model, {"photo": [[1.0], [2.0], [3.0]]}, 3)
        pixels = np.arange(18, dtype="uint8").reshape(3, 2, 3)
        arrays = predictor.ask_columns(model, {"photo": pixels, "x": [1.0, 2.0, 3.0]}, 3)
        many = predictor.ask_columns(model, {"x": [float(i) for i in range(30_000)]}, 30_000)
    assert answer.inputs == {"x": "float32", "high": "float64", "word": "string", "whole": "int64", "photo": "float32"}
    out = answer.outputs
    assert out["sum"][0] == [2.5] and math.isnan(out["sum"][1][0]) and out["sum"][2] == [6.0]
    assert out["word"] == ["서울", "", "a\nb"] and out["whole"] == [14, 0, -2]
    assert out["photo"][0] == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.5]] and math.isnan(out["photo"][1][1][2])
    assert out["blank"] == [False, True, False] and out["pair"][0] == ["서울", "7"] and out["half"][0] == 1.5
    assert few.outputs["half"][0] == 1000.0 and few.outputs["word"] == ["5.0", ""] and few.outputs["whole"] == [0, 16]
    assert arrays.outputs["photo"] == pixels.tolist() and arrays.outputs["half"] == [1.0, 2.0, 3.0]
    assert len(many.outputs["sum"]) == 30_000 and many.outputs["half"][-1] == pytest.approx(29_999, rel=0.01)
