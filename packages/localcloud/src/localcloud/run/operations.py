"""Long-running operations of Cloud Run: begun, ended, read, waited for; kept over restarts."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from localcloud.core.errors import ApiError
from localcloud.core.paging import page
from localcloud.run.place import Call
from localcloud.transport import waiting

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
KIND = "run.operation"
_TYPE = "type.googleapis.com/google.cloud.run.v2."


def begin(cloud: Cloud, parent: str, message: str, resource: Body, name: str = "") -> Body:
    """A new operation under "projects/P/locations/R", whose metadata is `resource`, a `message` such as "Job"."""
    name = name or new_name(parent)
    body = {"name": name, "metadata": {"@type": _TYPE + message, **resource}}
    return cloud.documents.put(name, KIND, body)


def new_name(parent: str) -> str:
    """A name for an operation, to be kept before it begins."""
    return f"{parent}/operations/{uuid.uuid4()}"


def change(cloud: Cloud, name: str, resource: Body, done: bool = False, error: Body | None = None) -> Body:
    """Let an operation tell of `resource` as it is now; `done` ends it, with the resource or with `error`.

    One that was deleted meanwhile stays so.
    """
    body = cloud.documents.find(name)
    if body is None:
        return {}
    told = {"@type": body["metadata"]["@type"], **resource}
    body["metadata"] = told
    if done:
        body |= {"done": True, **({"error": error} if error else {"response": told})}
    return cloud.documents.put(name, KIND, body)


def done(cloud: Cloud, parent: str, message: str, resource: Body, error: Body | None = None) -> Body:
    """An operation that has ended already."""
    made = begin(cloud, parent, message, resource)
    return change(cloud, made["name"], resource, done=True, error=error)


# What the API answers


def get(call: Call, _request: Body) -> Body:
    """Raises 404."""
    found = call.cloud.documents.find(call.name)
    if found is None or "/operations/" not in call.name:
        raise ApiError(404, f"Resource '{call.name}' was not found")
    return found


async def wait(call: Call, request: Body) -> Body:
    """The operation once it is done, or as it is when the request's timeout is over. Raises 404."""
    return await waiting.until_done(lambda: get(call, request), request)


def of_place(call: Call, request: Body) -> Body:
    """A page of the operations of a region. Raises 400."""
    found = call.cloud.documents.list(KIND, f"{call.parent}/operations/")
    return page("operations", found, {name: str(value) for name, value in request.items()})


def delete(call: Call, request: Body) -> Body:
    """Forget an operation. Raises 404."""
    call.cloud.documents.delete(get(call, request)["name"])
    return {}
