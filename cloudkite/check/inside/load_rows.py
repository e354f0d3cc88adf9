"""Writes down what a trainer's own load() gives, with the trainer's own Python. Runs alone, without Cloudkite.

    python -I load_rows.py FOLDER PATTERN DECLARED OUT      all rows: OUT/rows.csv, OUT/facts.json
    python -I load_rows.py --questions NPZ OUT              the arrays of a file as JSON, to ask a model about

In rows.csv an array is a digest of its bytes: what is to be told of arrays stands in facts.json. DECLARED is JSON:
{"columns": {name: kind, or the sizes of an array}, "label", "classes", "more": [names that need not be features],
"most": rows, "new": true for rows that need no label}.
"""

import csv
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

TEXT = ("category", "text", "letters", "date")
KEPT = 20  # things that are wrong, by row
SLICE = 1000  # rows that are looked at together


class Wrong(Exception):
    """What load() gives can't be read as rows."""


def batches(loaded: object) -> Iterator[dict[str, np.ndarray]]:
    """What load() gave as mappings of arrays, some rows each."""
    if isinstance(loaded, Mapping):
        arrays = {str(name): np.asarray(values) for name, values in loaded.items()}
        sizes = {name: values.shape[0] if values.ndim else 0 for name, values in arrays.items()}
        if len(set(sizes.values())) > 1:
            raise Wrong("lengths", ", ".join(f"{name} {size}" for name, size in sizes.items()))
        for start in range(0, max(sizes.values(), default=0), SLICE):
            yield {name: values[start : start + SLICE] for name, values in arrays.items()}
        return
    if not hasattr(loaded, "__iter__"):
        raise Wrong("type", type(loaded).__name__)
    for batch in loaded:  # pyright: ignore[reportGeneralTypeIssues]
        if not isinstance(batch, Mapping):
            raise Wrong("batch", type(batch).__name__)
        arrays = {str(name): np.asarray(values) for name, values in batch.items()}
        sizes = {name: values.shape[0] if values.ndim else -1 for name, values in arrays.items()}
        if len(set(sizes.values())) > 1 or -1 in sizes.values():
            raise Wrong("lengths", ", ".join(f"{name} {size}" for name, size in sizes.items()))
        yield arrays


class Arrays:
    """A column of arrays, batch by batch: what is wrong with which row."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = tuple(sizes)
        self.facts: dict = {
            "shape": None,
            "type": None,
            "low": None,
            "high": None,
            "constant": 0,
            "wrong": [],
            "count": 0,
        }

    def add(self, values: np.ndarray, first: int) -> list[str]:
        """The digests of a batch that begins with row `first`."""
        facts = self.facts
        if facts["type"] is None and values.dtype != object:
            facts["type"] = str(values.dtype)
        if values.dtype.kind not in "fiub" or values.shape[1:] != self.sizes:
            facts["shape"] = facts["shape"] or list(values.shape[1:])
            facts["type"] = str(values.dtype)
            facts["misfit"] = facts.get("misfit") or first
            return [""] * len(values)
        flat = values.reshape(len(values), -1)
        finite = np.isfinite(flat).all(1) if values.dtype.kind == "f" else np.ones(len(values), bool)
        for i in np.flatnonzero(~finite):
            facts["count"] += 1
            if len(facts["wrong"]) < KEPT:
                facts["wrong"].append([first + int(i), int((~np.isfinite(flat[i])).sum())])
        same = finite & (flat.min(1) == flat.max(1)) if flat.shape[1] > 1 else np.zeros(len(values), bool)
        if same.any():
            facts.setdefault("first_constant", first + int(np.argmax(same)))
            facts["constant"] += int(same.sum())
        if finite.any():
            low, high = float(flat[finite].min()), float(flat[finite].max())
            facts["low"] = low if facts["low"] is None else min(facts["low"], low)
            facts["high"] = high if facts["high"] is None else max(facts["high"], high)
        return [hashlib.blake2b(row.tobytes(), digest_size=8).hexdigest() for row in np.ascontiguousarray(flat)]


def texts(values: np.ndarray, kind: str, name: str, wrong: dict) -> list[str]:
    """A column of one value a row, as a CSV file has it."""
    if values.ndim != 1:
        wrong.setdefault(name, ["shape", list(values.shape[1:])])
        return [""] * len(values)
    numeric = values.dtype.kind in "fiu"
    if (kind == "number") != numeric and kind in ("number", *TEXT):
        wrong.setdefault(name, ["type", str(values.dtype)])
    if numeric:
        return ["" if value != value else repr(value) for value in values.tolist()]
    return [plain(value) for value in values.tolist()]


def plain(value: object) -> str:
    """A text in one line; what isn't UTF-8 stays to be seen."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else "" if value is None else str(value)
    return text.replace("\r", " ").replace("\n", " ")


def write(folder: str, pattern: str, declared: dict, out: Path) -> dict:
    """Write rows.csv; what is to be told besides."""
    sys.path.insert(0, folder)
    from trainer import data  # pyright: ignore[reportMissingImports]

    kinds = {**declared["columns"], **dict.fromkeys((declared["label"], *declared["more"]), "")}
    kinds[declared["label"]] = "label" if declared["classes"] else "number"
    arrays = {name: Arrays(kind) for name, kind in declared["columns"].items() if isinstance(kind, list)}
    facts: dict = {"rows": 0, "given": [], "missing": [], "wrong": {}, "reordered": False, "whole": True}
    first: dict | None = None
    loaded = data.load(pattern)
    with (out / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for batch in batches(loaded):
            if first is None:
                first = batch
                facts["given"] = sorted(batch)
                if declared["new"]:
                    kinds = {name: kind for name, kind in kinds.items() if name in batch or name in declared["columns"]}
                facts["missing"] = [name for name in kinds if name not in batch]
                if facts["missing"]:
                    break
                writer.writerow(kinds)
            columns = [
                arrays[name].add(batch[name], facts["rows"] + 1)
                if name in arrays
                else texts(batch[name], str(kind), name, facts["wrong"])
                for name, kind in kinds.items()
            ]
            writer.writerows(zip(*columns, strict=True))
            facts["rows"] += len(columns[0])
            if facts["rows"] >= declared["most"]:
                facts["whole"] = False
                break
    if first is not None and not isinstance(loaded, Mapping) and not facts["missing"]:
        again = next(batches(data.load(pattern)), {})
        facts["reordered"] = any(not np.array_equal(values, again.get(name, ())) for name, values in first.items())
    return {**facts, "arrays": {name: one.facts for name, one in arrays.items()}}


def questions(path: str) -> dict:
    """The columns of an .npz file as lists."""
    with np.load(path, allow_pickle=False) as found:
        return {name: [plain(v) if isinstance(v, bytes | str) else v for v in found[name].tolist()] for name in found}


def main() -> None:
    """Write; what went wrong is told in facts.json, or by a traceback that names the trainer's line."""
    if sys.argv[1] == "--questions":
        Path(sys.argv[3]).write_text(json.dumps(questions(sys.argv[2])), encoding="utf-8")
        return
    folder, pattern, declared, out = sys.argv[1:]
    try:
        facts = write(folder, pattern, json.loads(declared), Path(out))
    except Wrong as wrong:
        facts = {"refused": wrong.args}
    (Path(out) / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    main()
