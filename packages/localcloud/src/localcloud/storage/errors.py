"""Cloud Storage's refusals in its own three shapes: JSON, bare text for media, XML.

Words and codes: https://cloud.google.com/storage/docs/json_api/v1/status-codes and
https://cloud.google.com/storage/docs/xml-api/reference-status
"""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import escape

from localcloud.core.errors import ApiError

# XML code -> its fixed message.
_XML_MESSAGES = {
    "AccessDenied": "Access denied.",
    "BadDigest": "The Content-MD5 you specified did not match what we received.",
    "BucketAlreadyOwnedByYou": "Your previous request to create the named bucket succeeded and you already own it.",
    "BucketNameUnavailable": "The requested bucket name is not available.",
    "BucketNotEmpty": "The bucket you tried to delete is not empty.",
    "CrcMismatch": "The CRC32C you specified did not match what we received.",
    "ExpiredToken": "Invalid argument.",
    "EntityTooLarge": "Your proposed upload exceeds the maximum allowed object size.",
    "EntityTooSmall": "Your proposed upload is smaller than the minimum allowed object size.",
    "InternalError": "We encountered an internal error. Please try again.",
    "InvalidArgument": "Invalid argument.",
    "InvalidBucketName": "The specified bucket is not valid.",
    "InvalidObjectName": "The specified object name is not valid.",
    "InvalidPart": "One or more of the specified parts could not be found.",
    "InvalidPolicyDocument": "The content of the form does not meet the conditions specified in the policy document.",
    "InvalidRange": "The requested range cannot be satisfied.",
    "InvalidAccessKeyId": "The User Id you provided does not exist in our records.",
    "MalformedSecurityHeader": "Your request has a malformed header.",
    "MalformedXML": "The XML you provided was not well-formed or did not validate against our published schema.",
    "MetadataTooLarge": "Your metadata headers exceed the maximum allowed metadata size.",
    "NoSuchBucket": "The specified bucket does not exist.",
    "NoSuchKey": "The specified key does not exist.",
    "NoSuchUpload": "The requested upload was not found.",
    "NotImplemented": "A header you provided implies functionality that is not implemented.",
    "ObjectUnderActiveHold": "Object overwrite or deletion is not allowed due to active hold on the object.",
    "PreconditionFailed": "At least one of the pre-conditions you specified did not hold.",
    "RetentionPolicyNotMet": "Object overwrite or deletion is not allowed due to retention policy.",
    "RequestTimeTooSkewed": "The difference between the request time and the server's time is too large.",
    "SignatureDoesNotMatch": "Access denied.",
    "SlowDown": "Please reduce your request rate.",
}
# HTTP codes that differ from those of the JSON API.
XML_STATUS = {"AccessDenied": 403}
_XML_CODES = {
    400: "InvalidArgument",
    401: "AuthenticationRequired",
    403: "AccessDenied",
    404: "NoSuchKey",
    412: "PreconditionFailed",
    413: "EntityTooLarge",
    416: "InvalidRange",
    501: "NotImplemented",
}


class StorageError(ApiError):
    """A refusal that also knows its XML `Code` ("" for the usual one of the HTTP code)."""

    def __init__(self, code: int, message: str, reason: str = "", xml_code: str = "", location: str = "") -> None:
        super().__init__(code, message, reason=reason)
        self.xml_code = xml_code
        self.location = location
        self.bucket = ""  # that an object was not found in: not everybody is told so
        self.extra: dict[str, str] = {}  # further elements of the XML error
        self.bare = False  # told by the server that takes uploads, which knows no JSON


def invalid(message: str, xml_code: str = "") -> StorageError:
    """400: a value that can't be."""
    return StorageError(400, message, "invalid", xml_code)


def required(message: str = "Required") -> StorageError:
    """400: something is missing."""
    return StorageError(400, message, "required")


def no_bucket() -> StorageError:
    return StorageError(404, _XML_MESSAGES["NoSuchBucket"], "notFound", "NoSuchBucket")


def no_object(bucket: str, name: str) -> StorageError:
    error = StorageError(404, f"No such object: {bucket}/{name}", "notFound", "NoSuchKey")
    error.bucket = bucket
    return error


def denied_by_storage(email: str, permission: str) -> StorageError:
    """403, or 401 for a caller without an e-mail, in the words that Storage has for its own permissions."""
    kind = permission.rpartition(".")[0]
    if permission in ("storage.buckets.list", "storage.buckets.create") or not permission.startswith("storage."):
        noun = "project"
    elif kind in ("storage.objects", "storage.multipartUploads") and not permission.endswith(".list"):
        noun = "Storage object"
    else:
        noun = "Storage bucket"
    message = (
        f"{email or 'Anonymous caller'} does not have {permission} access to the Google Cloud {noun}. "
        f"Permission '{permission}' denied on resource (or it may not exist)."
    )
    if email:
        return StorageError(403, message, "forbidden", "AccessDenied")
    error = StorageError(401, message, "required", "AccessDenied", location="Authorization")
    error.headers["WWW-Authenticate"] = 'Bearer realm="https://accounts.google.com/"'
    return error


def no_upload() -> StorageError:
    """404: an upload session that ended, was cancelled, or never was."""
    return StorageError(404, "No such upload session.", "notFound", "NoSuchUpload")


def condition_failed() -> StorageError:
    message = _XML_MESSAGES["PreconditionFailed"]
    return StorageError(412, message, "conditionNotMet", "PreconditionFailed", location="If-Match")


def not_modified() -> StorageError:
    """304: the caller has it already."""
    return StorageError(304, "Not Modified", "notModified")


def bad_range(size: int) -> StorageError:
    """416: nothing of what is asked for is among the `size` bytes; by that header clients know an empty object."""
    error = StorageError(416, "Request range not satisfiable", "requestedRangeNotSatisfiable", "InvalidRange")
    error.headers["Content-Range"] = f"bytes */{size}"
    return error


def not_emulated(what: str) -> StorageError:
    """501: exists on Google and not here."""
    return StorageError(501, f"not emulated by the local cloud: {what}", "notImplemented", "NotImplemented")


def json_body(error: ApiError) -> dict[str, Any]:
    """The body of a refused JSON API call: no status, no details, but `errors`."""
    entry: dict[str, Any] = {"message": error.message, "domain": "global", "reason": error.reason}
    if isinstance(error, StorageError) and error.location:
        entry |= {"locationType": "header", "location": error.location}
    return {"error": {"code": error.code, "message": error.message, "errors": [entry]}}


def rendered(error: ApiError, shape: str) -> tuple[bytes, str]:
    """(body, content type) of a refusal; `shape` is "json", "text" (alt=media) or "xml"."""
    if error.code == 304:
        return b"", "text/html; charset=UTF-8"
    if shape == "json" and not getattr(error, "bare", False):
        return json.dumps(json_body(error)).encode(), "application/json; charset=UTF-8"
    if shape != "xml":
        return error.message.encode(), "text/html; charset=UTF-8"
    code = getattr(error, "xml_code", "") or _XML_CODES.get(error.code, "InternalError")
    message = _XML_MESSAGES.get(code, error.message)
    elements = error.extra if isinstance(error, StorageError) else {}
    extra = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in elements.items())
    text = (
        f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{escape(message)}</Message>"
        f"<Details>{escape(error.message)}</Details>{extra}</Error>"
    )
    return text.encode(), "application/xml; charset=UTF-8"
