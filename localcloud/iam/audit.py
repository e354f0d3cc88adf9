"""Remembers which permissions each principal used, and which it was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localcloud.cloud import Caller, Cloud


class Audit:
    """What `localcloud audit` tells: counts by principal, permission and resource."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def note(self, caller: Caller, permission: str, resource: str, allowed: bool) -> None:
        """Remember one answer. Cheap: called for each request."""
