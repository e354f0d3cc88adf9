"""The methods of Cloud Logging: one table, of which REST and gRPC are two views.

A handler takes the request and gives the response as JSON (camelCase), whichever way it came.
Source of the routes: google/logging/v2/logging.proto, logging_config.proto and logging_metrics.proto.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.core.errors import ApiError
from localcloud.core.paging import page
from localcloud.logging.descriptors import DESCRIPTORS
from localcloud.logging.entries import LARGEST
from localcloud.logging.store import Logs

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Message = dict[str, Any]
Handler = Callable[["Cloud", Message], Awaitable[Message]]


@dataclass(frozen=True)
class Method:
    """One method: service and name, messages, HTTP verb, path pattern, and which field the body is ("*" all).

    `needs` is the permission that it asks for; "" where everybody who is signed in may call it.
    """

    service: str
    name: str
    request: str
    response: str
    verb: str
    pattern: str
    body: str
    handler: Handler
    needs: str


async def _list_entries(cloud: Cloud, request: Message) -> Message:
    resources = [*request.get("resourceNames", []), *(f"projects/{p}" for p in request.get("projectIds", []))]
    entries, token = await asyncio.to_thread(
        cloud.of(Logs).entries,
        resources,
        request.get("filter", ""),
        request.get("orderBy", ""),
        _whole(request, "pageSize"),
        request.get("pageToken", ""),
    )
    return {"entries": entries} | ({"nextPageToken": token} if token else {})


async def _write_entries(cloud: Cloud, request: Message) -> Message:
    defaults = {name: request[name] for name in ("logName", "resource", "labels") if name in request}
    partial, dry = bool(request.get("partialSuccess")), bool(request.get("dryRun"))
    await asyncio.to_thread(cloud.of(Logs).write, request.get("entries", []), defaults, partial, LARGEST, dry)
    return {}


async def _list_logs(cloud: Cloud, request: Message) -> Message:
    views = request.get("resourceNames", [])
    names = cloud.of(Logs).logs(request["parent"], [views] if isinstance(views, str) else views)
    return page("logNames", names, request, default=50)


async def _list_descriptors(_cloud: Cloud, request: Message) -> Message:
    return page("resourceDescriptors", DESCRIPTORS, request)


async def _delete_log(cloud: Cloud, request: Message) -> Message:
    cloud.of(Logs).delete_log(request["logName"])
    return {}


async def _undelete_bucket(cloud: Cloud, request: Message) -> Message:
    cloud.of(Logs).configs.undelete(request["name"])
    return {}


def _whole(request: Message, field: str) -> int:
    try:
        return int(request.get(field) or 0)
    except ValueError:
        raise ApiError(400, f"Invalid value at '{field}' (TYPE_INT32), \"{request[field]}\"") from None


_V2 = "google.logging.v2."
_SERVICE = _V2 + "LoggingServiceV2"
_CONFIG = _V2 + "ConfigServiceV2"
_METRICS = _V2 + "MetricsServiceV2"
_EMPTY = "google.protobuf.Empty"


def _resource(service: str, one: str, collection: str, under: str) -> list[Method]:
    """Get, list, create, update and delete of one kind of resource; `under` is the pattern of its parent's name."""
    field = "metric" if one == "LogMetric" else one.lower()
    named = {"sinks": "sinkName", "metrics": "metricName"}.get(collection, "name")
    message = one if one.startswith("Log") else f"Log{one}"
    many, single = f"/v2/{{parent={under}}}/{collection}", f"/v2/{{{named}={under}/{collection}/*}}"
    verbs = {"sinks": ("PUT", "PATCH"), "metrics": ("PUT",)}.get(collection, ("PATCH",))

    async def get(cloud: Cloud, request: Message) -> Message:
        return cloud.of(Logs).configs.get(request[named])

    async def listed(cloud: Cloud, request: Message) -> Message:
        return page(collection, cloud.of(Logs).configs.list(collection, request["parent"]), request)

    async def create(cloud: Cloud, request: Message) -> Message:
        identifier = request.get(f"{field}Id", "")
        return cloud.of(Logs).configs.create(collection, request["parent"], request.get(field, {}), identifier)

    async def update(cloud: Cloud, request: Message) -> Message:
        mask, upsert = request.get("updateMask", ""), collection == "metrics"
        return cloud.of(Logs).configs.update(request[named], request.get(field, {}), mask, create=upsert)

    async def delete(cloud: Cloud, request: Message) -> Message:
        cloud.of(Logs).configs.delete(request[named])
        return {}

    kind = "logMetrics" if collection == "metrics" else collection

    def method(name: str, response: str, verb: str, pattern: str, body: str, handler: Handler) -> Method:
        needs = f"logging.{kind}.{handler.__name__.removesuffix('ed')}"
        return Method(service, name, f"{_V2}{name}Request", response, verb, pattern, body, handler, needs)

    return [
        method(f"Get{one}", _V2 + message, "GET", single, "", get),
        method(f"List{one}s", f"{_V2}List{one}sResponse", "GET", many, "", listed),
        method(f"Create{one}", _V2 + message, "POST", many, field, create),
        *(method(f"Update{one}", _V2 + message, verb, single, field, update) for verb in verbs),
        method(f"Delete{one}", _EMPTY, "DELETE", single, "", delete),
    ]


