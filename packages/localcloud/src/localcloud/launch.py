"""Starts, finds and ends the server of a folder, from any process."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

import psutil

import environments
from localcloud.core import hints, ports
from localcloud.core.asked.wanted import Wanted
from localcloud.core.network import NOTED
from localcloud.core.ports import Ports
from localcloud.core.state import locks
from localcloud.core.state.files import check_all_own, check_own, private_folder, write_privately
from localcloud.core.state.kept import Damaged, number, parsed, text, texts, whole

_PATIENCE = 60.0  # seconds that a start or an end may take on a busy machine
_LONG_PATIENCE = 3600.0  # seconds that a move of the clock may take: what it ends has time to end
_LOG_LIMIT = 10 << 20  # bytes
_PACKAGE = Path(__file__).resolve().parent


class Failed(Exception):
    """What a person is told: what happened, and one step that helps."""

    def __init__(self, message: str, hint: hints.Hint = "", code: int = 1) -> None:
        super().__init__(message)
        self.parts = hints.parts(hint)
        self.code = code  # exit code: 2 for a value that can't be

    @property
    def hint(self) -> str:
        """The hint in words, "" for none."""
        return "".join(map(str, self.parts))

    def as_json(self) -> dict[str, Any]:
        """All of it, for another program; `command` is the hint's first, `parts` are the hint in its pieces."""
        command = next((part.as_json() for part in self.parts if isinstance(part, hints.Command)), None)
        parts = hints.as_json(self.parts)
        return {"message": str(self), "hint": self.hint, "command": command, "parts": parts, "code": self.code}


def running(root: Path) -> dict[str, Any] | None:
    """What the server of `root` says about itself in server.json; None when there is none (or it was killed)."""
    try:
        server = parsed((root / "server.json").read_bytes(), _described)
        process = psutil.Process(server["pid"])
        # A pid may have been given to another process since; the time of its creation can't. When the machine's clock
        # was set, that time moves too: then the server's lock tells.
        same = abs(process.create_time() - server["created"]) < 2 or locks.taken(root / "server.lock")
        return server if same and not ended(process) else None
    except (OSError, ValueError, psutil.Error):
        return None


def _described(server: Any) -> dict[str, Any]:
    """The shape of server.json."""
    for port in fields(Ports):
        whole(server[port.name], 1, 65_535)
    for name in ("root", "envs", "version", "cloud", "started"):
        text(server[name])
    number(server["created"], 0, 1e12)
    whole(server["pid"], 1, (1 << 31) - 1)
    return server


def required(root: Path) -> dict[str, Any]:
    """What the running server of `root` says about itself. Raises Failed when there is none."""
    server = running(root)
    if server is None:
        raise Failed(f"no local cloud runs in {root}", hints.Command("start", options={"root": str(root)}))
    return server


def start(
    root: Path,
    envs: Path,
    projects: Sequence[str] = (),
    trials: Sequence[str] = (),
    fresh: Sequence[str] = (),
    accounts: Sequence[str] = (),
) -> dict[str, Any]:
    """Start the server of `root` unless it runs, and make projects and billing accounts: see Wanted. Raises Failed.

    One that runs is told of this process' proxies, certificates and package index, where they differ from what it was
    told before: the environments of jobs are built with them.
    """
    wanted = Wanted(projects, trials, fresh, accounts)
    try:
        asked = list(wanted.asked())
    except ValueError as error:
        raise Failed(str(error), code=2) from None
    private_folder(root)
    check_all_own(root)
    with _alone(root):
        server = running(root)
        if server is None:
            server = _spawn(root, envs, wanted)
        else:
            _write_created(root, server)
            _tell_network(root, server)
            for project, body in asked:
                ask(root, server, "POST", f"/projects/{project}", body)
        return server


def _tell_network(root: Path, server: dict[str, Any]) -> None:
    if environments.is_client_of_local_cloud(os.environ):
        return
    settings = environments.index_settings(os.environ)
    with contextlib.suppress(FileNotFoundError):  # a server of an older version, which can't be told
        if (root / NOTED).read_text(encoding="ascii") != environments.told(settings):
            ask(root, server, "POST", "/network", {"settings": settings})


