"""The APIs that a project can turn on, and those that are on in a new one."""

from __future__ import annotations

# https://cloud.google.com/service-usage/docs/enabled-service#default
ON_BY_DEFAULT = frozenset(
    f"{name}.googleapis.com"
    for name in (
        "analyticshub bigquery bigqueryconnection bigquerydatapolicy bigquerymigration bigqueryreservation "
        "bigquerystorage cloudapis cloudtrace dataform dataplex datastore logging monitoring servicemanagement "
        "serviceusage sql-component storage storage-api storage-component telemetry"
    ).split()
)

TITLES = {
    "aiplatform": "Vertex AI API",
    "analyticshub": "Analytics Hub API",
    "artifactregistry": "Artifact Registry API",
    "bigquery": "BigQuery API",
    "bigqueryconnection": "BigQuery Connection API",
    "bigquerydatapolicy": "BigQuery Data Policy API",
    "bigquerymigration": "BigQuery Migration API",
    "bigqueryreservation": "BigQuery Reservation API",
    "bigquerystorage": "BigQuery Storage API",
    "billingbudgets": "Cloud Billing Budget API",
    "cloudapis": "Google Cloud APIs",
    "cloudbilling": "Cloud Billing API",
    "cloudbuild": "Cloud Build API",
    "cloudquotas": "Cloud Quotas API",
    "cloudresourcemanager": "Cloud Resource Manager API",
    "cloudtrace": "Cloud Trace API",
    "compute": "Compute Engine API",
    "containerregistry": "Container Registry API",
    "dataform": "Dataform API",
    "dataplex": "Cloud Dataplex API",
    "datastore": "Cloud Datastore API",
    "iam": "Identity and Access Management (IAM) API",
    "iamcredentials": "IAM Service Account Credentials API",
    "logging": "Cloud Logging API",
    "monitoring": "Cloud Monitoring API",
    "pubsub": "Cloud Pub/Sub API",
    "run": "Cloud Run Admin API",
    "servicemanagement": "Service Management API",
    "serviceusage": "Service Usage API",
    "storage": "Cloud Storage API",
    "storage-api": "Google Cloud Storage JSON API",
    "storage-component": "Cloud Storage",
    "sql-component": "Cloud SQL",
    "sts": "Security Token Service API",
}
_OTHERS = frozenset(
    "apikeys cloudasset cloudfunctions cloudkms cloudscheduler cloudtasks container containeranalysis dataflow "
    "dataproc deploymentmanager dns essentialcontacts eventarc file firestore networkconnectivity notebooks "
    "ondemandscanning orgpolicy oslogin pubsub recommender redis secretmanager servicecontrol servicenetworking "
    "sourcerepo spanner speech sqladmin storageinsights storagetransfer tpu translate vision workflows".split()
)


def known(service: str) -> bool:
    """Whether Google has an API of this name ("aiplatform.googleapis.com"), as far as this cloud knows."""
    name = service.removesuffix(".googleapis.com")
    return service in ON_BY_DEFAULT or (name != service and (name in TITLES or name in _OTHERS))


def title(service: str) -> str:
    """The name that Google shows."""
    name = service.removesuffix(".googleapis.com")
    return TITLES.get(name, f"{name.capitalize()} API")
