"""Google's own message types and routes of Vertex AI, without the seconds that their package takes to import."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from localcloud.transport.typed import Route, routes_of, without_init

_PACKAGE = "google.cloud.aiplatform_v1"
_SERVICES = {
    "JobService": "job_service",
    "ModelService": "model_service",
    "EndpointService": "endpoint_service",
    "PipelineService": "pipeline_service",
    "PredictionService": "prediction_service",
}
_lock = threading.Lock()


@dataclass(frozen=True)
class Messages:
    """`routes` by service and method name; `message("CustomJob")` gives a protobuf class."""

    routes: Mapping[str, Mapping[str, tuple[Route, ...]]]

    def message(self, name: str) -> Any:
        """The class of a message of aiplatform_v1, or by its full name of another package. Raises KeyError."""
        from google.protobuf import descriptor_pool, message_factory

        full = name if "." in name else f"google.cloud.aiplatform.v1.{name}"
        return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(full))


def load() -> Messages:
    """Import the types and read the routes: about 0.5 s and 50 MB the first time. Any thread may call."""
    with _lock:
        return _load()


@cache
def _load() -> Messages:
    folders = [f"{_PACKAGE}.services.{module}" for module in _SERVICES.values()]
    packages = [_PACKAGE, f"{_PACKAGE}.types", f"{_PACKAGE}.services", *folders, *(f"{f}.transports" for f in folders)]
    transports: dict[str, Any] = {}
    with without_init(*packages):
        for module in (*_SERVICES.values(), "operation"):
            importlib.import_module(f"{_PACKAGE}.types.{module}")
        for service, module in _SERVICES.items():
            rest = importlib.import_module(f"{_PACKAGE}.services.{module}.transports.rest_base")
            transports[service] = vars(rest)[f"_Base{service}RestTransport"]
    for module in ("google.protobuf.empty_pb2", "google.longrunning.operations_pb2", "google.api.httpbody_pb2"):
        importlib.import_module(module)
    return Messages({service: routes_of(transport) for service, transport in transports.items()})


def filled(result: dict[str, Any], message: Any) -> tuple[Any, list[str]]:
    """The message with what is in `result`, and the types of the messages within, where `result` is of operations.

    Those of v1beta1 are read by v1's types, which have the same fields with the same numbers.
    """
    from google.protobuf import json_format

    if not message.DESCRIPTOR.full_name.startswith("google.longrunning."):
        return json_format.ParseDict(result, message), []
    inner = carried(result)
    kinds = [one["@type"] for one in inner]
    for one in inner:
        one["@type"] = one["@type"].replace(".aiplatform.v1beta1.", ".aiplatform.v1.")
    return json_format.ParseDict(result, message), kinds


def carried(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages within an operation, or within a list of them, in JSON."""
    found = [one.get(field) for one in result.get("operations", [result]) for field in ("metadata", "response")]
    return [one for one in found if one]
