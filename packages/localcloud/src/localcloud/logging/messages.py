"""Google's own message types of Cloud Logging, which say what a request may hold."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def message(name: str) -> Any:
    """The class of the message with that full name, "google.logging.v2.LogSink"."""
    import google.cloud.audit.audit_log_pb2  # payloads may be of this type
    import google.cloud.logging_v2.types  # noqa: F401  registers its messages
    from google.protobuf import descriptor_pool, empty_pb2, message_factory

    assert empty_pb2.DESCRIPTOR
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))
