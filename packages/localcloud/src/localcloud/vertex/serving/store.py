"""All that serves in one cloud: models, endpoints, predictions, batch prediction jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from localcloud.core.errors import ApiError
from localcloud.vertex import operations, settings
from localcloud.vertex.serving.batch.jobs import Batches
from localcloud.vertex.serving.batch.records import BATCH
from localcloud.vertex.serving.deployer import Deployer
from localcloud.vertex.serving.deployments import DEPLOYMENT
from localcloud.vertex.serving.endpoints import ENDPOINT, Endpoints
from localcloud.vertex.serving.models import MODEL, UPLOAD, Models
from localcloud.vertex.serving.prediction import Prediction

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

log = logging.getLogger(__name__)
_CALLS = 64  # to model servers at once


class Serving:
    """Methods are called in the server's event loop."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        chosen = settings.load(cloud.root)
        self._tasks: set[asyncio.Task[None]] = set()
        pool = ThreadPoolExecutor(_CALLS, "model-server")
        self.models = Models(cloud, lambda model: self.deployer.deployed(model), self._later)
        self.endpoints = Endpoints(cloud)
        self.deployer = Deployer(cloud, self.models, self.endpoints, chosen, pool, self._later)
        self.prediction = Prediction(self.endpoints, self.deployer)
        self.batches = Batches(cloud, self.models, chosen, pool)
        self._left = operations.unfinished(cloud)
        cloud.on_start(self._resume)
        cloud.on_stop(self._stop)
        kinds = {"models": MODEL, "endpoints": ENDPOINT, "deployed models": DEPLOYMENT, "batch predictions": BATCH}
        for what, kind in kinds.items():
            cloud.count(what, lambda kind=kind: cloud.documents.counts().get(kind, 0))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("work of the serving API failed", exc_info=error)

    async def end_all(self, project: str, why: str) -> None:
        """Let nothing of a project (by id) serve any more, and return when it has ended; errors and logs say why."""
        await asyncio.gather(self.batches.end_all(project, why), self.deployer.end_all(project, why))

    async def _resume(self) -> None:
        for body in self._left:
            if body["metadata"]["@type"].endswith(f".{UPLOAD}"):
                words = "The upload was interrupted by a restart of the local cloud: upload the model again."
                operations.fail(self._cloud, body["name"], ApiError(409, words, "ABORTED"))
        self.deployer.resume()
        self.batches.resume()

    async def _stop(self) -> None:
        for task in self._tasks:  # the next start does it
            task.cancel()
        await asyncio.gather(self.deployer.stop(), self.batches.stop())
