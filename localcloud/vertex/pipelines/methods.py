"""The methods of training pipelines; those of pipeline jobs (Kubeflow) are refused by their name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.errors import NotEmulated
from localcloud.vertex.methods import Body, Handler, Method, Methods
from localcloud.vertex.pipelines.store import Pipelines
from localcloud.vertex.place import Call


def _of(method: Callable[[Pipelines, Call, Body], dict[str, Any]]) -> Handler:
    return lambda call, request: method(call.cloud.vertex.pipelines, call, request)


def _kubeflow(call: Call, request: Body) -> Body:
    raise NotEmulated("pipeline jobs (Kubeflow pipelines): use custom jobs, tuning jobs or training pipelines")


_LONG, _EMPTY = "google.longrunning.Operation", "google.protobuf.Empty"
_ONE, _ALL = "TrainingPipeline", "aiplatform.trainingPipelines"
METHODS: Methods = {
    f"Create{_ONE}": Method(f"Create{_ONE}Request", _ONE, _of(Pipelines.create), f"{_ALL}.create"),
    f"Get{_ONE}": Method(f"Get{_ONE}Request", _ONE, _of(Pipelines.get), f"{_ALL}.get"),
    f"List{_ONE}s": Method(f"List{_ONE}sRequest", f"List{_ONE}sResponse", _of(Pipelines.list), f"{_ALL}.list"),
    f"Cancel{_ONE}": Method(f"Cancel{_ONE}Request", _EMPTY, _of(Pipelines.cancel), f"{_ALL}.cancel"),
    f"Delete{_ONE}": Method(f"Delete{_ONE}Request", _LONG, _of(Pipelines.delete), f"{_ALL}.delete"),
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
