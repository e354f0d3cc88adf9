"""Logs: how long they are kept, what is not kept at all, and an e-mail when a job fails."""

from __future__ import annotations

import pulumi
import pulumi_gcp as gcp

from infra.apis import Apis
from infra.contacts import Contacts
from infra.settings import Settings

# Both are written in volume and read by nobody; 50 GiB a month are free, then 0.50 USD a GiB.
NOISE = {
    "debug-of-jobs": ("Debug messages of training jobs", 'resource.type="ml_job" AND severity=DEBUG'),
    "reads-of-data": ("An entry for each object read", 'logName:"cloudaudit.googleapis.com%2Fdata_access"'),
}
# The service itself, not a replica, reports the end of a job that failed; Cloud Run by a system event that has the
# status of the whole execution. One filter, because a policy with a condition on logs may have no other condition.
JOB_FAILED = (
    '(resource.type="ml_job" AND resource.labels.task_name="service" AND severity>=ERROR) OR '
    '(resource.type="cloud_run_job" AND logName:"cloudaudit.googleapis.com%2Fsystem_event" AND severity>=ERROR)'
)


class Logs(pulumi.ComponentResource):
    """The project's own `_Default` log bucket: 30 days of it cost nothing."""

    def __init__(self, settings: Settings, apis: Apis, contacts: Contacts, opts: pulumi.ResourceOptions) -> None:
        super().__init__("cloudkite:account:Logs", "logs", None, opts)
        gcp.logging.ProjectBucketConfig(
            "default-log-bucket",
            project=settings.project,
            location="global",
            bucket_id="_Default",
            retention_days=settings.log_retention_days,
            opts=apis.child(self, "logging"),
        )
        for name, (description, noise) in NOISE.items():
            gcp.logging.ProjectExclusion(
                f"no-{name}",
                name=f"cloudkite-{name}",
                project=settings.project,
                description=description,
                filter=noise,
                opts=apis.child(self, "logging"),
            )
        if contacts.channels:
            self._tell_of_failures(settings, apis, contacts)
        self.register_outputs({"retention_days": settings.log_retention_days})

    def _tell_of_failures(self, settings: Settings, apis: Apis, contacts: Contacts) -> None:
        monitoring = gcp.monitoring
        gcp.monitoring.AlertPolicy(
            "job-failed",
            project=settings.project,
            display_name="A training job failed",
            combiner="OR",
            conditions=[
                monitoring.AlertPolicyConditionArgs(
                    display_name="Vertex AI or Cloud Run reports the failure",
                    condition_matched_log=monitoring.AlertPolicyConditionConditionMatchedLogArgs(
                        filter=JOB_FAILED,
                        label_extractors={
                            "job": "EXTRACT(resource.labels.job_id)",
                            "run": "EXTRACT(resource.labels.job_name)",
                        },
                    ),
                )
            ],
            # An alert on log entries must have a rate limit; five minutes is the least.
            alert_strategy=monitoring.AlertPolicyAlertStrategyArgs(
                notification_rate_limit=monitoring.AlertPolicyAlertStrategyNotificationRateLimitArgs(period="300s"),
                auto_close="86400s",
            ),
            documentation=monitoring.AlertPolicyDocumentationArgs(
                subject="Training job ${log.extracted_label.job}${log.extracted_label.run} failed in "
                + settings.project,
                content="Job ${log.extracted_label.job}${log.extracted_label.run} failed; why: `uv run invoke logs`",
                mime_type="text/markdown",
            ),
            notification_channels=contacts.channels,
            user_labels=settings.labels,
            opts=apis.child(self, "monitoring", "logging"),
        )
