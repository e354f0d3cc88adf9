"""Several JSON API calls in one request: https://cloud.google.com/storage/docs/batch"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from localcloud.core.asked import callers
from localcloud.core.asked.callers import Caller, Verifier
from localcloud.core.asked.drills import Drills
from localcloud.core.errors import ApiError
from localcloud.storage.admission import Admission
from localcloud.storage.errors import StorageError, invalid, json_body, not_emulated
from localcloud.storage.json.api import JsonApi
from localcloud.storage.messages import Request, Response, parse_object
from localcloud.storage.uploads.multipart import boundary

_MOST_CALLS = 1000  # Google asks for at most 100, and its own client sends up to 1000
_ANSWERS = "batch_localcloud"
_LINE = re.compile(r"([A-Z]+) (\S+)(?: HTTP/\d(?:\.\d)?)?")


async def answer(api: JsonApi, request: Request, admission: Admission, drills: Drills) -> Response:
    """Make the calls one after another and answer each; one that is refused stops no other. Raises 400."""
    delimiter = b"--" + boundary(request.headers.get("content-type", ""))
    parts = (await request.body.read()).replace(b"\r\n", b"\n").split(delimiter)[1:]
    calls = [part for part in parts if not part.startswith(b"--") and part.strip()]
    if len(calls) > _MOST_CALLS:
        raise invalid(f"The batch request has {len(calls)} calls; {_MOST_CALLS} are allowed.")
    answers = [await _part(api, request, admission, drills, call.lstrip(b"\n")) for call in calls]
    body = "".join(f"--{_ANSWERS}\r\n{answer}\r\n" for answer in answers) + f"--{_ANSWERS}--\r\n"
    return Response(200, body.encode(), f"multipart/mixed; boundary={_ANSWERS}")


async def _part(api: JsonApi, request: Request, admission: Admission, drills: Drills, part: bytes) -> str:
    head, _, inner = part.partition(b"\n\n")
    found = re.search(r"^content-id:[ ]*<?([^>\n]+)>?", head.decode("latin-1"), re.IGNORECASE | re.MULTILINE)
    call_id = f"Content-ID: <response-{found[1]}>\r\n" if found else ""
    try:
        result = await _call(api, request, admission, drills, inner)
        status = HTTPStatus.OK if result is not None else HTTPStatus.NO_CONTENT
    except ApiError as error:
        result, status = json_body(error), HTTPStatus(error.code)
    lines = f"HTTP/1.1 {status.value} {status.phrase}\r\n"
    body = ""
    if result is not None:
        body = json.dumps(result)
        lines += f"Content-Type: application/json; charset=UTF-8\r\nContent-Length: {len(body)}\r\n"
    return f"Content-Type: application/http\r\n{call_id}\r\n{lines}\r\n{body}"


async def _call(
    api: JsonApi, request: Request, admission: Admission, drills: Drills, text: bytes
) -> dict[str, object] | None:
    """One call in HTTP's own form: a request line, headers, a blank line, JSON. Raises 400 for what is no call."""
    head, _, body = text.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    line = _LINE.fullmatch(first)
    if not line:
        raise invalid("Failed to parse a request of the batch.")
    url = urlsplit(line[2])
    queries = parse_qs(url.query, keep_blank_values=True)
    pairs = [line.partition(":") for line in lines]
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    method = headers.get("x-http-method-override", line[1]).upper()  # Java's client has no PATCH of its own
    if not url.path.startswith("/storage/v1/") or queries.get("alt") == ["media"]:
        raise not_emulated(f"{method} {url.path} in a batch")
    caller = _caller(request, admission, headers.pop("authorization", ""))
    if drills.active and (refusal := drills.in_batch(method, request.host, url.path, caller.email)):
        raise refusal
    path = url.path.removeprefix("/storage/v1")
    asker = admission.of(caller, {name: values[-1] for name, values in queries.items()}, headers)
    try:
        asker.enter()
        return await api.answer(method, path, queries, headers, parse_object(body), asker)
    except ApiError as error:
        raise asker.told(error) from None


def _caller(request: Request, admission: Admission, header: str) -> Caller:
    """Who makes a call: by its own Authorization header (Java's client sends no other), else by that of the request.

    Raises 401.
    """
    if not header:
        return request.caller
    try:
        return callers.shown(admission.storage.cloud.of(Verifier), header, request.host)
    except ApiError:
        raise StorageError(401, "Invalid Credentials", "authError", location="Authorization") from None
