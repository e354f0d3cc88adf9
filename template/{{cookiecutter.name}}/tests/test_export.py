"""What a model's output means, in the words of data.py."""

import pytest
import tensorflow as tf

from trainer import data, export
from trainer.mistakes import Mistake


@pytest.mark.parametrize(
    ("classes", "output", "labels", "probabilities"),
    [
        (("no", "yes"), [[0.25], [0.75], [0.5]], [b"no", b"yes", b"yes"], [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]),
        (("no", "yes"), [0.25, 0.75], [b"no", b"yes"], [[0.75, 0.25], [0.25, 0.75]]),
        (("no", "yes"), [[0.75, 0.25], [0.25, 0.75]], [b"no", b"yes"], [[0.75, 0.25], [0.25, 0.75]]),
        ((0, 1), [[0.25], [0.75]], [0, 1], [[0.75, 0.25], [0.25, 0.75]]),
        (("a", "b", "c"), [[0.25, 0.25, 0.5]], [b"c"], [[0.25, 0.25, 0.5]]),
        ((), [[1.5], [2.5]], [1.5, 2.5], None),
        ((), [1.5, 2.5], [1.5, 2.5], None),
    ],
)
def test_outputs(monkeypatch, classes, output, labels, probabilities):
    monkeypatch.setattr(data, "CLASSES", classes)
    found = {name: value.numpy().tolist() for name, value in export.meaning(tf.constant(output, tf.float32)).items()}
    expected = {data.LABEL: labels} | ({"probabilities": probabilities} if probabilities else {})
    assert found == expected


@pytest.mark.parametrize(
    ("classes", "shape", "message", "hint"),
    [
        (("a", "b", "c"), (None, 1), "1 number a row, which does not fit 3 CLASSES", 'Dense(3, activation="softmax")'),
        (("a", "b", "c"), (None, 2), "2 numbers a row, which does not fit 3 CLASSES", 'Dense(3, activation="softmax")'),
        (
            ("a", "b"), (None, 3), "3 numbers a row, which does not fit 2 CLASSES",
            'Dense(2, activation="softmax"), or Dense(1, activation="sigmoid")',
        ),
        ((), (None, 2), "2 numbers a row, which does not fit a label that is a number", "Dense(1)"),
        ((), (None, 2, 2), "an output of shape (rows, 2, 2), which does not fit a label that is a number", "Dense(1)"),
        ((), [(None, 1), (None, 1)], "2 outputs, which does not fit a label that is a number", "Dense(1)"),
    ],
)  # fmt: skip
def test_outputs_that_fit_no_label(monkeypatch, classes, shape, message, hint):
    monkeypatch.setattr(data, "CLASSES", classes)
    with pytest.raises(Mistake) as caught:
        export.check(shape)
    assert caught.value.message == f"model.py: the model gives {message}"
    assert caught.value.hint == f"the last layer: {hint}"
