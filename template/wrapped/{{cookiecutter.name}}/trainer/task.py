"""python -m trainer.task: runs program.py, here or in a cloud job; --help lists what it takes."""

import argparse
import os
import runpy
import signal
import sys

from trainer import places

OWN = ()  # the options that program.py reads by itself
SHORTER = False  # whether --epochs is of use to program.py


def parser() -> argparse.ArgumentParser:
    """The options of a run; what program.py reads by itself is left to it."""
    made = argparse.ArgumentParser(
        prog="python -m trainer.task",
        description="Runs the program.",
        epilog=f"The program's own: {' '.join(OWN)}" if OWN else None,
        allow_abbrev=False,
    )
    made.add_argument("--data", default="", metavar="PLACE", help="a folder or file, gs:// too (default: data)")
    if SHORTER and "--epochs" not in OWN:
        made.add_argument("--epochs", type=int, metavar="N", help="in place of the number in the program")
    return made


# What follows `--` in `invoke train` is read by this before anything is sent, unless the program has its own options.
arguments = None if OWN else parser


def main(argv: list[str] | None = None) -> int:
    """Run the program, then send what it wrote where a job's model belongs."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a container's first process has no default handler
    known, rest = parser().parse_known_args(argv)
    if rest and not OWN:
        parser().error(f"unrecognized arguments: {' '.join(rest)}")
    if known.data:
        os.environ[places.DATA] = known.data
        rest += ["--data", str(places.folder())] if "--data" in OWN else []
    if getattr(known, "epochs", None) is not None:
        os.environ[places.EPOCHS] = str(known.epochs)
    sys.argv[1:] = rest
    try:
        runpy.run_module("trainer.program", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code not in (None, 0):
            raise
    places.send()
    return 0


if __name__ == "__main__":
    sys.exit(main())
