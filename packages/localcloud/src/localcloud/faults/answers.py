"""How a fault's answer looks: each API's own words and shapes for a code, as Google sends them.

Words: https://cloud.google.com/storage/docs/json_api/v1/status-codes, https://cloud.google.com/apis/design/errors and
https://cloud.google.com/docs/quotas/troubleshoot (429).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from localcloud.core.asked import callers
from localcloud.core.asked.permits import denied
from localcloud.core.errors import ApiError, error_info
from localcloud.faults.names import METADATA, Seen, includes, rpc_id
from localcloud.faults.store import Fault
from localcloud.iam.store import Iam
from localcloud.projects.store import Projects

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_WORDS = {
    404: "Requested entity was not found.",
    408: "The request timed out.",
    500: "Internal error encountered.",
    502: "Bad Gateway",
    503: "The service is currently unavailable.",
    504: "Deadline expired before operation could complete.",
}
_STATUSES = {502: "UNAVAILABLE"}
_STORAGE = {  # code -> message, reason of JSON, Code of XML
    401: ("Invalid Credentials", "authError", "AuthenticationRequired"),
    404: ("", "notFound", "NoSuchKey"),
    408: ("The request timed out.", "uploadBrokenConnection", "RequestTimeout"),
    500: ("Backend Error", "backendError", "InternalError"),
    503: ("Backend Error", "backendError", "ServiceUnavailable"),
    504: ("Gateway Timeout", "gatewayTimeout", "GatewayTimeout"),
}
_RATE = (
    "The object {path} exceeded the rate limit for object mutation operations (create, update, and delete). "
    "Please reduce your request rate. See https://cloud.google.com/storage/docs/gcs429."
)
_SLOW_DOWN = "The rate of requests is too high. Please reduce your request rate."
# What Google's front end sends when nobody behind it answered: a page for people, from whichever API.
_GATEWAY = """<!DOCTYPE html>
<html lang=en>
  <meta charset=utf-8>
  <meta name=viewport content="initial-scale=1, minimum-scale=1, width=device-width">
  <title>Error 502 (Server Error)!!1</title>
  <p><b>502.</b> <ins>That’s an error.</ins>
  <p>The server encountered a temporary error and could not complete your request.<p>Please try again in 30 seconds.  <ins>That’s all we know.</ins>
"""  # noqa: E501


def error(cloud: Cloud, fault: Fault, seen: Seen) -> ApiError:
    """The refusal that most APIs send, over REST and gRPC."""
    code = fault.code
    api = seen.host.partition(".")[0] if seen.host else rpc_id(seen.rpc).partition(".")[0]
    api = "aiplatform" if "aiplatform" in seen.host else api
    headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after else {}
    if code == 401:
        return callers.invalid()
    if code == 403:
        method = seen.id or rpc_id(seen.rpc)
        permission = ".".join([api, *method.split(".")[-2:]])
        found = re.search(r"projects/[^/:]+(?:/locations/[^/:]+)?", unquote(seen.path))
        return denied(permission, found[0] if found else "projects/-", f"{api}.googleapis.com")
    if code == 429:
        details = [
            error_info(
                "RATE_LIMIT_EXCEEDED",
                "googleapis.com",
                service=f"{api}.googleapis.com",
                consumer=f"projects/{_number(cloud, seen)}",
                quota_metric=f"{api}.googleapis.com/default_requests",
                quota_limit="DefaultRequestsPerMinutePerProject",
                quota_location="global",
                quota_unit="1/min/{project}",
            )
        ]
        if fault.retry_after:
            retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{fault.retry_after}s"}
            details.append(retry)
        words = (
            f"Quota exceeded for quota metric 'Default requests' and limit 'Default requests per minute' of service "
            f"'{api}.googleapis.com' for consumer 'project_number:{_number(cloud, seen)}'."
        )
        return ApiError(429, words, details=details, headers=headers)
    return ApiError(code, _WORDS[code], _STATUSES.get(code, ""), headers=headers)


def _number(cloud: Cloud, seen: Seen) -> str:
    account = cloud.of(Iam).find_service_account(seen.principal) if seen.principal else None
    project = cloud.of(Projects).find(account["projectId"]) if account else None
    return project["projectNumber"] if project else "0"


def storage_error(fault: Fault, seen: Seen) -> ApiError:
    """The refusal of a Storage call; how it is written (JSON, text, XML), the caller knows."""
    from localcloud.storage.errors import StorageError

    code = fault.code
    found = re.search(r"(?:/b)?/([^/?]+)(?:/o)?/([^/?]+)", seen.path.rpartition("/storage/v1")[2])
    path = unquote(f"{found[1]}/{found[2]}") if found else ""
    made_id = seen.id
    if code == 403:
        permission = re.sub(r"\.insert$", ".create", made_id)
        of_bucket = made_id.startswith("storage.buckets") or includes("storage.objects.list", made_id)
        noun = "bucket" if of_bucket else "object"
        words = (
            f"{seen.principal or 'Anonymous caller'} does not have {permission} access to the Google Cloud Storage "
            f"{noun}. Permission '{permission}' denied on resource (or it may not exist)."
        )
        made = StorageError(403, words, "forbidden", "AccessDenied")
    elif code == 429:
        changes = path and made_id.startswith("storage.objects") and not made_id.endswith((".get", ".list"))
        words = _RATE.format(path=path) if changes else _SLOW_DOWN
        made = StorageError(429, words, "rateLimitExceeded", "SlowDown")
    else:
        words, reason, xml_code = _STORAGE.get(code, ("Bad Gateway", "badGateway", "BadGateway"))
        if code == 404:
            of_object = path and made_id.startswith("storage.objects")
            words = f"No such object: {path}" if of_object else "The specified bucket does not exist."
            xml_code = "NoSuchKey" if of_object else "NoSuchBucket"
        made = StorageError(code, words, reason, xml_code, "Authorization" if code == 401 else "")
    if fault.retry_after:
        made.headers["Retry-After"] = str(fault.retry_after)
    return made


def plain(cloud: Cloud, fault: Fault, seen: Seen) -> tuple[bytes, str, dict[str, str]]:
    """(body, content type, headers) of what isn't Storage's: JSON, Google's page for 502, or the token endpoint's."""
    if fault.code == 502:
        return _GATEWAY.encode(), "text/html; charset=UTF-8", {}
    refusal = error(cloud, fault, seen)
    if seen.host == METADATA:
        return refusal.message.encode(), "text/html; charset=UTF-8", {"Metadata-Flavor": "Google", **refusal.headers}
    body = refusal.body()
    if seen.path in ("/token", "/oauth2/v4/token", "/oauth2/v3/token", "/o/oauth2/token"):
        # https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1
        word = {401: "invalid_client", 403: "access_denied"}.get(fault.code, "internal_failure")
        body = {"error": word, "error_description": refusal.message}
    return json.dumps(body, indent=2).encode(), "application/json; charset=UTF-8", refusal.headers
