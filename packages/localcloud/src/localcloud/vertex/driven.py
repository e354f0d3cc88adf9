"""What tuning jobs and training pipelines share: they run other jobs; a task of the server drives each to the end."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from localcloud.core.errors import ApiError
from localcloud.vertex import listing, operations, states
from localcloud.vertex.jobs.store import CustomJobs
from localcloud.vertex.place import Call
from localcloud.vertex.states import ENDED

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]

_STOP_PATIENCE = 14.0  # seconds for the jobs that one runs to end when the server does


@dataclass
class Driven:
    """`body`: the resource in Google's JSON. `project` is the project's id.

    `account` is the e-mail that its jobs act as; `sequence` orders resources by their age.
    """

    body: Body
    project: str
    account: str
    sequence: int

    @property
    def name(self) -> str:
        return self.body["name"]

    @property
    def id(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def place(self) -> str:
        """projects/NUMBER/locations/R"""
        return self.name.rsplit("/", 2)[0]

    @property
    def state(self) -> str:
        """Without JOB_STATE_ or PIPELINE_STATE_."""
        return states.short(self.body["state"])


D = TypeVar("D", bound=Driven)


class Records(Generic[D]):
    """The resources of one kind, each a durable document. Any thread may call. What they give are copies."""

    def __init__(self, cloud: Cloud, kind: str, collection: str, made: Callable[..., D]) -> None:
        self._cloud = cloud
        self._documents = cloud.documents
        self._kind = kind
        self.collection = collection
        self._made = made

    def save(self, one: D) -> None:
        """Keep one, new or not."""
        self._documents.put(one.name, self._kind, vars(one))

    def change(self, one: D, state: str, **more: Any) -> None:
        """Keep one in another state ("RUNNING"), with more fields."""
        before = one.body["state"].removesuffix(one.state)
        one.body |= {"state": f"{before}{state}", "updateTime": self._cloud.clock.stamp(), **more}
        self.save(one)

    def find(self, name: str) -> D | None:
        """The one with the full name "projects/NUMBER/locations/R/COLLECTION/ID", or None."""
        found = self._documents.find(name)
        return self._made(**found) if found else None

    def get(self, name: str) -> D:
        """One that is not deleted, because it has not ended."""
        found = self.find(name)
        assert found is not None, f"{name} runs, and is gone"
        return found

    def below(self, place: str) -> list[D]:
        """All of "projects/NUMBER/locations/R", newest first."""
        found = [self._made(**body) for body in self._documents.list(self._kind, f"{place}/{self.collection}/")]
        return sorted(found, key=lambda one: -one.sequence)

    def unfinished(self) -> list[D]:
        """All that have not ended, oldest first."""
        found = [self._made(**body) for body in self._documents.list(self._kind)]
        return sorted((one for one in found if one.state not in ENDED), key=lambda one: one.sequence)

    def count(self) -> int:
        """How many there are."""
        return self._documents.counts().get(self._kind, 0)

    def delete(self, name: str) -> None:
        """Forget one."""
        self._documents.delete(name)


class Driving(ABC, Generic[D]):
    """What the API answers of one kind, and the tasks that drive what has not ended.

    `what` is the message ("TrainingPipeline"). Methods are called in the server's event loop; requests and answers are
    Google's JSON.
    """

    def __init__(self, cloud: Cloud, what: str, records: Records[D]) -> None:
        self._cloud = cloud
        self._what = what
        self._every = records
        self._tasks: dict[str, asyncio.Task[None]] = {}
        cloud.on_start(self._resume)
        cloud.on_stop(self._stop)

    # What a kind does by itself

    @abstractmethod
    async def _drive(self, name: str) -> None:
        """To the end of the one with that name."""

    @abstractmethod
    def _stops(self, one: D) -> bool:
        """See to it that one ends with the server; False for one that waits, and goes on with the next start."""

    def _shown(self, one: D) -> Body:
        return one.body

    # What all do

    async def _resume(self) -> None:
        """Take up what had not ended when the server did."""
        for one in self._every.unfinished():
            self._begin(one.name)

    async def _stop(self) -> None:
        for name, task in self._tasks.items():
            one = self._every.find(name)
            if one is None or not self._stops(one):
                task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks.values(), timeout=_STOP_PATIENCE)
            for task in late:  # the next start takes them up again
                task.cancel()

    def _begin(self, name: str) -> None:
        self._tasks[name] = asyncio.ensure_future(self._run(name))

    async def _run(self, name: str) -> None:
        await self._drive(name)
        self._tasks.pop(name)

    def _new(self, call: Call, given: Mapping[str, Any], fields: Sequence[str], state: str) -> Body:
        """The body of a new one, with those of the `given` fields that there are."""
        now = self._cloud.clock.stamp()
        return {
            "name": f"{call.place.name}/{self._every.collection}/{self._cloud.of(CustomJobs).new_id()}",
            **{field: given[field] for field in fields if field in given},
            "state": state,
            "createTime": now,
            "updateTime": now,
        }

    def get(self, call: Call, request: Body) -> Body:
        """Raises 404."""
        return self._shown(self._find(call, request))

    def list(self, call: Call, request: Body) -> Body:
        """A page of a place's, newest first. Raises 400 for a filter that can't be understood."""
        found = [(one.sequence, self._shown(one)) for one in self._every.below(call.place.name)]
        return listing.page(self._every.collection, found, request)

    def cancel(self, call: Call, request: Body) -> Body:
        """Ask one to end, and the jobs that it runs with it. Raises 404, 400 for one that has ended."""
        one = self._find(call, request)
        states.check_cancel(self._what, one.body["state"])
        self._every.change(one, "CANCELLING")
        return {}

    def delete(self, call: Call, request: Body) -> Body:
        """Forget one that has ended; gives a finished operation. Raises 404, 400 for one that has not ended."""
        one = self._find(call, request)
        states.check_delete(self._what, one.body["state"])
        self._every.delete(one.name)
        return operations.deleted(self._cloud, call.place.name)

    def _find(self, call: Call, request: Body) -> D:
        collection = self._every.collection
        found = self._every.find(f"{call.place.name}/{collection}/{call.resource(collection, request.get('name', ''))}")
        if found is None:
            raise ApiError(404, f"The {self._what} does not exist.")
        return found
