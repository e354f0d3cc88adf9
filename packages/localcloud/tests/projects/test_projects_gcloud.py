"""gcloud's everyday commands about projects and what belongs to none of the larger APIs, as they are typed."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from clouds.gcloud import gcloud

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed"),
]
PAYER = "012345-6789AB-CDEF01"


def test_a_project_is_paid_for_renamed_and_found(local_cloud: Any, session: Any) -> None:
    local_cloud.enable("cloudresourcemanager", "cloudbilling")
    made = {"projectId": "by-gcloud", "name": "By gcloud"}
    assert session.post("https://cloudresourcemanager.googleapis.com/v1/projects", json=made).ok
    paid = gcloud(local_cloud, "billing", "projects", "link", "by-gcloud", f"--billing-account={PAYER}")
    assert paid["billingEnabled"] is True
    gcloud(local_cloud, "projects", "update", "by-gcloud", "--name=Renamed")
    (found,) = gcloud(local_cloud, "projects", "list", "--filter=projectId:by-g* AND name:renamed")
    assert (found["projectId"], found["name"]) == ("by-gcloud", "Renamed")


def test_what_gcloud_asks_of_older_versions(local_cloud: Any) -> None:
    local_cloud.enable("artifactregistry", "cloudquotas")
    assert "us-central1" in {one["name"] for one in gcloud(local_cloud, "artifacts", "locations", "list")}
    infos = ["beta", "quotas", "info", "list", "--service=aiplatform.googleapis.com", "--project=test-project"]
    assert gcloud(local_cloud, *infos, "--limit=1")[0]["service"] == "aiplatform.googleapis.com"
