"""What a kind of resource is to the provider."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.provider import permits
from localcloud.provider.scope import Scope, Values
from localcloud.services.enabled import require


@dataclass(frozen=True)
class Kind:
    """One kind, e.g. gcp:storage/bucket:Bucket. Values are in the names and shapes of the pulumi_gcp SDK.

    `create(scope, inputs)` makes it and gives its id; `read(scope, id, known)` gives it as it is now, None when it is
    gone (`known` is what the state has of it, empty on import); then `update(scope, id, inputs)` and
    `delete(scope, id, known)`. All raise ApiError. Without `delete` it stays in the cloud.

    `ids` is what its ids look like: one of another kind is refused. `api` is what must be on in the project, such as
    "storage"; `refused` are properties of the SDK that are not emulated; `autoname` is the one to fill when the program
    names nothing; `named_by_cloud` says that two of it can live side by side; `choices` are allowed strings (see
    schema.mistakes). What can change, and what a read tells, is in plan/table.py.

    `rights` are the permissions to "create", "read", "update" and "delete" it on what `on(scope, id, values)` gives;
    `permit(scope, action, id, values)` asks in their place where one permission is not enough.
    """

    create: Callable[[Scope, Values], str]
    read: Callable[[Scope, str, Values], Values | None]
    update: Callable[[Scope, str, Values], None] | None = None
    delete: Callable[[Scope, str, Values], None] | None = None
    ids: str = ""
    api: str = ""
    refused: frozenset[str] = frozenset()
    autoname: str = ""
    named_by_cloud: bool = False
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rights: Mapping[str, str] = field(default_factory=dict)
    on: permits.Where = permits.project
    permit: Callable[[Scope, str, str, Values], None] | None = None

    def admit(self, scope: Scope, values: Mapping[str, Any]) -> None:
        """Raises 403 SERVICE_DISABLED when the API is off in the resource's project."""
        if self.api:
            project = scope.project_of(values) or scope.caller.project
            require(scope.cloud, project, f"{self.api}.googleapis.com")

    def allow(self, scope: Scope, action: str, resource_id: str, values: Values) -> None:
        """Raises 403 unless who runs the engine may do this, BadId for an id that is not of this kind."""
        if resource_id and self.ids:
            parts(self.ids, resource_id)
        if self.permit is not None:
            self.permit(scope, action, resource_id, values)
        elif action in self.rights:
            resource = self.on(scope, resource_id, values)
            if resource is not None:
                permits.require(scope, self.rights[action], resource)


class BadId(ValueError):
    """An id that is not of the kind of resource."""


def names(text: str) -> frozenset[str]:
    """Property names written with spaces between them."""
    return frozenset(text.split())


def parts(pattern: str, resource_id: str) -> dict[str, str]:
    """The named parts of an id such as "projects/{project}/sinks/{name}". Raises BadId when it doesn't fit."""
    expression = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(pattern))
    match = re.fullmatch(expression, resource_id)
    if match is None:
        raise BadId(f"{resource_id!r} isn't an id like {pattern}")
    return match.groupdict()
