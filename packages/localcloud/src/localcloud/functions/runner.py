"""The process of one function: Google's functions framework behind a port that answers this local cloud alone.

Run by the interpreter of the function's own environment, so it imports nothing of the local cloud.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from typing import Any

HEADER = "X-Localcloud-Front"  # as all model servers are shown their secret by
READY = "/_ready"
App = Callable[[dict[str, Any], Any], Iterable[bytes]]


def guarded(app: App, secret: str) -> App:
    """Nobody else on this machine gets in who finds the port."""

    def answer(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        if environ.get(f"HTTP_{HEADER.upper().replace('-', '_')}") != secret:
            start("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"forbidden"]
        if environ.get("PATH_INFO") == READY:
            start("200 OK", [("Content-Type", "text/plain")])
            return [b"ok"]
        return app(environ, start)

    return answer


def main() -> None:
    """Serve until told to end."""
    import functions_framework  # pyright: ignore[reportMissingImports]
    from werkzeug.serving import make_server  # pyright: ignore[reportMissingImports]

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # requests are in no container's own log
    secret = os.environ.pop("LOCALCLOUD_FUNCTION_SECRET")
    kind = os.environ["FUNCTION_SIGNATURE_TYPE"]
    app = functions_framework.create_app(os.environ["FUNCTION_TARGET"], "main.py", kind)
    make_server("127.0.0.1", int(os.environ["PORT"]), guarded(app, secret), threaded=True).serve_forever()


if __name__ == "__main__":
    main()