def _write_created(root: Path, server: dict[str, Any]) -> None:
    """Put the time of the process' creation right for those who go by it alone, when the clock was set."""
    created = psutil.Process(server["pid"]).create_time()
    if created != server["created"]:
        server["created"] = created
        write_privately(root / "server.json", json.dumps(server, indent=2))


def stop(root: Path) -> bool:
    """End the server of `root` and all processes it started; False when none ran. Raises Failed."""
    if not root.is_dir():
        return False
    with _alone(root):
        if running(root) is None and (lost := _nameless(root)):
            _end(lost, None)
            (root / "server.json").unlink(missing_ok=True)
            return True
        server = running(root) or _after_a_kill(root)
        if server is None:
            return False
        _end(psutil.Process(server["pid"]), lambda: ask(root, server, "POST", "/stop"))
        (root / "server.json").unlink(missing_ok=True)
        return True


def _end(process: psutil.Process, tell: Callable[[], object] | None) -> None:
    """End a server with all that it started: it is told to, and killed when it doesn't listen."""
    family = [process, *process.children(recursive=True)]
    try:
        if tell is not None:
            tell()
        else:
            process.terminate()
        _wait([process], _PATIENCE / 2)
    except (Failed, psutil.Error):  # it hangs: what follows ends it anyway
        pass
    _kill(family)


def _nameless(root: Path) -> psutil.Process | None:
    """The server that works in `root`, found by its command line: its server.json is gone, or damaged."""
    if not locks.taken(root / "server.lock"):
        return None
    own = psutil.Process().username()
    for process in psutil.process_iter(["username", "cmdline"]):
        words = process.info["cmdline"] or []
        if process.info["username"] == own and words[1:6] == _command(root)[1:]:
            return process
    return None


def _after_a_kill(root: Path) -> dict[str, Any] | None:
    """A server in the place of one that was killed, None when none was: its jobs went on, and only a server ends them.

    A clean end takes server.json away.
    """
    try:
        envs = Path(parsed((root / "server.json").read_bytes(), _described)["envs"])
    except OSError:
        return None
    except ValueError:  # damaged; to end jobs needs no environments
        if not any((root / api).is_dir() for api in ("vertex/jobs", "run/executions")):
            return None
        envs = root / "envs"
    return _spawn(root, envs, Wanted())


def status(root: Path) -> dict[str, Any]:
    """Whether the server runs, and if so its ports, processes and what it holds."""
    server = running(root)
    if server is None:
        return {"running": False, "root": str(root)}
    return {"running": True, **server, **ask(root, server, "GET", "/status")}


def forward(root: Path, seconds: float) -> dict[str, Any]:
    """Move the clock of a running server forward: `now` (RFC 3339) and `ahead_seconds` of the real time.

    Raises Failed when no server runs, or the clock can't move so.
    """
    return control(root, "POST", "/clock", {"forward_seconds": seconds}, _LONG_PATIENCE)


def control(root: Path, method: str, path: str, body: Any = None, patience: float = _PATIENCE) -> dict[str, Any]:
    """One request to the control of the server that runs. Raises Failed, also when none does."""
    return ask(root, required(root), method, path, body, patience)


def reset(root: Path) -> None:
    """End the server and forget all it kept, except which ports it had. Whatever is damaged is gone then."""
    if not root.is_dir():
        return
    check_own(root)
    with contextlib.suppress(Failed):  # a server that can't start ends no jobs: they end with their folder
        stop(root)
    with _alone(root):
        try:
            ports.read(root)
            kept = {"start.lock", "ports.json"}
        except Damaged:
            kept = {"start.lock"}
        for path in root.iterdir():
            if path.name in kept:
                continue
            if path.is_dir() and not path.is_symlink():
                _remove(path)
            else:
                path.unlink()


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except PermissionError:  # a job may have closed a folder of its own
        folder.chmod(0o700)
        for place, folders, _files in os.walk(folder):
            for name in folders:
                if not Path(place, name).is_symlink():
                    Path(place, name).chmod(0o700)
        shutil.rmtree(folder)


