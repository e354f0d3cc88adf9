"""How fast a trainer really was, on which machine: from its own jobs, so that a whole run has a price."""

from cloudkite.money.measured.estimate import default_epochs, epochs_of, estimate, of_plan, setup_of
from cloudkite.money.measured.reading import of_trainer
from cloudkite.money.measured.speed import Measurements, Run, Setup, Speed, epochs, options, speeds

__all__ = [
    "Measurements", "Run", "Setup", "Speed", "default_epochs", "epochs", "epochs_of", "estimate", "of_plan",
    "of_trainer", "options", "setup_of", "speeds",
]  # fmt: skip
