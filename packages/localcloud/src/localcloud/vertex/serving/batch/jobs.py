"""Batch prediction jobs as the API has them: created, read, listed, cancelled, deleted."""

from __future__ import annotations

import asyncio
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.usage import Usage
from localcloud.core.errors import GRPC_CODES, ApiError
from localcloud.vertex import operations, states
from localcloud.vertex.jobs import reach
from localcloud.vertex.jobs.store import CustomJobs
from localcloud.vertex.place import Call
from localcloud.vertex.serving import machines, usage
from localcloud.vertex.serving.batch import rules, run
from localcloud.vertex.serving.batch.files import Files
from localcloud.vertex.serving.batch.records import BATCH, state_of, unfinished
from localcloud.vertex.serving.batch.run import Results
from localcloud.vertex.serving.listing import page
from localcloud.vertex.serving.models import Models
from localcloud.vertex.serving.plan import Plan, planned
from localcloud.vertex.serving.servers import ModelServer
from localcloud.vertex.settings import Settings

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]

_GIVEN = (
    "displayName",
    "labels",
    "inputConfig",
    "outputConfig",
    "instanceConfig",
    "modelParameters",
    "serviceAccount",
    "manualBatchTuningParameters",
    "disableContainerLogging",
)
_MODEL = "modelDisplayName"  # lists can be filtered by it; no job has it
_PARALLEL = 2  # jobs at once; others are PENDING


