"""The functions of one cloud: built, run, called by the events of their topics, taken up again after a restart."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from localcloud.containers.background import apart
from localcloud.core.asked.usage import Usage
from localcloud.core.errors import GRPC_CODES, ApiError
from localcloud.core.state.documents import apply_mask
from localcloud.functions import builds, resources
from localcloud.functions.resources import FUNCTION, OPERATION, RETRY, Body, Place
from localcloud.functions.server import FunctionPlan, FunctionServer
from localcloud.iam.store import Iam
from localcloud.projects.store import Projects
from localcloud.pubsub.store import PubSub
from localcloud.vertex import settings
from localcloud.vertex.serving.model_http import Answer, Lost

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

log = logging.getLogger(__name__)
_CALLS = 16  # of functions at once
_TYPES = "type.googleapis.com/google.cloud.functions.v2."
_DAY = "86400s"  # for so long Eventarc sends an event again
_UNPAID = "The project to be billed is associated with an absent billing account."


class Functions:
    """Names are full, with the project's id. What changes something is called in any thread, the rest in the loop."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._settings = settings.load(cloud.root)
        self._pool = ThreadPoolExecutor(_CALLS, "function")
        self._servers: dict[str, FunctionServer] = {}
        self._room: dict[str, asyncio.Semaphore] = {}  # by revision: how many calls it takes at a time
        self._tasks: set[asyncio.Task[None]] = set()
        cloud.on_start(self._resume)
        cloud.on_stop(self._stop)
        cloud.count("functions", lambda: cloud.documents.counts().get(FUNCTION, 0))

    # What is asked

    def get(self, name: str) -> Body:
        """Raises 404."""
        found = self._cloud.documents.find(name)
        if found is None:
            raise resources.missing(name)
        return found

    def list(self, project: str, location: str) -> list[Body]:
        """Of one location, or of all ("-")."""
        found = self._cloud.documents.list(FUNCTION, f"projects/{project}/locations/")
        return [one for one in found if location in ("-", Place.of(one["name"]).location)]

    def create(self, name: str, body: Body) -> Body:
        """Begin to make one; gives the operation. Raises 400, 409, 501."""
        place = Place.of(name)
        made = resources.checked(self._cloud, place, body)
        self._check_accounts(made)
        if self._cloud.documents.find(name):
            raise ApiError(409, f"Could not create Cloud Run function {name}. A function with this name already exists")
        number = self._cloud.of(Projects).get(place.project)["projectNumber"]
        now, address = self._cloud.clock.stamp(), resources.uri(place, number)
        made["serviceConfig"]["uri"] = address
        made |= {"name": name, "url": address, "createTime": now, "updateTime": now, "state": "DEPLOYING"}
        return self._begin(made, "create")

    def update(self, name: str, changes: Body, mask: str | None) -> Body:
        """Begin to change one; gives the operation. Raises 404, 400, 501."""
        present = self.get(name)
        merged = apply_mask(present, changes, mask)
        made = resources.checked(self._cloud, Place.of(name), merged)
        self._check_accounts(made)
        made["serviceConfig"]["uri"] = present["url"]
        kept = {field: present[field] for field in ("name", "url", "createTime")}
        return self._begin(made | kept | {"updateTime": self._cloud.clock.stamp(), "state": "DEPLOYING"}, "update")

    def delete(self, name: str) -> Body:
        """Begin to take one away; gives the operation. Raises 404."""
        return self._begin(self.get(name) | {"state": "DELETING"}, "delete")

    def operation(self, name: str) -> Body:
        """Raises 404."""
        return self._cloud.documents.get(name)

    def _check_accounts(self, made: Body) -> None:
        for email in accounts(made):
            if self._cloud.of(Iam).find_service_account(email) is None:
                raise ApiError(400, f"Service account {email} does not exist.")

    def _begin(self, body: Body, verb: str) -> Body:
        name = body["name"]
        operation = f"{name.partition('/functions/')[0]}/operations/operation-{secrets.token_hex(12)}"
        told = {"createTime": self._cloud.clock.stamp(), "target": name, "verb": verb, "apiVersion": "v2"}
        made = {"name": operation, "metadata": {"@type": f"{_TYPES}OperationMetadata", **told}, "done": False}
        self._cloud.documents.put(operation, OPERATION, made)
        self._cloud.documents.put(name, FUNCTION, body | {"operation": operation})
        self._cloud.on_start(lambda: self._go_on(name))
        return made

    # What happens then

    async def _go_on(self, name: str) -> None:
        """Bring a function to where its state says that it goes."""
        body = self._cloud.documents.find(name)
        if body is None:
            return
        operation = body.get("operation", "")
        try:
            if body["state"] == "DELETING":
                await self._remove(name)
                self._end(operation, {"response": {"@type": "type.googleapis.com/google.protobuf.Empty"}})
                return
            await self._deploy(name, body)
        except ApiError as error:
            self._failed(name, operation, error)
            return
        except Exception:
            log.exception("a function could not be deployed by a defect of the local cloud")
            self._failed(name, operation, ApiError(500, "Internal error encountered. See server.log."))
            return
        active = shown(self.get(name) | {"state": "ACTIVE"})
        self._cloud.documents.put(name, FUNCTION, active)
        self._end(operation, {"response": {"@type": f"{_TYPES}Function", **active}})

    def _failed(self, name: str, operation: str, error: ApiError) -> None:
        told = [{"severity": "ERROR", "type": "CloudRunServiceFailed", "message": error.message}]
        if found := self._cloud.documents.find(name):
            self._cloud.documents.put(name, FUNCTION, shown(found) | {"state": "FAILED", "stateMessages": told})
        self._end(operation, {"error": {"code": GRPC_CODES.get(error.status, 2), "message": error.message}})

    def _end(self, operation: str, result: Body) -> None:
        if found := self._cloud.documents.find(operation):
            ended = found["metadata"] | {"endTime": self._cloud.clock.stamp()}
            self._cloud.documents.put(operation, OPERATION, found | {"done": True, "metadata": ended, **result})

    async def _deploy(self, name: str, body: Body) -> None:
        place, folder = Place.of(name), self._folder(name)
        revision = f"{place.id}-{secrets.token_hex(3)}"
        source = folder.with_name(f"{folder.name}-{revision}")

        def build() -> Path:
            builds.source(self._cloud, body["buildConfig"]["source"]["storageSource"], source)
            return builds.python(self._cloud, source)

        python = await apart(build)
        await self._end_server(name)
        for other in folder.parent.glob(f"{folder.name}-*"):
            if other != source:
                shutil.rmtree(other, ignore_errors=True)
        run = body["serviceConfig"]
        FunctionPlan(
            place.key,
            place.project,
            place.location,
            place.id,
            revision,
            run["serviceAccountEmail"],
            body["buildConfig"]["entryPoint"],
            "eventTrigger" in body,
            float(run["timeoutSeconds"]),
            dict(run.get("environmentVariables") or {}),
            str(source),
            str(python),
        ).save(folder)
        server = self._server(name)
        server.start()
        await server.until_ready()
        kept = self.get(name)
        kept["serviceConfig"]["revision"] = revision
        self._cloud.documents.put(name, FUNCTION, kept)
        self._subscribe(place, kept)

    def _subscribe(self, place: Place, body: Body) -> None:
        """What Eventarc does: a subscription of its own that pushes to the service, as the trigger's account."""
        trigger, pubsub = body.get("eventTrigger"), self._cloud.of(PubSub)
        for name in self._subscriptions(place):
            pubsub.delete_subscription(name)
        if not trigger:
            return
        topic = trigger["pubsubTopic"]
        mode = quote(f"CUSTOM_PUBSUB_{topic}", safe="")
        account = trigger.get("serviceAccountEmail") or body["serviceConfig"]["serviceAccountEmail"]
        pubsub.create_subscription(
            f"{_prefix(place)}{secrets.randbelow(1000):03d}",
            {
                "topic": topic,
                "ackDeadlineSeconds": 600,
                "messageRetentionDuration": _DAY,
                "retryPolicy": {"minimumBackoff": "10s", "maximumBackoff": "600s"},
                "expirationPolicy": {},
                "pushConfig": {
                    "pushEndpoint": f"{body['url']}?__GCP_CloudEventsMode={mode}",
                    "oidcToken": {"serviceAccountEmail": account, "audience": body["url"]},
                },
            },
        )

    def _subscriptions(self, place: Place) -> list[str]:
        found = self._cloud.of(PubSub).subscriptions(place.project)
        return [one["name"] for one in found if one["name"].startswith(_prefix(place))]

    async def _remove(self, name: str) -> None:
        place = Place.of(name)
        for subscription in self._subscriptions(place):
            self._cloud.of(PubSub).delete_subscription(subscription)
        await self._end_server(name)
        for folder in self._folder(name).parent.glob(f"{self._folder(name).name}*"):
            await asyncio.to_thread(shutil.rmtree, folder, True)
        self._cloud.of(Iam).forget_policy(place.service)
        self._cloud.documents.delete(name)

    async def _end_server(self, name: str) -> None:
        folder = self._folder(name)
        if (folder / "plan.json").is_file():
            await self._server(name).end()
        self._servers.pop(name, None)

    # The processes

    def _folder(self, name: str) -> Path:
        return self._cloud.folder("functions") / Place.of(name).key

    def _server(self, name: str) -> FunctionServer:
        if name not in self._servers:
            folder = self._folder(name)
            plan = FunctionPlan.load(folder)
            self._servers[name] = FunctionServer(self._cloud, folder, plan, self._settings, self._pool)
        return self._servers[name]

    async def call(self, name: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """What a function answers. A trigger that does not retry takes every answer for a good one."""
        found = self.get(name)
        place = Place.of(name)
        if self._cloud.of(Usage).state(place.project):
            return Answer(403, "text/plain", _UNPAID.encode())
        server = self._servers.get(name)
        if found["state"] not in ("ACTIVE", "DEPLOYING") or server is None or not server.is_ready:
            return Answer(503, "text/plain", b"no available server")
        run = found["serviceConfig"]
        most = int(run["maxInstanceCount"]) * int(run["maxInstanceRequestConcurrency"])
        room = self._room.setdefault(server.function.revision, asyncio.Semaphore(most))
        loop = asyncio.get_running_loop()
        try:
            async with room:  # others wait in line, as on Cloud Run
                answer = await loop.run_in_executor(self._pool, server.invoke, path, body, headers)
        except TimeoutError:
            answer = Answer(504, "text/plain", b"upstream request timeout")
        except Lost as error:
            answer = Answer(503, "text/plain", str(error).encode())
        if "ce-id" in headers and found.get("eventTrigger", {}).get("retryPolicy") != RETRY:
            return Answer(204, answer.content_type, b"")
        return answer

    def at(self, host: str) -> str:
        """The function whose service is at a host, "" for none."""
        found = self._cloud.documents.list(FUNCTION)
        return next((one["name"] for one in found if one["url"] == f"https://{host}"), "")

    async def _resume(self) -> None:
        for body in self._cloud.documents.list(FUNCTION):
            name = body["name"]
            try:
                if body["state"] in ("DEPLOYING", "DELETING"):
                    self._later(self._go_on(name))
                elif body["state"] == "ACTIVE":
                    self._server(name).start(again=True)
            except (OSError, ValueError, TypeError) as error:  # its folder is damaged: it is built again
                log.warning("the function %s is built anew: %s", name, error)
                self._later(self._go_on(name))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stop(self) -> None:
        """End all processes; the next start starts them again."""
        await asyncio.gather(*(server.end(forget=False) for server in self._servers.values()))


def accounts(body: Body) -> list[str]:
    """The service accounts that a function is built, run and called as, each once."""
    build, run, trigger = (resources.block(body, part) for part in ("buildConfig", "serviceConfig", "eventTrigger"))
    own, events = (str(part.get("serviceAccountEmail") or "") for part in (run, trigger))
    builder = str(build.get("serviceAccount") or "").rpartition("/")[2]
    return [*dict.fromkeys(filter(None, (own, events, builder)))]


def shown(body: Body) -> Body:
    """A function as Google shows it."""
    return {name: value for name, value in body.items() if name != "operation"}


def _prefix(place: Place) -> str:
    return f"projects/{place.project}/subscriptions/eventarc-{place.location}-{place.id}-sub-"
