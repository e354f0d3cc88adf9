"""A project with one resource of each kind, and the real names that fill the paths of routes."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any

from localcloud import launch

REGION = "us-central1"
PAYER = "billingAccounts/012345-6789AB-CDEF01"
BUCKET = "walked-bucket"
APIS = (
    "aiplatform artifactregistry billingbudgets cloudbilling cloudquotas cloudresourcemanager compute iam "
    "iamcredentials logging monitoring pubsub storage cloudasset cloudbuild cloudfunctions eventarc run bigquery"
).split()


@dataclass
class Place:
    """A project with one resource of each kind: `names` in full, `parts` by what comes before it in a path."""

    cloud: Any
    project: str
    names: list[str] = field(default_factory=list)
    # Of Cloud Run, whose older API tells a job by the names of its executions and tasks.
    parts: dict[str, str] = field(default_factory=lambda: {"executions": "job-1", "tasks": "job-1-task0"})

    def add(self, name: str) -> None:
        self.names.append(name)
        collection, _, identifier = name.rpartition("/")
        self.parts[collection.rpartition("/")[2]] = identifier

    def fill(self, pattern: str) -> str:
        """The path of a route, with real names in it."""

        def one(match: re.Match[str]) -> str:
            before = pattern[: match.start()].rstrip("/").rpartition("/")[2]
            return self.find(match[1], match[2], before, "v3" if "{version}" in pattern else "v1")

        return re.sub(r"\{([\w.]+)(?:=([^}]*))?\}", one, pattern)

    def find(self, name: str, shape: str | None, before: str, version: str) -> str:
        if name == "version":
            return "v3"
        if name == "operation":
            return self.parts.get(f"operations of {version}", "1")
        if shape in (None, "*"):
            return self.parts.get(before) or {"project": self.project}.get(name, "none")
        expression = re.escape(shape).replace(r"\*\*", ".+").replace(r"\*", "[^/]+")
        made_up = shape.replace("*", self.project, 1).replace("*", REGION, 1).replace("*", "1")
        return next((known for known in self.names if re.fullmatch(expression, known)), made_up)


def key_of(owner: Any, project: str, name: str) -> dict[str, Any]:
    url = f"https://iam.googleapis.com/v1/projects/{project}/serviceAccounts"
    email = f"{name}@{project}.iam.gserviceaccount.com"
    owner.post(url, json={"accountId": name}).raise_for_status()
    made = owner.post(f"{url}/{email}/keys", json={})
    made.raise_for_status()
    return json.loads(base64.b64decode(made.json()["privateKeyData"]))


def new_place(local_cloud: Any, project: str) -> Place:
    launch.start(local_cloud.root, local_cloud.root / "envs", [project])
    place = Place(type(local_cloud)(local_cloud.root, project), project)
    with place.cloud.session() as owner:
        url = f"https://serviceusage.googleapis.com/v1/projects/{project}/services:batchEnable"
        made = owner.post(url, json={"serviceIds": [f"{name}.googleapis.com" for name in APIS]})
        assert made.ok, made.text
        place.parts["operations of v1"] = made.json()["name"].removeprefix("operations/")
        place.names.append(made.json()["name"])
    place.add(f"projects/{project}/notificationChannelDescriptors/email")  # is there in every project
    return place


def furnish(place: Place) -> None:
    """Make one resource of each kind in the project."""
    root, here = f"projects/{place.project}", f"projects/{place.project}/locations/{REGION}"
    vertex = f"https://{REGION}-aiplatform.googleapis.com/v1/"
    artifacts, logs = "https://artifactregistry.googleapis.com/v1/", "https://logging.googleapis.com/v2/"
    watch, quotas = "https://monitoring.googleapis.com/v3/", "https://cloudquotas.googleapis.com/v1/"
    storage = "https://storage.googleapis.com/storage/v1/b"
    container = {"imageUri": "gcr.io/nobody/nothing", "command": ["true"]}
    pool = {"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": 1, "containerSpec": container}
    job = {"displayName": "walked", "jobSpec": {"workerPoolSpecs": [pool]}}
    preference = {
        "service": "aiplatform.googleapis.com",
        "quotaId": "CustomModelTrainingT4GPUsPerProjectPerRegion",
        "quotaConfig": {"preferredValue": "12"},
        "dimensions": {"region": REGION},
        "contactEmail": "someone@example.com",
    }
    condition = {"displayName": "c", "conditionMatchedLog": {"filter": "severity>=ERROR"}}
    policy = {"displayName": "p", "combiner": "OR", "conditions": [condition]}
    policy["alertStrategy"] = {"notificationRateLimit": {"period": "300s"}}
    budget = {"displayName": "b", "amount": {"specifiedAmount": {"units": "10", "currencyCode": "USD"}}}
    budget["budgetFilter"] = {"projects": [root]}
    topic, bucket = f"{root}/topics/walked-topic", BUCKET
    account = f"{root}/serviceAccounts/walked@{place.project}.iam.gserviceaccount.com"
    with place.cloud.session() as owner:

        def made(method: str, url: str, body: Any) -> dict[str, Any]:
            answer = owner.request(method, url, json=body)
            assert answer.ok, f"{url}: {answer.text}"
            return answer.json()

        changed = made("PATCH", f"https://cloudresourcemanager.googleapis.com/v3/{root}", {"displayName": "walked"})
        place.parts["operations of v3"] = changed["name"].removeprefix("operations/")
        for name in (root, here, f"{root}/locations/global", PAYER, "roles/viewer"):
            place.add(name)
        key_of(owner, place.project, "walked")
        place.add(account)
        place.add(made("POST", f"https://iam.googleapis.com/v1/{account}/keys", {})["name"])
        made("POST", f"https://iam.googleapis.com/v1/{root}/roles", {"roleId": "walked", "role": {"title": "w"}})
        place.add(f"{root}/roles/walked")
        pools = f"https://iam.googleapis.com/v1/{root}/locations/global/workloadIdentityPools"
        made("POST", f"{pools}?workloadIdentityPoolId=walked-pool", {})
        issuer = {
            "oidc": {"issuerUri": "https://token.example.com"},
            "attributeMapping": {"google.subject": "assertion.sub"},
        }
        made("POST", f"{pools}/walked-pool/providers?workloadIdentityPoolProviderId=walked", issuer)
        place.parts |= {"workloadIdentityPools": "walked-pool", "providers": "walked"}
        made("PUT", f"https://pubsub.googleapis.com/v1/{topic}", {})
        made("PUT", f"https://pubsub.googleapis.com/v1/{root}/subscriptions/walked", {"topic": topic})
        place.names += [topic, f"{root}/subscriptions/walked"]
        made("POST", f"{artifacts}{here}/repositories?repositoryId=walked", {"format": "DOCKER"})
        place.add(f"{here}/repositories/walked")
        place.add(made("POST", f"{vertex}{here}/customJobs", job)["name"])
        batch = made("POST", f"{vertex}{here}/endpoints", {"displayName": "gone"})["name"].partition("/operations/")[0]
        place.add(made("DELETE", f"{vertex}{batch}", None)["name"])
        endpoint = made("POST", f"{vertex}{here}/endpoints", {"displayName": "walked"})["name"]
        place.add(endpoint)
        place.names.append(endpoint.partition("/operations/")[0])
        made("POST", f"{storage}?project={place.project}", {"name": bucket, "location": REGION})
        upload = f"https://storage.googleapis.com/upload/storage/v1/b/{bucket}/o?uploadType=media&name=walked"
        owner.post(upload, data=b"kept").raise_for_status()
        sink = {"name": "walked", "destination": f"pubsub.googleapis.com/{topic}", "filter": "severity>=ERROR"}
        made("POST", f"{logs}{root}/sinks", sink)
        made("POST", f"{logs}{root}/metrics", {"name": "walked", "filter": "severity>=ERROR"})
        made("POST", f"{logs}{root}/locations/global/buckets?bucketId=walked", {"retentionDays": 1})
        bucket_of_logs = f"{root}/locations/global/buckets/walked"
        made("POST", f"{logs}{bucket_of_logs}/views?viewId=walked", {})
        made("POST", f"{logs}{root}/exclusions", {"name": "walked", "filter": "severity>=ERROR"})
        place.names += [f"{root}/{kind}/walked" for kind in ("sinks", "metrics", "exclusions")]
        place.names += [bucket_of_logs, f"{bucket_of_logs}/views/walked"]
        entry = {"logName": f"{root}/logs/walked", "resource": {"type": "global"}, "textPayload": "kept"}
        made("POST", f"{logs}entries:write", {"entries": [entry]})
        place.names.append(f"{root}/logs/walked")
        channel = {"type": "email", "labels": {"email_address": "someone@example.com"}}
        place.add(made("POST", f"{watch}{root}/notificationChannels", channel)["name"])
        place.parts["notificationChannelDescriptors"] = "email"
        place.add(made("POST", f"{watch}{root}/alertPolicies", policy)["name"])
        place.add(
            made("POST", f"{quotas}{root}/locations/global/quotaPreferences?quotaPreferenceId=walked", preference)[
                "name"
            ]
        )
        place.parts |= {"quotaInfos": preference["quotaId"], "services": "aiplatform.googleapis.com"}
        place.add(made("POST", f"https://billingbudgets.googleapis.com/v1/{PAYER}/budgets", budget)["name"])
