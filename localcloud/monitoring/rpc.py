"""The same over gRPC, for Google's client library google.cloud.monitoring_v3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.monitoring.http import router
from localcloud.transcoding import Table, transcoded

if TYPE_CHECKING:
    from localcloud.cloud import Cloud


def table(cloud: Cloud) -> Table:
    return transcoded(cloud, "google.cloud.monitoring_v3", router)
