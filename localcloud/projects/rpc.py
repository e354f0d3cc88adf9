"""Resource Manager over gRPC, answered by its REST routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.projects.http import router
from localcloud.transcoding import Table, transcoded

if TYPE_CHECKING:
    from localcloud.cloud import Cloud


def table(cloud: Cloud) -> Table:
    return transcoded(cloud, "google.cloud.resourcemanager_v3", router)
