"""Training pipelines as the API has them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from localcloud.vertex.driven import Driving, Records
from localcloud.vertex.jobs.store import CustomJobs
from localcloud.vertex.pipelines import models, tasks
from localcloud.vertex.pipelines.driver import Driver
from localcloud.vertex.pipelines.records import Pipeline, records
from localcloud.vertex.place import Call

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

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


class Pipelines(Driving[Pipeline]):
    """The job of a pipeline stays when that is deleted."""

    def __init__(self, cloud: Cloud) -> None:
        self._records: Records[Pipeline] = records(cloud)
        super().__init__(cloud, "TrainingPipeline", self._records)
        cloud.count("training pipelines", self._records.count)

    def _stops(self, one: Pipeline) -> bool:
        """Its job is cancelled with the server."""
        job = self._cloud.of(CustomJobs).find_job(one.job)
        return job is not None and job.state != "QUEUED"

    def create(self, call: Call, request: Body) -> Body:
        """A new pipeline, whose job starts when its turn comes. Raises 400, 403, 429 as Google does."""
        given = request.get("trainingPipeline", {})
        spec = tasks.check(given, call.place.location)
        models.check(call, given)
        account = self._cloud.of(CustomJobs).admit(call, spec)
        body = self._new(call, given, _GIVEN, "PIPELINE_STATE_PENDING")
        job = self._cloud.of(CustomJobs).new_id()
        self._records.save(Pipeline(body, call.place.project_id, account, time.time_ns(), spec, job))
        self._begin(body["name"])
        return body

    async def _drive(self, name: str) -> None:
        await Driver(self._cloud, self._records, name).run()
