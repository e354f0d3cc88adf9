"""Data that are no table: arrays, folders of images and texts, TFRecord, each with a `load` of its own."""

from __future__ import annotations

import json
import struct
import subprocess
import zlib
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from cloudkite.data import binary, loaded
from cloudkite.data.loaded import Loaded
from cloudkite.data.table import Wishes
from cloudkite.show.errors import BadValue
from cloudkite.trainers import folders, making
from cloudkite.workspace import Workspace
from tests.baked.conftest import Run, clean_environment

ROWS = 60


def png(height: int, width: int, shade: int, colours: int = 3) -> bytes:
    """A picture of one shade."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2 if colours == 3 else 0, 0, 0, 0)
    pixels = (b"\0" + bytes([shade]) * (width * colours)) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def field(number: int, body: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(body)) + body


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def example(**features: object) -> bytes:
    """A tf.train.Example: bytes, whole numbers, or lists of fractions."""
    entries = b""
    for name, value in features.items():
        if isinstance(value, bytes):
            body = field(1, field(1, value))
        elif isinstance(value, int):
            body = field(3, field(1, varint(value)))
        else:
            body = field(2, field(1, struct.pack(f"<{len(value)}f", *value)))  # type: ignore[arg-type]
        entries += field(1, field(1, name.encode()) + field(2, body))
    return field(1, entries)


def records(path: Path, *examples: bytes) -> Path:
    def summed(data: bytes) -> bytes:
        crc = google_crc32c.value(data)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    with path.open("wb") as file:
        for one in examples:
            length = struct.pack("<Q", len(one))
            file.write(length + summed(length) + one + summed(one))
    return path


def arrays(path: Path) -> Path:
    np.savez(
        path, x=np.arange(ROWS * 12, dtype="uint8").reshape(ROWS, 3, 4), **{"the weight": np.arange(ROWS) / 8},
        place=np.array(["north", "south"])[np.arange(ROWS) % 2], y=(np.arange(ROWS) % 3 == 0).astype(float)[:, None],
        other=np.zeros(3), words=np.array([{}] * ROWS, object),
    )  # fmt: skip
    return path


def images(folder: Path) -> Path:
    for name, shade in (("cat", 250), ("dog", 5)):
        (folder / name).mkdir(parents=True)
        for i in range(30):
            (folder / name / f"{i}.png").write_bytes(png(90 + i, 120, shade))
    (folder / "cat" / "torn.png").write_bytes(png(90, 120, 9)[:-30])
    (folder / "cat" / "fake.jpg").write_bytes(b"<html>")
    (folder / "dog" / "Thumbs.db").write_bytes(b"x")
    (folder / ".DS_Store").write_bytes(b"x")
    return folder


def texts(folder: Path, encoding: str = "utf-8") -> Path:
    for name, said in (("ham", "만나서 반가웠어요 내일 봐요"), ("spam", "지금 바로 당첨금을 받으세요")):
        (folder / name).mkdir(parents=True)
        for i in range(30):
            (folder / name / f"{i}.txt").write_bytes(f"{said}\n{i}\n".encode(encoding))
    return folder


def tfrecord(path: Path) -> Path:
    return records(path, *(
        example(image=png(28, 28, 8 * (i % 2), 1), age=i % 50, near=[i / 8, 1.0], kind=b"ab"[i % 2 : i % 2 + 1],
                label=i % 2, raw=bytes([255, i]))
        for i in range(ROWS)
    ))  # fmt: skip


def look(path: Path, label: str = "", **wishes: object) -> Loaded:
    found = loaded.look(path, label, Wishes(**wishes))  # type: ignore[arg-type]
    assert found
    return found


def test_arrays(tmp_path: Path):
    found = look(arrays(tmp_path / "a.npz"), "y")
    assert found.columns == {"x": (3, 4), "the_weight": "number", "place": "category"}
    assert (found.classes, found.rows, found.originals) == ((0, 1), ROWS, {"the_weight": "the weight"})
    assert "array words is left out: it holds neither numbers nor texts" in found.notes
    assert "array other is left out: it has 3 rows, and y has 60" in found.notes
    np.savez(tmp_path / "hot.npz", x=np.zeros((9, 2)), y=np.eye(9))
    np.savez(tmp_path / "objects.npz", x=np.zeros((9, 2)), y=np.array([{}] * 9, object))
    np.save(tmp_path / "one.npy", np.zeros(3))
    for name, label, said, hint in [
        ("a.npz", "z", "--label: a.npz has no z", "known: other, place, the weight, words, x, y"),
        ("hot.npz", "y", "hot.npz: y has the sizes (9, 9)",
         "a label is one value a row: of one-hot classes save np.argmax(y, axis=1)"),
        ("objects.npz", "y", "objects.npz: y holds neither numbers nor texts", "y.astype(str)"),
        ("one.npy", "y", "one.npy: a single array, without a label", "np.savez"),
    ]:  # fmt: skip
        with pytest.raises(BadValue) as caught:
            loaded.look(tmp_path / name, label, Wishes())
        assert said in caught.value.message and hint in caught.value.hint


def test_images(tmp_path: Path):
    folder = images(tmp_path / "pets")
    found = look(folder)
    assert found.columns == {"image": (56, 64, 3)} and found.classes == ("cat", "dog") and found.rows == 60
    assert found.notes == [
        "1 file is left out (other kinds of files): dog/Thumbs.db",
        "2 files are left out (not whole images): cat/fake.jpg, cat/torn.png",
        "label has 2 classes: cat (30), dog (30)",
        "images of 90 x 120 to 119 x 120 pixels are brought to 56 x 64; --size 105x120 takes another size",
    ]
    assert look(folder, "animal", size=(32, 48)).columns == {"image": (32, 48, 3)}
    for i in range(3):
        for name in ("cat", "dog"):
            (tmp_path / "grey" / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / "grey" / name / f"{i}.png").write_bytes(png(28, 28, i, colours=1))
    assert look(tmp_path / "grey").columns == {"image": (28, 28, 1)}


def test_options_that_say_nothing_are_refused(tmp_path: Path):
    folder = images(tmp_path / "pets")
    for wishes, option in [(Wishes(group="a"), "--group"), (Wishes(kinds={"a": "number"}), "--as"),
                           (Wishes(codec="cp949"), "--encoding")]:  # fmt: skip
        with pytest.raises(BadValue) as caught:
            loaded.look(folder, "", wishes)
        assert caught.value.message == f"{option} says nothing about pets"


def test_pictures_by_their_first_bytes(tmp_path: Path):
    jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x0b\x08\0\x20\0\x30\x03" + b"x" * 20 + b"\xff\xd9"
    gif, bmp = b"GIF89a" + struct.pack("<HH", 48, 32) + b"xx;", b"BM" + struct.pack("<I", 30) + b"x" * 12
    bmp += struct.pack("<iiHH", 48, 32, 1, 24)
    for data, size in [
        (png(32, 48, 1), (32, 48, 3)),
        (jpeg, (32, 48, 3)),
        (gif, (32, 48, 3)),
        (bmp, (32, 48, 3)),
        (jpeg[:-2], None),
        (gif[:-1], None),
        (png(2, 2, 1)[:40], None),
        (b"", None),
        (b"x", None),
    ]:
        (tmp_path / "a").write_bytes(data)
        assert binary.picture(tmp_path / "a") == size


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-16"])
def test_texts(tmp_path: Path, encoding: str):
    found = look(texts(tmp_path / "mails", encoding))
    assert found.columns == {"text": "letters"} and found.rows == 60
    assert found.more["ENCODING"].lower() == {"utf-8": "utf-8-sig"}.get(encoding, encoding)
    assert any("--encoding NAME" in note for note in found.notes) == (encoding != "utf-8")


def test_records(tmp_path: Path):
    found = look(tfrecord(tmp_path / "a.tfrecord"), "label")
    assert found.columns == {"age": "number", "image": (28, 28, 1), "kind": "category", "near": (2,)}
    assert found.classes == (0, 1) and found.rows == ROWS
    assert found.more["STORED"] == {"age": "int64", "image": "string", "kind": "string", "label": "int64",
                                    "near": "float32"}  # fmt: skip
    assert "feature raw is left out: it holds bytes that are neither text nor an image" in found.notes
    cut = tmp_path / "cut.tfrecord"
    cut.write_bytes((tmp_path / "a.tfrecord").read_bytes()[:-9])
    odd = records(tmp_path / "odd.tfrecord", b"no example")
    for path, said in [(cut, "cut.tfrecord isn't a whole TFRecord file"), (odd, "record 1 isn't a tf.train.Example")]:
        with pytest.raises(BadValue, match=said):
            loaded.look(path, "label", Wishes())


def test_folders_that_hold_no_classes(tmp_path: Path):
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "a.png").write_bytes(png(2, 2, 1))
    images(tmp_path / "split" / "train")
    images(tmp_path / "split" / "test")
    for name in ("a", "b"):
        (tmp_path / "web" / name).mkdir(parents=True)
        (tmp_path / "web" / name / "1.webp").write_bytes(b"RIFF")
    for name, said, hint in [
        ("flat", "flat is a folder without a folder for each class", "flat/cat, flat/dog"),
        ("split", "split is a folder without a folder for each class", "split/train has them"),
        ("web", "web has neither images nor texts in its folders", "TensorFlow doesn't read .webp"),
    ]:
        with pytest.raises(BadValue) as caught:
            loaded.look(tmp_path / name, "", Wishes())
        assert caught.value.message == said and hint in caught.value.hint


_LOAD = """
import importlib.util, json, sys
import numpy as np, tensorflow as tf
told = {}
for folder in sys.argv[1:]:
    spec = importlib.util.spec_from_file_location("data", f"{folder}/trainer/data.py")
    data = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(data)
    found = data.load(f"{folder}/{data.DATA}")
    if isinstance(found, dict):
        found = tf.data.Dataset.from_tensor_slices(found).batch(7)
    both = [{name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}
            for blocks in (list(found.as_numpy_iterator()) for _ in range(2))]
    assert all(np.array_equal(both[0][name], both[1][name]) for name in both[0])
    label = [one.decode() if isinstance(one, bytes) else one.item() for one in both[0][data.LABEL]]
    told[folder] = {
        "columns": {name: [str(values.dtype), *values.shape] for name, values in both[0].items()},
        "strange": sorted({str(one) for one in label} - {str(one) for one in data.CLASSES}), "label": label[:9],
        "means": [round(float(np.mean(both[0]["image"][[x == c for x in label]])), 1) for c in data.CLASSES]
        if "image" in both[0] else [],
    }
