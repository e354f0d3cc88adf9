"""Asks LiteRT files without TensorFlow. Runs alone, without Cloudkite.

    python -I ask_litert.py OUT COUNTS FILE=GIVEN.npz ...

COUNTS is "1,7,256": rows a call, each of which goes over the rows anew. OUT/litert.json tells {FILE: {"outputs": a file
of OUT, "signature": {"key": NAME, "inputs": [...], "output": NAME}, "milliseconds": for one row, the median} or
{"error": text}}.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter  # pyright: ignore[reportMissingImports]

TIMED = 200  # calls


def ask(model: Path, given: dict[str, np.ndarray], counts: list[int]) -> tuple[np.ndarray, dict]:
    """The answers for each of `counts` below each other, [len(counts) * rows, numbers], and what the model is like."""
    interpreter = Interpreter(str(model), num_threads=1)
    ((key, names),) = interpreter.get_signature_list().items()
    run = interpreter.get_signature_runner(key)
    rows, found, times = len(next(iter(given.values()))), [], []
    for count in counts:
        for start in range(0, rows, count):
            part = {name: values[start : start + count] for name, values in given.items()}
            began = time.perf_counter()
            (output,) = run(**part).values()
            if count == 1 and len(times) < TIMED:
                times.append(time.perf_counter() - began)
            found.append(output)
    about = {"key": key, "inputs": names["inputs"], "output": names["outputs"][0]}
    return np.concatenate(found), {"signature": about, "milliseconds": 1000 * statistics.median(times)}


def main(out: Path, counts: list[int], pairs: list[str]) -> dict:
    """Ask each file; what came of it."""
    told: dict[str, dict] = {}
    for i, pair in enumerate(pairs):
        model, _, rows = pair.rpartition("=")
        try:
            found, about = ask(Path(model), dict(np.load(rows, allow_pickle=False)), counts)
            np.save(out / f"litert-{i}.npy", found)
            told[model] = {"outputs": f"litert-{i}.npy", **about}
        except (RuntimeError, ValueError) as error:
            told[model] = {"error": str(error).splitlines()[0][:300]}
    return told


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    reply = main(folder, [*map(int, sys.argv[2].split(","))], sys.argv[3:])
    (folder / "litert.json").write_text(json.dumps(reply), encoding="utf-8")
