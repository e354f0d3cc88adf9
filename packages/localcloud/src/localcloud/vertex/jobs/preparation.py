"""Makes everything that a job's replicas need before they can start: environments, account, packages, folders."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from environments import EnvironmentFailed, install
from localcloud.containers import ground, images, words
from localcloud.containers.ground import CantPrepare, Interpreter, Say
from localcloud.core.network import Network
from localcloud.core.state.files import private_folder, write_privately
from localcloud.identity.metadata import Metadata
from localcloud.identity.tokens import Tokens
from localcloud.vertex.jobs.records import Job
from localcloud.vertex.replicas import contract
from localcloud.vertex.replicas.contract import Replica

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_PORTS = range(20_000, 32_000)
_ports: dict[str, list[int]] = {}  # of jobs that run, by their id
_ports_lock = threading.Lock()


def interpreters(cloud: Cloud, job: Job, say: Say) -> dict[str, Interpreter]:
    """What stands in for each replica's image, built if needed: minutes for a new one. Raises CantPrepare."""
    made: dict[tuple[str, str], Interpreter] = {}
    everyone = contract.replicas(job.body["jobSpec"])
    for replica in everyone:
        wanted = (replica.image, replica.variable(images.REQUIREMENTS))
        if wanted not in made:
            made[wanted] = ground.interpreter(cloud, *wanted, say)
    return {one.name: made[one.image, one.variable(images.REQUIREMENTS)] for one in everyone}


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
    own_account = ground.identity(cloud, job.run["account"], job.project, job.id, folder)
    tuned = job.tuned
    job_id, trial = (tuned.job, tuned.trial) if tuned else (job.id, "")
    own = contract.variables(job_id, job.number, spec, everyone, _addresses(job.id, everyone), trial)
    for replica in everyone:
        interpreter = found[replica.name]
        shutil.rmtree(folder / replica.name, ignore_errors=True)  # of the attempt before
        place = private_folder(folder / replica.name)
        variables = (
            ground.base(place, interpreter.python) | own_account | own[replica.name] | job.run.get("variables", {})
        )
        if tuned:
            variables["CLOUD_ML_HP_METRIC_FILE"] = str(private_folder(Path(tuned.folder) / replica.name) / "metrics")
        if replica.package is not None:
            packages = _packages(cloud, job, replica, interpreter.python, place, variables)
            variables["PYTHONPATH"] = os.pathsep.join(str(path) for path in packages)
        variables = words.with_author_variables(variables, replica.variables)
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
    ground.forget_key(cloud, folder)
    shutil.rmtree(folder, ignore_errors=True)


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
