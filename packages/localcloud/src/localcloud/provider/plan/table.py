"""The rules by which the real provider plans, a row each: read in its source, and told in docs/google.md.

A row names the heading in docs/google.md that says where the rule is from, and how the first run on Google would show
that it is wrong. Paths are in the SDK's names, "[]" for any place of a list.
"""

from __future__ import annotations

from typing import Any, NamedTuple

FORCE_NEW = "can't change: another value replaces the resource"
UNREAD = "no read tells it: it stays in the state as the program gave it, and is missing after an import"
COMPUTED = "what the cloud chose is no difference where the program says nothing"
DEFAULT = "what counts where the program says nothing"
SET = "the order doesn't count"
CASELESS = "capitals don't count"
NO_ZERO = '"0" is as good as nothing'
ONE_OF = "at least one of these must be given"


class Row(NamedTuple):
    """One rule for properties of a kind ("storage/bucket:Bucket"; "*": of all that have them)."""

    kind: str
    rule: str
    paths: str
    anchor: str
    value: Any = None


_BUCKET = "storage/bucket:Bucket"
_BUCKET_CONFIG = "logging/projectBucketConfig:ProjectBucketConfig"
_BUDGET = "billing/budget:Budget"
_CHANNEL = "monitoring/notificationChannel:NotificationChannel"
_EXCLUSION = "logging/projectExclusion:ProjectExclusion"
_FUNCTION = "cloudfunctionsv2/function:Function"
_METRIC = "logging/metric:Metric"
_OBJECT = "storage/bucketObject:BucketObject"
_POLICY = "monitoring/alertPolicy:AlertPolicy"
_POOL = "iam/workloadIdentityPool:WorkloadIdentityPool"
_POOL_PROVIDER = "iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider"
_QUOTA = "cloudquota/sQuotaPreference:SQuotaPreference"
_REPOSITORY = "artifactregistry/repository:Repository"
_ROLE = "projects/iAMCustomRole:IAMCustomRole"
_SERVICE = "projects/service:Service"
_SINK = "logging/projectSink:ProjectSink"
_TOPIC = "pubsub/topic:Topic"
_TRAINER = "serviceaccount/account:Account"

