"""Asks an ONNX file. Runs alone, without Cloudkite.

    python -I ask_onnx.py OUT FILE GIVEN.npz

OUT/onnx.json tells {"inputs": [...], "output": NAME} or {"error": text}; OUT/onnx.npy has the answers.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime  # pyright: ignore[reportMissingImports]


def main(out: Path, model: str, given: str) -> dict:
    """Write the answers to all rows; what the model is called."""
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        rows = np.load(given, allow_pickle=False)
        asked = {name: rows[name].astype(object) if rows[name].dtype.kind == "U" else rows[name] for name in rows}
        (found,) = session.run(None, asked)
    except Exception as error:  # its own classes have no other base
        return {"error": str(error).splitlines()[0][:300]}
    np.save(out / "onnx.npy", found)
    return {"inputs": [one.name for one in session.get_inputs()], "output": session.get_outputs()[0].name}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "onnx.json").write_text(json.dumps(main(folder, *sys.argv[2:])), encoding="utf-8")
