"""The verbs `fault` and `preempt` of the local cloud's command line."""

from __future__ import annotations

import argparse
import json
from typing import Any

from localcloud import launch
from localcloud.core.hints import Command
from localcloud.faults.store import CODES, HALF

_EPILOG = """\
METHOD is what you know it by; REST, gRPC and the calls of a batch are all hit:

  storage.objects.get, logging.entries.write, storage.objects.*
                        an API method's id
  google.cloud.aiplatform.v1.JobService/CreateCustomJob
                        a gRPC method
  '*.googleapis.com/*', 'POST *aiplatform.googleapis.com/v1/*/customJobs'
                        host and path with wildcards, with or without a verb
  oauth2.googleapis.com/token, 'metadata.google.internal/*'
                        where tokens come from
  pulumi.storage.Bucket.create, 'pulumi.*.create', pulumi.organizations.getProject
                        what Pulumi's provider asks of Google for a resource (create, read, update, delete) or function
  stockout              no machines, with --region and --accelerator

for example:

  fault storage.objects.get --code 503 --times 3
  fault aiplatform.customJobs.create --cut after
  fault pulumi.projects.IAMMember.create --code 503 --times 3
  fault stockout --region us-central1 --accelerator NVIDIA_L4
  fault --list
"""


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """The verb and its options."""
    one = verbs.add_parser(
        "fault", parents=[shared], help="make calls fail on purpose", epilog=_EPILOG, formatter_class=_Help,
        usage="%(prog)s METHOD [options]\n       %(prog)s --list\n       %(prog)s --clear [ID]",
    )  # fmt: skip
    one.add_argument("method", nargs="?", default="", metavar="METHOD", help="what fails; see below")
    one.add_argument(
        "--code", metavar="N", help=f"answer with this HTTP code, as the API writes it: {' '.join(map(str, CODES))}"
    )
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
    one.add_argument("--list", action="store_true", help="list the faults that are still to come")
    one.add_argument("--clear", nargs="?", const="", metavar="ID", help="remove this one, or all")
    one.add_argument("--region", metavar="REGION", help="with the METHOD stockout: where there are no machines")
    one.add_argument(
        "--accelerator", metavar="TYPE", help="with stockout: which there are none of (default: no machines at all)"
    )
    two = verbs.add_parser("preempt", parents=[shared], help="preempt a Spot job")
    two.add_argument("job", metavar="JOB", help="the job's id")


class _Help(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the text below the options."""


def run(options: argparse.Namespace) -> int:
    """Make, list or clear faults. Raises launch.Failed."""
    server = launch.required(options.root)
    given = {name: getattr(options, name) for name in _OPTIONS if getattr(options, name) is not None}
    given |= {"expired": True} if options.expired else {}
    if options.list or options.clear is not None:
        if options.method or given or (options.list and options.clear is not None):
            raise launch.Failed("--list and --clear go without anything else", (_LIST, ", or ", _CLEAR), 2)
        if options.list:
            return _show(options, launch.ask(options.root, server, "GET", "/faults"))
        cleared = launch.ask(options.root, server, "DELETE", f"/faults/{options.clear}" if options.clear else "/faults")
        return _say(options, cleared, f"{cleared['cleared']} cleared")
    if not options.method:
        raise launch.Failed("say what is to fail: METHOD", (_FAULT, ", or ", _LIST), 2)
    if options.method == _STOCKOUT:
        if odd := [name for name in given if name not in _OF_STOCKOUT]:
            raise launch.Failed(f"--{odd[0]} does not go with stockout", _NO_MACHINES, 2)
        made = launch.ask(options.root, server, "POST", "/stockouts", given)
        return _say(options, made, f"{made['id']}: {_missing(made)}, until it is cleared")
    if odd := [name for name in given if name in _OF_STOCKOUT]:
        raise launch.Failed(f"--{odd[0]} goes with stockout only", _NO_MACHINES, 2)
    wanted = {name: _value(name, value) for name, value in given.items()}
    if wanted.get("code") == 429:
        wanted.setdefault("retry_after", 1)
    made = launch.ask(options.root, server, "POST", "/faults", {"method": options.method, **wanted})
    return _say(options, made, f"fault {made['id']}: {made['method']}: {made['kind']}, {_often(made)}")


def preempt(options: argparse.Namespace) -> int:
    """Take the machines of a Spot job away. Raises launch.Failed."""
    job = launch.control(options.root, "POST", f"/preempt/{options.job}")
    return _say(options, job, f"The machines of job {options.job} are taken away; it starts again if it may.")


def _say(options: argparse.Namespace, value: dict[str, Any], text: str) -> int:
    print(json.dumps(value, indent=2) if options.json else text)
    return 0


_STOCKOUT = "stockout"
_OF_STOCKOUT = ("region", "accelerator")
_OPTIONS = ("code", "delay", "cut", "torn", "times", "probability", "principal", "retry_after", *_OF_STOCKOUT)
_FAULT = Command("fault", ("storage.objects.get",), {"code": "503"})
_NO_MACHINES = Command("fault", (_STOCKOUT,), {"region": "us-central1"})
_LIST = Command("fault", options={"list": True})
_CLEAR = Command("fault", options={"clear": "ID"})
_WHOLE = ("code", "torn", "times", "retry_after")
_NUMBERS = ("delay", "probability")


def _value(name: str, given: Any) -> Any:
    """What an option says. Raises launch.Failed for what is no number where one is due."""
    option = f"--{name.replace('_', '-')}"
    try:
        value = int(given) if name in _WHOLE else float(given) if name in _NUMBERS else given
    except ValueError:
        kind = "a whole number" if name in _WHOLE else "a number"
        raise launch.Failed(f"{option} must be {kind}, not {given}", "", 2) from None
    if name == "torn" and value == 0:
        raise launch.Failed("--torn must be more than 0", "--cut cuts before the first byte", 2)
    return value


def _often(fault: dict[str, Any]) -> str:
    words = {-1: "until it is cleared", 1: "once"}.get(fault["left"], f"{fault['left']} times")
    chance = f", with probability {fault['probability']:g}" if fault["probability"] < 1 else ""
    return words + chance + (f", for {fault['principal']}" if fault["principal"] else "")


def _missing(stockout: dict[str, str]) -> str:
    return f"no {stockout['accelerator'] or 'machines'} in {stockout['region']}"


def _show(options: argparse.Namespace, found: dict[str, Any]) -> int:
    stockouts = [
        {**one, "method": _STOCKOUT, "kind": _missing(one), "times": 0, "left": -1} for one in found["stockouts"]
    ]
    if options.json:
        print(json.dumps([*found["faults"], *stockouts], indent=2))
        return 0
    for fault in found["faults"]:
        print(f"{fault['id']:>4}  {fault['method']}: {fault['kind']}, {_often(fault)}; happened {fault['hits']} times")
    for one in stockouts:
        print(f"{one['id']}: {one['kind']}, until it is cleared")
    if not found["faults"] and not stockouts:
        print("no faults")
    return 0
