"""What a permission is asked on, who is asked, and how most APIs refuse where it lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from localcloud.core.asked.callers import Caller
from localcloud.core.errors import ApiError, error_info


@dataclass(frozen=True)
class Resource:
    """What a permission is asked on.

    `policies` are the names that Iam keeps policies under, from its own to its project's. `name`, `type` and `service`
    are what conditions see (https://cloud.google.com/iam/docs/conditions-resource-attributes). What is granted to
    everybody does not count on one that is `private`. Of an account that stands for a `person`, named by e-mail, others
    may see by a grant on the project what there is, and no more: on Google no role lets one act as a person.
    """

    name: str
    policies: tuple[str, ...]
    service: str = ""
    type: str = ""
    private: bool = False
    person: str = ""


class Permits(Protocol):
    """Decides who may do what."""

    def allows(self, caller: Caller, permission: str, resource: Resource) -> bool:
        """Whether `caller` has `permission` ("storage.objects.get") on `resource`. Raises 403 by its token's scopes."""
        ...


def denied(permission: str, resource: str, domain: str) -> ApiError:
    """403 as most of Google's APIs say it; a missing resource and a forbidden one look the same."""
    return ApiError(
        403,
        f"Permission '{permission}' denied on resource '//{domain}/{resource}' (or it may not exist).",
        reason="forbidden",
        details=[error_info("IAM_PERMISSION_DENIED", domain, resource=resource, permission=permission)],
    )