print(json.dumps(told))
"""


@pytest.mark.slow
def test_each_load_gives_all_rows_in_the_same_order_and_a_trainer_learns_from_them(
    space: Workspace, tmp_path: Path, python: Path, run: Run
):
    made = {
        name: making.make(space, name, making.look(space, name, path, label))
        for name, path, label in [
            ("arrays", arrays(tmp_path / "my a.npz"), "y"),
            ("images", images(tmp_path / "my pets"), None),
            ("texts", texts(tmp_path / "mails", "cp949"), None),
            ("records", tfrecord(tmp_path / "a.tfrecord"), "label"),
        ]
    }
    assert all(folders.find(space, name).declared.loads for name in made)
    done = subprocess.run([str(python), "-c", _LOAD, *map(str, made.values())], env=clean_environment(),
                          capture_output=True, text=True, encoding="utf-8", timeout=200)  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = dict(zip(made, json.loads(done.stdout.splitlines()[-1]).values(), strict=True))
    assert [one["strange"] for one in told.values()] == [[], [], [], []]
    assert told["arrays"]["columns"] == {
        "x": ["uint8", 60, 3, 4],
        "the_weight": ["float32", 60],
        "place": ["object", 60],
        "y": ["int64", 60],
    }
    assert told["images"]["columns"] == {"image": ["float32", 60, 56, 64, 3], "label": ["object", 60]}
    assert told["images"]["means"] == [250, 5] and len(set(told["images"]["label"])) == 2  # mixed
    assert told["records"]["columns"]["image"] == ["float32", 60, 28, 28, 1]
    assert told["records"]["columns"]["age"] == ["float32", 60]
    for name in ("images", "texts"):
        trained = run(made[name], "-m", "trainer.task", "--epochs", "3", "--batch", "8")
        assert trained.returncode == 0, trained.stderr
        about = json.loads((made[name] / "output" / "model" / "assets.extra" / "trainer.json").read_text())
        assert about["metrics"]["accuracy"] > 0.9, about["metrics"]
    for folder in made.values():
        assert run(folder, "-m", "ruff", "check", "trainer/data.py").returncode == 0
