"""The predefined roles that this cloud tells about: those that a Cloudkite account uses, and the basic ones."""

from __future__ import annotations

from localcloud.errors import ApiError

# Names and titles: https://cloud.google.com/iam/docs/roles-permissions
TITLES = {
    "roles/owner": "Owner",
    "roles/editor": "Editor",
    "roles/viewer": "Viewer",
    "roles/aiplatform.admin": "Vertex AI Administrator",
    "roles/aiplatform.user": "Vertex AI User",
    "roles/aiplatform.viewer": "Vertex AI Viewer",
    "roles/artifactregistry.reader": "Artifact Registry Reader",
    "roles/artifactregistry.writer": "Artifact Registry Writer",
    "roles/cloudquotas.admin": "Cloud Quotas Admin",
    "roles/cloudquotas.viewer": "Cloud Quotas Viewer",
    "roles/iam.serviceAccountTokenCreator": "Service Account Token Creator",
    "roles/iam.serviceAccountUser": "Service Account User",
    "roles/iam.workloadIdentityUser": "Workload Identity User",
    "roles/logging.logWriter": "Logs Writer",
    "roles/logging.viewer": "Logs Viewer",
    "roles/monitoring.metricWriter": "Monitoring Metric Writer",
    "roles/monitoring.viewer": "Monitoring Viewer",
    "roles/pubsub.publisher": "Pub/Sub Publisher",
    "roles/pubsub.subscriber": "Pub/Sub Subscriber",
    "roles/serviceusage.serviceUsageConsumer": "Service Usage Consumer",
    "roles/storage.admin": "Storage Admin",
    "roles/storage.legacyBucketReader": "Storage Legacy Bucket Reader",
    "roles/storage.legacyBucketWriter": "Storage Legacy Bucket Writer",
    "roles/storage.objectAdmin": "Storage Object Admin",
    "roles/storage.objectCreator": "Storage Object Creator",
    "roles/storage.objectUser": "Storage Object User",
    "roles/storage.objectViewer": "Storage Object Viewer",
}


def predefined(name: str) -> dict[str, str]:
    """A predefined role without its permissions. Raises 404."""
    if name not in TITLES:
        raise ApiError(404, f"The role named {name} was not found.")
    return {"name": name, "title": TITLES[name], "stage": "GA", "etag": "AA=="}


class Everything:
    """The permissions of a basic owner: all."""

    def __contains__(self, permission: object) -> bool:
        return True


Permissions = frozenset[str] | Everything
# https://cloud.google.com/pubsub/docs/access-control#roles
_PUBSUB: dict[str, Permissions] = {
    "roles/pubsub.publisher": frozenset({"pubsub.topics.publish"}),
    "roles/pubsub.subscriber": frozenset(
        {"pubsub.subscriptions.consume", "pubsub.topics.attachSubscription", "pubsub.snapshots.seek"}
    ),
}


def permissions(role: str) -> Permissions:
    """What a predefined role permits; nothing for one that isn't known."""
    if role in ("roles/owner", "roles/editor"):
        return Everything()
    return _PUBSUB.get(role, frozenset())
