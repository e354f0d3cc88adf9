"""Cloud Run jobs as the API has them: created, read, listed, changed, run, deleted; their executions and tasks.

https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs
"""

from __future__ import annotations

import json
import re
import secrets
import uuid
from typing import TYPE_CHECKING, Any

from catalog import run as book
from localcloud.containers import images
from localcloud.core.asked.callers import Caller
from localcloud.core.errors import ApiError
from localcloud.core.paging import page
from localcloud.iam import access, policies
from localcloud.iam.access import Access
from localcloud.iam.store import Iam
from localcloud.projects.store import Projects
from localcloud.run import operations, validation
from localcloud.run.executions import capacity, settings, told
from localcloud.run.executions.records import EXECUTION, JOB, Execution, Executions, Task
from localcloud.run.executions.runner import Runner, plain
from localcloud.run.place import Call
from localcloud.run.place import job as job_resource

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # of the five letters at the end of an execution's name
_INPUT = ("labels", "annotations", "client", "clientVersion", "launchStage")
_DEFAULT_ACCOUNT = "{number}-compute@developer.gserviceaccount.com"
_REPOSITORY = re.compile(r"([a-z0-9-]+)-docker\.pkg\.dev/([^/]+)/([^/]+)/.+")
_PULL = "artifactregistry.repositories.downloadArtifacts"
_AGENT = "serverless-robot-prod"


