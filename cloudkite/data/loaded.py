"""Data that are no table: arrays, folders of images or texts, TFRecord. A trainer's own `load` reads them.

Looked at without TensorFlow: how many rows, which columns and sizes, which classes, and what can't be read.
"""

from __future__ import annotations

import math
import struct
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudkite.data import balance, binary, encoding
from cloudkite.data.column import is_east, is_prose
from cloudkite.data.declared import CATEGORY, LETTERS, NUMBER, TEXT
from cloudkite.data.table import CLASSES, CLASSES_OF_WHOLE_NUMBERS, Value, Wishes, plain_names
from cloudkite.show.errors import BadValue
from cloudkite.show.text import _, counted, near

ARRAYS, IMAGES, TEXTS, RECORDS = "arrays", "images", "texts", "records"  # files in template/sources/
_TAKES = {ARRAYS: {"--group", "--time"}, RECORDS: {"--group", "--time", "--size"}, IMAGES: {"--size"},
          TEXTS: {"--encoding"}}  # fmt: skip
LABEL = "label"  # of folders, if a person names none
LARGEST = 64  # pixels of a side, unless a person says more
_PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".bmp"}  # what TensorFlow's decode_image reads
_OTHER_PICTURES = {".webp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".svg", ".ico", ".psd"}
_WRITINGS = {".txt", ".text", ".md"}
_PARTS = {"train", "training", "test", "testing", "val", "valid", "validation", "eval", "dev"}
_SAMPLE = 1000  # records, texts and images that are looked at closely
_SHOWN = 5

Kind = str | tuple[int, ...]


@dataclass(frozen=True)
class Loaded:
    """Data as a trainer's `load` will read them; `source` names the file that has it. `files` are to be copied."""

    path: Path
    source: str
    files: tuple[Path, ...]
    columns: dict[str, Kind]
    originals: dict[str, str]
    label: str
    classes: tuple[Value, ...]
    rows: int
    pattern: str  # of the copy, seen from data/
    notes: list[str]
    shown: list[tuple[str, str, str, str]]
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)  # other literals of that data.py
    group: str = ""
    time: str = ""


def look(path: Path, label: str, wishes: Wishes) -> Loaded | None:
    """What data are in `path`; None when it is a table, or there is nothing. Raises BadValue."""
    found = _look(path, label, wishes)
    given = {
        "--as": wishes.kinds, "--missing": wishes.missing, "--encoding": wishes.codec, "--sheet": wishes.sheet,
        "--query": wishes.query, "--group": wishes.group, "--time": wishes.time, "--size": wishes.size,
    }  # fmt: skip
    if found and (other := next((name for name, one in given.items() if one and name not in _TAKES[found.source]), "")):
        raise BadValue(
            _("{option} says nothing about {path}").format(option=other, path=path.name),
            _("leave {option} out").format(option=other),
        )
    return found


def _look(path: Path, label: str, wishes: Wishes) -> Loaded | None:
    if path.is_dir():
        return _folder(path, label or LABEL, wishes)
    if not path.is_file():
        return None
    with path.open("rb") as file:
        start = file.read(6)
    if start == b"\x93NUMPY":
        raise BadValue(
            _("{path}: a single array, without a label").format(path=path.name),
            _("save both in one file: np.savez('data.npz', x=..., y=...)"),
        )
    if not is_one(path):
        return None
    if "tfrecord" in path.name.lower():
        return _records(path, (path,), path.name, label, wishes)
    return _arrays(path, label, wishes)


def is_one(path: Path) -> bool:
    """Whether a file holds arrays or records, whatever is to be predicted."""
    if not path.is_file():
        return False
    if "tfrecord" in path.name.lower():
        return True
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return all(name.endswith(".npy") for name in archive.namelist())


def columns(path: Path) -> list[str]:
    """What may be predicted from data that are no table."""
    if path.is_dir():
        return [LABEL]
    if "tfrecord" in path.name.lower():
        return sorted(_features([path])[0])
    with zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


# --- folders


