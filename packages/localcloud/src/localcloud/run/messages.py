"""Google's own message types and routes of Cloud Run jobs, without the rest of their package."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping
from functools import cache
from typing import Any

from localcloud.transport.typed import Route, routes_of, without_init

_PACKAGE = "google.cloud.run_v2"
SERVICES = {"Jobs": "jobs", "Executions": "executions", "Tasks": "tasks"}
_lock = threading.Lock()


def load() -> Mapping[str, Mapping[str, tuple[Route, ...]]]:
    """Import the types, and give the routes by service and method: about 0.4 s the first time. Any thread may call."""
    with _lock:
        return _load()


@cache
def _load() -> Mapping[str, Mapping[str, tuple[Route, ...]]]:
    folders = [f"{_PACKAGE}.services.{module}" for module in SERVICES.values()]
    packages = [_PACKAGE, f"{_PACKAGE}.types", f"{_PACKAGE}.services", *folders, *(f"{f}.transports" for f in folders)]
    found = {}
    with without_init(*packages):
        for module in ("job", "execution", "task"):
            importlib.import_module(f"{_PACKAGE}.types.{module}")
        for service, module in SERVICES.items():
            rest = importlib.import_module(f"{_PACKAGE}.services.{module}.transports.rest_base")
            found[service] = routes_of(vars(rest)[f"_Base{service}RestTransport"])
    for module in ("empty_pb2", "any_pb2"):
        importlib.import_module(f"google.protobuf.{module}")
    for module in ("google.longrunning.operations_pb2", "google.iam.v1.iam_policy_pb2", "google.iam.v1.policy_pb2"):
        importlib.import_module(module)
    return found


def message(name: str) -> Any:
    """The class of a message of run_v2 ("Job"), or by its full name of another package. Raises KeyError."""
    from google.protobuf import descriptor_pool, message_factory

    load()
    full = name if "." in name and name.startswith("google.") else f"google.cloud.run.v2.{name}"
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(full))
