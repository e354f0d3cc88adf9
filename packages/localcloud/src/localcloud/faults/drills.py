"""The faults of one cloud where requests are answered: over REST, over gRPC, and in Storage's batches."""

from __future__ import annotations

from collections.abc import AsyncIterator

from localcloud.core.asked.callers import Caller
from localcloud.core.cloud import Cloud
from localcloud.core.errors import ApiError
from localcloud.faults import http, rpc
from localcloud.faults.answers import storage_error
from localcloud.faults.names import Seen
from localcloud.faults.store import Faults
from localcloud.transport.rest import App

_REFUSALS = frozenset({"code"})  # other faults are of a whole batch


class FaultDrills:
    """Puts the faults that are kept between a call and its answer."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._faults = cloud.of(Faults)

    @property
    def active(self) -> bool:
        return bool(self._faults.active)

    def rest(self, app: App, authorization: bytes = b"") -> App:
        return http.faulty(self._cloud, app, authorization)

    def rpc(self, method: str, caller: Caller, bearer: str, answer: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        return rpc.faulty(self._cloud, method, caller, bearer, answer)

    def in_batch(self, method: str, host: str, path: str, principal: str) -> ApiError | None:
        seen = Seen(method, host, path, principal=principal)
        fault = self._faults.hit(seen, kinds=_REFUSALS)
        return storage_error(fault, seen) if fault else None
