"""How fast a trainer really was, on which machine: from its own jobs, so that a whole run has a price."""

from cloudkite.money.measured.reading import of_trainer
from cloudkite.money.measured.speed import Measurements, Run, Setup, Speed, epochs, options, speeds

__all__ = ["Measurements", "Run", "Setup", "Speed", "epochs", "of_trainer", "options", "speeds"]
