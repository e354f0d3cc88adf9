"""Vertex AI of one cloud as a whole: all that runs there, ended and settled together."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localcloud.vertex.jobs.store import CustomJobs
from localcloud.vertex.pipelines.store import Pipelines
from localcloud.vertex.serving import artifacts
from localcloud.vertex.serving.models import MODEL
from localcloud.vertex.serving.store import Serving
from localcloud.vertex.tuning.store import Tuning

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud


class Vertex:
    """Made with all of its parts, so that what outlived the last server is taken up."""

    def __init__(self, cloud: Cloud) -> None:
        self._jobs = cloud.of(CustomJobs)
        self._cloud = cloud
        self._tuning = cloud.of(Tuning)
        cloud.of(Pipelines)
        self._serving = cloud.of(Serving)
        cloud.clock.on_settle(self._settle)

    async def end_all(self, project: str, why: str) -> None:
        """Let all that runs in a project (by id) fail, and return when it has ended; errors and logs say why."""
        await asyncio.gather(self._jobs.end_all(project, why), self._serving.end_all(project, why))

    def forget_all(self, project: Mapping[str, Any]) -> None:
        """Forget all that a project has here, of which nothing runs any more."""
        for name in (f"projects/{project['projectNumber']}", f"projects/{project['projectId']}"):
            self._jobs.forget_all(name)
            for model in self._cloud.documents.list(MODEL, f"{name}/"):
                of = next(iter(model["versions"].values()))["name"].partition("@")[0]
                shutil.rmtree(artifacts.folder(self._cloud, of, "1").parent, ignore_errors=True)
            self._cloud.documents.forget("vertex", f"{name}/")

    async def _settle(self) -> None:
        await self._tuning.settle()
        await self._jobs.settle()
