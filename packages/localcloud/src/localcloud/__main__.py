"""Command line of the local cloud: start, stop, status, env, clock, bill, export, upgrade, audit, reset, faults."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from localcloud import launch
from localcloud.commands import drills, money, rights
from localcloud.core.asked.wanted import Wanted
from localcloud.core.environment import SHELLS, export_lines
from localcloud.core.state import locks
from localcloud.core.state.files import Foreign
from localcloud.core.state.kept import Damaged


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done, 1 failed, 2 a value that can't be (argparse's own), 130 interrupted."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        return _run(given)
    except launch.Failed as error:
        print(json.dumps(error.as_json()) if _errors_as_json(given) else _told(error), file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130


def _run(given: Sequence[str]) -> int:
    options = _parser().parse_args(given)
    options.root = options.root.resolve()
    try:
        return _VERBS[options.verb](options)
    except locks.Busy:
        raise launch.Failed(f"another command works on the local cloud in {options.root}") from None
    except (Damaged, Foreign) as error:
        raise launch.Failed(str(error), error.hint) from None
    except OSError as error:
        words = f"{error.filename or options.root} can't be used: {error.strerror or error}"
        raise launch.Failed(words, f"choose another folder than {options.root}, or change what is there") from None


class _Misused(launch.Failed):
    """Words that are no command: argparse's mistake."""

    def __init__(self, message: str, told: str) -> None:
        super().__init__(message, code=2)
        self.told = told


class _Parser(argparse.ArgumentParser):
    """Raises its mistakes instead of printing them."""

    def error(self, message: str) -> NoReturn:
        raise _Misused(message, f"{self.format_usage()}{self.prog}: error: {message}")


def _told(error: launch.Failed) -> str:
    if isinstance(error, _Misused):
        return error.told
    return f"error: {error}" + (f"\n\nhint: {error.hint}" if error.hint else "")


def _errors_as_json(given: Sequence[str]) -> bool:
    """Whether --errors=json is among the words, which may make no sense otherwise."""
    only = argparse.ArgumentParser(add_help=False)
    only.add_argument("--errors", nargs="?")
    return only.parse_known_args(given)[0].errors == "json"


def _parser() -> argparse.ArgumentParser:
    shared = _Parser(add_help=False)
    shared.add_argument("--root", type=Path, default=Path(".localcloud"), help="its folder (default: %(default)s)")
    shared.add_argument("--json", action="store_true", help="print JSON")
    shared.add_argument(
        "--errors",
        choices=("text", "json"),
        default="text",
        help="how a failure is told on standard error: json is an object on the last line, for programs that run this",
    )
    parser = _Parser(prog="python -m localcloud", description="The local cloud: Google Cloud on this machine.")
    verbs = parser.add_subparsers(
        dest="verb", required=True, metavar="start|stop|status|env|clock|bill|export|upgrade|audit|reset|fault|preempt"
    )
    for verb, text in (("start", "start it, unless it runs"), ("serve", "")):
        # `serve` is what `start` runs; it is not for people.
        one = verbs.add_parser(verb, parents=[shared], help=text) if text else verbs.add_parser(verb, parents=[shared])
        one.add_argument("--project", action="extend", nargs="+", default=[], metavar="ID", help="make these projects")
        one.add_argument(
            "--trial", action="extend", nargs="+", default=[], metavar="ID", help="make these on a free trial"
        )
        one.add_argument(
            "--fresh-project",
            action="extend",
            nargs="+",
            default=[],
            metavar="ID",
            help="make these as new on Google: APIs and grants take a while until they work",
        )
        one.add_argument(
            "--billing-account",
            action="extend",
            nargs="+",
            default=[],
            metavar="ID=ACCOUNT:CURRENCY",
            help="open this billing account, which pays for the project (:closed after it: closed)",
        )
        one.add_argument("--envs", type=Path, help="folder of Python environments for jobs (default: ROOT/envs)")
    verbs.add_parser("stop", parents=[shared], help="stop it, and all jobs that run in it")
    verbs.add_parser("status", parents=[shared], help="show its process, ports and folder, and what it holds")
    env = verbs.add_parser("env", parents=[shared], help="print environment variables for Google clients")
    env.add_argument("--project", default="", metavar="ID", help="for clients of this one (default: the only one)")
    env.add_argument("--shell", choices=SHELLS, default="bash", help="for which shell (default: %(default)s)")
    again = verbs.add_parser("reset", parents=[shared], help="stop it and delete all that it holds")
    again.add_argument("--yes", action="store_true", help="do not ask")
    money.add(verbs, shared)
    rights.add(verbs, shared)
    drills.add(verbs, shared)
    return parser


