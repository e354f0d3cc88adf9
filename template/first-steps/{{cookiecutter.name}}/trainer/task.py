"""python -m trainer.task [PROGRAM]: what a job runs, one of the three programs or all of them in their order."""

import argparse
import os
import runpy
import sys

PROGRAMS = ("multiply", "read_csv", "checkpoint")


def arguments() -> argparse.ArgumentParser:
    """The options of a run."""
    parser = argparse.ArgumentParser(prog="python -m trainer.task", description="Runs the first programs.")
    parser.add_argument("program", nargs="?", choices=PROGRAMS, help="one of them (default: all)")
    parser.add_argument("--data", default="data", metavar="FOLDER", help="where the table is, gs:// too")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run what was chosen."""
    options = arguments().parse_args(argv)
    os.environ["DATA"] = options.data
    for name in [options.program] if options.program else PROGRAMS:
        runpy.run_module(f"trainer.{name}", run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
