"""Models and their versions: uploaded, read, listed, changed, deleted.

https://cloud.google.com/vertex-ai/docs/model-registry/versioning
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.core.errors import ApiError, NotEmulated
from localcloud.core.state.documents import apply_mask
from localcloud.vertex import operations
from localcloud.vertex.jobs import reach
from localcloud.vertex.jobs.store import CustomJobs
from localcloud.vertex.jobs.validation import REQUIRED, Violation, found, refuse, texts
from localcloud.vertex.place import Call, bad_name
from localcloud.vertex.serving import artifacts, model_rules
from localcloud.vertex.serving.listing import OF_VERSIONS, camel, page

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
Deployments = Callable[[str], list[dict[str, str]]]

MODEL = "vertex-model"  # kind of document: {"versions": {id: Model}}, by the model's name
UPLOAD = "UploadModelOperationMetadata"
_NAME = re.compile(r"projects/[^/]+/locations/[^/]+/models/([^/@]+)(?:@([^/@]+))?")
_GIVEN = (
    "description",
    "versionDescription",
    "metadataSchemaUri",
    "metadata",
    "predictSchemata",
    "containerSpec",
    "artifactUri",
    "labels",
    "pipelineJob",
)
# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.models#Model
_TELLS = {
    "supportedExportFormats": [{"id": "custom-trained", "exportableContents": ["ARTIFACT"]}],
    "supportedDeploymentResourcesTypes": ["DEDICATED_RESOURCES"],
    "supportedInputStorageFormats": ["jsonl", "bigquery", "csv", "tf-record", "tf-record-gzip", "file-list"],
    "supportedOutputStorageFormats": ["jsonl", "bigquery"],
}
_OF_MODEL = ("displayName", "description", "labels")  # the same for all versions of a model
_CHANGEABLE = {*_OF_MODEL, "versionDescription"}


class Models:
    """The models of one cloud; `deployments(name)` says where a model's versions are deployed."""

    def __init__(self, cloud: Cloud, deployments: Deployments, later: Callable[[Coroutine[Any, Any, None]], None]):
        """`later` runs a coroutine in the server's loop."""
        self._cloud = cloud
        self._deployments = deployments
        self._later = later

    def upload(self, call: Call, request: Body) -> Body:
        """A new model, or a new version of `parentModel`; the operation ends when its files are copied."""
        model_rules.check_upload(request)
        given = request["model"]
        parent = request.get("parentModel", "")
        if parent:
            name = f"{call.place.name}/models/{call.resource('models', parent)}"
            self._kept(name)
        else:
            name = f"{call.place.name}/models/{request.get('modelId') or 10**18 + secrets.randbelow(8 * 10**18)}"
            if self._cloud.documents.find(name):
                raise ApiError(409, f"Model `{name}` already exists.")
        image = given["containerSpec"]["imageUri"]
        if "/vertex-ai/" not in image:  # Google's own can be read by all
            reach.check_image(self._cloud, image, call.place)
        stand_in, _ = artifacts.image(self._cloud, image)
        tensorflow = artifacts.is_tensorflow(stand_in)
        if uri := given.get("artifactUri", ""):
            artifacts.check(call, uri, tensorflow)
        elif tensorflow:
            raise found([Violation("model.artifact_uri", REQUIRED)])
        if request.get("serviceAccount"):
            self._cloud.of(CustomJobs).account(call, request["serviceAccount"])
        operation = operations.begin(self._cloud, name, UPLOAD)
        self._later(self._import(operation, name, bool(parent), given))
        return self._cloud.documents.get(operation)

    async def _import(self, operation: str, name: str, is_version: bool, given: Body) -> None:
        key = f"part-{operation.rpartition('/')[2]}"
        draft = artifacts.folder(self._cloud, name, key)
        try:
            if given.get("artifactUri"):
                await asyncio.to_thread(artifacts.copy, self._cloud, given["artifactUri"], draft)
            body = self._keep(name, is_version, given, draft)
        except ApiError as error:
            shutil.rmtree(draft, ignore_errors=True)
            operations.fail(self._cloud, operation, error)
            return
        response = {"model": name, "modelVersionId": body["versionId"]}
        operations.succeed(self._cloud, operation, "UploadModelResponse", response)

    def _keep(self, name: str, is_version: bool, given: Body, draft: Path) -> Body:
        kept = self._cloud.documents.find(name)
        if is_version and kept is None:
            raise ApiError(404, "The Model does not exist.")
        if not is_version and kept is not None:
            raise ApiError(409, f"Model `{name}` already exists.")
        kept = kept or {"versions": {}, "last": 0}
        now, version = self._cloud.clock.stamp(), str(kept["last"] + 1)
        first = next(iter(kept["versions"].values()), None)
        body = {
            "name": name,
            "displayName": given["displayName"],
            **{field: given[field] for field in _GIVEN if field in given},
            **({field: first[field] for field in _OF_MODEL if field in first} if first else {}),
            **_TELLS,
            "createTime": first["createTime"] if first else now,
            "updateTime": now,
            "versionId": version,
            "versionAliases": [],
            "versionCreateTime": now,
            "versionUpdateTime": now,
            "modelSourceInfo": {"sourceType": "CUSTOM"},
        }
        kept["last"] = int(version)
        kept["versions"][version] = body
        for alias in [*given.get("versionAliases", []), *([] if first else ["default"])]:
            _move(kept, version, alias)
        if draft.exists():
            target = artifacts.folder(self._cloud, name, version)
            shutil.rmtree(target, ignore_errors=True)
            draft.rename(target)
        self._put(name, kept)
        return body

    def made_by(self, name: str, version: str, pipeline: str) -> None:
        """Note which training pipeline (its full name) uploaded a version. Raises 404."""
        kept = self._kept(name)
        kept["versions"][version]["trainingPipeline"] = pipeline
        self._put(name, kept)

    def _put(self, name: str, kept: Body) -> None:
        for body in kept["versions"].values():
            body["etag"] = f"AMEw9y{secrets.token_hex(8)}"
        self._cloud.documents.put(name, MODEL, kept)

    def get(self, call: Call, request: Body) -> Body:
        """A version of a model, by "@2", "@alias", or its default. Raises 404."""
        return self.find(call, request.get("name", ""))

    def find(self, call: Call, name: str, field: str = "name") -> Body:
        """The version that a name says, in the call's place. Raises 404, 400 for what is no model's name."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise bad_name(field, name)
        return self._shown(self._version(f"{call.place.name}/models/{match[1]}", match[2] or "default"))

    def list(self, call: Call, request: Body) -> Body:
        """A page of a place's models, each in its default version."""
        rows = [
            _with_alias(kept, "default") for kept in self._cloud.documents.list(MODEL, f"{call.place.name}/models/")
        ]
        return page("models", rows, request, self._shown)

    def list_versions(self, call: Call, request: Body) -> Body:
        """A page of a model's versions, oldest first: Google's own system tests of its SDK count on it."""
        name = f"{call.place.name}/models/{call.resource('models', request.get('name', ''))}"
        rows = [*self._kept(name)["versions"].values()]
        return page("models", rows, request, self._shown, "create_time", OF_VERSIONS)

    def update(self, call: Call, request: Body) -> Body:
        """Change what may be changed of a version. Raises 400, 404."""
        given, mask = request.get("model", {}), request.get("updateMask", "")
        if not mask:
            raise found([Violation("update_mask", REQUIRED)])
        fields = {camel(path.strip().partition(".")[0]) for path in mask.split(",")}
        if "explanationSpec" in fields:
            raise NotEmulated("explanations of predictions")
        if other := sorted(fields - _CHANGEABLE):
            raise found([Violation("update_mask", f"The field `{other[0]}` can't be changed.")])
        present = self.find(call, given.get("name", ""), "model.name")
        name = present["name"]
        kept = self._kept(name)
        body = apply_mask(kept["versions"][present["versionId"]], given, mask)
        refuse(texts(body, "model."))
        body["updateTime"] = body["versionUpdateTime"] = self._cloud.clock.stamp()
        kept["versions"][present["versionId"]] = body
        shared = {field: body[field] for field in _OF_MODEL if field in body} | {"updateTime": body["updateTime"]}
        for number, other_version in kept["versions"].items():
            own = {field: value for field, value in other_version.items() if field not in _OF_MODEL}
            kept["versions"][number] = own | shared
        self._put(name, kept)
        return self._shown(self._version(name, present["versionId"]))

    def merge_aliases(self, call: Call, request: Body) -> Body:
        """Add aliases to a version, taken from others that had them; "-alias" removes one. Raises 400, 404.

        The version may be named by an alias, too: Google's system tests of its SDK do.
        """
        match = _NAME.fullmatch(request.get("name", ""))
        if match is None or not match[2]:
            words = "The name must be that of a model version, with its ID: `projects/P/locations/L/models/M@1`."
            raise found([Violation("name", words)])
        aliases = request.get("versionAliases", [])
        model_rules.check_aliases(aliases)
        name = f"{call.place.name}/models/{match[1]}"
        version = self._version(name, match[2])["versionId"]
        kept = self._kept(name)
        for alias in aliases:
            if alias.startswith("-"):
                own = kept["versions"][version]["versionAliases"]
                kept["versions"][version]["versionAliases"] = [one for one in own if one != alias[1:]]
            else:
                _move(kept, version, alias)
        kept["versions"][version]["versionUpdateTime"] = self._cloud.clock.stamp()
        self._put(name, kept)
        return self._shown(self._version(name, version))

    def delete_version(self, call: Call, request: Body) -> Body:
        """Forget one version, not the last, not the default, not a deployed one. Raises 400, 404."""
        match = _NAME.fullmatch(request.get("name", ""))
        if match is None or not match[2]:
            raise found([Violation("name", "The name must be that of a model version.")])
        body = self.find(call, request["name"])
        name, version = body["name"], body["versionId"]
        kept = self._kept(name)
        if len(kept["versions"]) == 1:
            words = f"Model version `{name}@{version}` is the only one of its Model: delete the Model instead."
            raise ApiError(400, words, "FAILED_PRECONDITION")
        if "default" in body["versionAliases"]:
            words = f"Model version `{name}@{version}` is the default version: make another one the default first."
            raise ApiError(400, words, "FAILED_PRECONDITION")
        self._refuse_deployed(name, version)
        del kept["versions"][version]
        self._put(name, kept)
        shutil.rmtree(artifacts.folder(self._cloud, name, version), ignore_errors=True)
        return operations.deleted(self._cloud, name)

    def delete(self, call: Call, request: Body) -> Body:
        """Forget a model with all its versions, of which none is deployed. Raises 400, 404."""
        name = f"{call.place.name}/models/{call.resource('models', request.get('name', ''))}"
        self._kept(name)
        self._refuse_deployed(name)
        self._cloud.documents.delete(name)
        shutil.rmtree(artifacts.folder(self._cloud, name, "1").parent, ignore_errors=True)
        return operations.deleted(self._cloud, name)

    def _refuse_deployed(self, name: str, version: str = "") -> None:
        places = [one for one in self._deployments(name) if version in ("", one["version"])]
        if places:
            what = f"Model version `{name}@{version}`" if version else f"Model `{name}`"
            where = ", ".join(sorted({f"`{one['endpoint']}`" for one in places}))
            words = f"{what} can't be deleted: it is deployed to {where}. Undeploy it first."
            raise ApiError(400, words, "FAILED_PRECONDITION")

    def _shown(self, body: Body) -> Body:
        deployed = [
            {"endpoint": one["endpoint"], "deployedModelId": one["id"]}
            for one in self._deployments(body["name"])
            if one["version"] == body["versionId"]
        ]
        return body | ({"deployedModels": deployed} if deployed else {})

    def _kept(self, name: str) -> Body:
        kept = self._cloud.documents.find(name)
        if kept is None:
            raise ApiError(404, "The Model does not exist.")
        return kept

    def _version(self, name: str, wanted: str) -> Body:
        kept = self._kept(name)
        body = kept["versions"].get(wanted) or _with_alias(kept, wanted)
        if not body:
            raise ApiError(404, "The Model does not exist.")
        return body


def _with_alias(kept: Body, alias: str) -> Body:
    return next((body for body in kept["versions"].values() if alias in body["versionAliases"]), {})


def _move(kept: Body, version: str, alias: str) -> None:
    """Give an alias to a version, and to no other."""
    for number, body in kept["versions"].items():
        aliases = [one for one in body["versionAliases"] if one != alias]
        body["versionAliases"] = [*aliases, alias] if number == version else aliases
