"""What the local cloud promises of Google, asked of any account: reads, refusals, a bucket that is made and removed.

Nothing here starts a machine, and what is made is removed. The answers are kept without anything personal: names,
numbers, addresses and tokens become words such as {project}, so that two clouds can be compared, and shown to others.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cloudkite.accounts.api import NoAnswer, send
from cloudkite.accounts.target import Target
from cloudkite.show.errors import UserError, body
from cloudkite.show.text import _

_STORAGE = "https://storage.googleapis.com/storage/v1/b"
_UPLOAD = "https://storage.googleapis.com/upload/storage/v1/b/{bucket}/o?uploadType=media&name=one&ifGenerationMatch=0"
_PROJECT = "https://cloudresourcemanager.googleapis.com/v3/projects/{project}"
_QUOTAS = "https://cloudquotas.googleapis.com/v1/projects/{project}/locations/global"
_INFO = f"{_QUOTAS}/services/aiplatform.googleapis.com/quotaInfos"
_JOBS = "https://{region}-aiplatform.googleapis.com/v1/projects/{project}/locations/{region}/customJobs"
_BUCKET = {
    "name": "{bucket}",
    "location": "{region}",
    "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}},
}


@dataclass(frozen=True)
class Question:
    """One request. {project}, {region} and {bucket} are put in; `text` is a body as it is, else `body` as JSON."""

    name: str
    method: str
    url: str
    body: Any = None
    text: str = ""


def _job(machine: str, **more: Any) -> dict[str, Any]:
    """A job that no service can start: what is wrong with it differs, and its image exists nowhere."""
    container = {"imageUri": "{region}-docker.pkg.dev/{project}/none/none:none"}
    pool = {"machineSpec": {"machineType": machine, **more}, "replicaCount": "1", "containerSpec": container}
    return {"displayName": "parity", "jobSpec": {"workerPoolSpecs": [pool], "scheduling": {"timeout": "60s"}}}


QUESTIONS = (
    Question("the project", "GET", _PROJECT),
    Question("a project that is not there", "GET", _PROJECT + "-none"),
    Question("own permissions", "POST", _PROJECT + ":testIamPermissions", {"permissions": ["storage.buckets.create"]}),
    Question("permissions that there are not", "POST", _PROJECT + ":testIamPermissions", {"permissions": ["a.b.c"]}),
    Question("an API", "GET", "https://serviceusage.googleapis.com/v1/projects/{project}/services/storage.googleapis.com"),
    Question("an API that is not there", "GET", "https://serviceusage.googleapis.com/v1/projects/{project}/services/none.googleapis.com"),
    Question("billing", "GET", "https://cloudbilling.googleapis.com/v1/projects/{project}/billingInfo"),
    Question("a quota", "GET", _INFO + "/CustomModelTrainingT4GPUsPerProjectPerRegion"),
    Question("a quota that is not there", "GET", _INFO + "/NoSuchQuotaPerProjectPerRegion"),
    Question("a change of a preference that is not there", "PATCH", _QUOTAS + "/quotaPreferences/parity-none",
             {"service": "aiplatform.googleapis.com", "quotaId": "CustomModelTrainingT4GPUsPerProjectPerRegion",
              "quotaConfig": {"preferredValue": "0"}, "dimensions": {"region": "{region}"}}),
    Question("no jobs", "GET", _JOBS + '?filter=display_name="parity-none"'),
    Question("a job that is not there", "GET", _JOBS + "/1"),
    Question("a filter that is none", "GET", _JOBS + "?filter=(("),
    Question("a job without machines", "POST", _JOBS, {"displayName": "parity", "jobSpec": {"workerPoolSpecs": []}}),
    Question("a job on a machine that there is not", "POST", _JOBS, _job("n1-standard-3")),
    Question("a job with a GPU that its machine can't have", "POST", _JOBS,
             _job("e2-standard-4", acceleratorType="NVIDIA_TESLA_T4", acceleratorCount=1)),
    Question("a bucket's name that can't be", "POST", _STORAGE + "?project={project}", {"name": "No_Bucket!"}),
    Question("make a bucket", "POST", _STORAGE + "?project={project}", _BUCKET),
    Question("make it again", "POST", _STORAGE + "?project={project}", _BUCKET),
    Question("the bucket", "GET", _STORAGE + "/{bucket}"),
    Question("who may in it", "GET", _STORAGE + "/{bucket}/iam"),
    Question("an object that is not there", "GET", _STORAGE + "/{bucket}/o/none"),
    Question("write an object", "POST", _UPLOAD, text="1"),
    Question("write it where it must not be", "POST", _UPLOAD, text="2"),
    Question("the objects", "GET", _STORAGE + "/{bucket}/o"),
    Question("delete a bucket that is not empty", "DELETE", _STORAGE + "/{bucket}"),
    Question("delete the object", "DELETE", _STORAGE + "/{bucket}/o/one"),
    Question("delete the bucket", "DELETE", _STORAGE + "/{bucket}"),
    Question("the bucket that is gone", "GET", _STORAGE + "/{bucket}"),
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What came: `code` is HTTP's, 0 for none; `said` what an error says, `shape` the fields of anything else."""

    code: int
    said: str
    shape: Any


