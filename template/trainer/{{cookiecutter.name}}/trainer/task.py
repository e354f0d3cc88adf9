"""python -m trainer.task: one training run, on a laptop or in a cloud job; --help lists the options."""

import argparse
import os
import platform
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from trainer import data
from trainer.kit import job
from trainer.kit.job import Mistake


class Parser(argparse.ArgumentParser):
    """Tells a mistake as every other one here."""

    def error(self, message: str) -> NoReturn:
        raise Mistake(message, f"{self.prog} --help")


def arguments() -> argparse.ArgumentParser:
    """The options of a run."""
    beside = Path(__file__).resolve().parent.parent / data.DATA
    parser = Parser(prog="python -m trainer.task", description=f"Learns {data.LABEL} from {data.DATA}.")
    option = parser.add_argument
    option("--data", default=str(beside), metavar="PATTERN", help=f"other rows, gs:// too (default: {data.DATA})")
    option("--validation", type=share, default=0.2, metavar="SHARE|PATTERN", help="rows to hold out (default: 0.2)")
    option("--test", type=share, default=0.0, metavar="SHARE|PATTERN", help="rows for a last look (default: none)")
    option("--epochs", type=whole(1), default=30, help="passes over the rows (default: 30)")
    option("--steps", type=whole(1), default=0, help="stop after this step")
    option("--batch", type=whole(1), help="rows a step (default: 32 to 1024, by the number of rows)")
    option("--model", choices=["linear", "mlp", "wide"], help="what is built (default: as model.py says)")
    option("--layers", type=whole(1), help="hidden layers of an mlp (default: as model.py says)")
    option("--units", type=whole(1), help="numbers in the first of them (default: as model.py says)")
    option("--rate", type=positive, help="first learning rate (default: as model.py says)")
    option("--seed", type=whole(0), default=0, help="another seed, another order and first weights (default: 0)")
    option("--output", default="output", metavar="DIR", help="model, checkpoints, logs (default: output)")
    option("--save-every", type=whole(1), default=0, metavar="STEPS", help="checkpoints (default: each 30 seconds)")
    option("--continue", dest="before", default="", metavar="DIR", help="learn on from that model, or checkpoints")
    option("--widen", action="store_true", help="with --continue: learn new words and the new rows' statistics, too")
    asked = os.environ.get("CLOUDKITE_ASK", "")
    option("--ask", default=asked, metavar="PATTERN", help="also write Keras' own answers to these rows, answers.json")
    option("--require-gpu", action="store_true", default=os.environ.get("CLOUDKITE_REQUIRE_GPU") == "1")
    return parser


def whole(least: int) -> Callable[[str], int]:
    """A reader of whole numbers from `least` to 2**31 - 1."""

    def read(text: str) -> int:
        if not text.lstrip("+-").isdecimal() or not least <= int(text) < 2**31:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
        return int(text)

    return read


def positive(text: str) -> float:
    """A number above zero."""
    value = number(text) or 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def share(text: str) -> float | str:
    """A share from 0 up to, not including, 1; anything that is no number is a file pattern."""
    value = number(text)
    if value is not None and not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 up to 1, such as 0.2")
    return text if value is None else value


def number(text: str) -> float | None:
    """The number that `text` is, if it is one."""
    try:
        return float(text)
    except ValueError:
        return None


def main(argv: list[str] | None = None) -> int:
    """Run; 0 done, 2 a value that isn't valid, 1 another failure, 143 after SIGTERM, 130 after Ctrl-C."""
    # A container's first process gets no default handlers; resume.py sets one that saves first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        train(arguments().parse_args(argv))
    except Mistake as mistake:
        job.speak(str(mistake), severity="ERROR")
        return mistake.code
    except KeyboardInterrupt:
        return 130
    return 0


def train(options: argparse.Namespace) -> None:
    """Import TensorFlow, after the arguments so that --help is instant; look at the devices; run."""
    import keras
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    this = job.read(options.output)
    gpus = tf.config.list_physical_devices("GPU")
    devices = f"{os.cpu_count()} CPUs, {len(gpus)} GPUs"
    this.say(f"TensorFlow {tf.__version__}, Keras {keras.__version__}, Python {platform.python_version()}, {devices}")
    if options.require_gpu and not gpus:
        hint = "check the machine type, and that LD_LIBRARY_PATH has the driver's and CUDA's libraries"
        raise Mistake("a GPU was asked for, but TensorFlow sees none", hint, code=1)
    from trainer import experiment

    experiment.run(this, options)


if __name__ == "__main__":
    sys.exit(main())
