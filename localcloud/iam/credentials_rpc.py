"""IAM Service Account Credentials over gRPC, answered by its REST routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.iam.credentials_http import router
from localcloud.transcoding import Table, transcoded

if TYPE_CHECKING:
    from localcloud.cloud import Cloud


def table(cloud: Cloud) -> Table:
    return transcoded(cloud, "google.cloud.iam_credentials_v1", router)
