"""How BigQuery refuses: the older shape, with a reason that its clients read.

https://cloud.google.com/bigquery/docs/error-messages
"""

from __future__ import annotations

from typing import Any

from localcloud.core.errors import ApiError


class Refused(ApiError):
    """A refusal with `reason`: notFound, accessDenied, duplicate, invalid."""

    def body(self) -> dict[str, Any]:
        made = super().body()
        made["error"]["errors"] = [{"message": self.message, "domain": "global", "reason": self.reason}]
        return made


def refused(code: int, reason: str, message: str) -> Refused:
    return Refused(code, message, reason=reason)


def denied(permission: str, kind: str, name: str) -> Refused:
    """403 for what the caller may not do with a dataset or a table, there or not."""
    words = (
        f"Access Denied: {kind} {name}: Permission {permission} denied on {kind.lower()} {name} (or it may not exist)."
    )
    return refused(403, "accessDenied", words)
