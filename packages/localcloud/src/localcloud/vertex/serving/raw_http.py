"""rawPredict over REST: the body of any type goes to the model as it is, and the model's comes back as it is."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from localcloud.core.errors import ApiError
from localcloud.transport.rest import App, Receive, Scope, Send, read_body, send_bytes, send_json
from localcloud.vertex.place import enter
from localcloud.vertex.serving.prediction_methods import METHODS
from localcloud.vertex.serving.store import Serving

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_PATH = re.compile(r"/v1(?:beta1)?/(projects/[^/:]+/locations/[^/:]+/endpoints/[^/:]+):rawPredict")


def with_raw_predict(cloud: Cloud, others: App) -> App:
    """`others`, with rawPredict answered before them."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["raw_path"].decode("latin-1").replace("%3A", ":") if "raw_path" in scope else ""
        match = _PATH.fullmatch(path)
        if match is None or scope["method"] != "POST":
            return await others(scope, receive, send)
        try:
            headers = dict(scope["headers"])
            given = {
                "contentType": headers.get(b"content-type", b"").decode("latin-1"),
                "data": base64.b64encode(await read_body(receive)).decode(),
            }
            request = {"endpoint": unquote(match[1]), "httpBody": given}
            consumer = headers.get(b"x-goog-user-project", b"").decode("latin-1")
            permission = METHODS["RawPredict"].permission
            call = enter(cloud, scope["caller"], scope.get("host", ""), request, permission, consumer)
            answer, told = await cloud.of(Serving).prediction.raw(call, request)
        except ApiError as error:
            return await send_json(send, error.body(), error.code, error.headers)
        except ConnectionError:
            return
        await send_bytes(send, answer.body, answer.content_type, headers=told)

    return application
