"""The emulated methods of Cloud Run jobs: one table, of which REST and gRPC are two views."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.run import operations
from localcloud.run.place import Call, enter
from localcloud.run.store import RunJobs

if TYPE_CHECKING:
    from localcloud.core.asked.callers import Caller
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
Handler = Callable[[Call, Body], Body | Awaitable[Body]]
_OPERATION, _EMPTY = "google.longrunning.Operation", "google.protobuf.Empty"
_POLICY = "google.iam.v1.Policy"


@dataclass(frozen=True)
class Method:
    """Names of the request and response messages (of run_v2 unless full), what answers, and who may ask.

    A handler takes the call and the request as Google's JSON, and gives the response as JSON, at once or awaited.
    `field` has the resource's name ("job.name": in a message within). `permission` is asked before the handler.
    """

    request: str
    response: str
    handler: Handler
    permission: str
    field: str = "name"

    async def answer(self, cloud: Cloud, caller: Caller, request: Body, consumer: str = "") -> Body:
        """The response in JSON; `consumer` is the project that the call names to be charged. Raises ApiError."""
        name: Any = request
        for part in self.field.split("."):
            name = name.get(part, "") if isinstance(name, dict) else ""
        result = self.handler(enter(cloud, caller, self.field, name, self.permission, consumer), request)
        return await result if inspect.isawaitable(result) else result


Methods = Mapping[str, Method]


def _jobs(verb: str) -> Handler:
    return lambda call, request: getattr(call.cloud.of(RunJobs), verb)(call, request)


SERVICES: Mapping[str, Methods] = {
    "Jobs": {
        "CreateJob": Method("CreateJobRequest", _OPERATION, _jobs("create"), "run.jobs.create", "parent"),
        "GetJob": Method("GetJobRequest", "Job", _jobs("get"), "run.jobs.get"),
        "ListJobs": Method("ListJobsRequest", "ListJobsResponse", _jobs("list"), "run.jobs.list", "parent"),
        "UpdateJob": Method("UpdateJobRequest", _OPERATION, _jobs("update"), "run.jobs.update", "job.name"),
        "DeleteJob": Method("DeleteJobRequest", _OPERATION, _jobs("delete"), "run.jobs.delete"),
        "RunJob": Method("RunJobRequest", _OPERATION, _jobs("run"), "run.jobs.run"),
        "GetIamPolicy": Method(
            "google.iam.v1.GetIamPolicyRequest", _POLICY, _jobs("get_policy"), "run.jobs.getIamPolicy", "resource"
        ),
        "SetIamPolicy": Method(
            "google.iam.v1.SetIamPolicyRequest", _POLICY, _jobs("set_policy"), "run.jobs.setIamPolicy", "resource"
        ),
        "TestIamPermissions": Method(
            "google.iam.v1.TestIamPermissionsRequest",
            "google.iam.v1.TestIamPermissionsResponse",
            _jobs("test_permissions"),
            "",
            "resource",
        ),
    },
    "Executions": {
        "GetExecution": Method("GetExecutionRequest", "Execution", _jobs("get_execution"), "run.executions.get"),
        "ListExecutions": Method(
            "ListExecutionsRequest", "ListExecutionsResponse", _jobs("list_executions"), "run.executions.list", "parent"
        ),
        "CancelExecution": Method(
            "CancelExecutionRequest", _OPERATION, _jobs("cancel_execution"), "run.executions.cancel"
        ),
        "DeleteExecution": Method(
            "DeleteExecutionRequest", _OPERATION, _jobs("delete_execution"), "run.executions.delete"
        ),
    },
    "Tasks": {
        "GetTask": Method("GetTaskRequest", "Task", _jobs("get_task"), "run.tasks.get"),
        "ListTasks": Method("ListTasksRequest", "ListTasksResponse", _jobs("list_tasks"), "run.tasks.list", "parent"),
    },
}
OPERATIONS: Methods = {
    "GetOperation": Method("google.longrunning.GetOperationRequest", _OPERATION, operations.get, "run.operations.get"),
    "WaitOperation": Method(
        "google.longrunning.WaitOperationRequest", _OPERATION, operations.wait, "run.operations.get"
    ),
    "DeleteOperation": Method(
        "google.longrunning.DeleteOperationRequest", _EMPTY, operations.delete, "run.operations.delete"
    ),
    "ListOperations": Method(
        "google.longrunning.ListOperationsRequest",
        "google.longrunning.ListOperationsResponse",
        operations.of_place,
        "run.operations.list",
    ),
}
