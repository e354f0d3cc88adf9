"""The calls of the JSON API that carry no media: https://cloud.google.com/storage/docs/json_api/v1"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

from localcloud.core import fields
from localcloud.core.asked.usage import Usage
from localcloud.storage import operations
from localcloud.storage.admission import Asker
from localcloud.storage.errors import StorageError, not_emulated
from localcloud.storage.json import acl, buckets, objects
from localcloud.storage.json.call import Call
from localcloud.storage.metadata import Resource
from localcloud.storage.store import Storage

ROUTES = [*buckets.routes.all, *objects.routes.all, *acl.routes.all]

# An object's name with a slash that isn't encoded: no such page, unless what follows the name is a method's.
_METHODS = "acl|bulkRestore|compose|copyTo|move|moveTo|restore|rewriteTo|watch"
_SLASHED = re.compile(rf"/b/[^/]+/o/[^/]+/(?!({_METHODS})(/|$)).+")


class JsonApi:
    """Finds the handler of a call and gives the wanted fields of its answer."""

    def __init__(self, storage: Storage, pool: ThreadPoolExecutor) -> None:
        self._storage = storage
        self._pool = pool

    async def answer(
        self,
        method: str,
        path: str,
        queries: Mapping[str, list[str]],
        headers: Mapping[str, str],
        body: Resource,
        asker: Asker,
    ) -> Resource | None:
        """The JSON answer, None for 204; `path` is percent-encoded and begins after /storage/v1. Raises ApiError."""
        query = {name: values[-1] for name, values in queries.items()}
        path = path.removesuffix("/")
        for route in ROUTES:
            if route.method == method and (found := route.pattern.fullmatch(path)):
                params = tuple(unquote(group) for group in found.groups())
                call = Call(self._storage, params, queries, query, headers, body, asker)
                selection = fields.asked(query)
                route.needs(call)
                acl.check(call)
                if route.slow:
                    loop = asyncio.get_running_loop()
                    result = await loop.run_in_executor(self._pool, route.handler, call)
                else:
                    result = route.handler(call)
                if charged := operations.of_json(method, path):
                    self._storage.cloud.of(Usage).counts.operation(*charged)
                return fields.select(result, selection)
        if path.startswith(("/b", "/projects")) and not _SLASHED.fullmatch(path):
            raise not_emulated(f"{method} /storage/v1{path}")
        raise StorageError(404, "Not Found", "notFound")
