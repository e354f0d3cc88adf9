"""Small data for any data.py: a label that follows from the first column, blanks here and there."""

import csv
import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from trainer import data, task


def made(count: int) -> list[dict[str, str]]:
    """`count` rows as the columns, label and classes of data.py ask for."""
    rows, (group, time, weight) = [], (getattr(data, name, "") for name in ("GROUP", "TIME", "WEIGHT"))
    for i in range(count):
        kind = i % max(2, len(data.CLASSES))
        values = {"number": kind + i / 1000, "date": f"2026-0{1 + kind % 9}-{1 + i % 28:02}"}
        row = {name: str(values.get(what, f"word{kind}")) for name, what in data.COLUMNS.items()}
        row |= {name: f"g{i % 30}" if name == group else str(i) for name in (group, time) if name and name not in row}
        for j, name in enumerate(list(row)[1:]):
            row[name] = "" if (i + j) % 7 == 3 else row[name]
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
