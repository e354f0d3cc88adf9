"""Makes everything that a job's replicas need before they can start: environments, account, packages, folders."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from environments import EnvironmentFailed, environment, install
from localcloud.core.environment import boto_configuration
from localcloud.core.network import Network
from localcloud.core.state.files import private_folder, write_privately
from localcloud.core.state.kept import parsed, texts
from localcloud.iam.store import Iam
from localcloud.identity.metadata import Metadata
from localcloud.identity.tokens import Tokens
from localcloud.vertex.jobs import images
from localcloud.vertex.jobs.records import Job
from localcloud.vertex.replicas import contract, processes
from localcloud.vertex.replicas.contract import Replica

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Say = Callable[[str, str], None]  # text, severity

_PORTS = range(20_000, 32_000)
_ports: dict[str, list[int]] = {}  # of jobs that run, by their id
_ports_lock = threading.Lock()
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CantPrepare(Exception):
    """Why a job can't be started, in words for its author."""


@dataclass(frozen=True)
class Interpreter:
    """What stands in for an image: its Python executable, and the image's entry point."""

    python: Path
    entrypoint: Sequence[str]


def interpreters(cloud: Cloud, job: Job, say: Say) -> dict[str, Interpreter]:
    """What stands in for each replica's image, built if needed: minutes for a new one. Raises CantPrepare."""
    made: dict[tuple[str, str], Interpreter] = {}
    everyone = contract.replicas(job.body["jobSpec"])
    for replica in everyone:
        wanted = (replica.image, replica.variable(images.REQUIREMENTS))
        if wanted not in made:
            made[wanted] = _interpreter(cloud, *wanted, say)
    return {one.name: made[one.image, one.variable(images.REQUIREMENTS)] for one in everyone}


def _interpreter(cloud: Cloud, image: str, more: str, say: Say) -> Interpreter:
    try:
        found, entrypoint = images.find(cloud.root, image, more)
        if words := images.warning(found, cloud.clock.now().date()):
            say(words, "WARNING")
        variables = cloud.of(Network).variables
        python = environment(cloud.envs, found.requirements, found.python, _progress(say, image), variables)
    except (images.UnknownImage, images.BadRequirement) as error:
        raise CantPrepare(str(error)) from None
    except EnvironmentFailed as error:
        raise CantPrepare(f"The environment for the image {image} can't be built: {error}") from None
    return Interpreter(python, entrypoint)


def _progress(say: Say, image: str) -> Callable[[str], None]:
    first = True

    def progress(line: str) -> None:
        nonlocal first
        if first:
            say(f"Building the environment for the image {image}.", "INFO")
            first = False
        say(line, "INFO")

    return progress


def job_folder(cloud: Cloud, job_id: str) -> Path:
    """Where a job's replicas have their folders."""
    return cloud.folder("vertex") / "jobs" / job_id


def lay_out(cloud: Cloud, job: Job, found: dict[str, Interpreter], grace: float, seconds_left: float) -> list[str]:
    """Make each replica's folder anew with its `spec.json`, and the job's key; gives the replicas' names.

    Raises CantPrepare when a package can't be had.
    """
    spec = job.body["jobSpec"]
    everyone = contract.replicas(spec)
    folder = private_folder(job_folder(cloud, job.id))
    own_account = identity(cloud, job, folder)
    tuned = job.tuned
    job_id, trial = (tuned.job, tuned.trial) if tuned else (job.id, "")
    own = contract.variables(job_id, job.number, spec, everyone, _addresses(job.id, everyone), trial)
    for replica in everyone:
        interpreter = found[replica.name]
        shutil.rmtree(folder / replica.name, ignore_errors=True)  # of the attempt before
        place = private_folder(folder / replica.name)
        variables = base(place, interpreter.python) | own_account | own[replica.name] | job.run.get("variables", {})
        if tuned:
            variables["CLOUD_ML_HP_METRIC_FILE"] = str(private_folder(Path(tuned.folder) / replica.name) / "metrics")
        if replica.package is not None:
            packages = _packages(cloud, job, replica, interpreter.python, place, variables)
            variables["PYTHONPATH"] = os.pathsep.join(str(path) for path in packages)
        variables = contract.with_author_variables(variables, replica.variables)
        written = {
            "command": contract.command(replica, variables, interpreter.entrypoint),
            "environment": variables,
            "workingFolder": str(private_folder(place / "work")),
            "timeoutSeconds": seconds_left,
            "graceSeconds": grace,
            "root": str(cloud.root),
            "start": 0,
        }
        write_privately(place / "spec.json", json.dumps(written))
    return [replica.name for replica in everyone]


def start_again(folder: Path, start: int, seconds_left: float) -> None:
    """Make a replica's folder ready for its start number `start`: empty as for the first, at the same addresses.

    A server that is killed in the middle does it again, because `spec.json` is written last.
    """
    written = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    if written["start"] == start:
        return
    for name in ("stop", "output", "started.json", "exit.json"):
        (folder / name).unlink(missing_ok=True)
    for name in ("work", "home", "tmp"):
        shutil.rmtree(folder / name, ignore_errors=True)
        private_folder(folder / name)
    write_privately(folder / "spec.json", json.dumps({**written, "start": start, "timeoutSeconds": seconds_left}))


