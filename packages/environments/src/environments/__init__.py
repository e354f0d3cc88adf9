"""Builds Python environments from exact pins with uv, once each, and hands out their interpreters."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

Progress = Callable[[str], None]

_LAYOUT = 1  # part of the hash: a new way of building makes new environments
_PROXIES = ("https_proxy", "http_proxy", "all_proxy", "no_proxy")
_CERTIFICATES = ("ssl_cert_file", "ssl_cert_dir", "ssl_client_cert", "requests_ca_bundle", "curl_ca_bundle")
_INTERPRETER = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__")


class EnvironmentFailed(Exception):
    """An environment could not be built. `requirement` is the one that failed, or all when uv did not say which.

    `output` is what uv printed.
    """

    def __init__(self, requirement: str, output: str) -> None:
        self.requirement, self.output = requirement, output
        super().__init__(f"could not install {requirement}: {_reason(output)}")


def environment(
    envs: Path,
    requirements: Sequence[str],
    python: str = "3.11",
    progress: Progress | None = None,
    variables: Mapping[str, str] | None = None,
) -> Path:
    """The Python executable of the environment in `envs` that has `requirements` (pins; markers are kept).

    Built on first use, then found by one look at its `.ready` stamp, which is written last: a build that was cut short
    is done again. Of several builders, also in other processes, one builds and the others wait. `progress` gets lines
    such as "Downloading tensorflow-cpu (245.1MiB)". `variables` is what uv may see, this process' own by default: they
    say how the person's network is left. Raises EnvironmentFailed, and PermissionError for a folder `envs` in which
    somebody else could have put what is run from here.
    """
    folder = envs.absolute() / fingerprint(requirements, python)
    executable = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ready = folder / ".ready"
    _refuse_foreign(folder.parent)
    if ready.exists():
        return executable
    _own(folder.parent)
    with _locked(folder.parent / f"{folder.name}.lock", progress) as lock:
        if not ready.exists():
            builder = _Uv(variables, progress or (lambda _line: None), lock)
            _build(folder, executable, requirements, python, builder)
            ready.write_text(json.dumps({"python": python, "requirements": list(requirements)}), encoding="utf-8")
            ready.chmod(0o600)
    return executable


def is_ready(envs: Path, requirements: Sequence[str], python: str = "3.11") -> bool:
    """Whether `environment` would find it built."""
    return (envs.absolute() / fingerprint(requirements, python) / ".ready").exists()


def fingerprint(requirements: Sequence[str], python: str = "3.11") -> str:
    """Name of the environment's folder: the same for the same pins in any order and spacing, on one platform."""
    pins = sorted({re.sub(r"\s+", "", pin) for pin in requirements})
    what = [_LAYOUT, python, pins, sys.platform, platform.machine()]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:20]


def install(
    executable: Path,
    target: Path,
    packages: Sequence[Path],
    progress: Progress | None = None,
    variables: Mapping[str, str] | None = None,
) -> None:
    """Put package files (.tar.gz, .whl) and what they depend on into the folder `target`, for that interpreter.

    `variables` as for `environment`. Raises EnvironmentFailed.
    """
    names = [str(package.absolute()) for package in packages]
    words = ["pip", "install", "--python", str(executable), "--target", str(target.absolute()), *names]
    _Uv(variables, progress)(words, names)


