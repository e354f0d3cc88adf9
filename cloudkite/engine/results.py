"""What a run of the engine tells its caller: plain data, without a Pulumi type in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudkite.show.errors import UserError


@dataclass(frozen=True)
class Resource:
    """One resource of the cloud. `type` is Pulumi's ("gcp:storage/bucket:Bucket"), `kind` its last part ("Bucket")."""

    kind: str
    name: str
    type: str
    urn: str
    id: str = ""
    protected: bool = False
    inputs: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Change:
    """What `up` would do to one resource. `op`: create, update, replace or delete; `details`: the properties."""

    op: str
    kind: str
    name: str
    urn: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drift:
    """What somebody else did to a resource since the last run. `gone`: it was deleted; else `details` differ."""

    kind: str
    name: str
    urn: str
    gone: bool
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preview:
    """`resources` are all that there will be after `up`; `same` counts those that stay as they are.

    `drift` is what others changed since the last run, and what `changes` repair. `warnings` are the program's, e.g. of
    a guard-rail that can't hold.
    """

    changes: tuple[Change, ...]
    same: int
    resources: tuple[Resource, ...]
    warnings: tuple[str, ...]
    seconds: float
    drift: tuple[Drift, ...] = ()


@dataclass(frozen=True)
class Step:
    """Progress on one resource. `phase`: start, done or failed; `seconds`: since its start."""

    kind: str
    name: str
    op: str
    phase: str
    seconds: float


OnStep = Callable[[Step], Any]


@dataclass(frozen=True)
class Failure:
    """What the cloud answered for one resource. `code` is HTTP's, 0 when the answer has none."""

    kind: str
    name: str
    op: str
    urn: str
    message: str
    code: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `changes` counts what was done, by op (`adopt`: it existed); `outputs` are the stack's.

    `warnings` should be shown, and stop nothing.
    """

    changes: Mapping[str, int]
    outputs: Mapping[str, Any]
    failures: tuple[Failure, ...]
    seconds: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Status:
    """What the state says. `unfinished` counts operations whose result was lost; `held_by` is an engine at work."""

    resources: tuple[Resource, ...]
    unfinished: int
    held_by: int | None


class Failed(UserError):
    """A run that ended with failures; `outcome` says what was done until then."""

    def __init__(self, message: str, hint: str, code: int, outcome: Outcome) -> None:
        super().__init__(message, hint, code)
        self.outcome = outcome


class Incomplete(Failed):
    """What failed is nothing that a job needs: all else is there, and the outputs are written."""
