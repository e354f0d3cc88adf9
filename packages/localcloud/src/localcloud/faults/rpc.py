"""Faults of gRPC calls. A cut connection is told as a client sees one: UNAVAILABLE, "Socket closed"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from localcloud.core.asked import callers
from localcloud.core.errors import ApiError
from localcloud.faults import answers
from localcloud.faults.names import Seen
from localcloud.faults.store import Faults
from localcloud.identity.tokens import Tokens

if TYPE_CHECKING:
    from localcloud.core.asked.callers import Caller
    from localcloud.core.cloud import Cloud


async def faulty(
    cloud: Cloud, method: str, caller: Caller, bearer: str, answer: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """The messages of `answer` with the faults of this moment. Raises the ApiError of a fault."""
    seen = Seen(rpc=method.lstrip("/"), principal=caller.email)
    fault = cloud.of(Faults).hit(seen)
    if fault is not None:
        await asyncio.sleep(fault.delay)
        if fault.code:
            raise answers.error(cloud, fault, seen)
        if fault.expired:
            cloud.of(Tokens).expire(bearer)
            raise callers.invalid(expired=True)
    broken = fault is not None and bool(fault.cut or fault.torn)
    if not (fault is not None and (fault.cut == "before" or fault.torn)):
        async for message in answer:
            if not broken:
                yield message
    if broken:
        raise ApiError(503, "Socket closed")