def package_index_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` for a program that needs the real network: without what makes a shell a client of the local cloud.

    The local cloud's proxy lets nobody out, and its certificate authority is not the world's. A proxy or certificates
    of the reader's own network stay.
    """
    kept = {name: value for name, value in environ.items() if name not in _INTERPRETER}
    authority = next((value for value in kept.values() if _of_local_cloud(value)), None)
    if authority is None:
        return kept
    return {
        name: value
        for name, value in kept.items()
        if not _of_local_cloud(value)
        and not name.startswith(("GOOGLE_", "CLOUDSDK_"))
        and not (name.lower() in _PROXIES and (name.lower() == "no_proxy" or _on_this_machine(value)))
    }


def network(environ: Mapping[str, str]) -> dict[str, str]:
    """The part of `environ` that says how a person's network is left: proxies and certificates."""
    known = {*_PROXIES, *_CERTIFICATES}
    return {n: v for n, v in package_index_environment(environ).items() if n.lower() in known}


def certificates(environ: Mapping[str, str]) -> str:
    """The file or folder of authorities that a person trusts; "" for those that a program brings.

    requests alone knows nothing of SSL_CERT_FILE and SSL_CERT_DIR, by which OpenSSL, uv and Go go.
    """
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
    return next((environ[name] for name in names if environ.get(name)), "")


def index_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """`network`, and which package index the person uses: what a process has to be told that builds for them."""
    theirs = {n: v for n, v in environ.items() if n.upper().startswith(("UV_", "PIP_"))}
    theirs.pop("UV_RUN_RECURSION_DEPTH", None)  # uv's own count
    return {**theirs, **network(environ)}


def told(settings: Mapping[str, str]) -> str:
    """A fingerprint of `index_settings`, by which one sees whether somebody was told the same."""
    return hashlib.sha256(json.dumps(sorted(settings.items())).encode()).hexdigest()


def is_client_of_local_cloud(environ: Mapping[str, str]) -> bool:
    """Whether these are the variables of a local cloud's client: what the person's own were is not known then."""
    return any(_of_local_cloud(value) for value in environ.values())


def _of_local_cloud(value: str) -> bool:
    path = Path(value) if value.endswith(".pem") else None
    return path is not None and path.name == "ca.pem" and (path.parent / "ports.json").exists()


def _on_this_machine(proxy: str) -> bool:
    return urlsplit(proxy).hostname in ("127.0.0.1", "localhost", "::1")


def _own(folder: Path) -> None:
    """Make the folder, and the parents that it lacks, for their owner only."""
    for place in (*reversed(folder.parents), folder):
        if not place.exists():
            place.mkdir(mode=0o700, exist_ok=True)
    _refuse_foreign(folder)


def _refuse_foreign(folder: Path) -> None:
    if sys.platform != "win32" and folder.exists():
        about = folder.stat()
        if about.st_uid != os.getuid() or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(errno.EPERM, "another user owns it or may write to it", str(folder))


def _build(folder: Path, executable: Path, requirements: Sequence[str], python: str, uv: _Uv) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    uv(["venv", "--no-project", "--python", _interpreter(python), str(folder)], [f"Python {python}"], quiet=True)
    if requirements:
        uv(["pip", "install", "--python", str(executable), *requirements], requirements)


def _interpreter(python: str) -> str:
    """The interpreter that runs this, when it is of that version: nothing to look for then, nothing to download."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    base = getattr(sys, "_base_executable", "") or sys.executable
    return base if python == own and base else python


class _Uv:
    """Runs uv. It shares the `lock`: one that outlives its killed builder keeps the next one out until it ends."""

    def __init__(
        self, variables: Mapping[str, str] | None, progress: Progress | None = None, lock: IO[str] | None = None
    ) -> None:
        told = os.environ if variables is None else variables
        self._variables = {"UV_HTTP_TIMEOUT": "120", **package_index_environment(told)}
        self._progress, self._lock = progress, lock

    def __call__(self, arguments: Sequence[str], requirements: Sequence[str], quiet: bool = False) -> None:
        command = [_uv_program(), "--color", "never", *_settings(self._variables), *arguments]
        lines: list[str] = []
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own,
            subprocess.Popen(
                command,
                env=self._variables,
                cwd=own,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                pass_fds=() if self._lock is None or sys.platform == "win32" else (self._lock.fileno(),),
                umask=-1 if sys.platform == "win32" else 0o077,
            ) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.rstrip())
                if self._progress and not quiet and line.strip():
                    self._progress(line.strip())
        if process.returncode:
            raise EnvironmentFailed(_culprit(requirements, lines), "\n".join(lines))


def _settings(environ: Mapping[str, str]) -> list[str]:
    """The options by which uv reads this person's settings, else the machine's, and no others.

    Left alone, uv looks for them in the working directory and all folders above: in /tmp, for one, whoever is the first
    to make /tmp/uv.toml would name the index from which code comes. What the person said stays: UV_* variables, and the
    uv.toml in their own settings, which may name the mirror without which their network has no packages.
    """
    if environ.get("UV_CONFIG_FILE"):
        return []
    if environ.get("UV_NO_CONFIG", "").lower() not in ("", "0", "false"):
        return ["--no-config"]
    home = Path.home()
    if sys.platform == "win32":
        places = [Path(environ.get("APPDATA") or home / "AppData" / "Roaming"), Path(environ.get("PROGRAMDATA") or "/")]
    else:
        named = (Path(folder) for folder in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep))
        places = [Path(environ.get("XDG_CONFIG_HOME") or home / ".config"), *named, Path("/etc")]
    found = (place / "uv" / "uv.toml" for place in places if place.is_absolute())
    path = next((path for path in found if path.is_file()), None)
    return ["--config-file", str(path)] if path else ["--no-config"]


def _uv_program() -> str:
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None or not Path(found).is_absolute():  # Windows looks into the working directory, too
        raise EnvironmentFailed("uv", "error: uv was found neither as a package nor on PATH")
    return found


def _culprit(requirements: Sequence[str], lines: Sequence[str]) -> str:
    """The requirement whose name uv's explanation mentions first; all of them when it mentions none."""
    explanation = " ".join(lines[next((i for i, line in enumerate(lines) if re.search("error|×", line)), 0) :])
    text = re.sub(r"[-_.]+", "-", explanation).lower()
    at: dict[str, int] = {}
    for requirement in requirements:
        if name := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement):
            plain = re.sub(r"[-_.]+", "-", name[0]).lower()
            if found := re.search(rf"(?<![\w-]){re.escape(plain)}(?![\w-])", text):
                at[requirement] = found.start()
    return min(at, key=lambda requirement: at[requirement]) if at else ", ".join(requirements)


def _reason(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    start = next((i for i, line in enumerate(lines) if re.match("error|×", line)), max(0, len(lines) - 3))
    return re.sub(r"\s+", " ", " ".join(lines[start:])).removeprefix("error: ").removeprefix("× ") or "uv said nothing"


@contextmanager
def _locked(path: Path, progress: Progress | None) -> Iterator[IO[str]]:
    """Hold the lock file, which the system frees when its holder dies; it tells the holder's process id.

    Only the end of its descriptors unlocks it: uv may share them, and to unlock one is to unlock it for uv, too.
    """
    from filelock import lock_descriptor  # in here: it takes 60 ms, and an environment that is ready needs no lock

    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a+", encoding="utf-8") as file:
        if not lock_descriptor(file.fileno(), blocking=False):
            if progress:
                progress("Waiting for another process that builds the same environment")
            lock_descriptor(file.fileno())
        if sys.platform != "win32":  # there the locked bytes can't be written over
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
        yield file
