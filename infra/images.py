"""The repository for container images that a person builds; public images need none."""

from __future__ import annotations

import pulumi
import pulumi_gcp as gcp

from infra.apis import Apis
from infra.settings import Settings

KEEP_VERSIONS = 3
DELETE_AFTER_DAYS = 30


class Images(pulumi.ComponentResource):
    """`address` is what image names start with: REGION-docker.pkg.dev/PROJECT/REPOSITORY."""

    def __init__(self, settings: Settings, apis: Apis, opts: pulumi.ResourceOptions) -> None:
        super().__init__("cloudkite:account:Images", "images", None, opts)
        registry = gcp.artifactregistry
        repository = registry.Repository(
            "images",
            repository_id="cloudkite",
            format="DOCKER",
            location=settings.region,
            project=settings.project,
            description="Images for training jobs",
            # An image with TensorFlow takes 1 to 9 GB and half a GB is free: old versions go by themselves.
            cleanup_policies=[
                registry.RepositoryCleanupPolicyArgs(
                    id="keep-the-newest",
                    action="KEEP",
                    most_recent_versions=registry.RepositoryCleanupPolicyMostRecentVersionsArgs(
                        keep_count=KEEP_VERSIONS
                    ),
                ),
                registry.RepositoryCleanupPolicyArgs(
                    id="delete-the-old",
                    action="DELETE",
                    condition=registry.RepositoryCleanupPolicyConditionArgs(
                        tag_state="ANY", older_than=f"{DELETE_AFTER_DAYS * 86400}s"
                    ),
                ),
            ],
            # Scanning is billed by the image.
            vulnerability_scanning_config=registry.RepositoryVulnerabilityScanningConfigArgs(
                enablement_config="DISABLED"
            ),
            opts=apis.child(self, "artifactregistry"),
        )
        self.address: pulumi.Output[str] = pulumi.Output.concat(
            settings.region, "-docker.pkg.dev/", settings.project, "/", repository.repository_id
        )
        self.register_outputs({"address": self.address})
