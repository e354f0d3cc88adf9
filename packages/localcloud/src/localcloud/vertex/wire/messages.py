"""Google's own message types and routes of Vertex AI, without the seconds that their package takes to import."""

from __future__ import annotations

import importlib
import sys
import threading
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

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
class Route:
    """One HTTP route of a method, as its google.api.http option says: `body` is "", "*" or a field."""

    verb: str
    pattern: str
    body: str


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
    with _without_init(*packages):
        for module in (*_SERVICES.values(), "operation"):
            importlib.import_module(f"{_PACKAGE}.types.{module}")
        for service, module in _SERVICES.items():
            rest = importlib.import_module(f"{_PACKAGE}.services.{module}.transports.rest_base")
            transports[service] = vars(rest)[f"_Base{service}RestTransport"]
    for module in ("google.protobuf.empty_pb2", "google.longrunning.operations_pb2", "google.api.httpbody_pb2"):
        importlib.import_module(module)
    return Messages({service: _routes(transport) for service, transport in transports.items()})


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


def _routes(transport: Any) -> dict[str, tuple[Route, ...]]:
    return {
        name.removeprefix("_Base"): tuple(
            Route(rule["method"].upper(), rule["uri"], rule.get("body", "")) for rule in inner._get_http_options()
        )
        for name, inner in vars(transport).items()
        if name.startswith("_Base") and hasattr(inner, "_get_http_options")
    }


@contextmanager
def _without_init(*packages: str) -> Iterator[None]:
    """Stand-ins for packages, so that their modules can be imported without their `__init__`, which imports all others.

    Afterwards the stand-ins are gone: who imports a package then gets the real one, with the same modules below it.
    """
    put = [name for name in packages if name not in sys.modules]
    for name in put:
        parent, _, own = name.rpartition(".")
        stand_in = types.ModuleType(name)
        stand_in.__path__ = [str(folder / own) for folder in _folders(parent) if (folder / own).is_dir()]
        sys.modules[name] = stand_in
    try:
        yield
    finally:
        for name in put:
            del sys.modules[name]


def _folders(package: str) -> list[Path]:
    return [Path(folder) for folder in importlib.import_module(package).__path__]