def _envs(options: argparse.Namespace) -> Path:
    return (options.envs or options.root / "envs").resolve()


def _say(options: argparse.Namespace, value: dict[str, Any], text: str) -> int:
    print(json.dumps(value, indent=2) if options.json else text)
    return 0


def _start(options: argparse.Namespace) -> int:
    server = launch.start(
        options.root,
        _envs(options),
        options.project,
        options.trial,
        options.fresh_project,
        options.billing_account,
    )
    return _say(options, server, f"The local cloud in {options.root} runs (process {server['pid']}).")


def _stop(options: argparse.Namespace) -> int:
    ended = launch.stop(options.root)
    text = "has ended" if ended else "does not run"
    return _say(options, {"stopped": ended}, f"The local cloud in {options.root} {text}.")


def _status(options: argparse.Namespace) -> int:
    found = launch.status(options.root)
    if not found["running"]:
        return _say(options, found, f"The local cloud in {options.root} does not run.")
    ports = ", ".join(f"{use} {found[use]}" for use in ("proxy", "https", "grpc", "provider", "metadata"))
    shown = {
        "folder": found["root"],
        "process": f"{found['pid']}, since {found['started'][:19]}Z, {found['memory'] / 2**20:.0f} MiB",
        "at work": ", ".join(map(str, found["processes"])) or "no process but the server",
        "ports": ports,
        "projects": ", ".join(found["projects"]) or "none",
        "trials": ", ".join(map(money.trial_words, found["trials"].items())) or "none",
        "holds": ", ".join(_amount(*one) for one in found["counts"].items() if one[1]) or "nothing",
    }
    return _say(options, found, "\n".join(f"{name:10}{value}" for name, value in shown.items()))


def _amount(kind: str, number: int) -> str:
    """A number of resources in words. Kinds are named by API and kind ("billing.budget"), or in the plural."""
    words = kind.replace(".", " ").replace("-", " ")
    one = f"{words[:-3]}y" if words.endswith("ies") else words.removesuffix("s")
    many = f"{one[:-1]}ies" if one.endswith("y") else f"{one}s"
    return f"{number:,} {one if number == 1 else many}"


def _env(options: argparse.Namespace) -> int:
    variables = launch.environment(options.root, options.project)
    return _say(options, variables, export_lines(variables, options.shell))


def _reset(options: argparse.Namespace) -> int:
    if not options.yes:
        if not sys.stdin.isatty():
            raise launch.Failed(f"all that the local cloud in {options.root} holds would be deleted", "add --yes")
        if input(f"Delete all that the local cloud in {options.root} holds? [y/N] ").strip().lower() not in (
            "y",
            "yes",
        ):
            return 1
    launch.reset(options.root)
    return _say(options, {"reset": True}, f"The local cloud in {options.root} is empty.")


def _serve(options: argparse.Namespace) -> int:
    """Be the server: one line of JSON on standard output when ready, or why not; then nothing."""
    from localcloud import serving

    wanted = Wanted(options.project, options.trial, options.fresh_project, options.billing_account)
    return serving.run(options.root, _envs(options), wanted)


_VERBS = {
    "start": _start,
    "stop": _stop,
    "status": _status,
    "env": _env,
    "reset": _reset,
    "serve": _serve,
    "clock": money.clock,
    "bill": money.bill,
    "export": money.export,
    "upgrade": money.upgrade,
    "audit": rights.audit,
    "fault": drills.run,
    "preempt": drills.preempt,
}

if __name__ == "__main__":
    sys.exit(main())
