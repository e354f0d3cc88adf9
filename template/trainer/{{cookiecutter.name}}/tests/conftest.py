"""Small data for any data.py: a label that follows from the columns, blanks here and there."""

import csv
import glob
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from trainer import data, task
from trainer.kit import prepare


def made(count: int) -> list[dict[str, str]]:
    """`count` rows as the columns, label and classes of data.py ask for."""
    rows, (group, time, weight) = [], (getattr(data, name, "") for name in ("GROUP", "TIME", "WEIGHT"))
    for i in range(count):
        kind = i % max(2, len(data.CLASSES))
        values = {"number": kind + i / 1000, "date": f"2026-0{1 + kind % 9}-{1 + i % 28:02}"}
        values |= dict.fromkeys(("text", "letters"), f"word{kind} row{i}")
        row = {name: str(values.get(what, f"word{kind}")) for name, what in data.COLUMNS.items()}
        row |= {name: f"g{i % 30}" if name == group else str(i) for name in (group, time) if name and name not in row}
        row |= {name: str(kind + i / 1000) for name in prepare.arrays()}
        for j, name in enumerate(list(row)[1:]):
            row[name] = "" if (i + j) % 7 == 3 and name not in prepare.arrays() else row[name]
        row |= {weight: str(1 + kind)} if weight else {}
        row[data.LABEL] = str(data.CLASSES[kind]) if data.CLASSES else str(100 * kind + i / 10)
        rows.append(row)
    return rows


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    """A CSV file of `rows`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def load(pattern: str) -> dict:
    """All columns of CSV files as the arrays that a `load` gives; in them, one number stands for a whole array."""
    import numpy as np

    files = [Path(path).read_text(encoding="utf-8-sig").splitlines() for path in sorted(glob.glob(pattern))]
    tables = [[line for line in csv.reader(lines) if line] for lines in files]
    (header, *_), *_ = tables
    columns = dict(zip(header, zip(*[row for table in tables for row in table[1:]], strict=True), strict=True))
    numbers = {*prepare.names("number"), *prepare.arrays(), data.WEIGHT, "" if data.CLASSES else data.LABEL} - {""}
    found = {name: np.array(values, object) for name, values in columns.items()}
    found |= {name: np.array([value or "nan" for value in columns[name]], "float32") for name in numbers}
    full = {name: np.ones(sizes, "float32") for name, sizes in prepare.arrays().items()}
    return found | {name: np.multiply.outer(found[name], ones) for name, ones in full.items()}


@pytest.fixture(autouse=True)
def own_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows come from these tests alone: a data.py of its own `load` gets another one."""
    if hasattr(data, "load"):
        monkeypatch.setattr(data, "load", load)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A file of 120 rows."""
    return write(tmp_path / "rows.csv", made(120))


@pytest.fixture
def run(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """run("--epochs", "2") trains on the small file, results in tmp_path/output, and gives the exit code."""
    for name in [name for name in os.environ if name.startswith(("AIP_", "CLOUD_ML_", "TF_CONFIG", "CLUSTER_SPEC"))]:
        monkeypatch.delenv(name)

    def start(*words: str, output: str = "output") -> int:
        options = ["--data", str(table), "--batch", "16", "--output", str(tmp_path / output)]
        return task.main([*options, *words])

    return start
