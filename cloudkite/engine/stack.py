"""One account's stack: the CLI's commands on it, with what one would ask the CLI for taken from events."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pulumi import RunError
from pulumi.automation.events import EngineEvent

from cloudkite.accounts.target import Target
from cloudkite.engine import cli, failures, room, served
from cloudkite.engine.command import Command, Ended, NoRoom
from cloudkite.engine.events import Events
from cloudkite.engine.folder import ATTACHED, SECRET, SIGNATURE, Folder
from cloudkite.engine.results import OnStep, Outcome
from cloudkite.engine.shared import Shared
from infra.known import Known
from infra.settings import Settings

# Pulumi's language host is a gRPC server in this process; when a program fails it may fail, too, and gRPC would write
# a traceback to the terminal. What went wrong comes through the events.
logging.getLogger("grpc._server").setLevel(logging.CRITICAL + 1)


# pulumi_gcp imports its modules when they are first used, which two threads can't do at the same time.
_DECLARING = threading.Lock()


VERBS = {
    "preview": ["preview"],
    "up": ["up", "--yes", "--skip-preview"],
    "refresh": ["refresh", "--yes", "--skip-preview"],
    "destroy": ["destroy", "--yes", "--skip-preview"],
}


class Stack:
    """Runs the engine on one account. The caller holds the account's lock."""

    def __init__(
        self, folder: Folder, target: Target, program: cli.Cli, settings: Settings, shared: Shared | None = None
    ) -> None:
        self._folder, self._target, self.program, self.shared = folder, target, program, shared
        self._environment = folder.environment(target, program, shared.url if shared else "")
        self._command = Command(program, lambda: room.runs_out(folder))
        self.events = Events()  # what the last run told
        self.settings = settings  # as they were checked, whatever the file says by now
        self.known: Known | None = None  # what the program is given

    def run(self, verb: str, on_step: OnStep | None = None, **options: bool | list[str]) -> tuple[Events, Outcome]:
        """One run: preview, up, refresh or destroy. Raises UserError, or Failed with what was done until then.

        `options` are the CLI's, such as continue_on_error=True or target=[URN]. Where a team shares the state, somebody
        may have begun a run since the last look: then it waits for that.
        """
        while True:
            try:
                return self._run(verb, on_step, options)
            except failures.Locked:
                if not self.shared:
                    raise
                self.shared.settle()

    def _run(self, verb: str, on_step: OnStep | None, options: dict[str, bool | list[str]]) -> tuple[Events, Outcome]:
        name = self._folder.account.name
        clock = failures.Clock()
        self.make()
        self.events = events = Events(on_step)
        declared = served.Declared(name)
        raised: list[Exception] = []
        program = self._program(declared, raised) if verb in ("preview", "up") else None
        if program is None:
            self.sign_in()

        def hear(event: EngineEvent) -> None:
            ends = events.unkept
            events(event)
            if events.unkept and not ends:
                # With --continue-on-error the engine would wait for good for what it couldn't keep.
                self._command.interrupt()

        try:
            with served.served(name, hear, program, lambda: self._command.pid) as arguments:
                self._pulumi([*VERBS[verb], "--color", "never", *_flags(options), *arguments, "--stack", name])
        except Ended as ended:
            self._refuse_foreign(verb, events, declared)
            problem = raised[0] if raised else None
            raise failures.explain(self._folder, ended, events, problem, clock.seconds) from problem
        if program:
            self._refuse_foreign(verb, events, declared)
        if events.problem:
            raise events.problem
        return events, Outcome(dict(events.done), events.outputs, (), clock.seconds, tuple(events.warnings))

    def _refuse_foreign(self, verb: str, events: Events, declared: served.Declared) -> None:
        """Raise Foreign when the run of the program had resources in it that the program did not declare."""
        if verb in ("preview", "up") and (steps := events.besides(declared.urns)):
            raise failures.foreign(self._folder, steps)

    def make(self) -> None:
        """Make the stack where there is none. None is ever selected: each command names its stack."""
        if not self._folder.checkpoint.is_file():
            name = self._folder.account.name
            try:
                self._pulumi(["stack", "init", name, "--secrets-provider", "passphrase", "--no-select"])
            except Ended as ended:
                raise failures.explain(self._folder, ended, Events(), None, 0) from None

    def _pulumi(self, arguments: list[str], text: str = "") -> None:
        try:
            self._command.pipe(arguments, str(self._folder.work), self._environment, text)
        except NoRoom:
            raise failures.full(self._folder) from None
        finally:
            if self.shared:
                self.shared.pull()

    def _program(self, declared: served.Declared, raised: list[Exception]) -> Callable[[], None]:
        """What the engine calls: infra's program. Its own exceptions are kept for our words."""
        token, known = self._token(), self.known

        def program() -> None:
            declared.watch()
            try:
                with _DECLARING, _byte_code():
                    from infra.program import run

                    run(token, known)
            except Exception as problem:
                raised.append(problem)
                # The engine prints a RunError without a traceback.
                raise RunError(str(problem)) from None

        return program

    def _token(self) -> str:
        """What signs an attached provider in: it does not see the engine's environment, as a plug-in does."""
        return self._target.provider_token() if ATTACHED in self._target.pulumi_environment else ""

    def sign_in(self) -> str:
        """A run without the program finds the provider in the state, signed in as whoever ran `up`: now it is we.

        Gives the token, "" where a provider signs itself in.
        """
        if not (token := self._token()):
            return ""
        document = self.export()
        signed = {SIGNATURE: SECRET, "plaintext": json.dumps(token)}
        changed = False
        for row in document["deployment"].get("resources") or ():
            if row["type"] == "pulumi:providers:gcp":
                for values in (row.get("inputs"), row.get("outputs")):
                    if values and "accessToken" in values:
                        values["accessToken"] = signed
                        changed = True
        if changed:
            self.replace(document)
        return token

    def export(self) -> dict[str, Any]:
        """The deployment as `pulumi stack export` gives it, secrets encrypted, without starting the CLI for it."""
        state = json.loads(self._folder.checkpoint.read_text(encoding="utf-8"))
        return {"version": state["version"], "deployment": state["checkpoint"].get("latest") or {}}

    def replace(self, deployment: dict[str, Any]) -> None:
        """Put a changed deployment back; the engine checks that it is consistent."""
        self.make()
        try:
            self._pulumi(["stack", "import", "--stack", self._folder.account.name], json.dumps(deployment))
        except Ended as ended:
            raise failures.explain(self._folder, ended, Events(), None, 0) from None


def _flags(options: dict[str, bool | list[str]]) -> list[str]:
    """Options of the CLI as it takes them: a switch, or one for each value of a list."""
    flags: list[str] = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        flags += [flag] * (value is True) if isinstance(value, bool) else [f"{flag}={each}" for each in value]
    return flags


@contextmanager
def _byte_code() -> Iterator[None]:
    """Let Python write byte-code beside our tools where it may not write any: importing pulumi_gcp takes 4 s else."""
    if not sys.dont_write_bytecode or sys.pycache_prefix:
        yield
        return
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(cli.tools() / "bytecode")
    try:
        yield
    finally:
        sys.dont_write_bytecode, sys.pycache_prefix = True, None