@dataclass(frozen=True)
class Difference:
    """A question that two clouds answer differently, and how each does."""

    question: str
    about: str
    here: Any
    there: Any


def ask(target: Target, tell: Callable[[str], Any] = lambda _line: None) -> dict[str, Answer]:
    """All answers of an account, by the question's name. Raises UserError for a job that was taken all the same."""
    bucket = f"cloudkite-parity-{secrets.token_hex(8)}"
    values = {"project": target.account.project, "region": target.account.region, "bucket": bucket}
    hide = _Hidden(target, values)
    answers = {}
    try:
        for question in QUESTIONS:
            tell(question.name)
            answers[question.name] = _ask(target, question, values, hide)
    finally:
        for url in (f"{_STORAGE}/{bucket}/o/one", f"{_STORAGE}/{bucket}"):
            send(target, "DELETE", url, _("remove the bucket"), again=True)
    return answers


def _ask(target: Target, question: Question, values: dict[str, str], hide: _Hidden) -> Answer:
    url = _filled(question.url, values)
    sent = {"data": question.text.encode()} if question.text else {"json": _filled(question.body, values)}
    try:
        response = send(
            target, question.method, url, question.name, again=False, **(sent if question.method != "GET" else {})
        )
    except NoAnswer:
        return Answer(0, "no answer", None)
    found = body(response)
    if found is None and response.content:
        return Answer(response.status_code, hide.text(response.text[:200]), None)
    if response.ok and question.url == _JOBS and question.method == "POST":
        _end(target, found)
    error = found.get("error") if isinstance(found, dict) else None
    if isinstance(error, dict):
        reasons = [
            str(one.get("reason")) for one in (*error.get("details", ()), *error.get("errors", ())) if one.get("reason")
        ]
        status = " ".join(filter(None, [str(error.get("status", "")), *reasons]))
        return Answer(response.status_code, f"{status}: {hide.text(str(error.get('message', '')))}", None)
    return Answer(response.status_code, "", _shape(found, hide))


def _end(target: Target, job: Any) -> None:
    """A job that should have been refused: nothing may go on costing."""
    url = f"https://{target.account.region}-aiplatform.googleapis.com/v1/{job['name']}:cancel"
    send(target, "POST", url, _("cancel the job"), again=True, json={})
    raise UserError(
        _("a job that can't run was taken, and was cancelled: {name}").format(name=job["name"]),
        _("look with `uv run invoke jobs` whether it has ended"),
    )


def compare(here: dict[str, Answer], there: dict[str, Answer]) -> list[Difference]:
    """Where two clouds differ: in the code, in the words, in each field that one of them has."""
    found = []
    for name in here.keys() & there.keys():
        one, other = here[name], there[name]
        if one.code != other.code:
            found.append(
                Difference(name, "code", f"{one.code} {one.said}".strip(), f"{other.code} {other.said}".strip())
            )
        elif one.said != other.said:
            found.append(Difference(name, "words", one.said, other.said))
        else:
            found += [Difference(name, *row) for row in _fields(one.shape, other.shape)]
    order = [question.name for question in QUESTIONS]
    return sorted(found, key=lambda one: (order.index(one.question), one.about))


def _fields(here: Any, there: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(here, dict) and isinstance(there, dict):
        for key in here.keys() | there.keys():
            yield from _fields(here.get(key), there.get(key), f"{path}.{key}" if path else key)
    elif here != there:
        yield path, here, there


def _filled(value: Any, values: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(one, values) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, values) for one in value]
    if not isinstance(value, str):
        return value
    for name, text in values.items():
        value = value.replace(f"{{{name}}}", text)
    return value


def _shape(value: Any, hide: _Hidden) -> Any:
    """Fields and what kind of value each has; words in capitals are Google's own, and stay."""
    if isinstance(value, dict):
        return {hide.text(str(key)): _shape(one, hide) for key, one in value.items()}
    if isinstance(value, list):  # how many there are differs from account to account
        return {"[]": _shape(value[0], hide)} if value else {}
    if isinstance(value, str):
        return value if re.fullmatch(r"[A-Z][A-Z_]+", value) or ("#" in value and "/" not in value) else "text"
    return value if isinstance(value, bool) or value is None else "number"


class _Hidden:
    """Takes out of a text what is personal."""

    def __init__(self, target: Target, values: dict[str, str]) -> None:
        named = {**values, "identity": target.identity, "account": target.account.name}
        self._named = sorted(((text, name) for name, text in named.items() if text), key=lambda one: -len(one[0]))

    def text(self, text: str) -> str:
        for found, name in self._named:
            if name != "account":
                text = text.replace(found, f"{{{name}}}")
        for pattern, word in _PERSONAL:
            text = pattern.sub(word, text)
        return text


_PERSONAL = (
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*\w"), "{e-mail}"),
    (re.compile(r"\bya29\.[\w-]+|\beyJ[\w-]+\.[\w-]+\.[\w-]*"), "{token}"),
    (re.compile(r"\b[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}\b"), "{billing account}"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "{id}"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z?"), "{time}"),
    (re.compile(r"\b[\w-]{40,}\b"), "{token}"),
    (re.compile(r"\d{5,}"), "{number}"),
)