class RunJobs:
    """The Cloud Run jobs of one cloud. Methods are called in the server's event loop; requests and answers are JSON."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._kept = Executions(cloud)
        self._runner = Runner(cloud, self._kept, settings.load(cloud.root))
        cloud.on_start(self._runner.resume)
        cloud.on_stop(self._runner.stop)
        cloud.clock.on_forward(self._runner.catch_up, self._runner.due)
        cloud.clock.on_settle(self._runner.settle)
        cloud.count("Cloud Run jobs", lambda: cloud.documents.counts().get(JOB, 0))
        cloud.count("Cloud Run executions", lambda: cloud.documents.counts().get(EXECUTION, 0))

    async def end_all(self, project: str, why: str) -> None:
        """Let all executions of a project (by id) fail, and return when they have ended; error and log say why."""
        await self._runner.end_all(project, why)

    # Jobs

    def create(self, call: Call, request: Body) -> Body:
        """A new job; gives its operation. Raises 400, 403, 409, 429."""
        given, job_id = request.get("job", {}), request.get("jobId", "")
        validation.check_id(job_id)
        name = f"{call.parent}/jobs/{job_id}"
        made = self._made(call, given, name)
        if self._cloud.documents.find(name) is not None:
            raise ApiError(409, f"Resource '{job_id}' already exists.", reason="alreadyExists")
        if len(self._cloud.documents.list(JOB, f"{call.parent}/jobs/")) >= book.limits().jobs:
            raise ApiError(429, f"Quota exceeded for jobs in region {call.region}: {book.limits().jobs}.")
        now = self._cloud.clock.stamp()
        made |= {
            "uid": str(uuid.uuid4()),
            "generation": "1",
            "createTime": now,
            "creator": call.caller.email,
        }
        return self._put(call, made, now, bool(request.get("validateOnly")))

    def update(self, call: Call, request: Body) -> Body:
        """Replace a job's configuration; gives its operation. Raises 400, 403, 404, 409."""
        given = request.get("job", {})
        present = self._cloud.documents.find(call.name)
        if present is None:
            if request.get("allowMissing"):
                call.require("run.jobs.create")
                return self.create(call, {**request, "jobId": call.rest.rpartition("/")[2]})
            raise _missing(call.name)
        _check_etag(given.get("etag", ""), present)
        made = self._made(call, given, call.name)
        kept = ("uid", "createTime", "creator", "executionCount", "latestCreatedExecution")
        made |= {field: present[field] for field in kept if field in present}
        made["generation"] = str(int(present["generation"]) + 1)
        return self._put(call, made, self._cloud.clock.stamp(), bool(request.get("validateOnly")))

    def _made(self, call: Call, given: Body, name: str) -> Body:
        """The job that a request asks for. Raises 400, 403, 429, 501."""
        template = validation.completed(given)
        task = template["template"]
        task["serviceAccount"] = self._account(call, task.get("serviceAccount", ""))
        capacity.check(self._cloud, call.project_id, call.region, task["containers"][0])
        kept = {field: given[field] for field in _INPUT if field in given}
        return {"name": name, **kept, "launchStage": given.get("launchStage", "GA"), "template": template}

    def _put(self, call: Call, made: Body, now: str, only_validate: bool) -> Body:
        """Keep a job, ready or not; gives its operation, which has ended."""
        error = self._unreadable(call, made["template"]["template"]["containers"][0]["image"])
        made |= {
            "updateTime": now,
            "lastModifier": call.caller.email,
            "etag": _etag(),
            "observedGeneration": made["generation"],
            "executionCount": made.get("executionCount", 0),
        }
        if error is None:
            made["terminalCondition"] = told.condition("Ready", "SUCCEEDED", now)
        else:
            code = "CONTAINER_MISSING" if error["code"] == 5 else "CONTAINER_PERMISSION_DENIED"
            made["terminalCondition"] = told.condition("Ready", "FAILED", now, error["message"], reason=code)
        made["conditions"] = [made["terminalCondition"] | {"type": "ResourcesAvailable"}]
        if only_validate:
            return {"name": operations.new_name(call.parent), "done": True, "response": _typed("Job", made)}
        self._cloud.documents.put(made["name"], JOB, made)
        return operations.done(self._cloud, call.parent, "Job", made, error)

    def _account(self, call: Call, email: str) -> str:
        """The account that a job acts as: the given one, or the project's default. Raises 403."""
        wanted = email or _DEFAULT_ACCOUNT.format(number=call.project["projectNumber"])
        found = self._cloud.of(Iam).find_managed(wanted)
        if found is not None and found["projectId"] == call.project_id and not found.get("disabled"):
            acted = access.service_account(found)
            if self._cloud.of(Access).allows(call.caller, "iam.serviceAccounts.actAs", acted):
                return wanted
        words = f"Permission 'iam.serviceaccounts.actAs' denied on service account {wanted} (or it may not exist)."
        raise ApiError(403, words)

    def _unreadable(self, call: Call, image: str) -> Body | None:
        """Why an image can't be had, as a google.rpc.Status; None when it can.

        Words: https://github.com/terraform-google-modules/terraform-docs-samples/issues/606, and issues/465 of
        google-github-actions/deploy-cloudrun.
        """
        match = _REPOSITORY.fullmatch(image)
        owner = self._cloud.of(Projects).find(match[2]) if match else None
        if match and owner:
            name = f"projects/{owner['projectId']}/locations/{match[1]}/repositories/{match[3]}"
            agent = self._cloud.of(Iam).service_agent(call.project_id, _AGENT)
            robot = Caller(agent, call.project_id)
            there = self._cloud.documents.find(name) is not None
            if not there or not self._cloud.of(Access).allows(robot, _PULL, access.repository(name)):
                words = (
                    f"Google Cloud Run Service Agent {agent} must have permission to read the image, {image}. "
                    "Ensure that the provided container image URL is correct and that the above account has "
                    "permission to access the image. If you just enabled the Cloud Run API, the permissions might "
                    "take a few minutes to propagate."
                )
                return {"code": 13, "message": words}
        try:
            images.find(self._cloud.root, plain(image))
        except images.UnknownImage as unknown:
            return {"code": 5, "message": f"Image '{image}' not found. {unknown}"}
        return None

    def get(self, call: Call, _request: Body) -> Body:
        """A job. Raises 404."""
        return self._shown(self._job(call.name))

    def list(self, call: Call, request: Body) -> Body:
        """A page of a region's jobs, newest first. Raises 400."""
        found = self._cloud.documents.list(JOB, f"{call.parent}/jobs/")
        found.sort(key=lambda job: job["createTime"], reverse=True)
        return _page("jobs", [self._shown(job) for job in found], request)

    def delete(self, call: Call, request: Body) -> Body:
        """Forget a job and its executions; those that run are ended. Gives an operation. Raises 404, 409."""
        job = self._job(call.name)
        _check_etag(request.get("etag", ""), job)
        if request.get("validateOnly"):
            return {"name": operations.new_name(call.parent), "done": True, "response": _typed("Job", job)}
        for one in self._kept.below(f"{call.name}/executions/"):
            self._forget(one)
        self._cloud.documents.delete(call.name)
        self._cloud.of(Iam).forget_policy(call.name)
        return operations.done(self._cloud, call.parent, "Job", job | {"deleteTime": self._cloud.clock.stamp()})

    def run(self, call: Call, request: Body) -> Body:
        """A new execution of a job, which starts when there is room; gives its operation. Raises 400, 403, 404."""
        job = self._job(call.name)
        _check_etag(request.get("etag", ""), job)
        overrides = request.get("overrides") or {}
        if overrides:
            call.require("run.jobs.runWithOverrides")
        if job["terminalCondition"]["state"] != "CONDITION_SUCCEEDED":
            raise ApiError(400, job["terminalCondition"]["message"], "FAILED_PRECONDITION")
        template = _overridden(json.loads(json.dumps(job["template"])), overrides)
        now, execution_id = self._cloud.clock.stamp(), f"{call.rest.rpartition('/')[2]}-{_suffix()}"
        count = int(template["taskCount"])
        name = f"{call.name}/executions/{execution_id}"
        body = {
            "name": name,
            "uid": str(uuid.uuid4()),
            "creator": call.caller.email,
            "generation": "1",
            "labels": {**job.get("labels", {}), **template.get("labels", {})},
            "annotations": template.get("annotations", {}),
            "createTime": now,
            "launchStage": "GA",
            "job": call.rest.rpartition("/")[2],
            "parallelism": int(template.get("parallelism") or 0) or count,
            "taskCount": count,
            "template": template["template"],
            "etag": _etag(),
        }
        operation = operations.new_name(call.parent)
        one = Execution(body, call.project_id, template["template"]["serviceAccount"], operation)
        one.tasks = [Task(index, str(uuid.uuid4())) for index in range(count)]
        one.sequence = self._cloud.clock.time()
        body["logUri"] = told.log_uri(one)
        told.refresh(one, now)
        if request.get("validateOnly"):
            return {"name": operation, "done": True, "response": _typed("Execution", body)}
        self._kept.save(one)
        job["executionCount"] = int(job.get("executionCount", 0)) + 1
        job["latestCreatedExecution"] = {"name": execution_id, "createTime": now}
        self._cloud.documents.put(call.name, JOB, job)
        answer = operations.begin(self._cloud, call.parent, "Execution", body, operation)
        self._runner.begin(one)
        return answer

    def _job(self, name: str) -> Body:
        found = self._cloud.documents.find(name)
        if found is None or name.count("/") != 5:
            raise _missing(name)
        return found

    def _shown(self, job: Body) -> Body:
        """A job with how its newest execution is now."""
        latest = job.get("latestCreatedExecution")
        if latest is None:
            return job
        one = self._kept.find(f"{job['name']}/executions/{latest['name']}")
        return job | {"latestCreatedExecution": told.reference(one)} if one else job

    # Policies of jobs

    def get_policy(self, call: Call, request: Body) -> Body:
        """The allow policy of a job. Raises 404."""
        self._job(call.name)
        version = int((request.get("options") or {}).get("requestedPolicyVersion", 0))
        return policies.shown(self._cloud.of(Iam).get_policy(call.name), version)

    def set_policy(self, call: Call, request: Body) -> Body:
        """Replace the allow policy of a job. Raises 400, 404, 409."""
        self._job(call.name)
        return self._cloud.of(Iam).set_policy(call.name, request.get("policy", {}))

    def test_permissions(self, call: Call, request: Body) -> Body:
        """Which of the permissions the caller has on a job."""
        wanted = request.get("permissions", [])
        return {"permissions": self._cloud.of(Access).permitted(call.caller, wanted, job_resource(call.name))}

    # Executions and tasks

    def get_execution(self, call: Call, _request: Body) -> Body:
        """Raises 404."""
        return self._execution(call).body

    def list_executions(self, call: Call, request: Body) -> Body:
        """A page of a job's executions, or with the job "-" of all of a region, newest first. Raises 400, 404."""
        if call.rest == "jobs/-":
            found = self._kept.below(f"{call.parent}/jobs/")
        else:
            self._job(call.name)
            found = self._kept.below(f"{call.name}/executions/")
        return _page("executions", [one.body for one in found if not one.deleted], request)

    def cancel_execution(self, call: Call, request: Body) -> Body:
        """Ask an execution to end; gives an operation. Raises 404, 400 for one that has ended."""
        one = self._execution(call)
        _check_etag(request.get("etag", ""), one.body)
        if one.over:
            raise ApiError(
                400, f"Execution {one.id} has already completed and can't be cancelled.", "FAILED_PRECONDITION"
            )
        if not request.get("validateOnly"):
            self._runner.end(one, "cancelled")
        return operations.done(self._cloud, call.parent, "Execution", self._kept.get(one.name).body)

    def delete_execution(self, call: Call, request: Body) -> Body:
        """Forget an execution; one that runs is ended first. Gives an operation. Raises 404."""
        one = self._execution(call)
        _check_etag(request.get("etag", ""), one.body)
        if not request.get("validateOnly"):
            self._forget(one)
        return operations.done(
            self._cloud, call.parent, "Execution", one.body | {"deleteTime": self._cloud.clock.stamp()}
        )

    def get_task(self, call: Call, _request: Body) -> Body:
        """Raises 404."""
        parent, _, task_id = call.name.rpartition("/tasks/")
        one = self._kept.find(parent)
        for task in one.tasks if one else ():
            if one and task_id == f"{one.id}-task{task.index}":
                return told.task(one, task)
        raise _missing(call.name)

    def list_tasks(self, call: Call, request: Body) -> Body:
        """A page of an execution's tasks, by their index. Raises 400, 404."""
        one = self._execution(call)
        return _page("tasks", [told.task(one, task) for task in one.tasks], request)

    def _execution(self, call: Call) -> Execution:
        one = self._kept.find(call.name)
        if one is None or one.deleted:
            raise _missing(call.name)
        return one

    def _forget(self, one: Execution) -> None:
        if one.over:
            self._kept.delete(one.name)
        else:
            self._runner.end(one, "cancelled", delete=True)