ROWS = (
    Row("*", UNREAD, "deletionPolicy", "deletion-policy"),
    Row("*", COMPUTED, "deletionPolicy project", "chosen-by-the-cloud"),
    # Quotas
    Row(_QUOTA, FORCE_NEW, "parent", "a-quota-preference-is-replaced-for-its-parent-only"),
    Row(_QUOTA, UNREAD, "contactEmail justification ignoreSafetyChecks", "what-no-read-of-a-quota-preference-tells"),
    Row(_QUOTA, UNREAD, "quotaConfig.annotations", "what-no-read-of-a-quota-preference-tells"),
    Row(
        _QUOTA,
        DEFAULT,
        "ignoreSafetyChecks",
        "what-no-read-of-a-quota-preference-tells",
        "QUOTA_SAFETY_CHECK_UNSPECIFIED",
    ),
    Row(_QUOTA, COMPUTED, "parent name service quotaId dimensions", "chosen-by-the-cloud"),
    Row(
        _QUOTA,
        COMPUTED,
        "quotaConfig.grantedValue quotaConfig.requestOrigin quotaConfig.stateDetail quotaConfig.traceId",
        "chosen-by-the-cloud",
    ),
    Row(_QUOTA, NO_ZERO, "quotaConfig.preferredValue", "a-quota-of-nothing"),
    # Budgets
    Row(_BUDGET, FORCE_NEW, "billingAccount", "a-budget-is-replaced-for-its-account-only"),
    Row(
        _BUDGET,
        ONE_OF,
        "allUpdatesRule.monitoringNotificationChannels allUpdatesRule.pubsubTopic",
        "whom-a-budget-tells",
    ),
    Row(_BUDGET, COMPUTED, "budgetFilter budgetFilter.labels budgetFilter.services", "chosen-by-the-cloud"),
    Row(_BUDGET, COMPUTED, "amount.specifiedAmount.currencyCode budgetFilter.calendarPeriod", "chosen-by-the-cloud"),
    Row(_BUDGET, DEFAULT, "budgetFilter.creditTypesTreatment", "defaults", "INCLUDE_ALL_CREDITS"),
    Row(_BUDGET, DEFAULT, "thresholdRules[].spendBasis", "defaults", "CURRENT_SPEND"),
    Row(_BUDGET, DEFAULT, "allUpdatesRule.schemaVersion", "defaults", "1.0"),
    Row(_BUDGET, SET, "budgetFilter.projects budgetFilter.resourceAncestors", "sets"),
    # Buckets
    Row(_BUCKET, FORCE_NEW, "name location project enableObjectRetention", "what-replaces-a-bucket"),
    Row(_BUCKET, FORCE_NEW, "customPlacementConfig hierarchicalNamespace", "what-replaces-a-bucket"),
    Row(_BUCKET, UNREAD, "forceDestroy", "what-only-the-program-knows"),
    Row(
        _BUCKET,
        UNREAD,
        " ".join(
            f"lifecycleRules[].condition.send{name}IfZero"
            for name in ("Age", "DaysSinceCustomTime", "DaysSinceNoncurrentTime", "NumNewerVersions")
        ),
        "what-only-the-program-knows",
    ),
    Row(_BUCKET, CASELESS, "location", "capitals"),
    Row(
        _BUCKET,
        COMPUTED,
        "publicAccessPrevention rpo softDeletePolicy uniformBucketLevelAccess versioning website "
        "logging.logObjectPrefix lifecycleRules[].condition.withState softDeletePolicy.effectiveTime",
        "chosen-by-the-cloud",
    ),
    Row(_BUCKET, DEFAULT, "storageClass", "defaults", "STANDARD"),
    Row(_BUCKET, DEFAULT, "softDeletePolicy.retentionDurationSeconds", "defaults", 604800),
    # Identities and grants
    Row(_TRAINER, FORCE_NEW, "accountId project", "what-replaces-an-identity"),
    Row(_TRAINER, UNREAD, "createIgnoreAlreadyExists", "what-only-the-program-knows"),
    Row(_ROLE, FORCE_NEW, "roleId project", "what-replaces-an-identity"),
    Row(_ROLE, SET, "permissions", "sets"),
    Row(_ROLE, DEFAULT, "stage", "defaults", "GA"),
    Row(_POOL, FORCE_NEW, "workloadIdentityPoolId project mode", "what-replaces-a-pool-of-identities"),
    Row(
        _POOL_PROVIDER,
        FORCE_NEW,
        "workloadIdentityPoolId workloadIdentityPoolProviderId project",
        "what-replaces-a-pool-of-identities",
    ),
    Row("projects/iAMMember:IAMMember", FORCE_NEW, "project role member condition", "a-grant-is-replaced"),
    Row(
        "serviceaccount/iAMMember:IAMMember",
        FORCE_NEW,
        "serviceAccountId role member condition",
        "a-grant-is-replaced",
    ),
    Row("storage/bucketIAMMember:BucketIAMMember", FORCE_NEW, "bucket role member condition", "a-grant-is-replaced"),
    Row(
        "artifactregistry/repositoryIamMember:RepositoryIamMember",
        FORCE_NEW,
        "repository location project role member condition",
        "a-grant-is-replaced",
    ),
    Row("artifactregistry/repositoryIamMember:RepositoryIamMember", COMPUTED, "location", "chosen-by-the-cloud"),
    # APIs
    Row(_SERVICE, FORCE_NEW, "project service", "what-replaces-an-api"),
    Row(
        _SERVICE,
        UNREAD,
        "disableOnDestroy disableDependentServices checkIfServiceHasUsageOnDestroy",
        "what-only-the-program-knows",
    ),
    Row("projects/serviceIdentity:ServiceIdentity", FORCE_NEW, "project service", "an-identity-of-a-service"),
    # Images
    Row(_REPOSITORY, FORCE_NEW, "repositoryId location format project mode kmsKeyName", "what-replaces-a-repository"),
    Row(_REPOSITORY, FORCE_NEW, "remoteRepositoryConfig", "what-replaces-a-repository"),
    Row(_REPOSITORY, CASELESS, "format", "capitals"),
    Row(
        _REPOSITORY,
        COMPUTED,
        "location vulnerabilityScanningConfig vulnerabilityScanningConfig.enablementState "
        "vulnerabilityScanningConfig.enablementStateReason",
        "chosen-by-the-cloud",
    ),
    Row(_REPOSITORY, DEFAULT, "mode", "defaults", "STANDARD_REPOSITORY"),
    Row(_REPOSITORY, DEFAULT, "cleanupPolicies[].condition.tagState", "defaults", "ANY"),
    Row(_REPOSITORY, SET, "cleanupPolicies", "sets"),
    # Logs
    Row(_BUCKET_CONFIG, FORCE_NEW, "project location bucketId", "what-replaces-what-keeps-logs"),
    Row(_BUCKET_CONFIG, COMPUTED, "description", "chosen-by-the-cloud"),
    Row(_BUCKET_CONFIG, DEFAULT, "retentionDays", "defaults", 30),
    Row(_BUCKET_CONFIG, SET, "indexConfigs", "sets"),
    Row(_EXCLUSION, FORCE_NEW, "name project", "what-replaces-what-keeps-logs"),
    Row(_SINK, FORCE_NEW, "name project", "what-replaces-what-keeps-logs"),
    Row(_SINK, UNREAD, "customWriterIdentity", "what-only-the-program-knows"),
    Row(_SINK, COMPUTED, "bigqueryOptions", "chosen-by-the-cloud"),
    Row(_SINK, DEFAULT, "uniqueWriterIdentity", "defaults", True),
    Row(_METRIC, FORCE_NEW, "name project", "a-metric-of-another-name"),
    Row(_METRIC, COMPUTED, "metricDescriptor", "chosen-by-the-cloud"),
    Row(_METRIC, DEFAULT, "metricDescriptor.unit", "defaults", "1"),
    Row(_METRIC, SET, "metricDescriptor.labels", "sets"),
    # Alerts
    Row(_CHANNEL, FORCE_NEW, "project", "what-replaces-an-alert"),
    Row(_CHANNEL, UNREAD, "forceDelete sensitiveLabels", "what-only-the-program-knows"),
    Row(_CHANNEL, DEFAULT, "enabled", "defaults", True),
    Row(_POLICY, FORCE_NEW, "project", "what-replaces-an-alert"),
    Row(_POLICY, COMPUTED, "conditions[].name", "chosen-by-the-cloud"),
    Row(_POLICY, DEFAULT, "enabled", "defaults", True),
    Row(_POLICY, DEFAULT, "documentation.mimeType", "defaults", "text/markdown"),
    # Stops
    Row(
        _OBJECT,
        FORCE_NEW,
        "bucket name source content contentType storageClass deletionPolicy",
        "what-replaces-an-object",
    ),
    Row(_OBJECT, UNREAD, "source content", "what-only-the-program-knows"),
    Row(_OBJECT, COMPUTED, "contentType storageClass", "chosen-by-the-cloud"),
    Row(_TOPIC, FORCE_NEW, "name project", "what-replaces-a-topic"),
    Row(_TOPIC, COMPUTED, "messageStoragePolicy", "chosen-by-the-cloud"),
    Row(_FUNCTION, FORCE_NEW, "name location project", "what-replaces-a-function"),
    Row(
        _FUNCTION,
        COMPUTED,
        "buildConfig.dockerRepository buildConfig.serviceAccount buildConfig.build buildConfig.automaticUpdatePolicy "
        "buildConfig.source.storageSource.generation buildConfig.environmentVariables "
        "serviceConfig.service serviceConfig.uri serviceConfig.gcfUri serviceConfig.timeoutSeconds "
        "serviceConfig.serviceAccountEmail serviceConfig.availableMemory serviceConfig.availableCpu "
        "serviceConfig.maxInstanceCount serviceConfig.maxInstanceRequestConcurrency "
        "serviceConfig.environmentVariables eventTrigger.trigger eventTrigger.triggerRegion "
        "eventTrigger.serviceAccountEmail eventTrigger.pubsubTopic",
        "chosen-by-the-cloud",
    ),
    Row(_FUNCTION, DEFAULT, "serviceConfig.ingressSettings", "defaults", "ALLOW_ALL"),
    Row(_FUNCTION, DEFAULT, "serviceConfig.allTrafficOnLatestRevision", "defaults", True),
    Row(
        "pubsub/topicIAMMember:TopicIAMMember", FORCE_NEW, "topic project role member condition", "a-grant-is-replaced"
    ),
    Row(
        "cloudrunv2/serviceIamMember:ServiceIamMember",
        FORCE_NEW,
        "name location project role member condition",
        "a-grant-is-replaced",
    ),
    Row("cloudrunv2/serviceIamMember:ServiceIamMember", COMPUTED, "location", "chosen-by-the-cloud"),
)
