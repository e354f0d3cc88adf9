"""TensorFlow's own gs:// file system, unmodified: files, data sets, checkpoints, SavedModels, summaries."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog import images
from clouds import ENVS
from environments import environment

pytestmark = pytest.mark.slow

START = """
import os
import tensorflow as tf
file, bucket = tf.io.gfile, os.environ["BUCKET"]

def write(path, text, mode="w"):
    with file.GFile(f"{bucket}/{path}", mode) as out:
        out.write(text)

def read(path, mode="r"):
    with file.GFile(f"{bucket}/{path}", mode) as source:
        return source.read()
"""


@pytest.fixture(scope="session")
def tensorflow_python() -> Path:
    """An interpreter with the TensorFlow of the default image; built once, by uv."""
    image = images.image(images.DEFAULT_CPU)
    return environment(ENVS, image.requirements, image.python)


@pytest.fixture
def tensorflow(local_cloud, tensorflow_python, bucket):
    """tensorflow(script) runs it with `file`, `bucket`, `write`, `read` at hand; gives what it printed."""

    def run(script: str) -> str:
        variables = {"BUCKET": f"gs://{bucket.name}"}
        return local_cloud.run(START + script, env=variables, python=tensorflow_python, timeout=300).stdout

    return run


def test_files_and_folders(tensorflow, bucket):
    tensorflow(
        r"""
write("a/x.txt", "one\ntwo\n")
assert read("a/x.txt") == "one\ntwo\n"
write("a/x.txt", "three\n", "a")
assert read("a/x.txt") == "one\ntwo\nthree\n"
for text in ("longer than before " * 1000, "short", ""):
    write("a/x.txt", text)
    assert read("a/x.txt") == text and file.stat(f"{bucket}/a/x.txt").length == len(text)
data = os.urandom(9_000_000)
write("a/big ü.bin", data, "wb")
assert read("a/big ü.bin", "rb") == data
with file.GFile(f"{bucket}/a/big ü.bin", "rb") as source:
    source.seek(5_000_000)
    assert source.read(100) == data[5_000_000:5_000_100]

file.mkdir(f"{bucket}/d")
file.makedirs(f"{bucket}/d/e/f")
assert file.isdir(f"{bucket}/d/e/f") and file.isdir(f"{bucket}/a") and not file.isdir(f"{bucket}/a/x.txt")
assert file.exists(f"{bucket}/a/x.txt") and not file.exists(f"{bucket}/none")
file.copy(f"{bucket}/a/x.txt", f"{bucket}/a/y.txt")
try:
    file.copy(f"{bucket}/a/x.txt", f"{bucket}/a/y.txt")
    raise SystemExit("copied over a file")
except tf.errors.AlreadyExistsError:
    pass
file.rename(f"{bucket}/a/y.txt", f"{bucket}/a/z.txt")
assert file.listdir(f"{bucket}/a") == ["big ü.bin", "x.txt", "z.txt"]
assert file.glob(f"{bucket}/a/*.txt") == [f"{bucket}/a/x.txt", f"{bucket}/a/z.txt"]
walked = {folder.removeprefix(bucket): (folders, files) for folder, folders, files in file.walk(bucket)}
assert walked["/a/"] == ([], ["big ü.bin", "x.txt", "z.txt"]) and walked["/d/e/"] == (["f/"], [])
file.rename(f"{bucket}/a", f"{bucket}/moved")
assert file.listdir(f"{bucket}/moved") == ["big ü.bin", "x.txt", "z.txt"] and not file.exists(f"{bucket}/a")
file.rmtree(f"{bucket}/d")
assert not file.exists(f"{bucket}/d")
for refused in (lambda: read("none"), lambda: file.remove(f"{bucket}/none"), lambda: file.listdir(f"{bucket}/none")):
    try:
        refused()
        raise SystemExit("found what is not there")
    except tf.errors.NotFoundError:
        pass
file.remove(f"{bucket}/moved/z.txt")
"""
    )
    assert [blob.name for blob in bucket.list_blobs()] == ["moved/big ü.bin", "moved/x.txt"]


def test_training_from_and_to_a_bucket(tensorflow, bucket):
    for number in range(3):
        bucket.blob(f"data/{number}.csv").upload_from_string("".join(f"{number},{row}\n" for row in range(1000)))
    printed = tensorflow(
        r"""
lines = tf.data.Dataset.list_files(f"{bucket}/data/*.csv", shuffle=False).interleave(tf.data.TextLineDataset)
assert len(list(lines)) == 3000
with tf.io.TFRecordWriter(f"{bucket}/records.tfrecord") as out:
    for number in range(100):
        out.write(bytes([number]) * 1000)
assert [len(r.numpy()) for r in tf.data.TFRecordDataset(f"{bucket}/records.tfrecord")] == [1000] * 100

weight = tf.Variable([1.0, 2.0])
manager = tf.train.CheckpointManager(tf.train.Checkpoint(weight=weight), f"{bucket}/checkpoints", max_to_keep=2)
for step in range(4):
    weight.assign_add([1.0, 1.0])
    manager.save()
weight.assign([0.0, 0.0])
manager.checkpoint.restore(manager.latest_checkpoint).assert_consumed()
assert weight.numpy().tolist() == [5.0, 6.0] and len(manager.checkpoints) == 2

class Doubler(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def __call__(self, x):
        return x * 2 * weight[0]

for turn in range(2):  # the second overwrites the first
    module = Doubler()
    module.weight = weight
    tf.saved_model.save(module, f"{bucket}/model")
    weight.assign_add([1.0, 1.0])
assert tf.saved_model.load(f"{bucket}/model")(tf.constant([3.0])).numpy().tolist() == [36.0]

writer = tf.summary.create_file_writer(f"{bucket}/logs")
with writer.as_default():
    for step in range(5):
        tf.summary.write("loss", 1.0 / (step + 1), step=step)
        writer.flush()
writer.close()
[events] = file.glob(f"{bucket}/logs/*")
steps = [event.step for event in tf.compat.v1.train.summary_iterator(events) if event.summary.value]
print(steps)
"""
    )
    assert printed.strip() == "[0, 1, 2, 3, 4]"
    names = {blob.name for blob in bucket.list_blobs(prefix="model/")}
    assert "model/saved_model.pb" in names
