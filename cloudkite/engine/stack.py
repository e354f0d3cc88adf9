"""One account's stack through Pulumi's Automation API, with what the API would ask the CLI for taken from events."""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pulumi import RunError, automation

from cloudkite.accounts.target import Target
from cloudkite.engine import cli, failures
from cloudkite.engine.command import Command, Ended
from cloudkite.engine.events import Events
from cloudkite.engine.folder import ATTACHED, SECRET, SIGNATURE, Folder
from cloudkite.engine.results import OnStep, Outcome

# Pulumi's language host is a gRPC server in this process; when a program fails it may fail, too, and gRPC would write
# a traceback to the terminal. What went wrong comes through the events.
logging.getLogger("grpc._server").setLevel(logging.CRITICAL + 1)


# pulumi_gcp imports its modules when they are first used, which two threads can't do at the same time.
_DECLARING = threading.Lock()


class _Files(automation.LocalWorkspace):
    """Work files that we write ourselves: to select a stack, a look at its state is enough."""

    def __init__(self, folder: Folder, command: Command, environment: dict[str, str]) -> None:
        self._checkpoint, self._command, self._environment = folder.checkpoint, command, environment
        super().__init__(work_dir=str(folder.work), env_vars=environment, pulumi_command=command)

    def make_stack(self, stack_name: str) -> None:
        """Make the stack where there is none. None is ever selected: each command names its stack."""
        if not self._checkpoint.is_file():
            self._command.run(
                ["stack", "init", stack_name, "--secrets-provider", "passphrase", "--no-select"],
                self.work_dir,
                self._environment,
            )


class _Stack(automation.Stack):
    """A stack whose outputs and summary come from the event stream: two commands less for each run."""

    def __init__(self, name: str, files: _Files) -> None:
        # Not super().__init__: it selects the stack by a command, which is for people who type the next one.
        self.name, self.workspace, self.events = name, files, Events()
        files.make_stack(name)

    def outputs(self) -> automation.OutputMap:
        """The stack's outputs as the last event told them."""
        return {k: automation.OutputValue(v, secret=False) for k, v in self.events.outputs.items()}

    def info(self, show_secrets: bool = True) -> automation.UpdateSummary:
        """A summary of the run that has just ended."""
        now = datetime.datetime.now(datetime.UTC)
        return automation.UpdateSummary("update", now, "", {}, {}, "succeeded", now)


class Stack:
    """Runs the engine on one account. The caller holds the account's lock."""

    def __init__(self, folder: Folder, target: Target, program: cli.Cli) -> None:
        self._folder, self._target = folder, target
        self._environment = folder.environment(target, program)
        self._command = Command(program)
        self._stack: _Stack | None = None

    @property
    def events(self) -> Events:
        """What the last run told."""
        return self._opened.events

    @property
    def _opened(self) -> _Stack:
        if self._stack is None:
            name = self._folder.account.name
            files = _Files(self._folder, self._command, self._environment)
            try:
                self._stack = _Stack(name, files)
            except Ended as ended:
                raise failures.explain(self._folder, ended, Events(), None, 0) from None
        return self._stack

    def run(self, verb: str, on_step: OnStep | None = None, **options: Any) -> tuple[Events, Outcome]:
        """One run: preview, up, refresh or destroy. Raises UserError, or Failed with what was done until then."""
        clock = failures.Clock()
        events = Events(on_step)
        raised: list[Exception] = []
        loops: list[asyncio.AbstractEventLoop] = []
        stack = self._opened
        stack.events = events
        if verb in ("preview", "up"):
            options["program"] = self._program(raised, loops)
        else:
            self._sign_in()
        try:
            getattr(stack, verb)(on_event=events, color="never", **options)
        except Ended as ended:
            problem = raised[0] if raised else None
            raise failures.explain(self._folder, ended, events, problem, clock.seconds) from problem
        finally:
            for loop in loops:
                _close(loop)
        if events.problem:
            raise events.problem
        return events, Outcome(dict(events.done), events.outputs, (), clock.seconds, tuple(events.warnings))

    def _program(self, raised: list[Exception], loops: list[asyncio.AbstractEventLoop]) -> Callable[[], None]:
        """What the engine calls: infra's program. Its own exceptions are kept for our words, its loop to be closed."""
        token = self._token()

        def program() -> None:
            loops.append(asyncio.get_running_loop())
            try:
                with _DECLARING, _byte_code():
                    from infra.program import run

                    run(token)
            except Exception as problem:
                raised.append(problem)
                # The engine prints a RunError without a traceback.
                raise RunError(str(problem)) from None

        return program

    def _token(self) -> str:
        """What signs an attached provider in: it does not see the engine's environment, as a plug-in does."""
        return self._target.token() if ATTACHED in self._target.pulumi_environment else ""

    def _sign_in(self) -> None:
        """A run without the program finds the provider in the state, signed in as whoever ran `up`: now it is we."""
        if not (token := self._token()):
            return
        document = self.export()
        signed = {SIGNATURE: SECRET, "plaintext": json.dumps(token)}
        for row in document["deployment"].get("resources") or ():
            if row["type"] == "pulumi:providers:gcp":
                for values in (row.get("inputs"), row.get("outputs")):
                    if values and "accessToken" in values:
                        values["accessToken"] = signed
        self.replace(document)

    def export(self) -> dict[str, Any]:
        """The deployment as `pulumi stack export` gives it, secrets encrypted, without starting the CLI for it."""
        state = json.loads(self._folder.checkpoint.read_text(encoding="utf-8"))
        return {"version": state["version"], "deployment": state["checkpoint"]["latest"]}

    def replace(self, deployment: dict[str, Any]) -> None:
        """Put a changed deployment back; the engine checks that it is consistent."""
        stack = self._opened
        arguments = ["stack", "import", "--stack", stack.name]
        try:
            self._command.pipe(arguments, stack.workspace.work_dir, self._environment, json.dumps(deployment))
        except Ended as ended:
            raise failures.explain(self._folder, ended, Events(), None, 0) from None


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """End what a failed program left in its event loop: Pulumi's language host then neither ends nor closes it."""
    deadline = time.monotonic() + 2
    while loop.is_running() and time.monotonic() < deadline:
        time.sleep(0.01)
    if loop.is_closed() or loop.is_running():
        return
    loop.set_exception_handler(lambda _loop, _context: None)  # Pulumi's own stops the loop
    loop.call_soon(loop.stop)
    loop.run_forever()  # takes up a stop that Pulumi's had asked for already: it would end the next run in the middle
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


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
