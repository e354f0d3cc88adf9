"""Turns the engine's stream of events into steps, changes, failures and outputs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from pulumi.automation.events import EngineEvent, StepEventMetadata

from cloudkite.engine.results import Change, Drift, OnStep, Resource, Step

STACK = "pulumi:pulumi:Stack"

# The engine tells a replacement as three steps; this one is the one that counts.
_SHOWN = {
    "create": "create",
    "update": "update",
    "delete": "delete",
    "create-replacement": "replace",
    "import": "import",
    "import-replacement": "replace",
}

# What the engine says when it could not keep what a step did: pulumi, pkg/resource/deploy/step_executor.go
_UNKEPT = "post-step event returned an error"

_LOOK = "refresh"  # a step that reads a resource as it is, before the program runs

# Steps that need no declaration: what leaves the state.
_GOING = {"delete", "delete-replaced", "discard", "discard-replaced", "read-discard", "remove-pending-replace"}


class Events:
    """Collects one run's events. It is called from the thread of a gRPC server, one event after the other."""

    def __init__(self, on_step: OnStep | None = None) -> None:
        self.outputs: dict[str, Any] = {}
        self.done: Counter[str] = Counter()
        self.errors: list[tuple[str, str]] = []  # (URN or "", message)
        self.warnings: list[str] = []
        self.failed: dict[str, StepEventMetadata] = {}
        self.planned: dict[str, StepEventMetadata] = {}
        self.drift: dict[str, Drift] = {}
        self.unkept = False  # whether the engine couldn't write its state
        self.problem: Exception | None = None  # of on_step; an exception must not leave the gRPC thread
        self._on_step, self._started = on_step, {}

    def __call__(self, event: EngineEvent) -> None:
        """Take in one event."""
        if event.resource_pre_event:
            self._start(event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            self._finish(event.res_outputs_event.metadata)
        elif event.res_op_failed_event:
            step = event.res_op_failed_event.metadata
            self.failed[step.urn] = step
            self._tell(step, "failed")
        elif event.diagnostic_event:
            told = event.diagnostic_event
            if told.severity == "error":
                self.errors.append((told.urn or "", told.message.strip()))
                self.unkept |= _UNKEPT in told.message
            elif told.severity == "warning":
                self.warnings.append(told.message.strip())

    def _start(self, step: StepEventMetadata) -> None:
        if _op(step) == _LOOK:
            return
        if _op(step) not in ("replace", "delete-replaced") or step.urn not in self.planned:
            self.planned[step.urn] = step
        self._started[step.urn] = time.monotonic()
        self._tell(step, "start")

    def _finish(self, step: StepEventMetadata) -> None:
        if _op(step) == _LOOK:
            if is_cloud(step) and (step.new is None or step.diffs):
                details = tuple(sorted(step.detailed_diff or step.diffs or ()))
                self.drift[step.urn] = Drift(kind_of(step.type), name_of(step.urn), step.urn, not step.new, details)
            return
        if step.type == STACK and step.new:
            self.outputs = dict(step.new.outputs or {})
        shown = _SHOWN.get(_op(step))
        if shown and is_cloud(step):
            self.done[shown] += 1
        self._tell(step, "done")

    def _tell(self, step: StepEventMetadata, phase: str) -> None:
        shown = _SHOWN.get(_op(step))
        if not (self._on_step and shown and is_cloud(step)) or self.problem:
            return
        seconds = time.monotonic() - self._started.get(step.urn, time.monotonic())
        try:
            self._on_step(Step(kind_of(step.type), name_of(step.urn), shown, phase, seconds))
        except Exception as problem:
            self.problem = problem

    def changes(self) -> tuple[Change, ...]:
        """What a preview would change, in the engine's order."""
        made = []
        for step in self.planned.values():
            op = _op(step)
            shown = _SHOWN.get(op) or ("replace" if op in ("replace", "delete-replaced") else "")
            if shown and is_cloud(step):
                details = tuple(sorted(step.detailed_diff or step.diffs or ()))
                made.append(Change(shown, kind_of(step.type), name_of(step.urn), step.urn, details))
        return tuple(made)

    def besides(self, declared: Collection[str]) -> tuple[StepEventMetadata, ...]:
        """What the run had in it, to make, change or keep, besides what was `declared`, by URN."""
        steps = (step for step in self.planned.values() if step.urn not in declared)
        return tuple(step for step in steps if _op(step) not in _GOING)

    def same(self) -> int:
        """How many resources a preview leaves as they are."""
        return sum(1 for step in self.planned.values() if _op(step) == "same" and is_cloud(step))

    def resources(self) -> tuple[Resource, ...]:
        """All resources that there are after the previewed run."""
        return tuple(_resources(step for step in self.planned.values() if _op(step) != "delete"))


def _resources(steps: Iterable[StepEventMetadata]) -> Iterable[Resource]:
    for step in steps:
        state = step.new or step.old
        if state and is_cloud(step):
            yield Resource(
                kind_of(step.type),
                name_of(step.urn),
                step.type,
                step.urn,
                state.id,
                bool(state.protect),
                dict(state.inputs or {}),
            )


def is_cloud(step: StepEventMetadata) -> bool:
    """Whether a step is about a resource of the cloud, and not a component, the stack or a provider."""
    state = step.new or step.old
    return bool(state and state.custom) and not step.type.startswith("pulumi:")


def makes(step: StepEventMetadata) -> bool:
    """Whether a step makes a resource, instead of taking over one that exists."""
    return _op(step) in ("create", "create-replacement")


def kind_of(token: str) -> str:
    """The last part of a type: "Bucket" of "gcp:storage/bucket:Bucket"."""
    return token.rsplit(":", 1)[-1]


def name_of(urn: str) -> str:
    """The name that the program gives a resource: the last part of its URN."""
    return urn.rsplit("::", 1)[-1]


def _op(step: StepEventMetadata) -> str:
    return getattr(step.op, "value", step.op)
