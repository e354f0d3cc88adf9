"""The methods of models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.vertex.methods import Body, Handler, Method, Methods
from localcloud.vertex.place import Call
from localcloud.vertex.serving.models import Models
from localcloud.vertex.serving.store import Serving


def _of(method: Callable[[Models, Call, Body], dict[str, Any]]) -> Handler:
    return lambda call, request: method(call.cloud.of(Serving).models, call, request)


_OPERATION, _MODELS = "google.longrunning.Operation", "aiplatform.models"
METHODS: Methods = {
    "UploadModel": Method("UploadModelRequest", _OPERATION, _of(Models.upload), f"{_MODELS}.upload"),
    "GetModel": Method("GetModelRequest", "Model", _of(Models.get), f"{_MODELS}.get"),
    "ListModels": Method("ListModelsRequest", "ListModelsResponse", _of(Models.list), f"{_MODELS}.list"),
    "ListModelVersions": Method(
        "ListModelVersionsRequest", "ListModelVersionsResponse", _of(Models.list_versions), f"{_MODELS}.list"
    ),
    "UpdateModel": Method("UpdateModelRequest", "Model", _of(Models.update), f"{_MODELS}.update"),
    "MergeVersionAliases": Method(
        "MergeVersionAliasesRequest", "Model", _of(Models.merge_aliases), f"{_MODELS}.update"
    ),
    "DeleteModelVersion": Method(
        "DeleteModelVersionRequest", _OPERATION, _of(Models.delete_version), f"{_MODELS}.delete"
    ),
    "DeleteModel": Method("DeleteModelRequest", _OPERATION, _of(Models.delete), f"{_MODELS}.delete"),
}
