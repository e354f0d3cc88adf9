"""What a job that is about to be submitted will probably cost: not the most, but what its like did."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from cloudkite.jobs.plans import Plan
from cloudkite.money.measured.speed import Measurements, Run, Setup, Speed, epochs, options, speeds
from cloudkite.trainers import arguments
from cloudkite.trainers.folders import Trainer


def estimate(found: Measurements, plan: Plan) -> Decimal | None:
    """What the plan's job costs if it is as fast as its like was on the same machines, in the currency of its price.

    None where nothing like it was measured.
    """
    speed = of_plan(found, plan).get(setup_of(plan))
    if speed is None or plan.price.amount is None:
        return None
    return speed.price(plan.price.amount, epochs_of(plan, found.like(options(plan.arguments))))


def of_plan(found: Measurements, plan: Plan) -> dict[Setup, Speed]:
    """The speeds of runs that did the same work as the plan's would, by what they had."""
    return {speed.setup: speed for speed in speeds(found.like(options(plan.arguments)))}


def setup_of(plan: Plan, workers: int = 0) -> Setup:
    """What the plan's job will have, or would have with another number of workers."""
    return Setup(plan.place, plan.machine.name, plan.accelerator, plan.count, workers or plan.workers)


def epochs_of(plan: Plan, runs: Sequence[Run]) -> int:
    """How many epochs the plan's job will run: as it is told, else the trainer's own number, else as its like did."""
    return epochs(plan.arguments) or default_epochs(plan.trainer) or (runs[0].epochs if runs else 0)


def default_epochs(trainer: Trainer) -> int | None:
    """The trainer's own number of epochs, where its task.py says it plainly."""
    return arguments.default_of(trainer, "--epochs")
