"""What the functions framework calls, once for each message of the budget. On Google it lies beside the package."""

from __future__ import annotations

import os
from typing import Any

import functions_framework  # pyright: ignore[reportMissingImports]
import google.auth
from google.auth.transport.requests import AuthorizedSession
from stop.messages import Unreadable, read  # pyright: ignore[reportMissingImports]
from stop.stages import Settings, heard, say  # pyright: ignore[reportMissingImports]

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@functions_framework.cloud_event
def stop(event: Any) -> None:
    """Whatever it raises lets Pub/Sub send the message again; one that nobody can read is told and forgotten."""
    try:
        notice = read(event.data)
    except Unreadable as error:
        say(f"a message that isn't a budget's is left: {error}", "WARNING")
        return
    session = AuthorizedSession(google.auth.default(scopes=[_SCOPE])[0])
    heard(notice, Settings.of(os.environ), session)