METHODS: list[Method] = [
    Method(
        _SERVICE,
        "ListLogEntries",
        _V2 + "ListLogEntriesRequest",
        _V2 + "ListLogEntriesResponse",
        "POST",
        "/v2/entries:list",
        "*",
        _list_entries,
        "logging.logEntries.list",
    ),
    Method(
        _SERVICE,
        "WriteLogEntries",
        _V2 + "WriteLogEntriesRequest",
        _V2 + "WriteLogEntriesResponse",
        "POST",
        "/v2/entries:write",
        "*",
        _write_entries,
        "logging.logEntries.create",
    ),
    Method(
        _SERVICE,
        "ListLogs",
        _V2 + "ListLogsRequest",
        _V2 + "ListLogsResponse",
        "GET",
        "/v2/{parent=projects/*}/logs",
        "",
        _list_logs,
        "logging.logs.list",
    ),
    Method(
        _SERVICE,
        "DeleteLog",
        _V2 + "DeleteLogRequest",
        _EMPTY,
        "DELETE",
        "/v2/{logName=projects/*/logs/**}",
        "",
        _delete_log,
        "logging.logs.delete",
    ),
    Method(
        _SERVICE,
        "ListMonitoredResourceDescriptors",
        _V2 + "ListMonitoredResourceDescriptorsRequest",
        _V2 + "ListMonitoredResourceDescriptorsResponse",
        "GET",
        "/v2/monitoredResourceDescriptors",
        "",
        _list_descriptors,
        "",
    ),
    *_resource(_CONFIG, "Bucket", "buckets", "projects/*/locations/*"),
    Method(
        _CONFIG,
        "UndeleteBucket",
        _V2 + "UndeleteBucketRequest",
        _EMPTY,
        "POST",
        "/v2/{name=projects/*/locations/*/buckets/*}:undelete",
        "*",
        _undelete_bucket,
        "logging.buckets.undelete",
    ),
    *_resource(_CONFIG, "View", "views", "projects/*/locations/*/buckets/*"),
    *_resource(_CONFIG, "Sink", "sinks", "projects/*"),
    *_resource(_CONFIG, "Exclusion", "exclusions", "projects/*"),
    *_resource(_METRICS, "LogMetric", "metrics", "projects/*"),
]


def by_rpc() -> Mapping[str, Method]:
    """The methods by their gRPC path, "/google.logging.v2.LoggingServiceV2/ListLogs"."""
    return {f"/{method.service}/{method.name}": method for method in METHODS}