def _folder(path: Path, label: str, wishes: Wishes) -> Loaded:
    """A folder with a folder for each class. Raises BadValue for another one."""
    inside = sorted(one for one in path.iterdir() if not one.name.startswith((".", "__")))
    records = [one for one in inside if one.is_file() and "tfrecord" in one.name.lower()]
    if records:
        return _records(path, tuple(records), f"{path.name}/*", "" if label == LABEL else label, wishes)
    folders = [one for one in inside if one.is_dir()]
    if len(folders) < 2 or {one.name.lower() for one in folders} <= _PARTS:
        split = next((one for one in folders if one.name.lower() in ("train", "training")), None)
        raise BadValue(
            _("{path} is a folder without a folder for each class").format(path=path.name),
            _("--data {folder} has them; other parts can be given with --validation").format(folder=split)
            if split
            else _("put the images or texts of each class into a folder of its own: {path}/cat, {path}/dog").format(
                path=path.name
            ),
        )
    files = {one.name: sorted(f for f in one.iterdir() if f.is_file() and f.name[0] != ".") for one in folders}
    files = {name: found for name, found in files.items() if found}
    suffixes = Counter(file.suffix.lower() for found in files.values() for file in found)
    pictures, writings = sum(suffixes[s] for s in _PICTURES), sum(suffixes[s] for s in _WRITINGS)
    if not pictures and not writings:
        other = next((suffix for suffix, _n in suffixes.most_common() if suffix in _OTHER_PICTURES), "")
        raise BadValue(
            _("{path} has neither images nor texts in its folders").format(path=path.name),
            _("TensorFlow doesn't read {suffix}: write them as PNG or JPEG").format(suffix=other)
            if other
            else _("images end with {images}, texts with .txt").format(images=", ".join(sorted(_PICTURES))),
        )
    reads = _PICTURES if pictures >= writings else _WRITINGS
    notes: list[str] = []
    skipped = [file for found in files.values() for file in found if file.suffix.lower() not in reads]
    if skipped:
        notes.append(_left_out(skipped, path, _("other kinds of files")))
    wanted = {name: [f for f in found if f.suffix.lower() in reads] for name, found in files.items()}
    make = _images if reads is _PICTURES else _texts
    return make(path, {name: found for name, found in wanted.items() if found}, label, wishes, notes)


def _left_out(files: Sequence[Path], top: Path, why: str) -> str:
    shown = ", ".join(file.relative_to(top).as_posix() for file in files[:_SHOWN])
    return counted(
        "{count} file is left out ({why}): {names}", "{count} files are left out ({why}): {names}", len(files),
        why=why, names=shown + (", ..." if len(files) > _SHOWN else ""),
    )  # fmt: skip


def _classes_of(path: Path, files: dict[str, list[Path]], label: str, notes: list[str]) -> tuple[str, ...]:
    if len(files) < 2:
        raise BadValue(
            _("{path}: every label is {value}").format(path=path.name, value=next(iter(files), "''")),
            _("there is nothing to learn from one class"),
        )
    if len(files) > CLASSES:
        raise BadValue(_("{path} has {count} folders, too many for classes").format(path=path.name, count=len(files)))
    counts = {name: len(found) for name, found in files.items()}
    shown = ", ".join(f"{name} ({count})" for name, count in list(counts.items())[:8])
    notes.append(_("{label} has {count} classes: {shown}").format(
        label=label, count=len(files), shown=shown + (", ..." if len(files) > 8 else "")))  # fmt: skip
    if uneven := balance.lopsided(counts):
        notes.append(f"{label}: {uneven}")
    return tuple(sorted(files))


