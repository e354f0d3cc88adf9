"""The table of the calls of the JSON API: path, the permission that it needs, and who answers it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from localcloud.storage.json.call import Call
from localcloud.storage.json.needs import Needs
from localcloud.storage.metadata import Resource

Handler = Callable[[Call], Resource | None]


@dataclass(frozen=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    needs: Needs
    handler: Handler
    slow: bool


class Routes:
    """The calls of one module, registered by `@routes.add(...)`."""

    def __init__(self) -> None:
        self.all: list[Route] = []

    def add(self, method: str, pattern: str, needed: str | Needs, slow: bool = False) -> Callable[[Handler], Handler]:
        """Register the decorated handler; each * is one path segment. A `slow` one runs in a thread.

        `needed` is the permission on the first bucket or object of the path, or a function for what is more than that:
        https://cloud.google.com/storage/docs/access-control/iam-json
        """

        def register(handler: Handler) -> Handler:
            expression = re.escape(pattern).replace(r"\*", "([^/]+)")
            asked = partial(_on_target, needed) if isinstance(needed, str) else needed
            self.all.append(Route(method, re.compile(expression), asked, handler, slow))
            return handler

        return register


def _on_target(permission: str, call: Call) -> None:
    if permission.startswith("storage.objects.") and len(call.params) > 1:
        call.asker.object(call.bucket, call.name, permission)
    else:
        call.asker.bucket(call.bucket, permission)
