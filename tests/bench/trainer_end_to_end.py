"""Measures the generated trainer, from the file to the exported model, beside pandas_script.py on the same file.

Run it in a trainer's folder, with that trainer's environment, on Linux or macOS; uv makes the script's. Prints
progress on standard error and, as its last line, a JSON list of rows for `invoke bench`: seconds, and peak megabytes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import trainer_input as inputs

HERE = Path(__file__).resolve().parent
EPOCHS = "3"
X86 = "sys_platform == 'linux' and platform_machine == 'x86_64'"
ELSEWHERE = "sys_platform != 'linux' or platform_machine != 'x86_64'"
PINS = ["pandas==2.3.3", "keras==3.15.1", f"tensorflow-cpu==2.21.0 ; {X86}", f"tensorflow==2.21.0 ; {ELSEWHERE}"]
WITH_PANDAS = ["uv", "run", "--no-project", "--python", "3.11", *(w for pin in PINS for w in ("--with", pin)), "python"]
UNIT = 1024 if sys.platform == "linux" else 1  # bytes that ru_maxrss counts in


def run(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds and peak megabytes of a process and those it waits for."""
    began = time.perf_counter()
    child = os.spawnvpe(
        os.P_NOWAIT, command[0], command, {**os.environ, "PWD": str(folder), "TF_CPP_MIN_LOG_LEVEL": "2"}
    )
    _, status, used = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - began, used.ru_maxrss * UNIT / 2**20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    found, origin = [], Path.cwd()
    run([*WITH_PANDAS, "-c", "import keras, pandas"], origin)  # what uv has to fetch, it fetches now
    for kind, numbers, words in (("mixed", 10, 5), ("wide", 30, 0)):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(shutil.copytree(origin, Path(scratch, "trainer"), ignore=shutil.ignore_patterns("output")))
            path = folder / "data" / "rows.csv"
            columns = inputs.declare(numbers, words)
            inputs.make(path, options.rows)
            (folder / "trainer" / "data.py").write_text(
                f"COLUMNS = {columns}\nLABEL = 'label'\nCLASSES = (0, 1)\nDATA = 'data/rows.csv'\n"
                "HEADERS = RANGES = {}\nGROUP = TIME = WEIGHT = ''\n", encoding="utf-8"
            )  # fmt: skip
            os.chdir(folder)
            ours, theirs = [], []
            for _ in range(options.runs):
                shutil.rmtree(folder / "output", ignore_errors=True)
                ours.append(run([sys.executable, "-m", "trainer.task", "--epochs", EPOCHS, "--batch", "1024"], folder))
                theirs.append(run([*WITH_PANDAS, str(HERE / "pandas_script.py"), str(path), EPOCHS], folder))
            os.chdir(origin)
            for i, (what, unit, target) in enumerate((("end to end", "s", "<= 1"), ("peak memory", "MB", "<= 0.33"))):
                mine, other = [one[i] for one in ours], [one[i] for one in theirs]
                row = {
                    "name": f"trainer, {what}, {options.rows:,} rows, {kind}", "unit": unit,
                    "ours": statistics.median(mine), "spread": [min(mine), max(mine)],
                    "peer_name": "pandas script", "peer": statistics.median(other),
                    "ratio": statistics.median(a / b for a, b in zip(mine, other, strict=True)),
                    "target": target, "runs": options.runs,
                }  # fmt: skip
                print(f"{row['name']}: {row['ours']:.1f} {unit}, {row['ratio']:.2f} x pandas", file=sys.stderr)
                found.append(row)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
