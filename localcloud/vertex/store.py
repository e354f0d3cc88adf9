"""Custom jobs as the API has them: created, read, listed, cancelled, deleted."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

from localcloud import enabled
from localcloud.errors import ApiError, error_info
from localcloud.quotas import jobs as quotas
from localcloud.vertex import listing, settings, validation
from localcloud.vertex.jobs import ENDED, Job, Jobs
from localcloud.vertex.runner import Runner

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

Body = dict[str, Any]

SERVICE = "aiplatform.googleapis.com"
OPERATION = "vertex-operation"  # kind of document
_DEFAULT_DISK = {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100}
_META = "type.googleapis.com/google.cloud.aiplatform.v1.DeleteOperationMetadata"


class Vertex:
    """Vertex AI of one cloud. Methods are called in the server's event loop; requests and answers are Google's JSON."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._jobs = Jobs(cloud.folder("vertex") / "jobs.sqlite")
        self._runner = Runner(cloud, self._jobs, settings.load(cloud.root))
        cloud.on_start(self._runner.resume)
        cloud.on_stop(self._runner.stop)
        cloud.count("custom jobs", self._jobs.count)

    def create(self, request: Body, host: str = "") -> Body:
        """A new job, which starts when its turn comes. Raises 400, 403, 429 as Google does."""
        project, location = self._parent(request.get("parent", ""), host)
        given = request.get("customJob", {})
        validation.check_job(given, location)
        quotas.check(self._cloud, project["projectId"], location, given["jobSpec"])
        account = self._account(project["projectId"], given["jobSpec"].get("serviceAccount", ""))
        now = self._cloud.clock.stamp()
        job_id = str(10**18 + secrets.randbelow(8 * 10**18))
        kept = {f: given[f] for f in ("displayName", "jobSpec", "labels", "encryptionSpec") if f in given}
        for pool in kept["jobSpec"]["workerPoolSpecs"]:
            if pool:
                pool["replicaCount"] = str(pool.get("replicaCount", 1))
                pool["diskSpec"] = _DEFAULT_DISK | pool.get("diskSpec", {})
        body = {
            "name": f"projects/{project['projectNumber']}/locations/{location}/customJobs/{job_id}",
            **kept,
            "state": "JOB_STATE_QUEUED",
            "createTime": now,
            "updateTime": now,
        }
        self._jobs.add(Job(job_id, project["projectId"], body, {"account": account}))
        self._runner.fill()
        return self._job(body["name"], host).body

    def get(self, request: Body, host: str = "") -> Body:
        """A job. Raises 404."""
        return self._job(request.get("name", ""), host).body

    def list(self, request: Body, host: str = "") -> Body:
        """A page of a place's jobs, newest first. Raises 400 for a filter that can't be understood."""
        project, location = self._parent(request.get("parent", ""), host)
        jobs = self._jobs.below(f"projects/{project['projectNumber']}/locations/{location}")
        found, token = listing.page(jobs, request)
        return {"customJobs": found} | ({"nextPageToken": token} if token else {})

    def cancel(self, request: Body, host: str = "") -> Body:
        """Ask a job to end. Raises 404, 400 for one that has ended."""
        job = self._job(request.get("name", ""), host)
        if job.state in ENDED:
            words = f"The CustomJob is in state {job.body['state']} and can't be cancelled."
            raise ApiError(400, words, "FAILED_PRECONDITION")
        self._runner.cancel(job)
        return {}

    def delete(self, request: Body, host: str = "") -> Body:
        """Forget a job that has ended; gives a finished operation. Raises 404, 400 for one that has not ended."""
        job = self._job(request.get("name", ""), host)
        if job.state not in ENDED:
            words = f"The CustomJob is in state {job.body['state']}: cancel it before you delete it."
            raise ApiError(400, words, "FAILED_PRECONDITION")
        self._jobs.delete(job.id)
        place = job.body["name"].partition("/customJobs/")[0]
        name, now = f"{place}/operations/{10**18 + secrets.randbelow(8 * 10**18)}", self._cloud.clock.stamp()
        operation = {
            "name": name,
            "metadata": {"@type": _META, "genericMetadata": {"createTime": now, "updateTime": now}},
            "done": True,
            "response": {"@type": "type.googleapis.com/google.protobuf.Empty"},
        }
        return self._cloud.documents.create(name, OPERATION, operation)

    def operation(self, request: Body, host: str = "") -> Body:
        """A long-running operation. Raises 404."""
        found = self._cloud.documents.find(self._canonical(request.get("name", "")))
        if found is None:
            raise ApiError(404, "The Operation does not exist.")
        return found

    def operations(self, request: Body, host: str = "") -> Body:
        """All operations of a place."""
        return {"operations": self._cloud.documents.list(OPERATION, self._canonical(request.get("name", "")) + "/")}

    def delete_operation(self, request: Body, host: str = "") -> Body:
        """Forget an operation. Raises 404."""
        self._cloud.documents.delete(self.operation(request)["name"])
        return {}

    def _parent(self, parent: str, host: str) -> tuple[Body, str]:
        """The project and the location. Raises 400, 403."""
        match = re.fullmatch(r"projects/([^/]+)/locations/([^/]+)", parent)
        if match is None:
            raise validation.found([validation.Violation("parent", f"Invalid resource name: {parent}")])
        project = self._cloud.projects.find(match[1])
        if project is None:
            details = [
                {
                    "@type": "type.googleapis.com/google.rpc.Help",
                    "links": [
                        {
                            "description": "Google developers console",
                            "url": "https://console.developers.google.com",
                        }
                    ],
                },
                error_info("CONSUMER_INVALID", "googleapis.com", consumer=f"projects/{match[1]}", service=SERVICE),
            ]
            raise ApiError(403, f"Permission denied on resource project {match[1]}.", details=details)
        enabled.require(self._cloud, project["projectId"], SERVICE)
        validation.check_location(match[2], host, project)
        return project, match[2]

    def _job(self, name: str, host: str) -> Job:
        match = re.fullmatch(r"(projects/[^/]+/locations/[^/]+)/customJobs/([^/]+)", name)
        if match is None:
            raise validation.found([validation.Violation("name", f"Invalid resource name: {name}")])
        project, location = self._parent(match[1], host)
        job = self._jobs.find(match[2])
        own = f"projects/{project['projectNumber']}/locations/{location}/customJobs/{match[2]}"
        if job is None or job.body["name"] != own:
            raise ApiError(404, "The CustomJob does not exist.")
        return job

    def _canonical(self, name: str) -> str:
        """The name by the project's number."""
        kind, _, rest = name.partition("/")
        project, _, rest = rest.partition("/")
        found = self._cloud.projects.find(project)
        return f"{kind}/{found['projectNumber']}/{rest}" if found else name

    def _account(self, project: str, email: str) -> str:
        """The account that the job acts as: the given one, or Vertex AI's own for custom code. Raises 400."""
        if not email:
            return self._cloud.iam.service_agent(project, "gcp-sa-aiplatform-cc")
        found = self._cloud.iam.find_service_account(email)
        if found is None or found.get("disabled"):
            words = f"You do not have permission to act as service_account: {email}. (or it may not exist)."
            raise ApiError(400, words)
        return email
