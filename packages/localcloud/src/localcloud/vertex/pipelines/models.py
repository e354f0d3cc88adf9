"""The model of a training pipeline: checked before anything is paid for, uploaded when the training has succeeded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.callers import Caller
from localcloud.iam.store import Iam
from localcloud.projects.store import Projects
from localcloud.vertex.jobs import reach
from localcloud.vertex.pipelines.records import Pipeline
from localcloud.vertex.place import Call, Place
from localcloud.vertex.serving import artifacts, model_rules
from localcloud.vertex.serving.store import Serving

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
_ABORTED = 10  # google.rpc.Code of an upload that a restart of the server interrupted


class CantUpload(Exception):
    """`error` is why, in JSON of google.rpc.Status."""

    def __init__(self, error: Body) -> None:
        super().__init__(error["message"])
        self.error = error


def check(call: Call, pipeline: Mapping[str, Any]) -> None:
    """Raises 400, 404 for a model that can't be uploaded, whatever the training leaves; 501 for what is not here."""
    if "modelToUpload" not in pipeline:
        return
    model_rules.check_upload(_request(pipeline))
    image = pipeline["modelToUpload"]["containerSpec"]["imageUri"]
    reach.check_image(call.cloud, image, call.place)
    artifacts.image(call.cloud, image)
    if parent := pipeline.get("parentModel", ""):
        call.cloud.of(Serving).models.find(call, parent, "parent_model")


def _request(pipeline: Mapping[str, Any]) -> Body:
    given = {field: pipeline[field] for field in ("modelId", "parentModel") if pipeline.get(field)}
    return {"model": pipeline["modelToUpload"], **given}


def begin(cloud: Cloud, pipeline: Pipeline) -> str:
    """Upload what the training left in its base output directory; gives the operation's name. Raises ApiError.

    It is Vertex AI's own account that reads it, not who made the pipeline.
    """
    agent = Caller(cloud.of(Iam).service_agent(pipeline.project, "gcp-sa-aiplatform"), pipeline.project)
    place = Place(cloud.of(Projects).get(pipeline.project), pipeline.place.rpartition("/")[2])
    base = pipeline.spec["baseOutputDirectory"]["outputUriPrefix"].rstrip("/")
    request = _request(pipeline.body)
    request["model"] = request["model"] | {"artifactUri": f"{base}/model"}
    return cloud.of(Serving).models.upload(Call(cloud, agent, "", place), request)["name"]


def uploaded(cloud: Cloud, pipeline: Pipeline) -> Body | None:
    """The name and version of the model once it is there; None while it is not. Raises CantUpload, InterruptedError."""
    operation = cloud.documents.find(pipeline.upload)
    if operation is None:
        raise CantUpload({"code": 13, "message": "The operation that uploads the model was deleted."})
    if error := operation.get("error"):
        if error["code"] == _ABORTED:
            raise InterruptedError(error["message"])
        raise CantUpload(error)
    if not operation.get("done"):
        return None
    made = operation["response"]
    cloud.of(Serving).models.made_by(made["model"], made["modelVersionId"], pipeline.name)
    return {"name": made["model"], "versionId": made["modelVersionId"]}
