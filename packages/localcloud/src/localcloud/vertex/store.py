"""Vertex AI of one cloud as a whole: all that runs there, ended and settled together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from localcloud.vertex.jobs.store import CustomJobs
from localcloud.vertex.pipelines.store import Pipelines
from localcloud.vertex.serving.store import Serving
from localcloud.vertex.tuning.store import Tuning

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud


class Vertex:
    """Made with all of its parts, so that what outlived the last server is taken up."""

    def __init__(self, cloud: Cloud) -> None:
        self._jobs = cloud.of(CustomJobs)
        self._tuning = cloud.of(Tuning)
        cloud.of(Pipelines)
        self._serving = cloud.of(Serving)
        cloud.clock.on_settle(self._settle)

    async def end_all(self, project: str, why: str) -> None:
        """Let all that runs in a project (by id) fail, and return when it has ended; errors and logs say why."""
        await asyncio.gather(self._jobs.end_all(project, why), self._serving.end_all(project, why))

    async def _settle(self) -> None:
        await self._tuning.settle()
        await self._jobs.settle()
