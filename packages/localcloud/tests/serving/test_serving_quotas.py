"""Deployed models and batch predictions count against the quotas of serving, and are refused beyond them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clouds import PROJECT, Start
from clouds.batches import body, ended
from clouds.serving import prepare
from localcloud import launch

pytestmark = pytest.mark.slow

T4 = "CustomModelServingT4GPUsPerProjectPerRegion"
CPUS = "CustomModelServingCPUsPerProjectPerRegion"
QUOTAS = f"https://cloudquotas.googleapis.com/v1/projects/{PROJECT}/locations/global"


def machine(gpus: int = 0) -> dict[str, Any]:
    if not gpus:
        return {"machineType": "n1-standard-32"}
    return {"machineType": "n1-standard-16", "acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": gpus}


def nodes(count: int, gpus: int = 0) -> dict[str, Any]:
    return {"machineSpec": machine(gpus), "minReplicaCount": count}


def exceeded(*quotas: str) -> dict[str, Any]:
    return {"code": 8, "message": f"The following quotas are exceeded: {','.join(quotas)}"}


def test_what_is_in_use_counts(api: Any, artifacts: Any) -> None:
    folder = artifacts({"a.jsonl": '"sleep:50"\n'})
    model, endpoint = api.model("counted"), api.endpoint("counted")
    told = api.wait(api.begin_deploy(endpoint, model, dedicatedResources=nodes(4, 4)))  # 16 of 12
    assert told["error"] == exceeded(T4)
    first = api.deploy(endpoint, model, dedicatedResources=nodes(2, 4))
    told = api.wait(api.begin_deploy(endpoint, model, {first: 100}, dedicatedResources=nodes(2, 4)))
    assert told["error"] == exceeded(T4)
    job = body(model, f"{folder}/a.jsonl", folder)
    wanted = {"machineSpec": machine(4), "startingReplicaCount": 2}
    assert api.refused("POST", "batchPredictionJobs", job | {"dedicatedResources": wanted}) == (
        429,
        "RESOURCE_EXHAUSTED",
        exceeded(T4)["message"],
    )
    more = {"deployedModel": {"id": first, "dedicatedResources": {"minReplicaCount": 4, "maxReplicaCount": 4}}}
    mask = {"updateMask": "dedicatedResources.minReplicaCount,dedicatedResources.maxReplicaCount"}
    told = api.wait(api.call("POST", f"{endpoint}:mutateDeployedModel", more | mask))
    assert told["error"] == exceeded(T4)
    [kept] = api.call("GET", endpoint)["deployedModels"]
    assert kept["dedicatedResources"]["minReplicaCount"] == 2

    running = api.call("POST", "batchPredictionJobs", job | {"dedicatedResources": {"machineSpec": machine(4)}})
    told = api.wait(api.begin_deploy(endpoint, model, {first: 100}, dedicatedResources=nodes(1, 1)))
    assert told["error"] == exceeded(T4)
    api.call("POST", f"{running['name']}:cancel")
    ended(api, running)
    api.done(api.call("POST", f"{endpoint}:undeployModel", {"deployedModelId": first}))
    second = api.deploy(endpoint, model, dedicatedResources=nodes(3, 4))
    api.done(api.call("POST", f"{endpoint}:undeployModel", {"deployedModelId": second}))


def test_a_preference_changes_what_holds(api: Any, local_cloud: Any, session: Any) -> None:
    local_cloud.enable("cloudquotas")
    model, endpoint = api.model("preferred"), api.endpoint("preferred")
    info = session.get(f"{QUOTAS}/services/aiplatform.googleapis.com/quotaInfos/{CPUS}").json()
    assert info["metric"] == "aiplatform.googleapis.com/custom_model_serving_cpus"
    assert info["quotaDisplayName"] == "Custom model serving CPUs per region"
    values = {
        region: one["details"]["value"] for one in info["dimensionsInfos"] for region in one["applicableLocations"]
    }
    assert (values["us-central1"], values["us-west4"], values["us-south1"]) == ("2200", "16", "450")
    for count, refused in ((68, False), (69, True)):  # 2,176 and 2,208 vCPUs
        operation = api.wait(api.begin_deploy(endpoint, model, dedicatedResources=nodes(count)))
        assert operation.get("error") == (exceeded(CPUS) if refused else None)
        if not refused:
            deployed = operation["response"]["deployedModel"]["id"]
            api.done(api.call("POST", f"{endpoint}:undeployModel", {"deployedModelId": deployed}))
    wish = {
        "service": "aiplatform.googleapis.com",
        "quotaId": CPUS,
        "dimensions": {"region": "us-central1"},
        "quotaConfig": {"preferredValue": "2208"},
        "contactEmail": "me@example.com",
    }
    assert session.post(f"{QUOTAS}/quotaPreferences?quotaPreferenceId=serving", json=wish).ok
    deployed = api.deploy(endpoint, model, dedicatedResources=nodes(69))
    api.done(api.call("POST", f"{endpoint}:undeployModel", {"deployedModelId": deployed}))


def test_the_sdk_raises_as_on_google(api: Any, local_cloud: Any) -> None:
    model = api.model("sdk-quota")
    told = local_cloud.run(f"""
        from google.api_core import exceptions
        from google.cloud import aiplatform

        aiplatform.init(project="{PROJECT}", location="us-central1")
        try:
            aiplatform.Model("{model}").deploy(
                machine_type="n1-standard-32", accelerator_type="NVIDIA_TESLA_T4", accelerator_count=4,
                min_replica_count=4,
            )
        except exceptions.ResourceExhausted as error:
            print("told:", error)
    """).stdout
    words = f"The following quotas are exceeded: {T4}"
    assert f"told: 429 {words} 8: {words}\n" in told  # as field reports have it


def test_a_trial_has_no_accelerators_that_serve(tmp_path: Path, make_cloud: Start) -> None:
    root = tmp_path / "trial"
    launch.start(root, root / "envs", (), [PROJECT])
    cloud = make_cloud(root)
    session = cloud.session()
    api = prepare(cloud, session)
    cloud.enable("cloudquotas")
    for quota in (T4, "CustomModelServingL4GPUsPerProjectPerRegion", "CustomModelServingA100GPUsPerProjectPerRegion"):
        info = session.get(f"{QUOTAS}/services/aiplatform.googleapis.com/quotaInfos/{quota}").json()
        assert {one["details"]["value"] for one in info["dimensionsInfos"]} == {"0"}
    told = api.wait(api.begin_deploy(api.endpoint(), api.model(), dedicatedResources=nodes(1, 1)))
    assert told["error"] == exceeded(T4)
    session.close()
