"""The kinds of resources that entries of this cloud are about, with the labels that each has.

https://cloud.google.com/logging/docs/api/v2/resource-list
"""

from __future__ import annotations

from typing import Any

# type -> (display name, labels beside project_id)
_TYPES: dict[str, tuple[str, tuple[str, ...]]] = {
    "aiplatform.googleapis.com/Endpoint": ("Vertex AI Endpoint", ("location", "endpoint_id")),
    "aiplatform.googleapis.com/PipelineJob": ("Vertex Pipelines Job", ("location", "pipeline_job_id")),
    "api": ("Produced API", ("service", "method", "version", "location")),
    "audited_resource": ("Audited Resource", ("service", "method")),
    "cloud_run_job": ("Cloud Run Job", ("location", "job_name")),
    "gce_instance": ("VM Instance", ("instance_id", "zone")),
    "gcs_bucket": ("GCS Bucket", ("bucket_name", "location")),
    "generic_node": ("Generic Node", ("location", "namespace", "node_id")),
    "generic_task": ("Generic Task", ("location", "namespace", "job", "task_id")),
    "global": ("Global", ()),
    "k8s_container": (
        "Kubernetes Container",
        ("location", "cluster_name", "namespace_name", "pod_name", "container_name"),
    ),
    "logging_log": ("Log stream", ("name",)),
    "logging_sink": ("Logging export sink", ("name", "destination")),
    "ml_job": ("Cloud ML Job", ("job_id", "task_name")),
    "project": ("Google Project", ()),
    "pubsub_topic": ("Cloud Pub/Sub Topic", ("topic_id",)),
    "service_account": ("Service Account", ("email_id", "unique_id")),
}

DESCRIPTORS: list[dict[str, Any]] = [
    {
        "type": kind,
        "displayName": title,
        "labels": [{"key": label} for label in ("project_id", *labels)],
    }
    for kind, (title, labels) in _TYPES.items()
]