class Batches:
    """The batch prediction jobs of one cloud. Methods are called in the server's event loop."""

    def __init__(self, cloud: Cloud, models: Models, settings: Settings, pool: ThreadPoolExecutor) -> None:
        self._cloud = cloud
        self._models = models
        self._settings = settings
        self._pool = pool
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._servers: dict[str, ModelServer] = {}
        self._room = asyncio.Semaphore(_PARALLEL)

    def create(self, call: Call, request: Body) -> Body:
        """A new job, which starts at once when there is room. Raises 400, 403, 404, 429."""
        given = request.get("batchPredictionJob", {})
        rules.check(given)
        model = self._models.find(call, given["model"], "batch_prediction_job.model")
        resources = given["dedicatedResources"]
        machine, replicas = resources["machineSpec"], int(resources.get("startingReplicaCount", 0)) or 1
        machines.check(machine, "batch_prediction_job.dedicated_resources.machine_spec", call.place.location)
        usage.check(self._cloud, call.place, machine, replicas)
        uris = [*given["inputConfig"]["gcsSource"]["uris"], _prefix(given)]
        for uri in uris:
            reach.check_bucket(self._cloud, uri, call.place.location)
        account = self._cloud.of(CustomJobs).account(call, given.get("serviceAccount", ""))
        job_id, now = str(10**18 + secrets.randbelow(8 * 10**18)), self._cloud.clock.stamp()
        job: Body = {
            "name": f"{call.place.name}/batchPredictionJobs/{job_id}",
            **{field: given[field] for field in _GIVEN if field in given},
            "model": model["name"],
            "modelVersionId": model["versionId"],
            "dedicatedResources": {"maxReplicaCount": replicas} | resources | {"startingReplicaCount": replicas},
            "state": "JOB_STATE_PENDING",
            "createTime": now,
            "updateTime": now,
        }
        plan = planned(call, f"batch-{job_id}", account, model, given, mode="BATCH_PREDICTION")
        self._cloud.documents.create(job["name"], BATCH, {"job": job, "plan": asdict(plan)})
        self._begin(job["name"])
        return job

    def get(self, call: Call, request: Body) -> Body:
        """Raises 404."""
        return self._kept(call, request)["job"]

    def list(self, call: Call, request: Body) -> Body:
        """A page of a place's jobs."""
        kept = self._cloud.documents.list(BATCH, f"{call.place.name}/batchPredictionJobs/")
        rows = [one["job"] | {_MODEL: one["plan"]["model"]["displayName"]} for one in kept]
        return page("batchPredictionJobs", rows, request, lambda row: {k: v for k, v in row.items() if k != _MODEL})

    def cancel(self, call: Call, request: Body) -> Body:
        """Ask a job to end. Raises 404, 400 for one that has ended."""
        job = self._kept(call, request)["job"]
        states.check_cancel("BatchPredictionJob", job["state"])
        self._cancel(job["name"])
        return {}

    async def end_all(self, project: str, why: str) -> None:
        """Let all jobs of a project (by id) fail, and return when they have ended; their error says why."""
        tasks = []
        for kept in unfinished(self._cloud):
            name = kept["job"]["name"]
            if kept["plan"]["project"] == project and not kept.get("why"):
                self._cloud.documents.put(name, BATCH, kept | {"why": why})
                if task := self._tasks.get(name):
                    task.cancel()
                    tasks.append(task)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _cancel(self, name: str) -> None:
        self._set(name, "CANCELLING")
        if task := self._tasks.get(name):
            task.cancel()

    def delete(self, call: Call, request: Body) -> Body:
        """Forget a job that has ended. Raises 404, 400 for one that has not."""
        job = self._kept(call, request)["job"]
        states.check_delete("BatchPredictionJob", job["state"])
        self._cloud.documents.delete(job["name"])
        return operations.deleted(self._cloud, call.place.name)

    def _kept(self, call: Call, request: Body) -> Body:
        name = f"{call.place.name}/batchPredictionJobs/{call.resource('batchPredictionJobs', request.get('name', ''))}"
        kept = self._cloud.documents.find(name)
        if kept is None:
            raise ApiError(404, "The BatchPredictionJob does not exist.")
        return kept

    # How a job runs

    def resume(self) -> None:
        """Take up what had not ended when the server did."""
        for kept in unfinished(self._cloud):
            self._begin(kept["job"]["name"])

    async def stop(self) -> None:
        """End all model servers; the next start begins the jobs again."""
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for kept in unfinished(self._cloud):
            self._server(kept)
        await asyncio.gather(*(server.end(forget=False) for server in self._servers.values()))

    def _begin(self, name: str) -> None:
        self._tasks[name] = asyncio.ensure_future(self._run(name))

    def _server(self, kept: Body) -> ModelServer:
        name = kept["job"]["name"]
        if name not in self._servers:
            folder = run.folder_of(self._cloud.folder("vertex") / "serving" / "servers", name)
            plan = Plan(**kept["plan"])
            plan.save(folder)
            self._servers[name] = ModelServer(self._cloud, folder, plan, self._settings, self._pool)
        return self._servers[name]

    async def _run(self, name: str) -> None:
        kept = self._cloud.documents.get(name)
        if await self._ended_from_outside(name, kept):
            return
        try:
            async with self._room:
                results = await self._predict(name, kept)
        except asyncio.CancelledError:
            if not await self._ended_from_outside(name, self._cloud.documents.get(name)):
                raise  # the server ends; the next one begins again
        except ApiError as error:
            await self._finish(name, "FAILED", error)
        else:
            failed = results.failed and not results.lines
            error = ApiError(400, f"All instances failed. {next(iter(results.failed))}") if failed else None
            await self._finish(name, "FAILED" if failed else "SUCCEEDED", error)

    async def _ended_from_outside(self, name: str, kept: Body) -> bool:
        """Finish a job that was cancelled, or that may run no longer; whether it was."""
        if why := kept.get("why"):
            await self._finish(name, "FAILED", ApiError(400, why, "FAILED_PRECONDITION"))
        elif state_of(kept["job"]) == "CANCELLING":
            await self._finish(name, "CANCELLED", ApiError(499, "CANCELED"))
        else:
            return False
        return True

    async def _predict(self, name: str, kept: Body) -> Results:
        job, server = kept["job"], self._server(kept)
        files = Files(self._cloud, server.plan.account, server.plan.project)
        if "outputInfo" not in job:
            model = re.sub(r"[^A-Za-z0-9_-]", "_", server.plan.model["displayName"])
            stamp = re.sub(r"[-:.]", "_", job["createTime"][:23].rstrip("Z"))
            folder = f"{_prefix(job).rstrip('/')}/prediction-{model}-{stamp}Z"
            self._set(name, "", outputInfo={"gcsOutputDirectory": folder})
        else:
            folder = job["outputInfo"]["gcsOutputDirectory"]

        def began() -> None:
            if "startTime" not in job:
                self._set(name, "RUNNING", startTime=self._cloud.clock.stamp())
                resources = job["dedicatedResources"]
                pool = machines.pool(resources["machineSpec"], int(resources["startingReplicaCount"]))
                plan = server.plan
                self._cloud.of(Usage).begin(_charged(name), plan.project, plan.location, (pool,), job)

        def told(results: Results) -> None:
            self._set(name, "", completionStats=results.stats())

        results = await run.run(self._cloud, job, server, files, began, told)
        await asyncio.to_thread(results.write, files, folder)
        partial = [{"code": 3, "message": message} for message in results.failed]
        self._set(name, "", completionStats=results.stats(), **({"partialFailures": partial} if partial else {}))
        return results

    async def _finish(self, name: str, state: str, error: ApiError | None) -> None:
        self._tasks.pop(name, None)  # what ends now is not to be cancelled
        await self._server(self._cloud.documents.get(name)).end()
        self._servers.pop(name, None)
        self._cloud.of(Usage).end(_charged(name))
        told = {"error": {"code": GRPC_CODES.get(error.status, 2), "message": error.message}} if error else {}
        self._set(name, state, endTime=self._cloud.clock.stamp(), **told)

    def _set(self, name: str, state: str, **fields: Any) -> None:
        kept = self._cloud.documents.get(name)
        kept["job"] |= fields | {"updateTime": self._cloud.clock.stamp()}
        if state and not (state == "RUNNING" and state_of(kept["job"]) == "CANCELLING"):
            kept["job"]["state"] = f"JOB_STATE_{state}"
        self._cloud.documents.put(name, BATCH, kept)


def _prefix(job: Body) -> str:
    return job["outputConfig"]["gcsDestination"]["outputUriPrefix"]


def _charged(name: str) -> str:
    return "/".join(name.split("/")[2:])
