"""Who is let in to Cloud Storage without a token, and how it refuses before its own code runs."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

from localcloud.core.errors import ApiError, NotEmulated
from localcloud.transport.rest import Scope, Send, send_bytes, send_json

# https://cloud.google.com/storage/docs/authentication/signatures: version 4, and version 2
_SIGNED = re.compile(rb"(^|&)(x-goog-signature|googleaccessid)=", re.IGNORECASE)
_BATCH = re.compile(r"/+batch")  # Java's client doubles the slash
_JSON = re.compile(r"/((upload|download|resumable/upload)/)?storage/")
_HMAC = re.compile(rb"(GOOG1|AWS|AWS4-HMAC-SHA256|GOOG4-HMAC-SHA256|GOOG4-RSA-SHA256) ")


def anonymous(shown: bytes, query: bytes, what: str) -> bool:
    """Whether a request with this Authorization header and query needs no token. Raises NotEmulated for HMAC keys.

    Storage has something for everybody, and signed URLs that it verifies itself.
    """
    if _HMAC.match(shown):
        raise NotEmulated(f"HMAC keys ({what})")
    return not shown or bool(_SIGNED.search(query))


def is_json(path: str) -> bool:
    """Whether a path is one of the JSON API, uploads and batches among them: all others are the XML API's."""
    return is_batch(path) or _JSON.match(path) is not None


def is_batch(path: str) -> bool:
    """Whether a path is that of many calls in one."""
    return _BATCH.match(path) is not None


async def refuse(scope: Scope, send: Send, error: ApiError) -> None:
    """Storage's own shapes: https://cloud.google.com/storage/docs/json_api/v1/status-codes and .../xml-api."""
    word = "Invalid Credentials" if error.reason == "authError" else error.message
    if is_json(scope["raw_path"].decode("latin-1")):
        where = {"location": "Authorization", "locationType": "header"} if error.code == 401 else {}
        entry = {"message": word, "domain": "global", "reason": error.reason, **where}
        body = {"error": {"code": error.code, "message": word, "errors": [entry]}}
        return await send_json(send, body, error.code, error.headers)
    code = "AuthenticationRequired" if error.code == 401 else "NotImplemented"
    text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{escape(word)}.</Message></Error>"
    await send_bytes(send, text.encode(), "application/xml; charset=UTF-8", error.code, error.headers)
