"""Which endpoints and deployments can't be.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from localcloud.core.errors import ApiError, NotEmulated
from localcloud.vertex.jobs.validation import REQUIRED, Violation, found, refuse, texts

Body = Mapping[str, Any]

_ENDPOINT_NOT_EMULATED = {
    "encryptionSpec": "encryption with keys of your own (encryption_spec)",
    "network": "peered networks",
    "enablePrivateServiceConnect": "Private Service Connect",
    "privateServiceConnectConfig": "Private Service Connect",
    "predictRequestResponseLoggingConfig": "logging of requests and responses to BigQuery",
    "privateModelServerEnabled": "model servers without a network (private_model_server_enabled)",
    "dedicatedEndpointEnabled": "dedicated endpoints (dedicated_endpoint_enabled)",
    "genAiAdvancedFeaturesConfig": "features for generative models",
}
_DEPLOYED_NOT_EMULATED = {
    "enableAccessLogging": "access logs of predictions (enable_access_logging)",
    "explanationSpec": "explanations of predictions",
    "privateEndpoints": "private endpoints",
    "sharedResources": "deployment resource pools",
    "fasterDeploymentConfig": "fast tryout deployments",
    "checkpointId": "checkpoints of tuned models (checkpoint_id)",
    "speculativeDecodingSpec": "speculative decoding",
}
_LARGEST = 10_000
_PERCENT = ("/cpu/utilization", "/accelerator/duty_cycle")  # other metrics are counts


def check_endpoint(endpoint: Body, endpoint_id: str = "") -> None:
    """Raises 400 with all that is wrong with an Endpoint, 501 for what is not here."""
    wrong = [*texts(endpoint, "endpoint.")]
    if endpoint_id and not re.fullmatch(r"[1-9][0-9]{0,9}", endpoint_id):
        words = f"The endpoint ID `{endpoint_id}` must be up to 10 digits, of which the first is not 0."
        wrong.append(Violation("endpoint_id", words))
    if endpoint.get("trafficSplit"):
        words = "An endpoint without a deployed model has no traffic split."
        wrong.append(Violation("endpoint.traffic_split", words))
    refuse(wrong)
    for field, what in _ENDPOINT_NOT_EMULATED.items():
        if endpoint.get(field):
            raise NotEmulated(what)


def check_traffic(split: Mapping[str, int], present: Collection[str], field: str = "traffic_split") -> None:
    """Raises 400 unless the split is empty, or 100 percent in all, of deployed models that are there."""
    if not split:
        return
    if unknown := sorted(set(split) - set(present)):
        words = f"The DeployedModel with ID `{unknown[0]}` does not exist in the endpoint."
        raise found([Violation(field, words)])
    if any(not 0 <= percent <= 100 for percent in split.values()):
        raise found([Violation(field, "The traffic percentage values must be from 0 to 100.")])
    if sum(split.values()) != 100:
        raise found([Violation(field, "The traffic percentage values must add up to 100.")])


def check_deployed(given: Body, present: Collection[str], model: str) -> None:
    """Raises 400 for a DeployedModel that can't be, 501 for what is not here; `model` is its model's name."""
    for field, what in _DEPLOYED_NOT_EMULATED.items():
        if given.get(field):
            raise NotEmulated(what)
    wrong = []
    if given.get("automaticResources"):
        words = f"'automatic_resources' is not supported for Model {model}."
        raise found([Violation("deployed_model.automatic_resources", words)])
    resources = given.get("dedicatedResources")
    if resources is None:
        raise found([Violation("deployed_model.dedicated_resources", REQUIRED)])
    if "machineSpec" not in resources:
        wrong.append(Violation("deployed_model.dedicated_resources.machine_spec", REQUIRED))
    wrong += _counts(resources)
    deployed_id = given.get("id", "")
    if deployed_id and not re.fullmatch(r"[0-9]{1,19}", deployed_id):
        wrong.append(Violation("deployed_model.id", f"The deployed model ID `{deployed_id}` must be digits."))
    refuse(wrong)
    if deployed_id in present:
        raise ApiError(409, f"A deployed model with ID `{deployed_id}` already exists in the endpoint.")
    if resources.get("spot"):
        raise NotEmulated("Spot machines that serve")


def check_counts(resources: Body) -> None:
    """Raises 400 for numbers of replicas that can't be."""
    refuse(_counts(resources))


def _counts(resources: Body) -> Iterator[Violation]:
    path = "deployed_model.dedicated_resources"
    least, most = int(resources.get("minReplicaCount", 0)), int(resources.get("maxReplicaCount", 0))
    if least < 1:
        yield Violation(f"{path}.min_replica_count", "The minimum replica count must be at least 1.")
    if most and most < least:
        words = "The maximum replica count must not be less than the minimum replica count."
        yield Violation(f"{path}.max_replica_count", words)
    for number, metric in enumerate(resources.get("autoscalingMetricSpecs", [])):
        name, target = metric.get("metricName", ""), int(metric.get("target", 60))
        where = f"{path}.autoscaling_metric_specs[{number}]"
        if not name:
            yield Violation(f"{where}.metric_name", REQUIRED)
        elif name.endswith(_PERCENT) and not 1 <= target <= 100:
            yield Violation(f"{where}.target", f"The target of {name} must be from 1 to 100 percent.")
    if max(least, most) > _LARGEST:
        yield Violation(f"{path}.max_replica_count", f"The replica count can be up to {_LARGEST}.")