def _images(path: Path, files: dict[str, list[Path]], label: str, wishes: Wishes, notes: list[str]) -> Loaded:
    broken: list[Path] = []
    sizes: list[tuple[int, int, int]] = []
    good: dict[str, list[Path]] = {}
    for name, found in files.items():
        for file in found:
            if (size := binary.picture(file)) is None:
                broken.append(file)
            else:
                sizes.append(size)
                good.setdefault(name, []).append(file)
    if broken:
        notes.append(_left_out(broken, path, _("not whole images")))
    classes = _classes_of(path, good, label, notes)
    heights, widths = sorted(h for h, _w, _c in sizes), sorted(w for _h, w, _c in sizes)
    height, width = heights[len(heights) // 2], widths[len(widths) // 2]
    if wishes.size:
        target = wishes.size
    else:
        scale = min(1.0, LARGEST / max(height, width))
        target = (max(1, round(height * scale)), max(1, round(width * scale)))
    colours = 1 if all(c == 1 for _h, _w, c in sizes) else 3
    if len({(h, w) for h, w, _c in sizes}) > 1 or target != (height, width):
        said = _(
            "images of {low} to {high} pixels are brought to {height} x {width}; --size {other} takes another size"
        )
        notes.append(said.format(
            low=f"{heights[0]} x {widths[0]}", high=f"{heights[-1]} x {widths[-1]}", height=target[0], width=target[1],
            other=f"{min(2 * target[0], height)}x{min(2 * target[1], width)}",
        ))  # fmt: skip
    shape = (*target, colours)
    return Loaded(
        path=path,
        source=IMAGES,
        files=tuple(file for found in good.values() for file in found),
        columns={"image": shape},
        originals={},
        label=label,
        classes=classes,
        rows=len(sizes),
        pattern=path.name,
        notes=notes,
        shown=[
            ("image", _sizes(shape), next(iter(good.values()))[0].name, ""),
            (label, _("the label"), classes[0], ""),
        ],
    )


def _texts(path: Path, files: dict[str, list[Path]], label: str, wishes: Wishes, notes: list[str]) -> Loaded:
    classes = _classes_of(path, files, label, notes)
    every = [file for found in files.values() for file in found]
    codecs: dict[str, Path] = {}
    for file in every:
        found = encoding.problem(file, file.relative_to(path).as_posix())
        if found and not found.codec and not wishes.codec:
            raise BadValue(found.what, found.how)
        if found or wishes.codec:
            codecs.setdefault(wishes.codec or (found.codec if found else ""), file)
    if len(codecs) > 1:
        (one, first), (other, second), *_more = codecs.items()
        raise BadValue(
            _("{path}: {a} is {one} and {b} is {other}").format(
                path=path.name, a=first.name, one=one, b=second.name, other=other
            ),
            _("save all texts as UTF-8"),
        )
    codec = next(iter(codecs), "utf-8-sig")
    if codecs and not wishes.codec:
        said = _("the texts are read as {encoding}, by the looks of {name}; --encoding NAME says another")
        notes.append(said.format(encoding=codec, name=codecs[codec].name))
    sample = []
    for file in every[:: max(1, len(every) // _SAMPLE)]:
        try:
            sample.append(" ".join(file.read_text(encoding=codec).split()))
        except (UnicodeError, LookupError):
            raise BadValue(
                _("{path} isn't text in {encoding}").format(path=file.relative_to(path), encoding=codec),
                _("save all texts as UTF-8"),
            ) from None
    kind = LETTERS if is_east(sample) else TEXT
    return Loaded(
        path=path,
        source=TEXTS,
        files=tuple(every),
        columns={"text": kind},
        originals={},
        label=label,
        classes=classes,
        rows=len(every),
        pattern=path.name,
        notes=notes,
        shown=[("text", kind, sample[0][:30], ""), (label, _("the label"), classes[0], "")],
        more={"ENCODING": codec},
    )


def _sizes(kind: Kind) -> str:
    return kind if isinstance(kind, str) else " x ".join(map(str, kind))


# --- arrays and records


def _chosen(path: Path, names: Sequence[str], label: str, wishes: Wishes) -> None:
    for option, name in (("--label", label), ("--group", wishes.group), ("--time", wishes.time)):
        if name and name not in names:
            raise BadValue(
                _("{option}: {path} has no {name}").format(option=option, path=path.name, name=name),
                near(name, list(names)),
            )


def _labels(path: Path, label: str, values: Sequence[Any], notes: list[str]) -> tuple[Value, ...]:
    """The classes, () for a number to estimate."""
    counts = Counter(values)
    words = any(isinstance(value, str) for value in counts)
    whole = not words and all(float(value).is_integer() for value in counts)
    if len(counts) < 2:
        raise BadValue(
            _("{path}: every label is {value}").format(path=path.name, value=next(iter(counts), "''")),
            _("there is nothing to learn from one class"),
        )
    if words and len(counts) > CLASSES:
        raise BadValue(
            _("{path}: {label} has {count} different values, too many for classes").format(
                path=path.name, label=label, count=len(counts)
            )
        )
    if not words and not (
        whole and len(counts) <= max(CLASSES_OF_WHOLE_NUMBERS, 100) and len(values) >= 3 * len(counts)
    ):
        said = _("{label} is a number to estimate, from {low:g} to {high:g}")
        notes.append(said.format(label=label, low=min(counts), high=max(counts)))
        return ()
    found: tuple[Value, ...] = tuple(sorted(map(str, counts))) if words else tuple(sorted(int(v) for v in counts))
    shown = ", ".join(map(str, found[:8])) + (", ..." if len(found) > 8 else "")
    notes.append(_("{label} has {count} classes: {shown}").format(label=label, count=len(found), shown=shown))
    if uneven := balance.lopsided({str(value): count for value, count in counts.items()}):
        notes.append(f"{label}: {uneven}")
    return found


def _words(sample: Sequence[str]) -> str:
    east = is_east(sample)
    many = len(set(sample)) > max(50, len(sample) / 2)
    return (LETTERS if east else TEXT) if many and is_prose(sample, east) else CATEGORY


def _arrays(path: Path, label: str, wishes: Wishes) -> Loaded:
    import numpy as np

    notes: list[str] = []
    columns: dict[str, Kind] = {}
    ranges: dict[str, tuple[float, float]] = {}
    shapes = _shapes(path)
    _chosen(path, list(shapes), label, wishes)
    sizes, kind = shapes[label]
    if len(sizes) > 2 or (len(sizes) == 2 and sizes[1] > 1) or not sizes:
        raise BadValue(
            _("{path}: {name} has the sizes {sizes}").format(path=path.name, name=label, sizes=sizes),
            _("a label is one value a row: of one-hot classes save np.argmax({name}, axis=1)").format(name=label),
        )
    if kind not in "iufUS":
        raise BadValue(
            _("{path}: {name} holds neither numbers nor texts").format(path=path.name, name=label),
            _("save {name}.astype(int), or {name}.astype(str)").format(name=label),
        )
    with np.load(path) as arrays:
        classes = _labels(path, label, arrays[label].astype("U" if kind == "S" else arrays[label].dtype)
                          .reshape(-1).tolist(), notes)  # fmt: skip
        for name, (shape, kind) in shapes.items():
            if name in (label, wishes.group):
                continue
            if shape[:1] != sizes[:1]:
                said = _("array {name} is left out: it has {count} rows, and {label} has {rows}")
                notes.append(said.format(name=name, count=shape[0] if shape else 0, label=label, rows=sizes[0]))
            elif kind in "US" and len(shape) == 1:
                columns[name] = _words([str(value) for value in arrays[name][:_SAMPLE]])
            elif kind in "biuf" and len(shape) == 1:
                columns[name] = NUMBER
                values = arrays[name]
                ranges[name] = (float(np.nanmin(values)), float(np.nanmax(values)))
            elif kind in "biuf":
                columns[name] = shape[1:]
            else:
                said = _("array {name} is left out: it holds neither numbers nor texts")
                notes.append(said.format(name=name))
    return _made(path, ARRAYS, (path,), path.name, label, classes, sizes[0], columns, ranges, {}, wishes, notes)


def _shapes(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """The sizes and the kind of data of each array, without reading it: numpy's letter, such as f for fractions."""
    from numpy.lib import format as npy

    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                try:
                    read = npy.read_array_header_1_0 if npy.read_magic(file) == (1, 0) else npy.read_array_header_2_0
                    shape, _fortran, kind = read(file)
                except ValueError as error:
                    raise BadValue(
                        _("{path} can't be read: {error}").format(path=path.name, error=str(error)[:200])
                    ) from None
            found[name.removesuffix(".npy")] = (tuple(shape), kind.kind)
    return found


def _made(
    path: Path, source: str, files: tuple[Path, ...], pattern: str, label: str, classes: tuple[Value, ...], rows: int,
    columns: dict[str, Kind], ranges: dict[str, tuple[float, float]], more: dict[str, Any], wishes: Wishes,
    notes: list[str],
) -> Loaded:  # fmt: skip
    if not columns:
        raise BadValue(
            _("{path} has no column to learn {label} from").format(path=path.name, label=label), " ".join(notes)
        )
    names = plain_names([*columns, label, *filter(None, (wishes.group, wishes.time))], label)
    for old, new in names.items():
        if old != new:
            said = _("column {old} is called {new}, as a model's inputs need plain names")
            notes.append(said.format(old=old, new=new))
    return Loaded(
        path=path,
        source=source,
        files=files,
        columns={names[name]: kind for name, kind in columns.items()},
        originals={new: old for old, new in names.items() if old != new},
        label=label,
        classes=classes,
        rows=rows,
        pattern=pattern,
        notes=notes,
        shown=[
            *((name, _sizes(kind), "", "") for name, kind in columns.items()),
            (label, _("the label"), str(classes[0]) if classes else "", ""),
        ],
        ranges={names[name]: span for name, span in ranges.items() if all(map(math.isfinite, span))},
        more={key: {names[name]: one for name, one in value.items() if name in names} for key, value in more.items()},
        group=names.get(wishes.group, ""),
        time=names.get(wishes.time, ""),
    )


def _records(path: Path, files: tuple[Path, ...], pattern: str, label: str, wishes: Wishes) -> Loaded:
    notes: list[str] = []
    features, rows, whole = _features(files)
    if not label:
        raise BadValue(
            _("which column of {path} is to be predicted?").format(path=path.name),
            _("add --label COLUMN, one of: {names}").format(names=", ".join(sorted(features)[:10])),
        )
    _chosen(path, sorted(features), label, wishes)
    columns: dict[str, Kind] = {}
    stored, ranges, classes = {}, {}, ()
    for name, values in sorted(features.items()):
        kinds = {kind for kind, _found in values}
        lengths = {len(found) for _kind, found in values}
        if len(values) < rows or len(lengths) != 1 or len(kinds) != 1 or lengths == {0}:
            why = _("it isn't in each record") if len(values) < rows else _("it has another length in some records")
            if name == label:
                raise BadValue(f"{path.name}: {name}: {why}")
            notes.append(_("feature {name} is left out: {why}").format(name=name, why=why))
            continue
        (kind,), (length,) = kinds, lengths
        texts = [found[0] for _kind, found in values]
        if kind == "string":
            image = _encoded(texts)
            words = None if image else _decoded(texts)
            if name == label:
                classes = _labels(path, label, words or [], notes)
            elif image:
                columns[name] = (*(wishes.size or image[:2]), image[2])
            elif words is None or length > 1:
                said = _("feature {name} is left out: it holds bytes that are neither text nor an image")
                notes.append(said.format(name=name))
                continue
            else:
                columns[name] = _words(words)
        elif name == label:
            classes = _labels(path, label, texts, notes)
        else:
            columns[name] = NUMBER if length == 1 else (length,)
            if length == 1:
                ranges[name] = (float(min(texts)), float(max(texts)))
        stored[name] = kind
    columns.pop(wishes.group, None)
    if not whole:
        notes.append(_("looked at the first {count:,} records").format(count=rows))
        ranges = {}  # of all rows, or of none
    return _made(
        path, RECORDS, files, pattern, label, classes, rows, columns, ranges, {"STORED": stored}, wishes, notes
    )


def _encoded(values: Sequence[bytes]) -> tuple[int, int, int] | None:
    """Height, width and colours of images that are in records; None for other bytes."""
    starts = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM")
    if not all(value.startswith(starts) for value in values):
        return None
    sizes = [size for value in values[:50] if (size := binary.image(value))]
    if not sizes:
        return None
    height, width, colours = sizes[len(sizes) // 2]
    scale = min(1.0, LARGEST / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale)), colours


def _decoded(values: Sequence[bytes]) -> list[str] | None:
    try:
        return [value.decode("utf-8") for value in values]
    except UnicodeDecodeError:
        return None


def _features(files: Sequence[Path]) -> tuple[dict[str, list[binary.Feature]], int, bool]:
    """{name: the feature in each of the first records}, how many records those are, and whether they are all."""
    found: dict[str, list[binary.Feature]] = {}
    rows = 0
    for path in files:
        for record in binary.records(path):
            if rows == _SAMPLE:
                return found, rows, False
            rows += 1
            try:
                example = list(binary.example(record))
            except (IndexError, struct.error, UnicodeDecodeError, KeyError):
                raise BadValue(
                    _("{path}: record {number} isn't a tf.train.Example").format(path=path.name, number=rows),
                    _("write each row as tf.train.Example, or save arrays as .npz"),
                ) from None
            for name, feature in example:
                found.setdefault(name, []).append(feature)
    if not rows:
        raise BadValue(_("{path} has no records").format(path=files[0].name))
    return found, rows, True
