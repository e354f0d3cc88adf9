"""Runs the Pulumi CLI as a child that ends cleanly on Ctrl-C: what is in flight is finished and saved."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any

from pulumi.automation import CommandResult, PulumiCommand
from semver import VersionInfo

from cloudkite import interrupts
from cloudkite.engine.cli import Cli
from cloudkite.show.errors import UserError
from cloudkite.show.text import _

Told = Callable[[str], Any]

_LOOK = 0.1  # seconds between two looks at the disk


class Ended(Exception):
    """The CLI ended with a failure; `result` is what it printed, which is never shown as it is."""

    def __init__(self, result: CommandResult) -> None:
        super().__init__(f"exit code {result.code}")
        self.result = result


class NoRoom(Exception):
    """The CLI was ended because the disk of its state was about to be full."""


class Command(PulumiCommand):
    """The CLI with an environment of its own, instead of this process' one.

    `runs_out` says whether the disk is about to be full. The engine would go on trying to write, for minutes, and leave
    a state that is cut off.
    """

    def __init__(self, program: Cli, runs_out: Callable[[], bool] = lambda: False) -> None:
        # Not super().__init__: it would ask the program for its version again, a quarter of a second each time.
        self.command = str(program.path)
        self.version = VersionInfo.parse(program.version)
        self._runs_out = runs_out
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the process that runs, or ran last."""
        return self._process.pid if self._process else None

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Told | None = None,
        on_error: Told | None = None,
    ) -> CommandResult:
        """Run one command. Raises Ended when it fails, UserError (130) when it was interrupted.

        The first Ctrl-C lets the engine finish what is in flight and save its state, the second asks it to stop at
        once, the third kills it. `additional_env` is the whole environment.
        """
        return self.pipe([*args], cwd, additional_env)

    def pipe(self, args: list[str], cwd: str, environment: Mapping[str, str], text: str = "") -> CommandResult:
        """Run one command with `text` on its standard input. Raises as `run`, and NoRoom."""
        interrupts.refuse()
        try:
            process = self._process = subprocess.Popen(
                [self.command, "--non-interactive", *args],
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                # An own group: the terminal's Ctrl-C reaches only us, and we pass on exactly one.
                start_new_session=os.name == "posix",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError as error:
            raise UserError(
                _("{path} can't be run: {error}").format(path=self.command, error=error.strerror),
                _("set CLOUDKITE_PULUMI to another Pulumi CLI, or unset it"),
            ) from None
        output: dict[str, str] = {}
        assert process.stdin and process.stdout and process.stderr
        readers = [_read(process.stdout, output, "stdout"), _read(process.stderr, output, "stderr")]
        try:
            pressed = self._wait(process, _feed(process, process.stdin, text))
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        for reader in readers:
            reader.join(5)
        if pressed:
            raise interrupts.told()
        result = CommandResult(output.get("stdout", ""), output.get("stderr", ""), process.returncode)
        if result.code:
            raise Ended(result)
        return result

    def interrupt(self) -> None:
        """Let the command that runs finish what is in flight, and end: it fails then."""
        if self._process and self._process.poll() is None:
            _interrupt(self._process, 1)

    def _wait(self, process: subprocess.Popen[str], pressed: int) -> int:
        """Wait for the end; gives how often the person pressed Ctrl-C, here or in another thread. Raises NoRoom."""
        while True:
            try:
                process.wait(_LOOK)
                return pressed
            except subprocess.TimeoutExpired:
                if self._runs_out():
                    raise NoRoom from None
                while pressed < interrupts.asked():
                    pressed += 1
                    _interrupt(process, pressed)
            except KeyboardInterrupt:
                pressed += 1
                _interrupt(process, pressed)


def _read(stream: IO[str], into: dict[str, str], name: str) -> threading.Thread:
    def work() -> None:
        with stream:
            into[name] = stream.read()

    reader = threading.Thread(target=work, daemon=True)
    reader.start()
    return reader


def _feed(process: subprocess.Popen[str], stdin: IO[str], text: str) -> int:
    try:
        stdin.write(text)
        stdin.close()
    except BrokenPipeError:  # it ended before it read all: its exit code says why
        pass
    except KeyboardInterrupt:
        _interrupt(process, 1)
        return 1
    return 0


def _interrupt(process: subprocess.Popen[str], times: int) -> None:
    if times >= 3:
        process.kill()
    elif os.name == "nt":
        process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
    else:
        process.send_signal(signal.SIGINT)
