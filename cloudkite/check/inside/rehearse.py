"""Imports TensorFlow once for two processes, with a trainer's own Python: its run, and what then loads its export.

    python -I rehearse.py ORDER SCRIPT

ORDER is JSON: {"folder": the trainer's, "arguments": of trainer.task, "variables", "log": a file for all that the run
says, "ended": a file that gets its exit code}. The run is forked from here before any of its code is imported; this
process goes on as SCRIPT, which knows nothing of the trainer.
"""

import contextlib
import json
import os
import runpy
import sys
import threading
import traceback
from pathlib import Path


def run(order: dict) -> int:
    """The forked process: what `python -m trainer.task` does."""
    log = os.open(order["log"], os.O_WRONLY | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.chdir(order["folder"])
    os.environ.update(order["variables"])
    sys.dont_write_bytecode = True
    sys.path.insert(0, order["folder"])
    sys.argv = ["trainer.task", *order["arguments"]]
    try:
        runpy.run_module("trainer.task", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def tell(child: int, ended: str) -> None:
    """Write the exit code of the run as soon as it has one, negative for a signal."""
    _pid, status = os.waitpid(child, 0)
    part = Path(f"{ended}.part")
    part.write_text(str(os.waitstatus_to_exitcode(status)), encoding="ascii")
    part.replace(ended)


def main() -> None:
    """Fork, and go on as the script."""
    order, script = json.loads(sys.argv[1]), sys.argv[2]
    with contextlib.suppress(ImportError):  # the run tells it better
        import tensorflow  # noqa: F401  # pyright: ignore[reportMissingImports, reportMissingModuleSource]
    child = os.fork()
    if not child:
        sys.exit(run(order))
    waiting = threading.Thread(target=tell, args=(child, order["ended"]))
    waiting.start()
    sys.argv = [script]
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        waiting.join()


if __name__ == "__main__":
    main()
