"""How an API's WaitOperation waits: until the operation is done, or as long as was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

_LONGEST, _LOOK = 60.0, 0.05  # seconds


async def until_done(read: Callable[[], dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
    """The operation that `read` gives once it is done, or as it is when the request's timeout is over. Raises as it."""
    limit = min(float(str(request.get("timeout", "")).removesuffix("s") or _LONGEST), _LONGEST)
    until = asyncio.get_running_loop().time() + limit
    while True:
        found = read()
        if found.get("done") or asyncio.get_running_loop().time() >= until:
            return found
        await asyncio.sleep(_LOOK)