def _overridden(template: Body, overrides: Body) -> Body:
    """The template of an execution with what its run asks for instead. Raises 400."""
    task = template["template"]
    if overrides.get("taskCount"):
        template["taskCount"] = int(overrides["taskCount"])
    if overrides.get("timeout"):
        task["timeout"] = f"{validation.timeout(overrides)}s"
    container = task["containers"][0]
    for one in overrides.get("containerOverrides", []):
        if one.get("name") and one["name"] != container.get("name"):
            raise ApiError(400, f"overrides.container_overrides.name: There is no container '{one['name']}'.")
        if one.get("args") and one.get("clearArgs"):
            raise ApiError(400, "overrides.container_overrides: args and clear_args exclude each other.")
        if one.get("args"):
            container["args"] = one["args"]
        if one.get("clearArgs"):
            container.pop("args", None)
        if given := one.get("env", []):
            validation.check_variables(given, "overrides.container_overrides.env")
            names = {each["name"] for each in given}
            container["env"] = [each for each in container.get("env", []) if each["name"] not in names] + given
    return template


def _check_etag(given: str, present: Body) -> None:
    if given and given != present.get("etag"):
        raise ApiError(409, "The etag does not match the current version of the resource.", "ABORTED")


def _missing(name: str) -> ApiError:
    _, project, _, region, *_, last = name.split("/")
    where = f"in region '{region}' in project '{project}'"
    return ApiError(404, f"Resource '{last}' of kind '{_kind(name)}' {where} does not exist.")


def _kind(name: str) -> str:
    parts = name.split("/")
    return {"jobs": "JOB", "executions": "EXECUTION", "tasks": "TASK"}.get(parts[-2], "RESOURCE")


def _page(field: str, found: list[Body], request: Body) -> Body:
    return page(field, found, {name: str(request[name]) for name in ("pageSize", "pageToken") if name in request})


def _suffix() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(5))


def _etag() -> str:
    return f'"{secrets.token_urlsafe(12)}"'


def _typed(message: str, body: Body) -> Body:
    return {"@type": f"type.googleapis.com/google.cloud.run.v2.{message}", **body}