def environment(root: Path, project: str = "") -> dict[str, str]:
    """The client environment of a project; the only one's when none is named. Raises Failed."""
    known = sorted(path.parent.name for path in root.glob("projects/*/environment.json"))
    if not project and len(known) == 1:
        project = known[0]
    if project not in known:
        wanted = f"no project is called {project}" if project else "say which project"
        start = hints.Command("start", options={"root": "DIR", "project": "ID"})
        hint = f"known: {', '.join(known)}" if known else start
        raise Failed(f"{wanted} in the local cloud in {root}", hint)
    path = root / "projects" / project / "environment.json"
    try:
        return parsed(path.read_bytes(), texts)
    except (OSError, ValueError):
        raise Failed(
            f"{path} is damaged", hints.Command("start", options={"root": str(root), "project": project})
        ) from None


def ask(
    root: Path, server: dict[str, Any], method: str, path: str, body: Any = None, patience: float = _PATIENCE
) -> dict[str, Any]:
    """One request to the server's control, shown to be from the owner of `root`; `body` goes as JSON.

    Raises Failed, with the hint that a refusal has.
    """
    try:
        trust = ssl.create_default_context(cafile=str(root / "ca.pem"))
        connection = http.client.HTTPSConnection("127.0.0.1", server["https"], timeout=patience, context=trust)
        secret = (root / "control-token").read_text(encoding="ascii")
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"Authorization": f"Bearer {secret}"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        hint = f"see {root / 'server.log'}"
        raise Failed(f"the local cloud in {root} (process {server['pid']}) does not answer: {error}", hint) from None
    if response.status >= 300:
        error = answer.get("error", {})
        message = error.get("message", str(response.status))
        raise Failed(message, hints.read(error.get("hint", ())), 2 if response.status == 400 else 1)
    return answer


def _alone(root: Path) -> Any:
    """Only one start, stop or reset of a folder at a time."""
    return locks.held(root / "start.lock", _PATIENCE)


def _command(root: Path) -> list[str]:
    return [sys.executable, "-m", "localcloud", "serve", "--root", str(root)]


def _spawn(root: Path, envs: Path, wanted: Wanted) -> dict[str, Any]:
    command = [*_command(root), "--envs", str(envs), *wanted.options()]
    flags: dict[str, Any] = {"start_new_session": True}  # it outlives the shell
    if sys.platform == "win32":
        flags = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    with _log(root / "server.log") as log:
        process = subprocess.Popen(
            command,
            cwd=_PACKAGE.parent,
            env=_own_environment(root),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # where it says in one line that it is ready, or why not
            stderr=log,
            close_fds=True,
            **flags,
        )
    assert process.stdout is not None
    with process.stdout as pipe:
        line = pipe.readline()
    try:
        said = json.loads(line)
    except ValueError:
        process.kill()
        process.wait()
        raise Failed("the local cloud did not start", f"see {root / 'server.log'}") from None
    if "error" in said:
        process.wait()
        raise Failed(said["error"], hints.read(said.get("hint", ())))
    process.returncode = 0  # it goes on without us: no warning that nobody waits for it
    return said


def _log(path: Path) -> IO[bytes]:
    """The log, to write on at its end; when it is large, what was in it goes to server.log.1."""
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.replace(path.with_name("server.log.1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _own_environment(root: Path) -> dict[str, str]:
    """This process' environment without what makes it a client of a local cloud: the server is none."""
    theirs: dict[str, str] = {}
    for path in root.glob("projects/*/environment.json"):
        with contextlib.suppress(OSError, ValueError):  # damaged: this start writes it anew
            theirs |= parsed(path.read_bytes(), texts)
    kept = {name: value for name, value in os.environ.items() if theirs.get(name) != value}
    kept.pop("PYTHONSAFEPATH", None)  # else `-m localcloud` is not found
    return kept


def ended(process: psutil.Process) -> bool:
    """Whether a process runs no more; in a container nobody may ever collect what is left of it (a zombie)."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _wait(processes: list[psutil.Process], seconds: float) -> None:
    """Until all have ended, or the time is over."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and not all(ended(process) for process in processes):
        time.sleep(0.02)


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    _wait(processes, 10)
