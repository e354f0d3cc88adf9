"""What the program of an account gives: names of what it made, as the tasks read them from outputs.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

SCHEMA = 1  # the next number when a name changes its meaning


class OtherSchema(ValueError):
    """Outputs of another version of the program, or changed by hand."""


@dataclass(frozen=True)
class Budget:
    """`name` is the budget's full resource name; `currency` is the billing account's own."""

    name: str
    amount: float
    currency: str | None


@dataclass(frozen=True)
class Ci:
    """Which repository and branch on GitHub are let in, by the provider of that name, and as whom they act."""

    repository: str
    branch: str
    provider: str
    trains: str
    previews: str


@dataclass(frozen=True)
class Outputs:
    """One account. `buckets` has gs://NAME by purpose, `quotas` what was asked for by quota and region.

    `trainer` is the e-mail address that jobs run as, `submitter` that of who may start them ("" for none).
    """

    project: str
    project_number: str
    region: str
    trainer: str
    submitter: str
    buckets: dict[str, str]
    images: str
    budget: Budget | None
    labels: dict[str, str]
    quotas: dict[str, dict[str, int]]
    ci: Ci | None = None

    def exported(self) -> dict[str, Any]:
        """What the stack exports: the names above, and the number by which a reader knows what they mean."""
        return {
            "schema": SCHEMA,
            **vars(self),
            "budget": self.budget and vars(self.budget),
            "ci": self.ci and vars(self.ci),
        }

    @staticmethod
    def read(exported: Mapping[str, Any]) -> Outputs:
        """The inverse, once the engine knows the values. Raises KeyError for a name that is missing, OtherSchema."""
        known = {field.name: exported[field.name] for field in fields(Outputs) if field.name not in ("budget", "ci")}
        if exported["schema"] != SCHEMA:
            raise OtherSchema(f"schema {exported['schema']!r}, not {SCHEMA}")
        for name, value in known.items():
            if not isinstance(value, dict if name in ("buckets", "labels", "quotas") else str):
                raise OtherSchema(f"{name} is {value!r}")
        budget, ci = exported.get("budget"), exported.get("ci")  # Pulumi leaves out what is None
        return Outputs(**known, budget=Budget(**budget) if budget else None, ci=Ci(**ci) if ci else None)
