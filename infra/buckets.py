"""The buckets of an account, and who may do what in each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pulumi
import pulumi_gcp as gcp

from infra.apis import Apis
from infra.identity import Identity
from infra.settings import Settings

_DAY = 24 * 60 * 60

# TensorFlow reads the bucket itself when it makes a directory (buckets.get), which no object role allows.
BUCKET = "storage.legacyBucketReader"
READ = "storage.objectViewer"
# objectCreator can't overwrite or delete: checkpoints could not rotate.
WRITE = "storage.objectUser"


@dataclass(frozen=True)
class Purpose:
    """What a bucket is for. `undelete_days`: deleted objects can be restored for so long, and are billed so long.

    Google allows 0 or 7 to 90 days. A protected bucket survives `down`.
    """

    name: str
    trainer: str
    submitter: str
    protected: bool
    undelete_days: int


PURPOSES = (
    Purpose("data", trainer=READ, submitter="", protected=True, undelete_days=7),
    # Content here is made again by the next submission, so it is never worth paying for a deleted copy.
    Purpose("staging", trainer=WRITE, submitter=WRITE, protected=False, undelete_days=0),
    Purpose("models", trainer=WRITE, submitter=READ, protected=True, undelete_days=7),
)


def elsewhere(region: str) -> Purpose:
    """The bucket for models of jobs in another region: Vertex AI wants a job's output in the job's own."""
    models = next(purpose for purpose in PURPOSES if purpose.name == "models")
    return replace(models, name=f"models-{region}")


class Buckets(pulumi.ComponentResource):
    """`urls` has gs://NAME by purpose: data, staging, models, and models-REGION for each other region."""

    def __init__(self, settings: Settings, apis: Apis, identity: Identity, opts: pulumi.ResourceOptions) -> None:
        super().__init__("cloudkite:account:Buckets", "buckets", None, opts)
        self._settings = settings
        self._apis = apis
        self.urls: dict[str, pulumi.Output[str]] = {}
        home = settings.region
        places = [
            *((purpose, home) for purpose in PURPOSES),
            *((elsewhere(region), region) for region in settings.also_in),
        ]
        for purpose, region in places:
            bucket = self._bucket(purpose, region)
            self._grant(bucket, f"{purpose.name}-trainer", identity.trainer, purpose.trainer)
            for who, member in identity.submitters.items() if purpose.submitter else ():
                self._grant(bucket, f"{purpose.name}-{who}", member, purpose.submitter)
            self.urls[purpose.name] = bucket.url
        self.register_outputs(dict(self.urls))

    def _bucket(self, purpose: Purpose, region: str) -> gcp.storage.Bucket:
        settings = self._settings
        # Parts of an upload that was broken off are invisible, and billed until somebody removes them.
        rules = [_rule("AbortIncompleteMultipartUpload", 1)]
        if not purpose.protected:
            rules.append(_rule("Delete", settings.staging_days))
        return gcp.storage.Bucket(
            purpose.name,
            name=settings.bucket(purpose.name),
            project=settings.project,
            location=region,  # the jobs' own region: no transfer is billed, and Vertex AI demands it
            storage_class="STANDARD",
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            soft_delete_policy={"retention_duration_seconds": purpose.undelete_days * _DAY},
            lifecycle_rules=rules,
            # `down` must be able to take a bucket away that still holds staged code.
            force_destroy=not purpose.protected,
            opts=self._apis.child(self, "storage", protect=purpose.protected),
        )

    def _grant(self, bucket: gcp.storage.Bucket, name: str, member: pulumi.Input[str], role: str) -> None:
        for each in (BUCKET, role):
            gcp.storage.BucketIAMMember(
                f"{name}-{each.rpartition('.')[2]}",
                bucket=bucket.name,
                role=f"roles/{each}",
                member=member,
                opts=self._apis.child(self, "storage"),
            )


def _rule(action: str, days: int) -> gcp.storage.BucketLifecycleRuleArgs:
    return gcp.storage.BucketLifecycleRuleArgs(
        action=gcp.storage.BucketLifecycleRuleActionArgs(type=action),
        condition=gcp.storage.BucketLifecycleRuleConditionArgs(age=days),
    )
