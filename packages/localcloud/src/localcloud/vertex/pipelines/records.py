"""Training pipelines as they are kept: each is a durable document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.vertex.driven import Driven, Records

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]


@dataclass
class Pipeline(Driven):
    """`spec` is the CustomJobSpec that it runs, as the custom job with the id `job`.

    `upload` is the operation that uploads its model, "" before.
    """

    spec: Body
    job: str
    upload: str = ""


def records(cloud: Cloud) -> Records[Pipeline]:
    """All training pipelines of a cloud."""
    return Records(cloud, "vertex-training-pipeline", "trainingPipelines", Pipeline)
