"""Who a provider instance acts as, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localcloud.core.asked.callers import Caller
    from localcloud.core.cloud import Cloud

Values = dict[str, Any]


@dataclass(frozen=True)
class Scope:
    """One provider instance of one engine: who it acts as, and what its program gave as defaults."""

    cloud: Cloud
    caller: Caller
    project: str
    region: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    consumer: str = ""  # the project that all calls are charged to, with user_project_override

    def project_of(self, values: Mapping[str, Any]) -> str:
        """The project that a resource names, else the provider's."""
        return values.get("project") or self.project

    def region_of(self, values: Mapping[str, Any], key: str = "location") -> str:
        return values.get(key) or self.region

    def labels_of(self, values: Mapping[str, Any]) -> dict[str, str]:
        """The labels of a resource on top of the provider's default ones."""
        return {**self.labels, **(values.get("labels") or {})}
