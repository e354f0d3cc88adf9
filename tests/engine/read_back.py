"""Reads a project with Google's own clients and prints what they see as JSON: `read_back PROJECT REGION BILLING`.

Runs as a child with the client environment, so the clients are as they come: default transports, default credentials.
"""

import json
import sys
from typing import Any

from google.protobuf import json_format

project, region, billing = sys.argv[1:]
parent = f"projects/{project}"
Seen = dict[str, Any]


def plain(message: Any) -> Seen:
    return json_format.MessageToDict(message._pb if hasattr(message, "_pb") else message)


def buckets() -> Seen:
    from google.cloud import storage

    client = storage.Client()
    return {
        bucket.name: {
            "resource": bucket._properties,
            "policy": [
                {"role": b["role"], "members": sorted(b["members"])}
                for b in bucket.get_iam_policy(requested_policy_version=3).bindings
            ],
        }
        for bucket in client.list_buckets()
    }


def services() -> list[str]:
    from google.cloud import service_usage_v1

    client = service_usage_v1.ServiceUsageClient()
    listed = client.list_services(request={"parent": parent, "filter": "state:ENABLED", "page_size": 200})
    return sorted(service.config.name for service in listed)


def project_policy() -> list[Seen]:
    from google.cloud import resourcemanager_v3

    policy = resourcemanager_v3.ProjectsClient().get_iam_policy(request={"resource": parent})
    return [plain(binding) for binding in policy.bindings]


def number() -> str:
    from google.cloud import resourcemanager_v3

    return resourcemanager_v3.ProjectsClient().get_project(name=parent).name.removeprefix("projects/")


def accounts() -> Seen:
    from google.cloud import iam_admin_v1

    client = iam_admin_v1.IAMClient()
    found = client.list_service_accounts(name=parent)
    return {
        account.email: {
            **plain(account),
            "policy": [plain(b) for b in client.get_iam_policy(request={"resource": account.name}).bindings],
            "keys": [plain(key) for key in client.list_service_account_keys(name=account.name).keys],
        }
        for account in found
    }


def logs() -> Seen:
    from google.cloud.logging_v2.services.config_service_v2 import ConfigServiceV2Client

    client = ConfigServiceV2Client()
    default = client.get_bucket(request={"name": f"{parent}/locations/global/buckets/_Default"})
    return {
        "default": plain(default),
        "exclusions": {e.name: plain(e) for e in client.list_exclusions(parent=parent)},
    }


def alerts() -> Seen:
    from google.cloud import monitoring_v3

    channels = monitoring_v3.NotificationChannelServiceClient().list_notification_channels(name=parent)
    policies = monitoring_v3.AlertPolicyServiceClient().list_alert_policies(name=parent)
    return {"channels": [plain(c) for c in channels], "policies": [plain(p) for p in policies]}


def budgets() -> list[Seen]:
    from google.cloud.billing import budgets_v1

    client = budgets_v1.BudgetServiceClient()
    listed = [plain(budget) for budget in client.list_budgets(parent=f"billingAccounts/{billing}")]
    return [plain(client.get_budget(name=budget["name"])) for budget in listed]


def quotas() -> Seen:
    from google.cloud import cloudquotas_v1

    client = cloudquotas_v1.CloudQuotasClient()
    place = f"{parent}/locations/global"
    infos = client.list_quota_infos(parent=f"{place}/services/aiplatform.googleapis.com")
    return {
        "infos": {info.quota_id: plain(info) for info in infos},
        "preferences": [plain(preference) for preference in client.list_quota_preferences(parent=place)],
    }


def images() -> list[Seen]:
    from google.cloud import artifactregistry_v1

    client = artifactregistry_v1.ArtifactRegistryClient()
    listed = client.list_repositories(parent=f"{parent}/locations/{region}")
    return [
        {
            **plain(repository),
            "policy": [plain(b) for b in client.get_iam_policy(request={"resource": repository.name}).bindings],
        }
        for repository in listed
    ]


readers = (buckets, services, project_policy, number, accounts, logs, alerts, budgets, quotas, images)
json.dump({read.__name__: read() for read in readers}, sys.stdout)
