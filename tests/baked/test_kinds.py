"""Each kind of trainer on the data that come with it: as good as it says of itself, and asked in people's own words."""

from __future__ import annotations

import csv
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from cloudkite import workspace
from cloudkite.bench import matrix
from cloudkite.export import making as exports
from cloudkite.models import predictions
from cloudkite.show.errors import BadValue
from cloudkite.trainers import folders, making
from cloudkite.trainers.folders import Trainer
from cloudkite.workspace import Workspace
from tests.baked.conftest import Run, told, train

pytestmark = pytest.mark.slow
ASKED = {
    "number": ("wide", ["species=Gentoo,sex=male,island=Biscoe,flipper_length_mm=225", "species=Adelie,sex=female"]),
    "yes-no": ("mlp", ["body_mass_g=6000,bill_depth_mm=17,species=Gentoo", "body_mass_g=3000,species=Adelie"]),
    "images": ("wide", []),
    "text": ("linear", ["text=roman numeral nineteen", "text=latin small letter q with dot"]),
    "korean": ("wide", ["text=달나라어", "text=고양이 문자"]),
    "series": ("mlp", []),
}


def png(path: Path, shades: np.ndarray) -> Path:
    """An image file of `shades`, [height, width], each of which becomes 10 x 10 pixels."""
    large = shades.repeat(10, 0).repeat(10, 1)
    height, width = large.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    lines = zlib.compress(b"".join(b"\0" + line.tobytes() for line in large))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b""))
    return path


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace for all kinds."""
    return workspace.throw_away(tmp_path_factory.mktemp("kinds"))


def trained(run: Run, space: Workspace, kind: str) -> Trainer:
    """A trainer of that kind, whose model does as well as its data.py says."""
    model, _rows = ASKED[kind]
    folder = making.new(space, kind, kind=kind, model=model).folder
    train(run, folder, folder / "models" / "one")
    stated = matrix.expected(folder, model)
    assert stated.met(told(folder / "models" / "one")["metrics"])
    return folders.Trainer(kind, folder)


@pytest.mark.parametrize("kind", ["number", "yes-no", "text", "korean"])
def test_a_kind_of_table(run: Run, space: Workspace, kind: str):
    trainer = trained(run, space, kind)
    rows = ASKED[kind][1]
    said = [one["prediction"] for one in predictions.predict(space, trainer, trainer.folder / "models/one/model", rows)]
    if kind == "number":
        assert 5000 < said[0] < 6500 and 3000 < said[1] < 3800
    else:
        assert said == {
            "yes-no": ["male", "female"], "text": ["number", "letter"], "korean": ["language", "script"],
        }[kind]  # fmt: skip


def test_images_are_asked_about_by_files(run: Run, space: Workspace, tmp_path: Path):
    trainer = trained(run, space, "images")
    model = trainer.folder / "models" / "one" / "model"
    with np.load(trainer.folder / "data" / "digits.npz") as found:
        images, digits = found["image"], found["digit"]
    places = [int(np.flatnonzero(digits == digit)[3]) for digit in range(10)]
    asked = [{"image": str(png(tmp_path / f"{place}.png", images[place, :, :, 0]))} for place in places]
    answers = predictions.predict(space, trainer, model, asked)
    by_array = predictions.predict(space, trainer, model, [{"image": images[place].tolist()} for place in places])
    for found in (answers, by_array):  # a large image is a little blurred when it becomes a small one
        assert sum(one["prediction"] == str(digits[place]) for one, place in zip(found, places, strict=True)) >= 9
    with pytest.raises(BadValue, match=r"nothing\.png doesn't exist"):
        predictions.predict(space, trainer, model, ["image=nothing.png"])


def test_a_series_is_asked_what_comes(run: Run, space: Workspace):
    trainer = trained(run, space, "series")
    model, file = trainer.folder / "models" / "one" / "model", trainer.folder / "data" / "co2.csv"
    about = told(trainer.folder / "models" / "one")
    lines = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert about["rows"] == {"training": 1743, "held_out": 436}
    newest = [line["co2"] for line in lines[-52:]]
    rows = [f"window={file}", f"window={' '.join(newest)}", f"window={', '.join(newest)}"]
    first, *others = [one["prediction"] for one in predictions.predict(space, trainer, model, rows)]
    assert others == [first, first] and 372 < first < 376  # the end of March 2002: the Mauna Loa record has 373
    with pytest.raises(BadValue, match="window: an array of 3 numbers, not 52"):
        predictions.predict(space, trainer, model, ["window=1 2 3"])


def test_a_series_goes_to_devices(space: Workspace):
    """After the test above, which trains it."""
    trainer = folders.Trainer("series", space.trainers / "series")
    model, wishes = trainer.folder / "models" / "one" / "model", exports.Wishes(device=True, rows=60)
    about = predictions.facts(model)
    made = exports.make(space, trainer, model, trainer.folder / "output" / "export", about, wishes, lambda _said: None)
    files = {one.name: one for one in made.files}
    assert files[exports.PAGE].exact and files["model_float32.tflite"].exact


def test_the_newest_of_a_series_are_held_out(run: Run, space: Workspace):
    """Also where `load` gives the rows; and a part of no rows is one."""
    folder = space.trainers / "series"
    said = run(folder, "-c", _PARTS).stdout.split()
    assert said == ["1993-08-21", "1993-08-28", "2001-12-29", "[]"]


_PARTS = """
from trainer import data, experiment
from trainer.kit import rows
source = rows.read(data.DATA, 0.2, 0.0)
weeks = data.load(data.DATA)[data.TIME]
training, held = weeks[source.parts["training"]], weeks[source.parts["validation"]]
print(max(training), min(held), max(held), experiment.watched(held[:0], 40))
"""
