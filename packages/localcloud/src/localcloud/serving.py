"""The frame of the server process: its log, its permissions, and what it tells who started it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from localcloud import server
from localcloud.core import hints, ports
from localcloud.core.asked.wanted import Wanted
from localcloud.core.errors import ApiError
from localcloud.core.state import locks
from localcloud.core.state.files import Foreign
from localcloud.core.state.kept import Damaged


def run(root: Path, envs: Path, wanted: Wanted) -> int:
    """Serve until told to end. Standard output gets one line: server.json's content, or {"error", "hint": pieces}."""
    os.umask(0o077)  # whatever any part writes is for the owner alone
    os.chdir(root)
    _allow_many_files()
    level = logging.DEBUG if os.environ.get("LOCALCLOUD_DEBUG") else logging.INFO
    # Standard error is ROOT/server.log. Only our own loggers go into detail: others might print a request's headers.
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("localcloud").setLevel(level)
    try:
        asyncio.run(server.serve(root, envs, wanted, _say))
    except ports.PortTaken as error:
        _say({"error": str(error), "hint": hints.as_json(error.hint)})
        return 1
    except (Damaged, Foreign) as error:
        _say({"error": str(error), "hint": hints.as_json(error.hint)})
        return 1
    except locks.Busy:
        stop = hints.as_json(hints.Command("stop", options={"root": str(root)}))
        _say({"error": f"another local cloud already works in {root}", "hint": stop})
        return 1
    except ApiError as error:
        _say({"error": error.message})
        return 1
    logging.shutdown()
    # All is written and all that ran has ended. A thread that still imports (Vertex's types take seconds) would only
    # delay the end.
    os._exit(0)


def _allow_many_files() -> None:
    """As many open files as the system lets us have: macOS starts a process with 256, and each connection is one."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 8192) if hard != resource.RLIM_INFINITY else 8192
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _say(message: dict[str, Any]) -> None:
    """Tell who started us, and let go of its pipe: it reads until then."""
    with contextlib.suppress(OSError):  # it may be gone; we go on
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.close(quiet)
