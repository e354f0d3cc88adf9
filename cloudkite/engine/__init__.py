"""The only part of Cloudkite that knows Pulumi: it runs the real engine on an account's program (infra/).

Importing it is cheap; Pulumi's packages are imported by the functions that run the engine.
"""

from cloudkite.engine.copies import Copy, bring, copies
from cloudkite.engine.results import (
    Change,
    Drift,
    Failed,
    Failure,
    Incomplete,
    OnStep,
    Outcome,
    Preview,
    Resource,
    Status,
    Step,
)
from cloudkite.engine.run import down, fetch, learn, leaving, left, made, preview, status, up

__all__ = [
    "Change",
    "Copy",
    "Drift",
    "Failed",
    "Failure",
    "Incomplete",
    "OnStep",
    "Outcome",
    "Preview",
    "Resource",
    "Status",
    "Step",
    "bring",
    "copies",
    "down",
    "fetch",
    "learn",
    "leaving",
    "left",
    "made",
    "preview",
    "status",
    "up",
]
