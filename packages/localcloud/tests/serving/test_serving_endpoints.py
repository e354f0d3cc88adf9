"""Models are deployed to endpoints and predict, over REST; and what is refused."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import psutil
import pytest

from clouds import PROJECT
from clouds.serving import container

pytestmark = pytest.mark.slow


def test_deploy_predict_undeploy(api: Any, session: Any) -> None:
    model = api.model("doubler")
    endpoint = api.endpoint("one")
    assert api.refused("POST", f"{endpoint}:predict", {"instances": [1]}) == (
        400,
        "FAILED_PRECONDITION",
        f"Endpoint {endpoint} doesn't have traffic_split.",
    )
    operation = api.begin_deploy(endpoint, model, displayName="mine")
    assert operation["name"].startswith(f"{endpoint}/operations/")
    assert operation["metadata"]["@type"].endswith(".DeployModelOperationMetadata")
    deployed = api.done(operation)["deployedModel"]["id"]
    assert api.predict(endpoint, 1, 2.5, "text", parameters={"k": 1}) == {
        "predictions": [2, 5.0, "text"],
        "deployedModelId": deployed,
        "model": model,
        "modelDisplayName": "mine",
        "modelVersionId": "1",
        "metadata": {"got": {"k": 1}},
    }
    address = f"https://us-central1-aiplatform.googleapis.com/v1/{endpoint}:rawPredict"
    raw = session.post(address, data=b"abc", headers={"Content-Type": "text/plain"})
    assert (raw.content, raw.headers["content-type"]) == (b"cba", "text/x-reversed")

    shown = api.call("GET", endpoint)
    [kept] = shown["deployedModels"]
    assert kept["id"] == deployed and kept["model"] == model and shown["trafficSplit"] == {deployed: 100}
    assert kept["dedicatedResources"]["maxReplicaCount"] == 1
    assert api.call("GET", model)["deployedModels"] == [{"endpoint": endpoint, "deployedModelId": deployed}]
    for path, words in ((endpoint, "has deployed or being-deployed DeployedModel(s)"), (model, "it is deployed to")):
        refused = api.refused("DELETE", path)
        assert refused[:2] == (400, "FAILED_PRECONDITION") and words in refused[2]

    mutated = {"deployedModel": {"id": deployed, "dedicatedResources": {"minReplicaCount": 2, "maxReplicaCount": 3}}}
    mask = {"updateMask": "dedicatedResources.minReplicaCount,dedicatedResources.maxReplicaCount"}
    api.done(api.call("POST", f"{endpoint}:mutateDeployedModel", mutated | mask))
    [kept] = api.call("GET", endpoint)["deployedModels"]
    assert kept["dedicatedResources"]["minReplicaCount"] == 2

    [pid] = api.predict(endpoint, "pid")["predictions"]
    api.done(api.call("POST", f"{endpoint}:undeployModel", {"deployedModelId": deployed}))
    assert not psutil.pid_exists(int(pid))
    shown = api.call("GET", endpoint)
    assert "deployedModels" not in shown and "trafficSplit" not in shown
    for path in (endpoint, model):
        api.done(api.call("DELETE", path))


def test_the_contract_of_the_container(api: Any) -> None:
    env = [{"name": "GREETING", "value": "port $(AIP_HTTP_PORT)"}]
    spec = container(env=env, predictRoute="/predict", healthRoute="/health")
    model, endpoint = api.model("contract", container=spec), api.endpoint("contract")
    deployed = api.deploy(endpoint, model)
    names = ("AIP_PREDICT_ROUTE", "AIP_HEALTH_ROUTE", "AIP_ENDPOINT_ID", "AIP_DEPLOYED_MODEL_ID", "AIP_MODE")
    more = ("AIP_FRAMEWORK", "AIP_MACHINE_TYPE", "AIP_STORAGE_URI", "GREETING", "AIP_HTTP_PORT")
    told = api.predict(endpoint, *(f"env:{name}" for name in (*names, *more)))["predictions"]
    assert told[:5] == ["/predict", "/health", endpoint.rpartition("/")[2], deployed, "PREDICTION"]
    assert told[5:8] == ["CUSTOM_CONTAINER", "n1-standard-2", ""] and told[8] == f"port {told[9]}"
    api.done(api.call("POST", f"{endpoint}:undeployModel", {"deployedModelId": deployed}))


def test_traffic(api: Any) -> None:
    model, endpoint = api.model("traffic"), api.endpoint("traffic")
    first = api.deploy(endpoint, model)
    bad = {first: 50, "0": 40}
    machine = {"machineSpec": {"machineType": "n1-standard-2"}, "minReplicaCount": 1}
    body = {"deployedModel": {"model": model, "dedicatedResources": machine}, "trafficSplit": bad}

    def told(message: str) -> tuple[int, str, str]:
        return 400, "INVALID_ARGUMENT", f"List of found errors:\t1.Field: traffic_split; Message: {message}\t"

    sum_, range_ = "The traffic percentage values must add up to 100.", "The traffic percentage values must be from 0"
    foreign = "The DeployedModel with ID `77` does not exist in the endpoint."
    for split, words in (
        (bad, sum_),
        ({first: 0, "0": 0}, sum_),
        ({first: 150, "0": -50}, f"{range_} to 100."),
        ({"77": 0, "0": 100}, foreign),
    ):
        assert api.refused("POST", f"{endpoint}:deployModel", body | {"trafficSplit": split}) == told(words)
    second = api.deploy(endpoint, f"{model}@1", {first: 50, "0": 50})
    seen = Counter(api.predict(endpoint, 1)["deployedModelId"] for _ in range(40))
    assert set(seen) == {first, second}
    refused = api.refused("POST", f"{endpoint}:undeployModel", {"deployedModelId": first})
    assert refused[:2] == (400, "FAILED_PRECONDITION") and "has traffic assigned" in refused[2]
    for split, words in (
        ({"77": 0, second: 100}, foreign),
        ({"77": 100}, foreign),
        ({second: 40}, sum_),
        ({second: 0}, sum_),
        ({second: 101, first: -1}, f"{range_} to 100."),
    ):
        undeploy = {"deployedModelId": first, "trafficSplit": split}
        assert api.refused("POST", f"{endpoint}:undeployModel", undeploy) == told(words)
    undeploy = {"deployedModelId": first, "trafficSplit": {first: 50, second: 50}}
    assert api.refused("POST", f"{endpoint}:undeployModel", undeploy) == refused
    split = {"trafficSplit": {second: 100}}
    assert api.refused("PATCH", endpoint, {"trafficSplit": {"77": 100}}, updateMask="trafficSplit")[0] == 400
    api.call("PATCH", endpoint, split, updateMask="trafficSplit")
    assert {api.predict(endpoint, 1)["deployedModelId"] for _ in range(20)} == {second}
    undeploy = {"deployedModelId": first, "trafficSplit": {first: 0, second: 100}}
    api.done(api.call("POST", f"{endpoint}:undeployModel", undeploy))
    assert api.call("GET", endpoint)["trafficSplit"] == {second: 100}
    undeploy = {"deployedModelId": second, "trafficSplit": {second: 100}}  # of the last one, nothing is left
    api.done(api.call("POST", f"{endpoint}:undeployModel", undeploy))
    shown = api.call("GET", endpoint)
    assert "deployedModels" not in shown and "trafficSplit" not in shown


def test_a_server_that_dies_is_started_again(api: Any) -> None:
    model, endpoint = api.model("mortal"), api.endpoint("mortal")
    deployed = api.deploy(endpoint, model)
    assert api.refused("POST", f"{endpoint}:predict", {"instances": ["die"]})[:2] == (503, "UNAVAILABLE")
    until = time.monotonic() + 30
    while (answer := api.send("POST", f"{endpoint}:predict", {"instances": [4]})).status_code == 503:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert answer.json()["predictions"] == [8]
    api.done(api.call("POST", f"{endpoint}:undeployModel", {"deployedModelId": deployed}))


def test_a_server_that_does_not_start(api: Any, session: Any) -> None:
    model = api.model("failing", container=container(env=[{"name": "FAIL", "value": "1"}]))
    endpoint = api.endpoint("failing")
    ended = api.wait(api.begin_deploy(endpoint, model))
    assert ended["error"]["code"] == 9
    words = "Model server exited unexpectedly. Model server logs can be found at https://console.cloud.google.com/logs/"
    assert ended["error"]["message"].startswith(words)
    assert "deployedModels" not in api.call("GET", endpoint)
    query = f'resource.type="aiplatform.googleapis.com/Endpoint" resource.labels.endpoint_id="{endpoint[-19:]}"'
    body = {"resourceNames": [f"projects/{PROJECT}"], "filter": query}
    entries = session.post("https://logging.googleapis.com/v2/entries:list", json=body).json()["entries"]
    assert {(one["jsonPayload"]["message"], one["severity"]) for one in entries} == {
        ("up ", "INFO"),
        ("can't load", "ERROR"),
    }
    api.done(api.call("DELETE", endpoint))


def test_what_a_prediction_is_refused_for(api: Any) -> None:
    model, endpoint = api.model("refusing"), api.endpoint("refusing")
    deployed = api.deploy(endpoint, model)
    path = f"{endpoint}:predict"
    assert api.refused("POST", path, {"instances": ["refuse"]}) == (
        400,
        "FAILED_PRECONDITION",
        '{"error": "no such thing"}\n',
    )
    size = len('{"instances": [""]}') + 1_500_000
    assert api.refused("POST", path, {"instances": ["x" * 1_500_000]}) == (
        400,
        "FAILED_PRECONDITION",
        f"The request size ({size} bytes) exceeds 1.500MB limit.",
    )
    assert "The response size (" in api.refused("POST", path, {"instances": ["long"]})[2]
    assert (
        api.refused("POST", path, {})[2]
        == "List of found errors:\t1.Field: instances; Message: Required field is not set.\t"
    )
    place = endpoint.partition("/endpoints/")[0]
    for verb in ("predict", "rawPredict"):
        assert api.refused("POST", f"{place}/endpoints/77:{verb}", {"instances": [1]}) == (
            404,
            "NOT_FOUND",
            f"Endpoint `{place}/endpoints/77` not found.",
        )
    limited = api.done(
        api.call("POST", "endpoints", {"displayName": "hasty", "clientConnectionConfig": {"inferenceTimeout": "0.2s"}})
    )["name"]
    other = api.deploy(limited, model)
    assert api.refused("POST", f"{limited}:predict", {"instances": ["sleep:5"]})[:2] == (504, "DEADLINE_EXCEEDED")
    for where, one in ((endpoint, deployed), (limited, other)):
        api.done(api.call("POST", f"{where}:undeployModel", {"deployedModelId": one}))


MACHINE = {"machineType": "n1-standard-2"}
BAD = [
    ({}, 400, "deployed_model.dedicated_resources"),
    ({"automaticResources": {"minReplicaCount": 1}}, 400, "'automatic_resources' is not supported for Model"),
    ({"dedicatedResources": {"minReplicaCount": 1}}, 400, "dedicated_resources.machine_spec"),
    ({"dedicatedResources": {"machineSpec": {"machineType": "n1-standard-3"}, "minReplicaCount": 1}}, 400,
     'Machine type "n1-standard-3" is not supported.'),
    ({"dedicatedResources": {"machineSpec": MACHINE | {"acceleratorType": "NVIDIA_L4", "acceleratorCount": 1},
      "minReplicaCount": 1}}, 400, 'Accelerator "NVIDIA_L4" is not supported for machine type "n1-standard-2"'),
    ({"dedicatedResources": {"machineSpec": MACHINE}}, 400, "min_replica_count"),
    ({"dedicatedResources": {"machineSpec": MACHINE, "minReplicaCount": 1, "autoscalingMetricSpecs": [
        {"metricName": "aiplatform.googleapis.com/prediction/online/cpu/utilization", "target": 150}]}}, 400,
     "must be from 1 to 100 percent"),
    ({"dedicatedResources": {"machineSpec": MACHINE, "minReplicaCount": 1, "autoscalingMetricSpecs": [{}]}}, 400,
     "dedicated_resources.autoscaling_metric_specs[0].metric_name"),
    ({"dedicatedResources": {"machineSpec": MACHINE, "minReplicaCount": 3, "maxReplicaCount": 2}}, 400,
     "max_replica_count"),
    ({"sharedResources": "x"}, 501, "not emulated"),
    ({"dedicatedResources": {"machineSpec": MACHINE, "minReplicaCount": 1, "spot": True}}, 501, "not emulated"),
    ({"dedicatedResources": {"machineSpec": MACHINE, "minReplicaCount": 1}, "serviceAccount": "no@x.iam.test"}, 400,
     "You do not have permission to act as service_account: no@x.iam.test. (or it may not exist)."),
]  # fmt: skip


def test_what_can_not_be_deployed(api: Any) -> None:
    model, endpoint = api.model("undeployable"), api.endpoint("undeployable")
    for deployed, code, words in BAD:
        refused = api.refused("POST", f"{endpoint}:deployModel", {"deployedModel": {"model": model, **deployed}})
        assert refused[0] == code and words in refused[2], (deployed, refused)
    body = {"deployedModel": {"model": f"{model}9"}}
    assert api.refused("POST", f"{endpoint}:deployModel", body)[:2] == (404, "NOT_FOUND")
    assert api.refused("POST", f"{endpoint}:undeployModel", {"deployedModelId": "5"})[:2] == (404, "NOT_FOUND")
    for given, words in (
        ({}, "endpoint.display_name"),
        ({"displayName": "x", "labels": {"A": "b"}}, "label key"),
        ({"displayName": "x", "dedicatedEndpointEnabled": True}, "not emulated"),
        ({"displayName": "x", "network": "n"}, "not emulated"),
    ):
        assert words in api.refused("POST", "endpoints", given)[2]


def test_an_account_of_ones_own(api: Any, local_cloud: Any) -> None:
    email = local_cloud.account("server-account")
    script = (
        "import json, os, urllib.request\n"
        "host = os.environ['GCE_METADATA_HOST']\n"
        "path = '/computeMetadata/v1/instance/service-accounts/default/email'\n"
        "asked = urllib.request.Request(f'http://{host}{path}', headers={'Metadata-Flavor': 'Google'})\n"
        "os.environ['WHO'] = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked).read().decode()\n"
    )
    [python, flag, server] = container()["command"]
    spec = container(command=[python, flag, script + server])
    endpoint = api.endpoint("account")
    deployed = api.deploy(endpoint, api.model("account", container=spec), serviceAccount=email)
    assert api.predict(endpoint, "env:WHO")["predictions"] == [email]
    api.done(api.call("POST", f"{endpoint}:undeployModel", {"deployedModelId": deployed}))
