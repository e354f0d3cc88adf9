"""Models and versions over REST: uploaded, listed, changed, deleted, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from clouds.serving import IMAGE, container

TENSORFLOW = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"


def test_a_model_as_google_shows_it(api: Any, artifacts: Any) -> None:
    uri = artifacts()
    body = {
        "model": {
            "displayName": "shown",
            "description": "words",
            "labels": {"by": "test"},
            "artifactUri": uri,
            "containerSpec": {"imageUri": IMAGE, "predictRoute": "/go", "ports": [{"containerPort": 8080}]},
            "versionAliases": ["best"],
        },
        "modelId": "shown_model",
    }
    operation = api.call("POST", "models:upload", body)
    assert operation["metadata"]["@type"].endswith(".UploadModelOperationMetadata")
    response = api.done(operation)
    name = response["model"]
    assert name.endswith("/locations/us-central1/models/shown_model") and response["modelVersionId"] == "1"
    model = api.call("GET", "models/shown_model")
    assert model["name"] == name and model["artifactUri"] == uri and model["containerSpec"]["predictRoute"] == "/go"
    assert model["versionId"] == "1" and sorted(model["versionAliases"]) == ["best", "default"]
    assert model["supportedDeploymentResourcesTypes"] == ["DEDICATED_RESOURCES"]
    assert "jsonl" in model["supportedInputStorageFormats"] and model["etag"] and model["versionCreateTime"]
    for suffix in ("@1", "@best", "@default"):
        assert api.call("GET", f"models/shown_model{suffix}") == model
    assert api.refused("POST", "models:upload", body) == (409, "ALREADY_EXISTS", f"Model `{name}` already exists.")


def test_versions_and_aliases(api: Any) -> None:
    name = api.model("versions", labels={"n": "1"})

    def add(*aliases: str) -> str:
        spec = {"displayName": "ignored", "containerSpec": container(), "versionAliases": [*aliases]}
        answer = api.done(api.call("POST", "models:upload", {"model": spec, "parentModel": name}))
        assert answer["model"] == name
        return answer["modelVersionId"]

    def aliases() -> dict[str, list[str]]:
        found = api.call("GET", f"{name}:listVersions").get("models", [])
        return {one["versionId"]: sorted(one.get("versionAliases", [])) for one in found}

    assert add("best") == "2" and add("default", "new") == "3"
    assert aliases() == {"1": [], "2": ["best"], "3": ["default", "new"]}
    assert api.call("GET", name)["versionId"] == "3" and api.call("GET", name)["displayName"] == "versions"
    merged = api.call("POST", f"{name}@1:mergeVersionAliases", {"versionAliases": ["best", "default", "first"]})
    assert merged["versionId"] == "1"
    assert aliases() == {"1": ["best", "default", "first"], "2": [], "3": ["new"]}
    merged = api.call("POST", f"{name}@new:mergeVersionAliases", {"versionAliases": ["-new", "newer"]})
    assert merged["versionId"] == "3" and aliases()["3"] == ["newer"]
    assert api.refused("POST", f"{name}@new:mergeVersionAliases", {"versionAliases": ["x1"]})[:2] == (404, "NOT_FOUND")
    assert "with its ID" in api.refused("POST", f"{name}:mergeVersionAliases", {"versionAliases": ["x1"]})[2]
    api.call("POST", f"{name}@1:mergeVersionAliases", {"versionAliases": ["-best"]})
    assert aliases()["1"] == ["default", "first"]
    for bad, words in (
        ("-default", "can't be removed"),
        ("2", "must match"),
        ("Upper", "must match"),
        ("x", "must match"),
    ):
        refused = api.refused("POST", f"{name}@1:mergeVersionAliases", {"versionAliases": [bad]})
        assert refused[:2] == (400, "INVALID_ARGUMENT") and words in refused[2]
    assert api.refused("POST", f"{name}:mergeVersionAliases", {"versionAliases": ["good"]})[0] == 400

    renamed: Any = {"displayName": "renamed", "versionDescription": "two"}
    api.call("PATCH", f"{name}@2", renamed, updateMask="displayName,versionDescription")
    assert api.call("GET", f"{name}@3")["displayName"] == "renamed"
    assert "versionDescription" not in api.call("GET", f"{name}@3")
    assert api.refused("PATCH", name, {"artifactUri": "gs://x/y"}, updateMask="artifactUri")[0] == 400

    assert "default version" in api.refused("DELETE", f"{name}@1:deleteVersion")[2]

    def listed(**query: Any) -> list[str]:
        return [one["versionId"] for one in api.call("GET", f"{name}:listVersions", **query)["models"]]

    assert listed() == ["1", "2", "3"] and listed(orderBy="create_time desc") == ["3", "2", "1"]
    assert api.refused("GET", f"{name}:listVersions", orderBy="display_name")[:2] == (400, "INVALID_ARGUMENT")
    for version in ("2", "3"):
        api.done(api.call("DELETE", f"{name}@{version}:deleteVersion"))
    assert aliases() == {"1": ["default", "first"]}
    assert "only one" in api.refused("DELETE", f"{name}@1:deleteVersion")[2]
    assert add() == "4"  # numbers are not given twice
    api.done(api.call("DELETE", name))
    assert api.refused("GET", name) == (404, "NOT_FOUND", "The Model does not exist.")


def test_lists(api: Any) -> None:
    names = [api.model(f"listed-{number}", labels={"set": "listed"}) for number in range(3)]

    def listed(**query: Any) -> list[str]:
        return [one["name"] for one in api.call("GET", "models", **query).get("models", [])]

    assert listed(filter="labels.set=listed") == names[::-1]
    assert listed(filter="labels.set=listed", orderBy="display_name") == names
    twin = api.model("listed-1", labels={"set": "listed"})
    both = {"filter": "labels.set=listed", "orderBy": "display_name desc, create_time"}
    assert listed(**both) == [names[2], names[1], twin, names[0]]
    page = api.call("GET", "models", **both, pageSize=2)
    assert listed(**both, pageSize=2, pageToken=page["nextPageToken"]) == [twin, names[0]]
    api.done(api.call("DELETE", twin))
    assert listed(filter='display_name="listed-1"') == [names[1]]
    assert listed(filter=f"model={names[2].rpartition('/')[2]}") == [names[2]]
    assert listed(filter='baseModelName="gemma"') == []
    masked = api.call("GET", "models", filter=f"model={names[2].rpartition('/')[2]}", readMask="name,versionId")
    assert masked == {"models": [{"name": names[2], "versionId": "1"}]}
    first = api.call("GET", "models", filter="labels.set=listed", pageSize=2)
    assert [one["name"] for one in first["models"]] == names[:0:-1]
    assert listed(filter="labels.set=listed", pageSize=2, pageToken=first["nextPageToken"]) == [names[0]]
    for query in (
        {"pageToken": "x"},
        {"filter": "color=red"},
        {"filter": "state=RUNNING"},
        {"orderBy": "color"},
        {"orderBy": "display_name,"},
        {"pageSize": -1},
    ):
        assert api.refused("GET", "models", **query)[:2] == (400, "INVALID_ARGUMENT")


def test_pages_of_operations(api: Any) -> None:
    name = api.model("operated")
    version = {"model": {"displayName": "more", "containerSpec": container()}, "parentModel": name}
    began = [api.call("POST", "models:upload", version)["name"] for _ in range(3)]
    began.append(api.call("DELETE", f"{name}@2:deleteVersion")["name"])

    def listed(**query: Any) -> list[str]:
        return [one["name"] for one in api.call("GET", f"{name}/operations", **query).get("operations", [])]

    assert listed()[:4] == began[::-1] and len(listed()) == 5
    assert listed(filter="done=true") == listed() and listed(filter="done=false") == []
    first = api.call("GET", f"{name}/operations", pageSize=2)
    assert listed(pageSize=10, pageToken=first["nextPageToken"]) == listed()[2:]
    assert api.refused("GET", f"{name}/operations", filter="colour=red")[:2] == (400, "INVALID_ARGUMENT")


SPEC = {"imageUri": IMAGE}
BAD = [
    ({}, 400, "1.Field: model.display_name; Message: Required field is not set.\t2.Field: model.container_spec"),
    ({"displayName": "x" * 129, "containerSpec": SPEC}, 400, "up to 128 characters"),
    ({"displayName": "x", "containerSpec": SPEC, "labels": {"Big": "x"}}, 400, "The label key `Big`"),
    ({"displayName": "x", "containerSpec": SPEC, "artifactUri": "/tmp/x"}, 400, "must start with `gs://`"),
    ({"displayName": "x", "containerSpec": SPEC | {"predictRoute": "go"}}, 400, "container_spec.predict_route"),
    ({"displayName": "x", "containerSpec": SPEC, "versionAliases": ["1"]}, 400, "model.version_aliases"),
    ({"displayName": "x", "containerSpec": {"imageUri": "nowhere/else:1"}}, 400, "no stand-in for the container image"),
    ({"displayName": "x", "containerSpec": {"imageUri": "tensorflow/tensorflow:2.21.0"}}, 400, "does not serve"),
    ({"displayName": "x", "containerSpec": {"imageUri": TENSORFLOW}}, 400, "model.artifact_uri"),
    ({"displayName": "x", "containerSpec": SPEC, "artifactUri": "gs://no-such-bucket-here/m"}, 400, "does not exist"),
    ({"displayName": "x", "containerSpec": SPEC | {"grpcPorts": [{"containerPort": 1}]}}, 501, "not emulated"),
    ({"displayName": "x", "containerSpec": SPEC, "encryptionSpec": {"kmsKeyName": "k"}}, 501, "not emulated"),
]


@pytest.mark.parametrize(("model", "code", "words"), BAD)
def test_what_can_not_be_uploaded(api: Any, model: Any, code: int, words: str) -> None:
    refused = api.refused("POST", "models:upload", {"model": model})
    assert refused[0] == code and words in refused[2]


def test_artifacts_are_where_they_can_be_used(api: Any, artifacts: Any) -> None:
    far = artifacts(location="europe-west4")
    refused = api.refused(
        "POST", "models:upload", {"model": {"displayName": "x", "containerSpec": SPEC, "artifactUri": far}}
    )
    assert refused == (
        400,
        "FAILED_PRECONDITION",
        f"The Cloud Storage bucket of `{far}` is in location `europe-west4`. It must be in the same regional location "
        "as the service location `us-central1`.",
    )
    near = artifacts()
    for uri, spec, words in (
        (f"{near}-not", SPEC, "is empty or does not exist"),
        (
            near,
            {"imageUri": TENSORFLOW},
            "is expected to contain exactly one of: [saved_model.pb], [saved_model.pbtxt].",
        ),
    ):
        body = {"model": {"displayName": "x", "containerSpec": spec, "artifactUri": uri}}
        refused = api.refused("POST", "models:upload", body)
        assert refused[:2] == (400, "FAILED_PRECONDITION") and words in refused[2]


def test_who_may_upload(api: Any, local_cloud: Any, artifacts: Any) -> None:
    stranger = type(api)(local_cloud.session(local_cloud.key(local_cloud.account("uploader"))))
    body = {"model": {"displayName": "x", "containerSpec": SPEC, "artifactUri": artifacts()}}
    refused = stranger.refused("POST", "models:upload", body)
    assert refused[:2] == (403, "PERMISSION_DENIED")
    assert refused[2].startswith(
        "Permission 'aiplatform.models.upload' denied on resource '//aiplatform.googleapis.com"
    )
    for verb, path, permission in (
        ("GET", "models", "models.list"),
        ("GET", "models/1", "models.get"),
        ("DELETE", "models/1", "models.delete"),
        ("GET", "endpoints", "endpoints.list"),
        ("POST", "endpoints/1:predict", "endpoints.predict"),
        ("POST", "endpoints/1:rawPredict", "endpoints.predict"),
        ("POST", "endpoints/1:deployModel", "endpoints.deploy"),
        ("GET", "batchPredictionJobs", "batchPredictionJobs.list"),
    ):
        assert f"'aiplatform.{permission}'" in stranger.refused(verb, path)[2], path


def test_what_is_not_emulated(api: Any) -> None:
    for verb, path in (
        ("POST", "models:copy"),
        ("POST", "models/1:export"),
        ("GET", "models/1/evaluations"),
        ("POST", "endpoints/1:explain"),
        ("POST", "endpoints/1:streamRawPredict"),
        ("POST", "endpoints/1:directPredict"),
    ):
        assert api.refused(verb, path)[:2] == (501, "UNIMPLEMENTED")
