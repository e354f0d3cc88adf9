"""The same over gRPC, for Google's client library google.cloud.billing.budgets_v1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.billing.http import router
from localcloud.transcoding import Table, transcoded

if TYPE_CHECKING:
    from localcloud.cloud import Cloud


def table(cloud: Cloud) -> Table:
    return transcoded(cloud, "google.cloud.billing.budgets_v1", router)
