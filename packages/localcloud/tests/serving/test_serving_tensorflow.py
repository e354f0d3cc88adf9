"""A real SavedModel in a prebuilt image: TensorFlow's own signatures, and the words of TensorFlow Serving."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog import images
from clouds import ENVS, PROJECT, LocalCloud
from clouds.serving import Api, prepare
from environments import environment
from localcloud import launch

pytestmark = pytest.mark.slow

SAVE = """
import os
import tensorflow as tf

class Model(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
    def one(self, x):
        return {"y": tf.reduce_sum(x, axis=1)}

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.int64, "n"), tf.TensorSpec([None], tf.string, "image_bytes")]
    )
    def two(self, n, image_bytes):
        return {"twice": n * 2, "same_bytes": image_bytes, "size": tf.strings.length(image_bytes)}

model = Model()
bucket = os.environ["BUCKET"]
tf.saved_model.save(model, f"{bucket}/one", signatures={"serving_default": model.one, "other": model.two})
tf.saved_model.save(model, f"{bucket}/two", signatures=model.two)
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A server with the environments of this checkout: they are built once."""
    root = tmp_path_factory.mktemp("tensorflow") / "root"
    launch.start(root, ENVS, [PROJECT])
    yield LocalCloud(root, PROJECT)
    launch.stop(root)


@pytest.fixture(scope="module")
def python() -> Path:
    image = images.image(images.DEFAULT_CPU)
    return environment(ENVS, image.requirements, image.python)


def test_saved_models(cloud: LocalCloud, python: Path) -> None:
    session = cloud.session()
    api: Any = Api(session)
    prepare(cloud, session)
    made = session.post(
        f"https://storage.googleapis.com/storage/v1/b?project={PROJECT}",
        json={"name": "saved-models", "location": "us-central1"},
    )
    assert made.ok
    cloud.run(SAVE, env={"BUCKET": "gs://saved-models"}, python=python, timeout=300)
    spec = {"imageUri": images.SERVING}
    models = [api.model(name, container=spec, artifactUri=f"gs://saved-models/{name}") for name in ("one", "two")]
    endpoints = [api.endpoint(name) for name in ("one", "two")]
    begun = [api.begin_deploy(endpoint, model) for endpoint, model in zip(endpoints, models, strict=True)]
    for operation in begun:
        ended = api.wait(operation, 600)
        assert "error" not in ended, ended
    one, two = endpoints
    assert api.predict(one, [1, 2], [3.5, 0])["predictions"] == [3.0, 3.5]
    assert api.predict(one, {"x": [1, 2]})["predictions"] == [3.0]
    image = {"b64": "AAEC"}
    assert api.predict(two, {"n": 3, "image_bytes": image}, {"n": 4, "image_bytes": "text"})["predictions"] == [
        {"twice": 6, "same_bytes": image, "size": 3},
        {"twice": 8, "same_bytes": {"b64": "dGV4dA=="}, "size": 4},
    ]
    address = f"https://us-central1-aiplatform.googleapis.com/v1/{one}:rawPredict"
    column = session.post(address, json={"inputs": {"x": [[1, 2], [3, 4]]}})
    assert column.json() == {"outputs": [3.0, 7.0]}
    other = {"signature_name": "other", "inputs": {"n": [5], "image_bytes": ["x"]}}
    assert session.post(address, json=other).json()["outputs"]["twice"] == [10]
    for endpoint, instances, words in (
        (
            one,
            ["a"],
            "Failed to process element: 0 key: x of 'instances' list. Error: JSON Value: \\\"a\\\" Type: String is",
        ),
        (one, [{"z": 1}], "keys must be equal to: x"),
        (one, [[1, 2], [1]], "Encountered list at unexpected size"),
        (two, [1], "instances is a plain list, but expecting list of objects as multiple input tensors required"),
        (two, [{"n": 1, "image_bytes": {"b64": "?"}}], "Unable to base64 decode"),
        (two, [{"n": 1.5, "image_bytes": "x"}], "Type: Number is not of expected type: int64"),
    ):
        code, status, message = api.refused("POST", f"{endpoint}:predict", {"instances": instances})
        assert (code, status) == (400, "FAILED_PRECONDITION") and words in message, message
        assert message.startswith('{\n    "error": "')
    session.close()
