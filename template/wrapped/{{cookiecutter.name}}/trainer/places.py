"""Where the program finds its data and puts its results: folders on this machine, a bucket in a job."""

import glob
import os
import re
import sys
import tempfile
from functools import cache
from pathlib import Path

DATA, EPOCHS = "TRAINER_DATA", "TRAINER_EPOCHS"  # task.py sets these from its options
_written = {}  # what the program calls a file of its own -> where that is


def data(path):
    """The place of a file or folder that the program reads.

    In this order: what this run has written under that name; the folder data/, or what --data names; the path itself;
    what an earlier run has written. A pattern may be given, too. What is no path, or an address, stays as it is.
    """
    if not _is_path(path):
        return path
    if str(path) in _written:
        return _alike(path, _written[str(path)])
    top, parts = folder(), _parts(path)
    if top.is_file():
        return _alike(path, top)
    inside = [Path(*parts[i:]) for i in range(len(parts))]  # a/b/c.csv, b/c.csv, c.csv
    places = [top / one for one in inside] + [Path(path)] + [results() / one for one in inside]
    found = next((place for place in places if place.exists() or any(glob.iglob(str(place)))), None)
    if found is None:
        found = top / inside[-1] if inside and inside[-1].suffix else top
    return _alike(path, found)


def output(path):
    """The place of a file that the program writes: output/model here, in a job a folder that goes to AIP_MODEL_DIR."""
    return _kept(path, results().joinpath(*_inside(path))) if _is_path(path) else path


def model(path):
    """The place of a SavedModel that is the program's only one: the folder of results itself, where serving looks."""
    return _kept(path, results()) if _is_path(path) else path


def epochs(count):
    """The number of epochs: the program's own, unless --epochs says another."""
    return int(os.environ.get(EPOCHS) or count)


def uploaded():
    """What a person would have chosen in Colab's `files.upload()`: the content of each file in data/, by name."""
    top = folder()
    return {path.name: path.read_bytes() for path in ([top] if top.is_file() else sorted(top.glob("*.*")))}


def variable(name):
    """The value of an environment variable that the program needs."""
    if name not in os.environ:
        sys.exit(
            f"error: the program needs the variable {name}\n\nhint: set it before the run; a job has none of yours"
        )
    return os.environ[name]


@cache
def folder() -> Path:
    """The folder or file of the data, copied to this machine where it is in a bucket."""
    place = os.environ.get(DATA) or "data"
    if not place.startswith("gs://"):
        return Path(place).absolute()
    from tensorflow.io import gfile

    top, place = Path(tempfile.mkdtemp(prefix="data-")), place.rstrip("/")
    if not gfile.isdir(place):
        gfile.copy(place, str(top / place.rpartition("/")[2]))
        return top / place.rpartition("/")[2]
    for folder, _folders, names in gfile.walk(place):
        here = top / folder.removeprefix(place).strip("/")
        here.mkdir(parents=True, exist_ok=True)
        for name in filter(None, names):
            gfile.copy(f"{folder.rstrip('/')}/{name}", str(here / name))
    return top


@cache
def results() -> Path:
    """The folder that results are written to."""
    place = os.environ.get("AIP_MODEL_DIR", "")
    made = Path(tempfile.mkdtemp(prefix="results-") if place.startswith("gs://") else place or "output/model")
    made.mkdir(parents=True, exist_ok=True)
    return made.absolute()  # the program may change its working folder


def send() -> None:
    """In a job, copy the results to its model folder."""
    there = os.environ.get("AIP_MODEL_DIR", "")
    if there.startswith("gs://"):
        from tensorflow.io import gfile

        for path in sorted(path for path in results().rglob("*") if path.is_file()):
            gfile.copy(str(path), f"{there.rstrip('/')}/{path.relative_to(results()).as_posix()}", overwrite=True)


def _is_path(path) -> bool:
    return isinstance(path, str | os.PathLike) and bool(str(path)) and "://" not in str(path)


def _parts(path) -> list[str]:
    """The names in a path of any system, without drives and dots."""
    names = re.split(r"[\\/]+", str(path))
    return [name for name in names if name not in ("", ".", "..", "~") and not name.endswith(":")]


def _inside(path) -> list[str]:
    """Where in the results a path goes: one that is there stays, any other absolute one by its last name alone."""
    if Path(path).is_relative_to(results()):
        return list(Path(path).relative_to(results()).parts)
    return _parts(path)[-1:] if re.match(r"[\\/~]|[A-Za-z]:", str(path)) else _parts(path)


def _kept(path, place: Path):
    place.parent.mkdir(parents=True, exist_ok=True)
    _written[str(path)] = place
    return _alike(path, place)


def _alike(path, place: Path):
    """The place as the program gave it: a text, or a Path."""
    return place if isinstance(path, os.PathLike) else str(place)
