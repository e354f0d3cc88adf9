"""Online prediction: a request goes to one of an endpoint's models, by the traffic split.

https://cloud.google.com/vertex-ai/docs/predictions/get-online-predictions
"""

from __future__ import annotations

import base64
import json
import random
from dataclasses import dataclass
from typing import Any

from localcloud.core.asked.usage import Usage
from localcloud.core.errors import ApiError
from localcloud.vertex.jobs.validation import REQUIRED, Violation, found, seconds
from localcloud.vertex.place import SERVICE, Call
from localcloud.vertex.serving import deployments
from localcloud.vertex.serving.deployer import Deployer
from localcloud.vertex.serving.deployments import Deployment
from localcloud.vertex.serving.endpoints import Endpoints
from localcloud.vertex.serving.servers import Answer, Lost

Body = dict[str, Any]

LIMIT = 1_500_000  # bytes of a request or a response of a shared public endpoint
_TIMEOUT = 60.0  # seconds, of a shared public endpoint


@dataclass(frozen=True)
class Prediction:
    """Calls to the models that `deployer` keeps."""

    endpoints: Endpoints
    deployer: Deployer

    async def predict(self, call: Call, request: Body) -> Body:
        """The predictions of one model. Raises 400 with what the model's server said, 404, 503, 504."""
        endpoint = self._endpoint(call, request)
        if "instances" not in request:
            raise found([Violation("instances", REQUIRED)])
        sent: Body = {"instances": request["instances"]}
        if request.get("parameters") is not None:
            sent["parameters"] = request["parameters"]
        one = _chosen(call, endpoint)
        answer = await self._ask(one, endpoint, json.dumps(sent).encode(), "application/json")
        try:
            told = json.loads(answer.body)
        except ValueError:
            told = None
        if not isinstance(told, dict) or not isinstance(told.get("predictions"), list):
            words = "The response of the model server is not a JSON object with a list `predictions`."
            raise ApiError(400, words, "FAILED_PRECONDITION")
        metadata = {"metadata": told["metadata"]} if "metadata" in told else {}
        return metadata | {
            "predictions": told["predictions"],
            "deployedModelId": one.id,
            "model": one.body["model"],
            "modelDisplayName": one.body["displayName"],
            "modelVersionId": one.body["modelVersionId"],
        }

    async def raw_predict(self, call: Call, request: Body) -> Body:
        """What one model's server answers to any body, as an HttpBody. Raises as `predict`."""
        answer, _ = await self.raw(call, request)
        return {"contentType": answer.content_type, "data": base64.b64encode(answer.body).decode()}

    async def raw(self, call: Call, request: Body) -> tuple[Answer, dict[str, str]]:
        """The same as it is, and the headers that say which model answered. Raises as `predict`.

        The proto of RawPredict names the first two headers, Google's SDK reads the last three.
        """
        endpoint = self._endpoint(call, request)
        given = request.get("httpBody", {})
        content_type = given.get("contentType", "") or "application/json"
        one = _chosen(call, endpoint)
        answer = await self._ask(one, endpoint, base64.b64decode(given.get("data", "")), content_type)
        return answer, {
            "X-Vertex-AI-Endpoint-Id": endpoint["name"].rpartition("/")[2],
            "X-Vertex-AI-Deployed-Model-Id": one.id,
            "X-Vertex-AI-Model": one.body["model"],
            "X-Vertex-AI-Model-Version-Id": one.body["modelVersionId"],
        }

    def _endpoint(self, call: Call, request: Body) -> Body:
        call.cloud.of(Usage).check_cap(call.place.project_id, SERVICE)
        return self.endpoints.find(call, request.get("endpoint", ""), "Endpoint `{}` not found.")

    async def _ask(self, one: Deployment, endpoint: Body, body: bytes, content_type: str) -> Answer:
        _check_size("request", body)
        limit = endpoint.get("clientConnectionConfig", {}).get("inferenceTimeout", "")
        timeout = min(seconds(limit), _TIMEOUT) if limit else _TIMEOUT
        try:
            answer = await self.deployer.server(one).send(body, content_type, timeout)
        except TimeoutError:
            raise ApiError(504, "Deadline exceeded while waiting for the model server.") from None
        except Lost as error:
            raise ApiError(503, str(error)) from None
        _check_size("response", answer.body)
        if answer.status != 200:
            said = answer.body.decode("utf-8", "replace")
            raise ApiError(400, said or f"The model server answered {answer.status}.", "FAILED_PRECONDITION")
        return answer


def _chosen(call: Call, endpoint: Body) -> Deployment:
    split = {key: percent for key, percent in endpoint.get("trafficSplit", {}).items() if percent}
    if split:
        [picked] = random.choices([*split], [*split.values()])  # noqa: S311
        if one := deployments.find(call.cloud, endpoint["name"], picked):
            return one
    raise ApiError(400, f"Endpoint {endpoint['name']} doesn't have traffic_split.", "FAILED_PRECONDITION")


def _check_size(what: str, data: bytes) -> None:
    if len(data) > LIMIT:
        words = f"The {what} size ({len(data)} bytes) exceeds {LIMIT / 1_000_000:.3f}MB limit."
        raise ApiError(400, words, "FAILED_PRECONDITION")
