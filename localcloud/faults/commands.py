"""The verb `fault` of the local cloud's command line."""

from __future__ import annotations

import argparse
import json
from typing import Any

from localcloud import launch
from localcloud.faults.store import HALF

_EPILOG = """\
METHOD is what you know it by: an API method's id (storage.objects.get, logging.entries.write, storage.objects.*), a
gRPC method (google.cloud.aiplatform.v1.JobService/CreateCustomJob), or a pattern of host and path with wildcards, with
or without an HTTP method before it ('POST *aiplatform.googleapis.com/v1/*/customJobs', '*.googleapis.com/*',
'oauth2.googleapis.com/token', 'metadata.google.internal/*'). REST, gRPC and the calls of a batch are all hit.
"""


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """The verb and its options."""
    one = verbs.add_parser(
        "fault", parents=[shared], help="let calls fail: a drill", epilog=_EPILOG, formatter_class=_Help
    )
    one.add_argument("method", nargs="?", default="", metavar="METHOD", help="what is to fail; see below")
    one.add_argument("--code", metavar="N", help="answer this HTTP code in the API's own shape")
    one.add_argument("--delay", metavar="SECONDS", help="wait before the answer")
    one.add_argument(
        "--cut", nargs="?", const="before", metavar="after",
        help="cut the connection before an answer; after: what was asked is done, and the answer lost",
    )  # fmt: skip
    one.add_argument(
        "--torn", nargs="?", const=HALF, metavar="BYTES",
        help="cut it in the middle of the body: the request's if it has one, else the answer's (default: half of it)",
    )  # fmt: skip
    one.add_argument("--expired", action="store_true", help="the caller's token counts as expired from then on")
    one.add_argument("--times", metavar="N", help="how often (default: 1; 0: until it is cleared)")
    one.add_argument("--probability", metavar="P", help="of each call that fits, e.g. 0.2 (default: 1)")
    one.add_argument("--principal", metavar="EMAIL", help="only calls of this account")
    one.add_argument("--retry-after", metavar="SECONDS", help="the header (default: 1 with 429, else none)")
    one.add_argument("--list", action="store_true", help="what will still happen")
    one.add_argument("--clear", nargs="?", const="", metavar="ID", help="forget this one, or all")


class _Help(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the text below the options."""


def run(options: argparse.Namespace) -> int:
    """Make, list or clear faults. Raises launch.Failed."""
    server = launch.running(options.root)
    if server is None:
        raise launch.Failed(f"the local cloud in {options.root} does not run", "start it first")
    ways = [name for name in ("code", "delay", "cut", "torn", "times", "probability", "principal", "retry_after")
            if getattr(options, name) is not None] + (["expired"] if options.expired else [])  # fmt: skip
    if options.list or options.clear is not None:
        if options.method or ways or (options.list and options.clear is not None):
            raise launch.Failed("--list and --clear go without anything else", "fault --list, or fault --clear ID", 2)
        if options.list:
            return _show(options, launch.ask(options.root, server, "GET", "/faults")["faults"])
        cleared = launch.ask(options.root, server, "DELETE", f"/faults/{options.clear}" if options.clear else "/faults")
        print(json.dumps(cleared) if options.json else f"{cleared['cleared']} cleared")
        return 0
    if not options.method:
        raise launch.Failed("say what is to fail: METHOD", "fault storage.objects.get --code 503, or fault --list", 2)
    wanted = {name: _value(name, getattr(options, name)) for name in ways}
    if wanted.get("code") == 429:
        wanted.setdefault("retry_after", 1)
    made = launch.ask(options.root, server, "POST", "/faults", {"method": options.method, **wanted})
    if options.json:
        print(json.dumps(made, indent=2))
    else:
        print(f"fault {made['id']}: {made['method']}: {made['kind']}, {_often(made)}")
    return 0


_WHOLE = ("code", "torn", "times", "retry_after")
_NUMBERS = ("delay", "probability")


def _value(name: str, given: Any) -> Any:
    """What an option says. Raises launch.Failed for what is no number where one is due."""
    option = f"--{name.replace('_', '-')}"
    try:
        value = int(given) if name in _WHOLE else float(given) if name in _NUMBERS else given
    except ValueError:
        kind = "a whole number" if name in _WHOLE else "a number"
        raise launch.Failed(f"{option} {given} can't be", kind, 2) from None
    if name == "torn" and value == 0:
        raise launch.Failed("--torn 0 can't be", "--cut cuts before the first byte", 2)
    return value


def _often(fault: dict[str, Any]) -> str:
    words = {-1: "until it is cleared", 1: "once"}.get(fault["left"], f"{fault['left']} times")
    chance = f", with probability {fault['probability']:g}" if fault["probability"] < 1 else ""
    return words + chance + (f", for {fault['principal']}" if fault["principal"] else "")


def _show(options: argparse.Namespace, faults: list[dict[str, Any]]) -> int:
    if options.json:
        print(json.dumps(faults, indent=2))
    elif not faults:
        print("no faults")
    for fault in [] if options.json else faults:
        print(f"{fault['id']:>4}  {fault['method']}: {fault['kind']}, {_often(fault)}; happened {fault['hits']} times")
    return 0
