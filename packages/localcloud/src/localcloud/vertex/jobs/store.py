"""Custom jobs as the API has them: created, read, listed, cancelled, deleted."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.usage import Usage
from localcloud.core.errors import ApiError
from localcloud.core.state.disk import is_full
from localcloud.iam import access
from localcloud.iam.access import Access
from localcloud.iam.store import Iam
from localcloud.projects.store import Projects
from localcloud.quotas import capacity
from localcloud.services.enabled import deleted, not_paid
from localcloud.vertex import listing, operations, settings, states
from localcloud.vertex.jobs import reach, retries, usage, validation
from localcloud.vertex.jobs.records import Job, Jobs, Tuned
from localcloud.vertex.jobs.runner import Runner
from localcloud.vertex.jobs.stockouts import Stockouts
from localcloud.vertex.place import SERVICE, Call
from localcloud.vertex.states import ENDED

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]

_DEFAULT_DISK = {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100}


class CustomJobs:
    """The custom jobs of one cloud. Methods are called in the server's event loop; requests and answers are JSON."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._jobs = Jobs(cloud.folder("vertex") / "jobs.sqlite", partial(usage.note, cloud.of(Usage)))
        self.stockouts = Stockouts(cloud)
        chosen = settings.load(cloud.root)
        self.submissions = capacity.Submissions(cloud, chosen.submissions)
        self._runner = Runner(cloud, self._jobs, self.stockouts, chosen)
        cloud.on_start(self._runner.resume)
        cloud.on_stop(self._runner.stop)
        cloud.clock.on_forward(self._runner.catch_up, self._runner.due)
        cloud.count("custom jobs", self._jobs.count)

    async def end_all(self, project: str, why: str) -> None:
        """Let all jobs of a project (by id) fail, and return when they have ended; error and log say why."""
        await self._runner.end_all(project, why)

    def forget_all(self, project: str) -> None:
        """Forget all jobs of "projects/NUMBER", which have ended. Their logs stay."""
        self._jobs.delete_below(project)

    def going(self, project: str) -> list[Body]:
        """The jobs of a project (by id) that have not ended, as the API shows them."""
        states = ("QUEUED", "PENDING", "RUNNING", "CANCELLING")
        return [
            job.body for job in self._jobs.in_state(*(f"JOB_STATE_{one}" for one in states)) if job.project == project
        ]

    async def settle(self) -> None:
        """Until the runner has done what is to be done now: a clock that moves waits for it."""
        await self._runner.settle()

    def preempt(self, job_id: str) -> Body:
        """Take the machines away from a Spot job that runs: it has the grace to save, and starts again.

        Gives the job as it is. Raises 404, 400 for one that is not on Spot, or does not run.
        """
        job = self._jobs.find(job_id)
        if job is None:
            raise ApiError(404, f"no job matches {job_id}")
        if not retries.is_spot(job):
            raise ApiError(400, f"the job {job_id} is not on Spot: its machines can't be taken away")
        if job.state != "RUNNING":
            raise ApiError(400, f"the job {job_id} is in {job.body['state']}: it has no machines to take away")
        self._runner.preempt(job)
        return job.body

    def create(self, call: Call, request: Body) -> Body:
        """A new job, which starts when its turn comes. Raises 400, 403, 429 as Google does."""
        project, location = call.place.project, call.place.location
        given = request.get("customJob", {})
        validation.check_job(given, location)
        account = self.admit(call, given["jobSpec"])
        kept = {f: given[f] for f in ("displayName", "jobSpec", "labels", "encryptionSpec") if f in given}
        job_id = self.new_id()
        self.launch(job_id, project["projectId"], call.place.name, kept, account, listed=True)
        return self._job(call, f"{call.place.name}/customJobs/{job_id}").body

    # For the jobs that other jobs run: trials of tuning jobs, training of pipelines

    def admit(self, call: Call, spec: Body) -> str:
        """Let a caller submit a sound CustomJobSpec to a place; gives the e-mail of the account that it acts as.

        Raises 429 for too many submissions, a spec that alone exceeds a quota, or a spend cap; 400 for an account that
        the caller can't act as, an image that can't be pulled, or a base output directory in no bucket of the region.
        """
        self.submissions.enter(call.place.project["projectNumber"], call.place.location)
        account = self.account(call, spec.get("serviceAccount", ""))
        reach.check(call, spec)
        self._cloud.of(Usage).check_cap(call.place.project_id, SERVICE)
        capacity.check(self._cloud, call.place.project_id, call.place.location, spec)
        return account

    def new_id(self) -> str:
        """An id for a job, to be kept before it is launched."""
        return str(10**18 + secrets.randbelow(8 * 10**18))

    def launch(
        self,
        job_id: str,
        project: str,
        place: str,
        body: Body,
        account: str,
        tuned: Tuned | None = None,
        variables: Mapping[str, str] | None = None,
        listed: bool = False,
    ) -> Job:
        """Let a job run when its turn comes, and give it as it is; one whose id is known is not launched again.

        So whoever keeps `job_id` (see `new_id`) before the call may call again after a kill. `project` is the id of
        the project, `place` "projects/NUMBER/locations/R"; `body` has a displayName and a sound jobSpec (see
        validation.check_emulated, capacity.check) and may have labels; `account` is the e-mail that it acts as (see
        `account`). `tuned` makes it a trial; `variables` are added to every replica's environment. A job that is not
        `listed` is no customJob to clients, except that they may read it by its name. In all else it is one: it counts
        against quotas, it is charged, and goes on over restarts of the server. Where nobody pays for the project any
        more, it has failed at once.
        """
        if (known := self._jobs.find(job_id)) is not None:
            return known
        now = self._cloud.clock.stamp()
        for pool in body["jobSpec"]["workerPoolSpecs"]:
            if pool:
                pool["replicaCount"] = str(pool.get("replicaCount", 1))
                pool["diskSpec"] = _DEFAULT_DISK | pool.get("diskSpec", {})
        made = {
            "name": f"{place}/customJobs/{job_id}",
            **body,
            "state": "JOB_STATE_QUEUED",
            "createTime": now,
            "updateTime": now,
        }
        run = {"account": account, "listed": listed}
        if tuned is not None:
            run["tuned"] = vars(tuned)
        if variables:
            run["variables"] = dict(variables)
        job = Job(job_id, project, made, run)
        self._jobs.add(job, listed)
        if state := self._cloud.of(Usage).state(project):
            refusal = deleted if state == "deleted" else not_paid
            self._runner.refuse(job, refusal(self._cloud.of(Projects).get(project), SERVICE).message)
        try:
            self._runner.fill()
        except Exception as error:  # it is kept: it starts when there is room on the disk
            if not is_full(error):
                raise
        return self._jobs.find(job_id) or Job(job_id, project, made, run)

    def find_job(self, job_id: str) -> Job | None:
        """The job as it is now, or None; state, error, startTime and so on are in it."""
        return self._jobs.find(job_id)

    async def ended(self, job_id: str) -> Job:
        """Wait for the end of a job, and give it. Raises KeyError when there is none (any more)."""
        while (job := self._jobs.find(job_id)) is not None and job.state not in ENDED:
            await self._runner.news(job_id)
        if job is None:
            raise KeyError(job_id)
        return job

    def stop_job(self, job_id: str) -> None:
        """Ask a job to end, as `cancel` does; nothing happens to one that has ended, is ending, or is not there."""
        job = self._jobs.find(job_id)
        if job is not None and job.state not in ENDED and job.state != "CANCELLING":
            self._runner.cancel(job)

    def forget_job(self, job_id: str) -> None:
        """Forget a job that has ended. Its log stays."""
        self._jobs.delete(job_id)

    # What the API answers

    def get(self, call: Call, request: Body) -> Body:
        """A job. Raises 404."""
        return self._job(call, request.get("name", "")).body

    def list(self, call: Call, request: Body) -> Body:
        """A page of a place's jobs, newest first. Raises 400 for a filter that can't be understood."""
        return listing.page("customJobs", self._jobs.below(call.place.name), request)

    def cancel(self, call: Call, request: Body) -> Body:
        """Ask a job to end. Raises 404, 400 for one that has ended."""
        job = self._own(call, request)
        states.check_cancel("CustomJob", job.body["state"])
        self._runner.cancel(job)
        return {}

    def delete(self, call: Call, request: Body) -> Body:
        """Forget a job that has ended; gives a finished operation. Raises 404, 400 for one that has not ended."""
        job = self._own(call, request)
        states.check_delete("CustomJob", job.body["state"])
        self._jobs.delete(job.id)
        return operations.deleted(self._cloud, call.place.name)

    def _job(self, call: Call, name: str) -> Job:
        job = self._jobs.find(call.resource("customJobs", name))
        if job is None or job.body["name"].rpartition("/customJobs/")[0] != call.place.name:
            raise ApiError(404, "The CustomJob does not exist.")
        return job

    def _own(self, call: Call, request: Body) -> Job:
        """The job, unless another resource runs it. Raises 404, 400."""
        job = self._job(call, request.get("name", ""))
        if not job.run.get("listed", True):
            words = "The CustomJob belongs to another resource: cancel or delete that one."
            raise ApiError(400, words, "FAILED_PRECONDITION")
        return job

    def account(self, call: Call, email: str) -> str:
        """The account that the job acts as: the given one, or Vertex AI's own for custom code.

        Raises 400 when it isn't there or the caller may not act as it: Google does not tell the two apart.
        """
        if not email:
            return self._cloud.of(Iam).service_agent(call.place.project_id, "gcp-sa-aiplatform-cc")
        found = self._cloud.of(Iam).find_managed(email)
        # Of another project only by an organisation's leave: constraints/iam.disableCrossProjectServiceAccountUsage
        own = found is not None and found["projectId"] == call.place.project_id
        if found is not None and own and not found.get("disabled"):
            acted = access.service_account(found)
            if self._cloud.of(Access).allows(call.caller, "iam.serviceAccounts.actAs", acted):
                return email
        words = f"You do not have permission to act as service_account: {email}. (or it may not exist)."
        raise ApiError(400, words)
