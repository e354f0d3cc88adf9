"""Answers gRPC calls of Google's own client libraries by an API's REST routes, so that an API is written once.

    from localcloud.transport.transcoding import transcoded
    def table(cloud):                                   # localcloud/billing/http.py
        return transcoded(cloud, "google.cloud.billing.budgets_v1", router)

What the gRPC methods are and which URL each has, is read from the installed client library: its transports know both.
A library that is not installed gives an empty table: then nobody on this machine can call it through that library.
A method without a route in the router answers UNIMPLEMENTED, as over REST.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.core import strict_json
from localcloud.core.errors import NotEmulated
from localcloud.transport.rest import CONSUMER, Router

if TYPE_CHECKING:
    from localcloud.core.asked.callers import Caller
    from localcloud.core.cloud import Cloud

Method = Callable[[bytes, "Caller"], Awaitable[bytes]]
Table = dict[str, Method]
Rules = Mapping[str, tuple[str, str, str]]  # method name -> (HTTP method, URI template, body: "", "*" or a field)


@dataclass(frozen=True)
class _Rpc:
    path: str  # "/package.Service/Method"
    request: Any  # protobuf message classes
    response: Any
    rules: list[dict[str, str]]


def transcoded(cloud: Cloud, package: str, router: Router, rules: Rules | None = None) -> Table:
    """The gRPC table of all services of a client library such as "google.cloud.billing.budgets_v1".

    `rules` are for libraries without a REST transport (google.cloud.iam_admin_v1).
    """
    table: Table = {}
    for rpc in _methods(package, rules or {}):
        table[rpc.path] = _bridge(cloud, router, rpc)
    return table


def _bridge(cloud: Cloud, router: Router, rpc: _Rpc) -> Method:
    async def call(raw: bytes, caller: Caller) -> bytes:
        from google.api_core import path_template
        from google.protobuf import json_format

        if not rpc.rules:
            raise NotEmulated(rpc.path)
        try:
            request = path_template.transcode(rpc.rules, rpc.request.FromString(raw))
        except ValueError:  # a shared method, for a resource of another API
            raise NotEmulated(rpc.path) from None
        body = strict_json.of_message(request["body"]) if request.get("body") is not None else None
        result = await router.dispatch(
            cloud,
            caller,
            request["method"].upper(),
            request["uri"],  # percent-encoded by transcode
            _flat(strict_json.of_message(request["query_params"])),
            body,
            consumer=CONSUMER.get(),
        )
        answer = json_format.ParseDict(result or {}, rpc.response(), ignore_unknown_fields=True)
        return answer.SerializeToString()

    return call


def _flat(fields: Mapping[str, Any], prefix: str = "") -> dict[str, list[str]]:
    """JSON fields as query parameters: nested names are joined by dots, lists repeat the name."""
    queries: dict[str, list[str]] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            queries |= _flat(value, f"{prefix}{name}.")
        else:
            values = value if isinstance(value, list) else [value]
            queries[prefix + name] = [str(v).lower() if isinstance(v, bool) else str(v) for v in values]
    return queries


def _methods(package: str, rules: Rules) -> list[_Rpc]:
    try:
        if importlib.util.find_spec(f"{package}.services") is None:
            return []
    except ModuleNotFoundError:
        return []
    services = importlib.import_module(f"{package}.services")
    found = []
    for service in pkgutil.iter_modules(services.__path__):
        transports = f"{package}.services.{service.name}.transports"
        options = _rest_rules(transports)
        for path, request, response in _grpc_methods(transports):
            name = path.rpartition("/")[2]
            if name in rules:
                verb, uri, body = rules[name]
                options[name] = [{"method": verb, "uri": uri, **({"body": body} if body else {})}]
            found.append(_Rpc(path, request, response, options.get(name, [])))
    return found


def _rest_rules(transports: str) -> dict[str, list[dict[str, str]]]:
    """Method name -> google.api.http rules, from the library's REST transport."""
    try:
        module = importlib.import_module(f"{transports}.rest_base")
    except ModuleNotFoundError:
        return {}
    rules = {}
    for name, transport in vars(module).items():
        if name.startswith("_Base") and name.endswith("RestTransport"):
            for inner, method in vars(transport).items():
                if inner.startswith("_Base") and hasattr(method, "_get_http_options"):
                    rules[inner.removeprefix("_Base")] = method._get_http_options()
    return rules


def _grpc_methods(transports: str) -> list[tuple[str, Any, Any]]:
    """(path, request class, response class) of the library's gRPC transport, which tells them to a channel."""
    import grpc

    module = importlib.import_module(f"{transports}.grpc")
    transport_class = next(cls for name, cls in vars(module).items() if name.endswith("GrpcTransport"))
    told: list[tuple[str, Any, Any]] = []

    class Listener(grpc.Channel):
        """Hears which methods a transport would call; none is ever called."""

        def unary_unary(self, method: str, request_serializer: Any = None, response_deserializer: Any = None, **_: Any):  # type: ignore[override]
            made = getattr(request_serializer, "__self__", None)  # proto-plus: a bound method of the class
            request = _raw_requests().get(method.rpartition("/")[2]) if made is None else made.pb()
            response = getattr(response_deserializer, "__self__", None)
            if response is not None and hasattr(response, "pb"):
                response = response.pb()
            if request is not None and response is not None:
                told.append((method, request, response))
            return lambda *_a, **_k: None

        unary_stream = stream_unary = stream_stream = lambda self, *_a, **_k: lambda *_: None  # type: ignore[assignment]

        def subscribe(self, callback: Any, try_to_connect: Any = False) -> None: ...
        def unsubscribe(self, callback: Any) -> None: ...
        def close(self) -> None: ...
        def __enter__(self) -> Listener:
            return self

        def __exit__(self, *_: Any) -> None: ...

    listener = Listener()
    transport = transport_class(channel=listener)
    transport._logged_channel = listener
    transport._stubs.clear()
    for name, value in vars(transport_class).items():
        if isinstance(value, property) and name != "grpc_channel":
            getattr(transport, name)
    return told


def _raw_requests() -> dict[str, Any]:
    """Requests of the methods that all APIs share; their plain protobuf classes can't be told from a serializer."""
    from google.iam.v1 import iam_policy_pb2
    from google.longrunning import operations_pb2

    return {
        "GetIamPolicy": iam_policy_pb2.GetIamPolicyRequest,
        "SetIamPolicy": iam_policy_pb2.SetIamPolicyRequest,
        "TestIamPermissions": iam_policy_pb2.TestIamPermissionsRequest,
        "GetOperation": operations_pb2.GetOperationRequest,
        "ListOperations": operations_pb2.ListOperationsRequest,
        "CancelOperation": operations_pb2.CancelOperationRequest,
        "DeleteOperation": operations_pb2.DeleteOperationRequest,
    }
