"""Refusals in Google's own words and shapes, for REST and for gRPC."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from localcloud.core import hints

# HTTP code -> canonical status: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    413: "INVALID_ARGUMENT",
    416: "OUT_OF_RANGE",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
# Canonical status -> gRPC number, from the same file.
GRPC_CODES = {
    "CANCELLED": 1,
    "UNKNOWN": 2,
    "INVALID_ARGUMENT": 3,
    "DEADLINE_EXCEEDED": 4,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "ABORTED": 10,
    "OUT_OF_RANGE": 11,
    "UNIMPLEMENTED": 12,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "DATA_LOSS": 15,
    "UNAUTHENTICATED": 16,
}
# Reasons of the older JSON shape (Storage, IAM): https://cloud.google.com/storage/docs/json_api/v1/status-codes
REASONS = {
    400: "invalid",
    401: "authError",
    403: "forbidden",
    404: "notFound",
    405: "methodNotAllowed",
    409: "conflict",
    411: "required",
    412: "conditionNotMet",
    416: "requestedRangeNotSatisfiable",
    429: "rateLimitExceeded",
    500: "backendError",
    501: "notImplemented",
    503: "backendError",
}


class ApiError(Exception):
    """A refusal: HTTP `code`, `message`, canonical `status`, older `reason`, `details` (JSON of google.rpc messages).

    `status` and `reason` follow from `code` unless given (409 is ALREADY_EXISTS; a stale etag says "ABORTED").
    """

    def __init__(
        self,
        code: int,
        message: str,
        status: str = "",
        reason: str = "",
        details: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or STATUSES.get(code, "UNKNOWN")
        self.reason = reason or REASONS.get(code, "backendError")
        self.details = [dict(detail) for detail in details]
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The JSON body of Google's REST APIs (Storage has a shape of its own)."""
        error: dict[str, Any] = {"code": self.code, "message": self.message, "status": self.status}
        if self.details:
            error["details"] = self.details
        return {"error": error}


class Advised(ApiError):
    """A refusal by the local cloud's own control, with the step that helps, if any; Google's refusals have none."""

    def __init__(self, code: int, message: str, hint: hints.Hint = "") -> None:
        super().__init__(code, message)
        self.hint = hints.parts(hint)

    def body(self) -> dict[str, Any]:
        """The shape of Google's, and the pieces of the hint."""
        made = super().body()
        made["error"]["hint"] = hints.as_json(self.hint)
        return made


class NotEmulated(ApiError):
    """What exists on Google and not here: 501 UNIMPLEMENTED, said plainly."""

    def __init__(self, what: str) -> None:
        super().__init__(501, f"not emulated by the local cloud: {what}")
        self.what = what


def error_info(reason: str, domain: str, **metadata: str) -> dict[str, Any]:
    """A google.rpc.ErrorInfo in JSON, for `ApiError.details`."""
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": domain,
        "metadata": metadata,
    }


def grpc_status(error: ApiError) -> bytes:
    """The serialized google.rpc.Status that goes into the `grpc-status-details-bin` trailer."""
    from google.protobuf import any_pb2, json_format
    from google.rpc import error_details_pb2, status_pb2

    assert error_details_pb2.DESCRIPTOR  # imported so that its messages can be packed by name
    status = status_pb2.Status(code=GRPC_CODES.get(error.status, 2), message=error.message)
    for detail in error.details:
        with contextlib.suppress(TypeError, json_format.ParseError):  # a type that Google does not publish
            status.details.append(json_format.ParseDict(detail, any_pb2.Any()))
    return status.SerializeToString()
