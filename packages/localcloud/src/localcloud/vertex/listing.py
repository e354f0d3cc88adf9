"""Which jobs a list call asks for: filter, page, fields.

The filter's fields and operators: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs/list
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from localcloud.core.errors import ApiError
from localcloud.core.filters import Both, Compare, Either, Filter, Function, Not, Text, parse
from localcloud.logging.entries import nanoseconds

Job = dict[str, Any]
Match = Callable[[Job], bool]

STATES = (
    "QUEUED",
    "PENDING",
    "RUNNING",
    "SUCCEEDED",
    "FAILED",
    "CANCELLING",
    "CANCELLED",
    "PAUSED",
    "EXPIRED",
    "UPDATING",
    "PARTIALLY_SUCCEEDED",
)
_PREFIX = re.compile(r"^(JOB|PIPELINE)_STATE_")
_DEFAULT_PAGE, _LARGEST_PAGE = 100, 1000


def matcher(text: str) -> Match:
    """A function that says whether a job matches the filter. Raises 400 for one that can't be understood."""
    tree = parse(text)
    return (lambda job: True) if tree is None else _matcher(tree, text)


def _matcher(tree: Filter, text: str) -> Match:
    if isinstance(tree, Both | Either):
        parts = [_matcher(part, text) for part in tree.parts]
        every = all if isinstance(tree, Both) else any
        return lambda job: every(part(job) for part in parts)
    if isinstance(tree, Not):
        part = _matcher(tree.part, text)
        return lambda job: not part(job)
    if isinstance(tree, Text | Function):
        raise _refused(text, f"'{tree.value if isinstance(tree, Text) else tree.name}' is not a comparison")
    if tree.call is not None:
        raise _refused(text, f"the function '{tree.call.name}' can't be used")
    field = re.sub(r"_([a-z])", lambda m: m[1].upper(), tree.path[0])
    if field == "labels":
        return _labels(tree, text)
    if len(tree.path) == 1 and field in ("displayName", "trainingTaskDefinition"):
        return _words(tree, text, field)
    if len(tree.path) == 1 and field == "state":
        return _state(tree, text)
    if len(tree.path) == 1 and field in ("hasError", "done"):
        operator = _operator(tree, text, "=", "!=")
        if tree.value.lower() not in ("true", "false"):
            raise _refused(text, f"'{tree.value}' is not true or false")
        wanted = (tree.value.lower() == "true") == (operator == "=")
        return lambda job: bool(job.get("error" if field == "hasError" else field)) == wanted
    if len(tree.path) == 1 and field in ("modelDisplayName", "baseModelName"):
        operators = ("=", "!=") if field == "modelDisplayName" else ("=",)
        operator = _operator(tree, text, *operators)
        return lambda job: (job.get(field) == tree.value) == (operator == "=")  # no model is made from a base model
    if len(tree.path) == 1 and field in ("model", "endpoint"):
        operator = _operator(tree, text, "=", "!=")
        return lambda job: (job["name"].rpartition("/")[2] == tree.value) == (operator == "=")
    if len(tree.path) == 1 and field in ("createTime", "startTime", "endTime", "updateTime"):
        return _instant(tree, text, field)
    raise _refused(text, f"the field '{'.'.join(tree.path)}' can't be filtered by")


def _refused(text: str, why: str) -> ApiError:
    return ApiError(400, f"Invalid filter '{text}': {why}.")


def _operator(term: Compare, text: str, *allowed: str) -> str:
    if term.operator not in allowed:
        raise _refused(text, f"'{'.'.join(term.path)}' can't be compared by '{term.operator}'")
    return term.operator


def _words(term: Compare, text: str, field: str) -> Match:
    operator = _operator(term, text, "=", "!=", ":")
    if operator == ":" or "*" in term.value:
        parts = (re.escape(part) for part in term.value.split("*"))
        expression = re.compile(".*".join(parts), re.DOTALL)
        search = expression.search if operator == ":" else expression.fullmatch
        return lambda job: (search(job.get(field, "")) is not None) == (operator != "!=")
    return lambda job: (job.get(field) == term.value) == (operator == "=")


def _state(term: Compare, text: str) -> Match:
    """With JOB_STATE_ or, of a training pipeline, PIPELINE_STATE_ before it, or without."""
    operator = _operator(term, text, "=", "!=")
    wanted = _PREFIX.sub("", term.value)
    if wanted not in (*STATES, "UNSPECIFIED"):
        raise _refused(text, f"'{term.value}' is no state")
    return lambda job: (_PREFIX.sub("", job["state"]) == wanted) == (operator == "=")


def _instant(term: Compare, text: str, field: str) -> Match:
    operator = _operator(term, text, "=", "!=", "<", "<=", ">", ">=")
    try:
        instant = nanoseconds(term.value)
    except ValueError as error:
        raise _refused(text, str(error)) from None
    order: Callable[[int], bool] = {
        "=": lambda own: own == instant,
        "!=": lambda own: own != instant,
        "<": lambda own: own < instant,
        "<=": lambda own: own <= instant,
        ">": lambda own: own > instant,
        ">=": lambda own: own >= instant,
    }[operator]
    return lambda job: field in job and order(nanoseconds(job[field]))


def _labels(term: Compare, text: str) -> Match:
    operator = _operator(term, text, "=", "!=", ":")
    if len(term.path) == 1:
        if operator != ":":
            raise _refused(text, "'labels' can only be compared by ':'")
        return lambda job: term.value in job.get("labels", {})
    key = ".".join(term.path[1:])
    if term.value == "*" and not term.quoted:
        return lambda job: key in job.get("labels", {})
    return lambda job: (job.get("labels", {}).get(key) == term.value) == (operator != "!=")


def page(collection: str, jobs: Sequence[tuple[int | str, Job]], request: Mapping[str, Any]) -> Job:
    """The page of `jobs` (what orders them and body, newest first) that a request asks for: {collection: [...]}.

    The next page's token names the last job given, so that new jobs shift nothing. Raises 400.
    """
    size, token, text = int(request.get("pageSize", 0)), request.get("pageToken", ""), request.get("filter", "")
    if size < 0:
        raise ApiError(400, "Page size must be non-negative.")
    size = min(size or _DEFAULT_PAGE, _LARGEST_PAGE)
    signature = hashlib.sha256(json.dumps([request.get("parent", request.get("name")), text]).encode()).hexdigest()[:16]
    before: Any = None
    if token:
        try:
            signed, before = json.loads(base64.urlsafe_b64decode(token))
        except (ValueError, TypeError):
            signed = ""
        if signed != signature:
            raise ApiError(400, "Page token is invalid.")
    matches = matcher(text)
    found = [(number, job) for number, job in jobs if (before is None or number < before) and matches(job)]
    last = [signature, found[size - 1][0]] if found[size:] else None
    return answer(collection, [job for _, job in found[:size]], last, request)


def answer(collection: str, rows: Sequence[Job], last: Any, request: Mapping[str, Any]) -> Job:
    """A page of `rows` with the fields that the request wants; `last` is what the next page's token tells, or None."""
    found = {collection: [_masked(row, request.get("readMask", "")) for row in rows]}
    token = {"nextPageToken": base64.urlsafe_b64encode(json.dumps(last).encode()).decode()} if last else {}
    return found | token


def _masked(job: Job, mask: str) -> Job:
    wanted = {path.strip().partition(".")[0] for path in mask.split(",") if path.strip()}
    names = {re.sub(r"_([a-z])", lambda m: m[1].upper(), name) for name in wanted}
    return job if not names or "*" in names else {name: value for name, value in job.items() if name in names}
