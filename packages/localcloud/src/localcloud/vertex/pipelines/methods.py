"""The methods of training pipelines; those of pipeline jobs (Kubeflow) are refused by their name."""

from __future__ import annotations

from localcloud.core.errors import NotEmulated
from localcloud.vertex.methods import Body, Method, Methods, of_jobs
from localcloud.vertex.pipelines.store import Pipelines
from localcloud.vertex.place import Call


def _kubeflow(call: Call, request: Body) -> Body:
    raise NotEmulated("pipeline jobs (Kubeflow pipelines): use custom jobs, tuning jobs or training pipelines")


_LONG, _EMPTY = "google.longrunning.Operation", "google.protobuf.Empty"
METHODS: Methods = {
    **of_jobs("TrainingPipeline", lambda cloud: cloud.of(Pipelines)),
    **{
        name: Method(f"{name}Request", response, _kubeflow, f"aiplatform.pipelineJobs.{verb}")
        for name, response, verb in (
            ("CreatePipelineJob", "PipelineJob", "create"),
            ("GetPipelineJob", "PipelineJob", "get"),
            ("ListPipelineJobs", "ListPipelineJobsResponse", "list"),
            ("CancelPipelineJob", _EMPTY, "cancel"),
            ("DeletePipelineJob", _LONG, "delete"),
            ("BatchCancelPipelineJobs", _LONG, "cancel"),
            ("BatchDeletePipelineJobs", _LONG, "delete"),
        )
    },
}
