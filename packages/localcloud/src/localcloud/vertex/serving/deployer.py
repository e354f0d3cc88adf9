"""Models are deployed to endpoints, changed there, and undeployed; what was begun goes on over restarts.

https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints/deployModel
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.containers.background import apart
from localcloud.core.asked.usage import Usage
from localcloud.core.errors import ApiError, NotEmulated
from localcloud.vertex import operations
from localcloud.vertex.jobs.store import CustomJobs
from localcloud.vertex.jobs.validation import REQUIRED, Violation, found
from localcloud.vertex.place import Call
from localcloud.vertex.serving import deployments, endpoint_rules, machines, usage
from localcloud.vertex.serving.deployments import Deployment
from localcloud.vertex.serving.endpoints import Endpoints, deployed_ids
from localcloud.vertex.serving.listing import camel
from localcloud.vertex.serving.models import Models
from localcloud.vertex.serving.plan import interpreter, load, planned
from localcloud.vertex.serving.servers import ModelServer
from localcloud.vertex.settings import Settings

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

log = logging.getLogger(__name__)
Body = dict[str, Any]

_DEPLOYED = (
    "displayName",
    "dedicatedResources",
    "serviceAccount",
    "disableContainerLogging",
    "systemLabels",
)
_MUTABLE = {"minReplicaCount", "maxReplicaCount", "requiredReplicaCount", "autoscalingMetricSpecs"}


class Deployer:
    """The deployed models of one cloud. Methods are called in the server's event loop."""

    def __init__(
        self,
        cloud: Cloud,
        models: Models,
        endpoints: Endpoints,
        settings: Settings,
        pool: ThreadPoolExecutor,
        later: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._cloud = cloud
        self._models = models
        self._endpoints = endpoints
        self._settings = settings
        self._pool = pool
        self._later = later
        self.servers: dict[str, ModelServer] = {}  # by the deployment's name

    def deployed(self, model: str) -> list[dict[str, str]]:
        """Where versions of a model (full name) are deployed: endpoint, id, version."""
        place = "/".join(model.split("/")[:4])
        return [
            {"endpoint": one.endpoint, "id": one.id, "version": one.body["modelVersionId"]}
            for one in deployments.deployments(self._cloud, f"{place}/")
            if one.body["model"] == model
        ]

    def deploy(self, call: Call, request: Body) -> Body:
        """Start a model's server; the operation ends when it is healthy, or fails when it can't be."""
        endpoint = self._endpoints.find(call, request.get("endpoint", ""))
        given = request.get("deployedModel", {})
        model = self._models.find(call, given.get("model", ""), "deployed_model.model")
        present = {one.id for one in deployments.deployments(self._cloud, f"{endpoint['name']}/")}
        endpoint_rules.check_deployed(given, present, model["name"])
        machine = given["dedicatedResources"]["machineSpec"]
        machines.check(machine, "deployed_model.dedicated_resources.machine_spec", call.place.location)
        split = request.get("trafficSplit", {})
        endpoint_rules.check_traffic(split, {*deployed_ids(endpoint), "0"})
        replicas = int(given["dedicatedResources"]["minReplicaCount"])
        account = self._cloud.of(CustomJobs).account(call, given.get("serviceAccount", ""))
        deployed_id = given.get("id") or str(10**18 + secrets.randbelow(8 * 10**18))
        resources = {"maxReplicaCount": replicas} | given["dedicatedResources"]
        body = {
            "id": deployed_id,
            "model": model["name"],
            "modelVersionId": model["versionId"],
            "displayName": model["displayName"],
            **{field: given[field] for field in _DEPLOYED if field in given},
            "dedicatedResources": resources,
            "createTime": self._cloud.clock.stamp(),
        }
        traffic = {(deployed_id if key == "0" else key): percent for key, percent in split.items()} if split else None
        operation = operations.begin(self._cloud, endpoint["name"], "DeployModelOperationMetadata")
        try:
            usage.check(self._cloud, call.place, machine, replicas)
        except ApiError as error:  # on Google too it is the operation that fails
            return operations.fail(self._cloud, operation, error)
        charged = f"{'/'.join(endpoint['name'].split('/')[2:])}/deployedModels/{deployed_id}"
        one = Deployment(
            endpoint["name"],
            deployed_id,
            call.place.project_id,
            account,
            body,
            "deploying",
            operation,
            charged,
            traffic,
        )
        endpoint_id = endpoint["name"].rpartition("/")[2]
        key = f"serve-{endpoint_id}-{deployed_id}"
        plan = planned(call, key, account, model, given, endpoint=endpoint_id, deployed=deployed_id)
        plan.save(self._folder(one))
        deployments.save(self._cloud, one)
        self._later(self._deploy(one))
        return self._cloud.documents.get(operation)

    def _folder(self, one: Deployment) -> Path:
        endpoint = one.endpoint.split("/")
        root = self._cloud.folder("vertex") / "serving" / "servers"
        return root / f"{endpoint[1]}-{endpoint[3]}-{endpoint[5]}-{one.id}"

    def server(self, one: Deployment) -> ModelServer:
        """The model server of a deployed model."""
        if one.name not in self.servers:
            folder = self._folder(one)
            self.servers[one.name] = ModelServer(self._cloud, folder, load(folder), self._settings, self._pool)
        return self.servers[one.name]

    async def _deploy(self, one: Deployment) -> None:
        server = self.server(one)
        try:
            await apart(lambda: interpreter(self._cloud, server.plan.container["imageUri"]))
            server.start()
            await server.until_ready()
        except ApiError as error:
            await self._drop(one)
            operations.fail(self._cloud, one.operation, error)
            return
        except Exception:
            log.exception("a model could not be deployed by a defect of the local cloud")
            await self._drop(one)
            operations.fail(self._cloud, one.operation, ApiError(500, "Internal error encountered. See server.log."))
            return
        endpoint = self._cloud.documents.find(one.endpoint)
        assert endpoint is not None, "an endpoint to which a model is deployed is not deleted"
        kept = [other for other in endpoint.get("deployedModels", []) if other["id"] != one.id]
        changed = endpoint | {"deployedModels": [*kept, one.body], "updateTime": self._cloud.clock.stamp()}
        if one.traffic is not None:
            there = {*deployed_ids(changed)}
            changed["trafficSplit"] = _kept_whole(one.traffic, there)
        pool = machines.pool(one.machine, one.replicas)
        self._cloud.of(Usage).begin(one.charged, one.project, one.location, (pool,), endpoint)
        self._endpoints.put(changed)
        if self._cloud.documents.find(one.operation):
            operations.succeed(self._cloud, one.operation, "DeployModelResponse", {"deployedModel": one.body})
        deployments.save(self._cloud, one, state="deployed", operation="", traffic=None)

    def undeploy(self, call: Call, request: Body) -> Body:
        """End a model's server. Raises 400 while it would still get traffic, 404."""
        endpoint = self._endpoints.find(call, request.get("endpoint", ""))
        one = self._present(endpoint, request.get("deployedModelId", ""))
        given = request.get("trafficSplit", {})
        endpoint_rules.check_traffic(given, deployed_ids(endpoint))
        rest = [other for other in endpoint.get("deployedModels", []) if other["id"] != one.id]
        if rest and (given or endpoint.get("trafficSplit", {})).get(one.id):
            words = (
                f"DeployedModel `{one.id}` has traffic assigned to it: give a traffic_split that unassigns it, or "
                "update the traffic split of the endpoint first."
            )
            raise ApiError(400, words, "FAILED_PRECONDITION")
        split = {key: percent for key, percent in given.items() if percent and rest}
        operation = operations.begin(self._cloud, endpoint["name"], "UndeployModelOperationMetadata")
        one = deployments.save(self._cloud, one, state="undeploying", operation=operation, traffic=split or None)
        self._take_out(one)
        self._later(self._undeploy(one))
        return self._cloud.documents.get(operation)

    def _take_out(self, one: Deployment) -> None:
        """From now on no call reaches it."""
        endpoint = self._cloud.documents.get(one.endpoint)
        rest = [other for other in endpoint.get("deployedModels", []) if other["id"] != one.id]
        split = one.traffic or {key: n for key, n in endpoint.get("trafficSplit", {}).items() if key != one.id}
        changed = endpoint | {"deployedModels": rest, "trafficSplit": split if rest else {}}
        self._endpoints.put(changed | {"updateTime": self._cloud.clock.stamp()})

    async def _undeploy(self, one: Deployment) -> None:
        self._take_out(one)
        self._cloud.of(Usage).end(one.charged)
        operation = one.operation
        await self._drop(one)
        if self._cloud.documents.find(operation):
            operations.succeed(self._cloud, operation, "UndeployModelResponse", {})

    async def _drop(self, one: Deployment) -> None:
        """End the server, and forget the deployment last: a kill in between leaves enough to do it again."""
        await self.server(one).end()
        self.servers.pop(one.name, None)
        self._cloud.documents.delete(one.name)

    def mutate(self, call: Call, request: Body) -> Body:
        """Change how many replicas a deployed model has. Raises 400, 404."""
        endpoint = self._endpoints.find(call, request.get("endpoint", ""))
        given, mask = request.get("deployedModel", {}), request.get("updateMask", "")
        one = self._present(endpoint, given.get("id", ""))
        fields = [camel(path.strip().rpartition(".")[2]) for path in mask.split(",") if path.strip()]
        if not fields:
            raise found([Violation("update_mask", REQUIRED)])
        if other := sorted(set(fields) - _MUTABLE):
            raise found([Violation("update_mask", f"The field `{other[0]}` can't be changed.")])
        if "requiredReplicaCount" in fields:
            raise NotEmulated("deployments that are there in part (required_replica_count)")
        resources = dict(one.body["dedicatedResources"])
        for field in fields:
            resources.pop(field, None)
            if field in given.get("dedicatedResources", {}):
                resources[field] = given["dedicatedResources"][field]
        endpoint_rules.check_counts(resources)
        resources.setdefault("maxReplicaCount", resources["minReplicaCount"])
        operation = operations.begin(self._cloud, endpoint["name"], "MutateDeployedModelOperationMetadata")
        try:
            usage.check(self._cloud, call.place, one.machine, int(resources["minReplicaCount"]), one.name)
        except ApiError as error:
            return operations.fail(self._cloud, operation, error)
        before = one.replicas
        one = deployments.save(self._cloud, one, body=one.body | {"dedicatedResources": resources})
        if one.replicas != before:
            self._cloud.of(Usage).end(one.charged)
            charged = f"{one.charged.partition('#')[0]}#{secrets.token_hex(4)}"
            one = deployments.save(self._cloud, one, charged=charged)
            pool = machines.pool(one.machine, one.replicas)
            self._cloud.of(Usage).begin(charged, one.project, one.location, (pool,), endpoint)
        models = [one.body if other["id"] == one.id else other for other in endpoint.get("deployedModels", [])]
        self._endpoints.put(endpoint | {"deployedModels": models, "updateTime": self._cloud.clock.stamp()})
        return operations.succeed(self._cloud, operation, "MutateDeployedModelResponse", {"deployedModel": one.body})

    def _present(self, endpoint: Body, deployed_id: str) -> Deployment:
        one = deployments.find(self._cloud, endpoint["name"], deployed_id)
        if one is None or one.state != "deployed":
            raise ApiError(404, f"The DeployedModel with ID `{deployed_id}` does not exist in `{endpoint['name']}`.")
        return one

    async def end_all(self, project: str, why: str) -> None:
        """Take all models of a project (by id) from its endpoints, and return when their servers have ended.

        What is being deployed fails with the reason; the logs of the others say it.
        """
        ends = []
        for one in deployments.deployments(self._cloud):
            if one.project == project and one.state == "deploying":
                ends.append(self.server(one).end(why=why))
            elif one.project == project and one.state == "deployed":
                self.server(one).say(why, "ERROR")
                ends.append(self._undeploy(deployments.save(self._cloud, one, state="undeploying", operation="")))
        await asyncio.gather(*ends)

    # The server's life

    def resume(self) -> None:
        """Take up what was there when the server ended, and go on with what was in the middle."""
        for one in deployments.deployments(self._cloud):
            if one.state == "deploying":
                self._later(self._deploy(one))
            elif one.state == "undeploying":
                self._later(self._undeploy(one))
            else:
                self.server(one).start(again=True)

    async def stop(self) -> None:
        """End all model servers; the next start starts them again."""
        for one in deployments.deployments(self._cloud):
            self.server(one)
        await asyncio.gather(*(server.end(forget=False) for server in self.servers.values()))


def _kept_whole(split: dict[str, int], there: set[str]) -> dict[str, int]:
    """The split without models that were undeployed meanwhile; what they had goes to the first that is left."""
    kept = {key: percent for key, percent in split.items() if key in there and percent}
    if kept and sum(kept.values()) != 100:
        first = next(iter(kept))
        kept[first] += 100 - sum(kept.values())
    return kept
