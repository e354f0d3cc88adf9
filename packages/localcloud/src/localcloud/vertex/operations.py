"""Long-running operations of Vertex AI: begun, ended, read, waited for; kept over restarts."""

from __future__ import annotations

import secrets
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from localcloud.core.errors import GRPC_CODES, ApiError
from localcloud.iam.access import Access
from localcloud.transport import waiting
from localcloud.vertex import listing
from localcloud.vertex.place import Call

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
OPERATION = "vertex-operation"  # kind of document
_TYPES = "type.googleapis.com/google.cloud.aiplatform."
# The version of the API by which the present call came: an operation tells of its types in that one to its end.
VERSION: ContextVar[str] = ContextVar("version", default="v1")
_EMPTY = {"@type": "type.googleapis.com/google.protobuf.Empty"}


def begin(cloud: Cloud, resource: str, metadata: str, **more: Any) -> str:
    """A new operation under `resource` (a place, or a resource of it); gives its name.

    `metadata` is the message that it carries ("DeleteOperationMetadata"), `more` that message's other fields.
    """
    name, now = f"{resource}/operations/{10**18 + secrets.randbelow(8 * 10**18)}", cloud.clock.stamp()
    generic = {"createTime": now, "updateTime": now}
    body = {
        "name": name,
        "metadata": {"@type": f"{_TYPES}{VERSION.get()}.{metadata}", "genericMetadata": generic, **more},
    }
    cloud.documents.create(name, OPERATION, body)
    return name


def succeed(cloud: Cloud, name: str, message: str = "", response: Body | None = None) -> Body:
    """End an operation with a message such as "Model", or with nothing; gives the operation."""
    types = cloud.documents.get(name)["metadata"]["@type"].rpartition(".")[0]
    answer = {"@type": f"{types}.{message}", **(response or {})} if message else _EMPTY
    return _end(cloud, name, {"response": answer})


def fail(cloud: Cloud, name: str, error: ApiError) -> Body:
    """End an operation with a refusal; gives the operation."""
    status: Body = {"code": GRPC_CODES.get(error.status, 2), "message": error.message}
    return _end(cloud, name, {"error": status | ({"details": error.details} if error.details else {})})


def deleted(cloud: Cloud, resource: str) -> Body:
    """The operation under `resource` of a deletion that is done."""
    return succeed(cloud, begin(cloud, resource, "DeleteOperationMetadata"))


def _end(cloud: Cloud, name: str, result: Body) -> Body:
    body = cloud.documents.get(name)
    body["metadata"]["genericMetadata"]["updateTime"] = cloud.clock.stamp()
    return cloud.documents.put(name, OPERATION, body | {"done": True} | result)


def unfinished(cloud: Cloud) -> list[Body]:
    """Operations that a server left in the middle when it was killed: whoever began them goes on, or fails them."""
    return [body for body in cloud.documents.list(OPERATION) if not body.get("done")]


# What the API answers


def get(call: Call, request: Body) -> Body:
    """Raises 404."""
    found = call.cloud.documents.find(_canonical(call, request.get("name", "")))
    if found is None:
        raise ApiError(404, "The Operation does not exist.")
    return found


async def wait(call: Call, request: Body) -> Body:
    """The operation once it is done, or as it is when the request's timeout is over. Raises 404."""
    return await waiting.until_done(lambda: get(call, request), request)


def of_place(call: Call, request: Body) -> Body:
    """A page of the operations of a place, or of a resource of it, newest first. Raises 400."""
    found = call.cloud.documents.list(OPERATION, _canonical(call, request.get("name", "")) + "/")
    rows = sorted(
        ((one["metadata"]["genericMetadata"]["createTime"] + one["name"], one) for one in found), reverse=True
    )
    return listing.page("operations", rows, request)


def delete(call: Call, request: Body) -> Body:
    """Forget an operation. Raises 403, 404.

    Which permission Google asks for is not documented, and no role has one of its own for it: here it is the one to
    delete what the operation was of, so that who may only look deletes nothing.
    """
    parts = request.get("name", "").split("/")
    collection = parts[4] if len(parts) > 6 else "customJobs"
    call.cloud.of(Access).require(call.caller, f"aiplatform.{collection}.delete", call.place.resource)
    call.cloud.documents.delete(get(call, request)["name"])
    return {}


def _canonical(call: Call, name: str) -> str:
    """The name by the project's number."""
    return call.place.name + "".join(f"/{part}" for part in name.split("/")[4:])
