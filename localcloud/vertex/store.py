"""Custom jobs as the API has them: created, read, listed, cancelled, deleted."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from localcloud.errors import ApiError
from localcloud.iam import access
from localcloud.quotas import jobs as quotas
from localcloud.vertex import listing, operations, settings, validation
from localcloud.vertex.jobs import ENDED, Job, Jobs
from localcloud.vertex.place import Call
from localcloud.vertex.runner import Runner

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

Body = dict[str, Any]

_DEFAULT_DISK = {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100}


class Vertex:
    """Vertex AI of one cloud. Methods are called in the server's event loop; requests and answers are Google's JSON."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._jobs = Jobs(cloud.folder("vertex") / "jobs.sqlite")
        self._runner = Runner(cloud, self._jobs, settings.load(cloud.root))
        cloud.on_start(self._runner.resume)
        cloud.on_stop(self._runner.stop)
        cloud.count("custom jobs", self._jobs.count)

    def create(self, call: Call, request: Body) -> Body:
        """A new job, which starts when its turn comes. Raises 400, 403, 429 as Google does."""
        project, location = call.place.project, call.place.location
        given = request.get("customJob", {})
        validation.check_job(given, location)
        quotas.check(self._cloud, project["projectId"], location, given["jobSpec"])
        account = self._account(call, given["jobSpec"].get("serviceAccount", ""))
        now = self._cloud.clock.stamp()
        job_id = str(10**18 + secrets.randbelow(8 * 10**18))
        kept = {f: given[f] for f in ("displayName", "jobSpec", "labels", "encryptionSpec") if f in given}
        for pool in kept["jobSpec"]["workerPoolSpecs"]:
            if pool:
                pool["replicaCount"] = str(pool.get("replicaCount", 1))
                pool["diskSpec"] = _DEFAULT_DISK | pool.get("diskSpec", {})
        body = {
            "name": f"{call.place.name}/customJobs/{job_id}",
            **kept,
            "state": "JOB_STATE_QUEUED",
            "createTime": now,
            "updateTime": now,
        }
        self._jobs.add(Job(job_id, project["projectId"], body, {"account": account}))
        self._runner.fill()
        return self._job(call, body["name"]).body

    def get(self, call: Call, request: Body) -> Body:
        """A job. Raises 404."""
        return self._job(call, request.get("name", "")).body

    def list(self, call: Call, request: Body) -> Body:
        """A page of a place's jobs, newest first. Raises 400 for a filter that can't be understood."""
        jobs = self._jobs.below(call.place.name)
        found, token = listing.page(jobs, request)
        return {"customJobs": found} | ({"nextPageToken": token} if token else {})

    def cancel(self, call: Call, request: Body) -> Body:
        """Ask a job to end. Raises 404, 400 for one that has ended."""
        job = self._job(call, request.get("name", ""))
        if job.state in ENDED:
            words = f"The CustomJob is in state {job.body['state']} and can't be cancelled."
            raise ApiError(400, words, "FAILED_PRECONDITION")
        self._runner.cancel(job)
        return {}

    def delete(self, call: Call, request: Body) -> Body:
        """Forget a job that has ended; gives a finished operation. Raises 404, 400 for one that has not ended."""
        job = self._job(call, request.get("name", ""))
        if job.state not in ENDED:
            words = f"The CustomJob is in state {job.body['state']}: cancel it before you delete it."
            raise ApiError(400, words, "FAILED_PRECONDITION")
        self._jobs.delete(job.id)
        name = operations.begin(self._cloud, call.place.name, "DeleteOperationMetadata")
        return operations.succeed(self._cloud, name)

    def _job(self, call: Call, name: str) -> Job:
        job = self._jobs.find(call.resource("customJobs", name))
        if job is None or job.body["name"].rpartition("/customJobs/")[0] != call.place.name:
            raise ApiError(404, "The CustomJob does not exist.")
        return job

    def _account(self, call: Call, email: str) -> str:
        """The account that the job acts as: the given one, or Vertex AI's own for custom code.

        Raises 400 when it isn't there or the caller may not act as it: Google does not tell the two apart.
        """
        if not email:
            return self._cloud.iam.service_agent(call.place.project_id, "gcp-sa-aiplatform-cc")
        found = self._cloud.iam.find_service_account(email)
        if found is not None and not found.get("disabled"):
            acted = access.service_account(found)
            if self._cloud.access.allows(call.caller, "iam.serviceAccounts.actAs", acted):
                return email
        words = f"You do not have permission to act as service_account: {email}. (or it may not exist)."
        raise ApiError(400, words)
