"""Training pipelines as the API has them: created, read, listed, cancelled, deleted."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from localcloud.errors import ApiError
from localcloud.vertex import listing, operations, states
from localcloud.vertex.pipelines import models, tasks
from localcloud.vertex.pipelines.driver import Driver
from localcloud.vertex.pipelines.records import COLLECTION, Pipeline, Records
from localcloud.vertex.place import Call

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

Body = dict[str, Any]

_GIVEN = (
    "displayName",
    "trainingTaskDefinition",
    "trainingTaskInputs",
    "modelToUpload",
    "modelId",
    "parentModel",
    "labels",
)
_STOP_PATIENCE = 14.0  # seconds for the job of a pipeline to end when the server does


class Pipelines:
    """Methods are called in the server's event loop; requests and answers are Google's JSON."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._records = Records(cloud)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        cloud.on_start(self._resume)
        cloud.on_stop(self._stop)
        cloud.count("training pipelines", self._records.count)

    async def _resume(self) -> None:
        """Take up what ran when the server ended."""
        for pipeline in self._records.unfinished():
            self._drive(pipeline.name)

    async def _stop(self) -> None:
        """Wait for those whose jobs are cancelled with the server; one that waits goes on with the next start."""
        for name, task in self._tasks.items():
            pipeline = self._records.find(name)
            job = self._cloud.vertex.find_job(pipeline.job) if pipeline is not None else None
            if job is None or job.state == "QUEUED":
                task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks.values(), timeout=_STOP_PATIENCE)
            for task in late:
                task.cancel()

    def create(self, call: Call, request: Body) -> Body:
        """A new pipeline, whose job starts when its turn comes. Raises 400, 403, 429 as Google does."""
        given = request.get("trainingPipeline", {})
        spec = tasks.check(given, call.place.location)
        models.check(call, given)
        account = self._cloud.vertex.admit(call, spec)
        now = self._cloud.clock.stamp()
        body = {
            "name": f"{call.place.name}/{COLLECTION}/{self._cloud.vertex.new_id()}",
            **{field: given[field] for field in _GIVEN if field in given},
            "state": "PIPELINE_STATE_PENDING",
            "createTime": now,
            "updateTime": now,
        }
        pipeline = Pipeline(body, call.place.project_id, account, spec, self._cloud.vertex.new_id(), time.time_ns())
        self._records.save(pipeline)
        self._drive(body["name"])
        return body

    def get(self, call: Call, request: Body) -> Body:
        """A pipeline. Raises 404."""
        return self._pipeline(call, request.get("name", "")).body

    def list(self, call: Call, request: Body) -> Body:
        """A page of a place's pipelines, newest first. Raises 400 for a filter that can't be understood."""
        found = [(one.sequence, one.body) for one in self._records.below(call.place.name)]
        page, token = listing.page(found, request)
        return {"trainingPipelines": page} | ({"nextPageToken": token} if token else {})

    def cancel(self, call: Call, request: Body) -> Body:
        """Ask a pipeline to end, and its job with it. Raises 404, 400 for one that has ended."""
        pipeline = self._pipeline(call, request.get("name", ""))
        states.check_cancel("TrainingPipeline", pipeline.body["state"])
        pipeline.body |= {"state": "PIPELINE_STATE_CANCELLING", "updateTime": self._cloud.clock.stamp()}
        self._records.save(pipeline)
        return {}

    def delete(self, call: Call, request: Body) -> Body:
        """Forget a pipeline that has ended; its job stays. Raises 404, 400 for one that has not ended."""
        pipeline = self._pipeline(call, request.get("name", ""))
        states.check_delete("TrainingPipeline", pipeline.body["state"])
        self._records.delete(pipeline.name)
        return operations.deleted(self._cloud, call.place.name)

    def _pipeline(self, call: Call, name: str) -> Pipeline:
        found = self._records.find(f"{call.place.name}/{COLLECTION}/{call.resource(COLLECTION, name)}")
        if found is None:
            raise ApiError(404, "The TrainingPipeline does not exist.")
        return found

    def _drive(self, name: str) -> None:
        self._tasks[name] = asyncio.ensure_future(self._run(name))

    async def _run(self, name: str) -> None:
        await Driver(self._cloud, self._records, name).run()
        self._tasks.pop(name)
