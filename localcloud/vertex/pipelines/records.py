"""Training pipelines as they are kept: each is a durable document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.vertex.states import ENDED

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

Body = dict[str, Any]
COLLECTION = "trainingPipelines"
_KIND = "vertex-training-pipeline"


@dataclass
class Pipeline:
    """`body`: Google's TrainingPipeline in JSON. `project` is the project's id, `account` an e-mail.

    `spec` is the CustomJobSpec that it runs, as the custom job with the id `job`; `sequence` orders pipelines by their
    age; `upload` is the operation that uploads its model, "" before.
    """

    body: Body
    project: str
    account: str
    spec: Body
    job: str
    sequence: int
    upload: str = ""

    @property
    def name(self) -> str:
        return self.body["name"]

    @property
    def place(self) -> str:
        """projects/NUMBER/locations/R"""
        return self.name.partition(f"/{COLLECTION}/")[0]

    @property
    def state(self) -> str:
        """Without PIPELINE_STATE_."""
        return self.body["state"].removeprefix("PIPELINE_STATE_")


class Records:
    """All methods may be called from any thread. What they give are copies: `save` keeps a change."""

    def __init__(self, cloud: Cloud) -> None:
        self._documents = cloud.documents

    def save(self, pipeline: Pipeline) -> None:
        """Keep a pipeline, new or not."""
        self._documents.put(pipeline.name, _KIND, vars(pipeline))

    def find(self, name: str) -> Pipeline | None:
        """The pipeline "projects/NUMBER/locations/R/trainingPipelines/ID", or None."""
        found = self._documents.find(name)
        return Pipeline(**found) if found else None

    def below(self, place: str) -> list[Pipeline]:
        """All pipelines of "projects/NUMBER/locations/R", newest first."""
        found = [Pipeline(**body) for body in self._documents.list(_KIND, f"{place}/{COLLECTION}/")]
        return sorted(found, key=lambda one: -one.sequence)

    def unfinished(self) -> list[Pipeline]:
        """All pipelines that have not ended, oldest first."""
        found = [Pipeline(**body) for body in self._documents.list(_KIND)]
        return sorted((one for one in found if one.state not in ENDED), key=lambda one: one.sequence)

    def count(self) -> int:
        """How many pipelines there are."""
        return self._documents.counts().get(_KIND, 0)

    def delete(self, name: str) -> None:
        """Forget a pipeline."""
        self._documents.delete(name)
