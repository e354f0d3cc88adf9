"""The methods of batch prediction jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.vertex.methods import Body, Handler, Method, Methods
from localcloud.vertex.place import Call
from localcloud.vertex.serving.batches import Batches


def _of(method: Callable[[Batches, Call, Body], dict[str, Any]]) -> Handler:
    return lambda call, request: method(call.cloud.vertex.serving.batches, call, request)


_JOB, _JOBS = "BatchPredictionJob", "aiplatform.batchPredictionJobs"
METHODS: Methods = {
    f"Create{_JOB}": Method(f"Create{_JOB}Request", _JOB, _of(Batches.create), f"{_JOBS}.create"),
    f"Get{_JOB}": Method(f"Get{_JOB}Request", _JOB, _of(Batches.get), f"{_JOBS}.get"),
    f"List{_JOB}s": Method(f"List{_JOB}sRequest", f"List{_JOB}sResponse", _of(Batches.list), f"{_JOBS}.list"),
    f"Cancel{_JOB}": Method(f"Cancel{_JOB}Request", "google.protobuf.Empty", _of(Batches.cancel), f"{_JOBS}.cancel"),
    f"Delete{_JOB}": Method(
        f"Delete{_JOB}Request", "google.longrunning.Operation", _of(Batches.delete), f"{_JOBS}.delete"
    ),
}
