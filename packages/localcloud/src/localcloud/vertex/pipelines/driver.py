"""Runs one training pipeline: its custom job, then the upload of the model that it left.

All it knows is in the record, which it reads anew at each look: a server that was killed goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from localcloud.core.errors import GRPC_CODES, ApiError
from localcloud.core.state.disk import is_full
from localcloud.vertex.driven import Records
from localcloud.vertex.jobs.store import CustomJobs
from localcloud.vertex.pipelines import models
from localcloud.vertex.pipelines.records import Pipeline
from localcloud.vertex.replicas.outcome import CANCELLED
from localcloud.vertex.states import ENDED

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

log = logging.getLogger(__name__)

_TICK = 0.2  # seconds between looks
_DISK_PATIENCE = 1.0  # seconds until a disk that was full is tried again


class Driver:
    """All methods are called in the server's event loop."""

    def __init__(self, cloud: Cloud, records: Records[Pipeline], name: str) -> None:
        self._cloud = cloud
        self._records = records
        self._name = name

    async def run(self) -> None:
        """To the pipeline's end."""
        while True:
            wait = _TICK
            try:
                if self._look():
                    return
            except ApiError as error:  # the model can't be uploaded
                self._fail({"code": GRPC_CODES.get(error.status, 2), "message": error.message})
                return
            except models.CantUpload as error:
                self._fail(error.error)
                return
            except Exception as error:
                if not is_full(error):
                    log.exception("training pipeline %s failed by a defect of the local cloud", self._name)
                    self._fail({"code": 13, "message": f"Internal error occurred. {error} See server.log."})
                    return
                wait = _DISK_PATIENCE
            await asyncio.sleep(wait)

    def _look(self) -> bool:
        """One look at the job, and what follows from it; whether the pipeline has ended."""
        pipeline = self._records.get(self._name)
        job = self._cloud.of(CustomJobs).find_job(pipeline.job)
        if job is None:
            if pipeline.state == "CANCELLING":
                self._end(pipeline, "CANCELLED", error=CANCELLED)
                return True
            given = {"displayName": f"{pipeline.body['displayName']}-custom-job", "jobSpec": pipeline.spec}
            given |= {"labels": pipeline.body["labels"]} if "labels" in pipeline.body else {}
            job = self._cloud.of(CustomJobs).launch(
                pipeline.job, pipeline.project, pipeline.place, given, pipeline.account, listed=True
            )
        if "trainingTaskMetadata" not in pipeline.body:
            self._records.change(pipeline, pipeline.state, trainingTaskMetadata={"backingCustomJob": job.body["name"]})
        if pipeline.state == "PENDING" and job.state not in ("QUEUED", "PENDING"):
            self._records.change(pipeline, "RUNNING", startTime=self._cloud.clock.stamp())
        if pipeline.state == "CANCELLING":
            self._cloud.of(CustomJobs).stop_job(pipeline.job)
        if job.state not in ENDED:
            return False
        if job.state == "CANCELLED" or pipeline.state == "CANCELLING":
            self._end(pipeline, "CANCELLED", error=CANCELLED)
        elif job.state == "FAILED":
            self._end(pipeline, "FAILED", error=job.body["error"])
        else:
            return self._upload(pipeline)
        return True

    def _upload(self, pipeline: Pipeline) -> bool:
        """Upload the model that the training left; whether the pipeline has ended. Raises ApiError, CantUpload."""
        if "modelToUpload" not in pipeline.body:
            self._end(pipeline, "SUCCEEDED")
            return True
        if not pipeline.upload:
            pipeline.upload = models.begin(self._cloud, pipeline)
            self._records.save(pipeline)
        try:
            made = models.uploaded(self._cloud, pipeline)
        except InterruptedError:
            pipeline.upload = ""
            self._records.save(pipeline)
            return False
        if made is None:
            return False
        self._end(pipeline, "SUCCEEDED", modelToUpload=pipeline.body["modelToUpload"] | made)
        return True

    def _fail(self, error: dict[str, Any]) -> None:
        self._end(self._records.get(self._name), "FAILED", error=error)

    def _end(self, pipeline: Pipeline, state: str, **more: Any) -> None:
        self._records.change(pipeline, state, endTime=self._cloud.clock.stamp(), **more)
