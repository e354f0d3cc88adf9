"""What the names in `resourceNames` mean: all entries of a project, or what a view lets through of a log bucket."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.core.errors import ApiError, error_info
from localcloud.core.filters import parse
from localcloud.logging.entries import Entry
from localcloud.logging.filtering.matching import Match, matcher
from localcloud.logging.routes.configs import Configs
from localcloud.projects.store import Projects

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud


@dataclass(frozen=True)
class Scope:
    """A project, or with a `bucket` what a view lets through of it."""

    project: str
    bucket: str = ""
    matches: Match | None = None

    def holds(self, project: str, bucket: str, entry: Entry) -> bool:
        if project != self.project or self.bucket not in ("", bucket):
            return False
        return self.matches is None or self.matches(entry)


class Scopes:
    """Finds scopes by their names."""

    def __init__(self, cloud: Cloud, configs: Configs) -> None:
        self._cloud = cloud
        self._configs = configs

    def project(self, parent: str, permission: str) -> str:
        """The id of the project that `projects/ID-or-number` names. Raises 403 for one that there is not."""
        kind, _, name = parent.partition("/")
        found = self._cloud.of(Projects).find(name) if kind == "projects" else None
        if found is None:
            raise ApiError(
                403,
                f"Permission '{permission}' denied on resource (or it may not exist).",
                details=[error_info("IAM_PERMISSION_DENIED", "logging.googleapis.com", permission=permission)],
            )
        return found["projectId"]

    def all(self, resources: Sequence[str], permission: str) -> list[Scope]:
        """Raises 400, 403, 404 for a view that there is not."""
        if not resources:
            raise ApiError(400, "resource_names must not be empty")
        return [self._one(name, permission) for name in resources]

    def _one(self, resource: str, permission: str) -> Scope:
        match = re.fullmatch(r"(projects/[^/]+)(?:/(locations/[^/]+/buckets/[^/]+)/views/[^/]+)?", resource)
        if match is None:
            raise ApiError(400, f"Invalid resource name: '{resource}'. The local cloud has projects only.")
        project = self.project(match[1], permission)
        if not match[2]:
            return Scope(project)
        view = self._configs.get(resource)
        self._configs.get(f"projects/{project}/{match[2]}")
        text = view.get("filter", "")
        return Scope(project, match[2], matcher(parse(text), text) if text else None)