def release(cloud: Cloud, job_id: str) -> None:
    """Take back the job's key and secret, and forget its folder; nothing happens when that was done before."""
    cloud.of(Metadata).release(job_id)
    with _ports_lock:
        _ports.pop(job_id, None)
    folder = job_folder(cloud, job_id)
    forget_key(cloud, folder)
    shutil.rmtree(folder, ignore_errors=True)


def forget_key(cloud: Cloud, folder: Path) -> None:
    """Delete the key that `identity` made in a folder; a damaged one ends with its account."""
    kept = _key_of(folder)
    if kept and cloud.of(Iam).find_key(kept["private_key_id"]):
        cloud.of(Iam).delete_key(kept["client_email"], kept["private_key_id"])


def _key_of(folder: Path) -> dict[str, str]:
    try:
        kept = parsed((folder / "key.json").read_bytes(), texts)
    except (OSError, ValueError):
        return {}
    return kept if {"private_key_id", "client_email"} <= kept.keys() else {}


def _addresses(job_id: str, everyone: Sequence[Replica]) -> dict[str, str]:
    """A free loopback port for each replica, which no other job gets while this one runs.

    They are below those that systems give to clients, so that no connection takes one before its replica listens.
    """
    with _ports_lock:
        taken = {port for ports in _ports.values() for port in ports}
        found: list[int] = []
        while len(found) < len(everyone):
            port = secrets.choice(_PORTS)
            if port not in taken and port not in found and _is_free(port):
                found.append(port)
        _ports[job_id] = found
    return {replica.name: f"127.0.0.1:{port}" for replica, port in zip(everyone, found, strict=True)}


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def identity(cloud: Cloud, job: Job, folder: Path) -> dict[str, str]:
    """The variables of a client of this cloud, as the job's service account and nobody else."""
    account = job.run["account"]
    key_file = folder / "key.json"
    if not _key_of(folder):
        write_privately(key_file, json.dumps(cloud.of(Iam).new_key(account)))
    boto = boto_configuration(key_file, cloud.root / "ca.pem", job.project, folder / "gcloud")
    write_privately(folder / "boto.cfg", boto)
    made = cloud.environment(job.project) | cloud.of(Metadata).environment(account, job.project, job.id, processes.DOOR)
    return made | {
        "GOOGLE_APPLICATION_CREDENTIALS": str(key_file),
        "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE": str(key_file),
        "CLOUDSDK_CONFIG": str(folder / "gcloud"),
        "BOTO_CONFIG": str(folder / "boto.cfg"),
    }


def base(place: Path, python: Path) -> dict[str, str]:
    """What a process needs of its machine; nothing of the server's own environment comes in."""
    variables = {
        "HOME": str(private_folder(place / "home")),
        "TMPDIR": str(private_folder(place / "tmp")),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PIP_REQUIRE_VIRTUALENV": "1",  # the pip that a job finds is the machine's: it must not change that Python
        "PATH": os.pathsep.join([str(python.parent), _SYSTEM_PATH]),
    }
    if sys.platform == "win32":
        kept = ("SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE")
        variables |= {name: os.environ[name] for name in kept if name in os.environ}
        system = os.environ.get("SYSTEMROOT", r"C:\Windows")
        variables["PATH"] = os.pathsep.join([str(python.parent), rf"{system}\System32", system])
        variables |= {"TEMP": variables["TMPDIR"], "TMP": variables["TMPDIR"], "USERPROFILE": variables["HOME"]}
    return variables


def _packages(
    cloud: Cloud, job: Job, replica: Replica, python: Path, place: Path, variables: dict[str, str]
) -> list[Path]:
    """Download a pythonPackageSpec's packages as the job's account; a wheel runs as it is, a source is installed."""
    assert replica.package is not None
    token = cloud.of(Tokens).mint(job.run["account"])
    folder = private_folder(place / "packages")
    wheels, sources = [], []
    for uri in replica.package["packageUris"]:
        path = folder / uri.rpartition("/")[2]
        _download(uri, path, token, variables)
        (wheels if path.suffix == ".whl" else sources).append(path)
    if sources:
        try:
            install(python, folder / "installed", sources, variables=cloud.of(Network).variables)
        except EnvironmentFailed as error:
            raise CantPrepare(f"The package can't be installed: {error}") from None
        return [*wheels, folder / "installed"]
    return wheels


def _download(uri: str, path: Path, token: str, variables: dict[str, str]) -> None:
    import requests

    bucket, _, name = uri.removeprefix("gs://").partition("/")
    address = f"https://storage.googleapis.com/storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media"
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"https": variables["https_proxy"]}
        answer = session.get(
            address, headers={"Authorization": f"Bearer {token}"}, verify=variables["REQUESTS_CA_BUNDLE"], timeout=300
        )
    if not answer.ok:
        raise CantPrepare(f"The package {uri} can't be read: {answer.status_code} {answer.text.strip()}")
    path.write_bytes(answer.content)
