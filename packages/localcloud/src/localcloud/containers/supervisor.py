"""Runs one replica of a job, detached from the server: `python -m localcloud.containers.supervisor FOLDER`.

The folder holds `spec.json`: command, environment, workingFolder, timeoutSeconds, graceSeconds, root, which is the
folder of the local cloud, and start, which the server goes by. The supervisor writes `started.json` (its pid), `output`
(see spool) and last, in one step, `exit.json`: reason ("exited", "memory", "timeout", "cancelled", "interrupted" or
"unstartable"), code (128 + the signal for a killed process), ended (nanoseconds since the epoch) and tail (the end of
standard error). A file `stop` in the folder tells it to end the replica. For as long as it lives it holds the lock on
`alive`, so that its death can be told from a pid given again; and it holds the port at which the replica asks who it is
(see relay), so that nobody else hears the replica's secret when the server was killed.
Only the standard library and psutil: it starts in 0.1 s and takes little memory.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from localcloud.containers import processes
from localcloud.containers.pipes import Pipes
from localcloud.containers.spool import Writer
from localcloud.core import ports
from localcloud.core.state import locks
from localcloud.core.state.disk import is_full
from localcloud.core.state.files import write_privately

_TICK = 0.1  # seconds between looks at the clock and the stop file
_DRAIN = 5.0  # seconds to read what is left in the pipes after the end
_DISK_PATIENCE = 1.0  # seconds until a disk that was full is tried again
# What Kubernetes keeps of a failed container's log: https://kubernetes.io/docs/tasks/debug/debug-application/
_TAIL_LINES, _TAIL_BYTES = 80, 2048
_KILLED = -9  # SIGKILL, which is how the kernel takes memory back
_EVENTS = Path("/proc/vmstat")


def main(folder: Path) -> int:
    """Run the replica to its end; nothing happens when another supervisor has or had it."""
    try:
        with locks.held(folder / "alive", patience=5):
            if (folder / "started.json").exists():
                return 0
            _Replica(folder).run()
    except locks.Busy:
        return 0
    return 0


class _Replica:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._spec: dict[str, Any] = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
        self._output = Writer(folder / "output")
        self._errors = b""
        self._door = ports.bind(0)
        self._reason = "exited"
        self._interrupted = False
        signal.signal(signal.SIGTERM, self._interrupt)

    def _interrupt(self, *_: Any) -> None:
        self._interrupted = True  # the machine shuts down

    def run(self) -> None:
        processes.adopt_orphans()
        write_privately(self._folder / "started.json", json.dumps({"pid": os.getpid()}))
        try:
            process = self._start()
        except OSError as error:
            self._output.say("stderr", f"can't start {self._spec['command'][0]}: {error.strerror or error}")
            self._finish(127, "unstartable", f"can't start {self._spec['command'][0]}: {error.strerror or error}")
            return
        threading.Thread(target=_tell_who_it_is, args=(self._door, Path(self._spec["root"])), daemon=True).start()
        killed = memory_kills()
        code = self._follow(process)
        if code == _KILLED and self._reason == "exited" and memory_kills() > killed:
            self._reason = "memory"
        self._finish(128 - code if code < 0 else code, self._reason, self._last_words())

    def _start(self) -> subprocess.Popen[bytes]:
        here = f"127.0.0.1:{self._door.getsockname()[1]}"
        variables = {name: value.replace(processes.DOOR, here) for name, value in self._spec["environment"].items()}
        environment = {**variables, processes.MARK: str(self._folder)}
        program, *arguments = [word.replace(processes.DOOR, here) for word in self._spec["command"]]
        found = shutil.which(program, path=environment.get("PATH", ""))
        if found is None:
            raise FileNotFoundError(2, "executable file not found in $PATH")
        return subprocess.Popen(
            [found, *arguments],
            cwd=self._spec["workingFolder"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            # Should this process be killed, the port still is nobody else's for as long as the replica goes on.
            pass_fds=() if sys.platform == "win32" else (self._door.fileno(),),
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if sys.platform == "win32" else 0,
        )

    def _follow(self, process: subprocess.Popen[bytes]) -> int:
        assert process.stdout is not None and process.stderr is not None
        pipes = Pipes({"stdout": process.stdout, "stderr": process.stderr})
        deadline = time.monotonic() + self._spec["timeoutSeconds"]
        kill_at: float | None = None
        drained: float | None = None
        while True:
            for stream, data in pipes.read(_TICK):
                self._output.feed(stream, data)
                if stream == "stderr":
                    self._errors = (self._errors + data)[-_TAIL_BYTES:]
            now = time.monotonic()
            if drained is None and process.poll() is not None:
                # A container ends with its first process, and all others in it with it.
                processes.kill(processes.family(str(self._folder), process.pid))
                drained = now + _DRAIN
            if drained is not None:
                if not pipes.open or now > drained:
                    return process.returncode
                continue
            if kill_at is None and (reason := self._why_to_end(now, deadline)):
                self._reason = reason
                kill_at = now + self._spec["graceSeconds"]
                processes.ask_to_end(process.pid)
            if kill_at is not None and now > kill_at:
                processes.kill([*processes.family(str(self._folder), process.pid)])
                kill_at = now + 1

    def _why_to_end(self, now: float, deadline: float) -> str:
        if (self._folder / "stop").exists() or not self._folder.exists():  # gone with the whole local cloud: reset
            return "cancelled"
        if now > deadline:
            return "timeout"
        return "interrupted" if self._interrupted else ""

    def _last_words(self) -> str:
        text = self._errors.decode("utf-8", "replace")
        if len(self._errors) == _TAIL_BYTES:
            text = text.partition("\n")[2] or text  # not from the middle of a line
        return "\n".join(text.rstrip("\n").splitlines()[-_TAIL_LINES:])

    def _finish(self, code: int, reason: str, tail: str) -> None:
        while not self._output.close():
            time.sleep(_DISK_PATIENCE)
        record = {"reason": reason, "code": code, "ended": time.time_ns(), "tail": tail}
        while True:
            try:
                write_privately(self._folder / "exit.json", json.dumps(record))
                return
            except OSError as error:
                if not is_full(error):
                    raise
                time.sleep(_DISK_PATIENCE)  # or nobody would ever learn how the replica ended


def _tell_who_it_is(door: socket.socket, root: Path) -> None:
    """Serve the port at which the replica asks for its account."""
    select.select([door], [], [])
    # Only now: TLS and asyncio take longer to import than all that a supervisor needs otherwise.
    from localcloud.containers.relay import Relay

    Relay(root, door).run()


def memory_kills(events: Path = _EVENTS) -> int:
    """How many processes this machine's kernel has killed for their memory; 0 where it doesn't say.

    https://www.kernel.org/doc/html/latest/admin-guide/cgroup-v2.html#memory-interface-files
    """
    try:
        rows = events.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(row.split()[1]) for row in rows if row.startswith("oom_kill ")), 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
