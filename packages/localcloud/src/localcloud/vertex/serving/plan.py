"""What a model server is started with: image, command, environment variables, account and routes.

https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
"""

from __future__ import annotations

import json
import secrets
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments import EnvironmentFailed, environment
from localcloud.containers import ground
from localcloud.containers.words import expand, with_author_variables
from localcloud.core.errors import ApiError
from localcloud.core.network import Network
from localcloud.core.state.files import private_folder, write_privately
from localcloud.core.state.kept import parsed, whole
from localcloud.vertex.jobs.validation import seconds
from localcloud.vertex.place import Call
from localcloud.vertex.serving import artifacts, tensorflow_server

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]

READY_SECONDS = 1800.0  # how long a model server may take, unless its container says otherwise
_FOREVER = 10**9  # seconds


@dataclass(frozen=True)
class Plan:
    """One model server; kept in its folder, so that it can be started again.

    `model` is a Model with its containerSpec; `endpoint` and `deployed` are ids ("" for a batch prediction job's);
    `account` the e-mail that it acts as, `project` the project's id and `number` its number.
    """

    key: str
    project: str
    number: str
    location: str
    account: str
    model: Body
    machine: Body
    endpoint: str = ""
    deployed: str = ""
    mode: str = "PREDICTION"

    @property
    def container(self) -> Body:
        return self.model["containerSpec"]

    @property
    def _default_route(self) -> str:
        return f"/v1/endpoints/{self.endpoint or '0'}/deployedModels/{self.deployed or self.key}"

    @property
    def health_route(self) -> str:
        return self.container.get("healthRoute") or self._default_route

    @property
    def predict_route(self) -> str:
        return self.container.get("predictRoute") or f"{self._default_route}:predict"

    @property
    def ready_seconds(self) -> float:
        """How long the server may take until it is healthy."""
        return seconds(self.container.get("deploymentTimeout", f"{READY_SECONDS}s"))

    def save(self, folder: Path) -> None:
        """Keep it in the server's folder."""
        write_privately(private_folder(folder) / "plan.json", json.dumps(asdict(self)))


def planned(call: Call, key: str, account: str, model: Body, given: Body, **more: str) -> Plan:
    """The server of what a call asks for: `given` is its DeployedModel or BatchPredictionJob, `more` as Plan has it."""
    logging = {"disableContainerLogging": given.get("disableContainerLogging", False)}
    machine, place = given["dedicatedResources"]["machineSpec"], call.place
    number = place.project["projectNumber"]
    return Plan(key, place.project_id, number, place.location, account, model | logging, machine, **more)


def load(folder: Path) -> Plan:
    """What `save` kept."""
    return Plan(**json.loads((folder / "plan.json").read_text(encoding="utf-8")))


def interpreter(cloud: Cloud, image_uri: str) -> Path:
    """The Python that stands in for the image, built if needed: minutes for a new one. Raises ApiError."""
    found, _ = artifacts.image(cloud, image_uri)
    try:
        return environment(cloud.envs, found.requirements, found.python, variables=cloud.of(Network).variables)
    except EnvironmentFailed as error:
        words = f"The environment for the image {image_uri} can't be built: {error}"
        raise ApiError(400, words, "FAILED_PRECONDITION") from None


@dataclass(frozen=True)
class Door:
    """Where a model server is asked: the port that it is told to listen on, and the secret that it wants to be shown.

    A server of one's own knows of no secret ("").
    """

    port: int
    secret: str


def door(run: Path) -> Door:
    """That of a run that was laid out. Raises OSError, ValueError."""
    return parsed((run / "door.json").read_bytes(), lambda kept: Door(whole(kept["port"], 1, 65_535), kept["secret"]))


def lay_out(cloud: Cloud, plan: Plan, folder: Path, run: Path, grace: float) -> Door:
    """Make the folder of one run with its `spec.json`; gives where its server will be asked."""
    stand_in, entrypoint = artifacts.image(cloud, plan.container["imageUri"])
    python = interpreter(cloud, plan.container["imageUri"])
    private_folder(run)
    port = _free_port()
    tensorflow = artifacts.is_tensorflow(stand_in)
    variables = ground.base(run, python) | ground.identity(cloud, plan.account, plan.project, plan.key, folder)
    variables |= _own_variables(cloud, plan, port, tensorflow)
    variables = with_author_variables(variables, plan.container.get("env", []))
    if tensorflow and not plan.container.get("command"):
        secret = secrets.token_urlsafe(24)
        variables[tensorflow_server.SECRET] = secret
        words = [str(python), "-I", tensorflow_server.__file__]
    else:
        secret = ""
        words = [*(plan.container.get("command") or entrypoint), *plan.container.get("args", [])]
        words = [expand(word, variables) for word in words] or ["python"]
    spec = {
        "command": words,
        "environment": variables,
        "workingFolder": str(private_folder(run / "work")),
        "timeoutSeconds": _FOREVER,
        "graceSeconds": grace,
        "root": str(cloud.root),
    }
    made = Door(port, secret)
    write_privately(run / "door.json", json.dumps(asdict(made)))
    write_privately(run / "spec.json", json.dumps(spec))
    return made


def _own_variables(cloud: Cloud, plan: Plan, port: int, tensorflow: bool) -> dict[str, str]:
    """https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements#aip-variables"""
    copied = artifacts.folder(cloud, plan.model["name"], plan.model["versionId"])
    uri = plan.model.get("artifactUri", "")
    made = {
        "AIP_HTTP_PORT": str(port),
        "AIP_HEALTH_ROUTE": plan.health_route,
        "AIP_PREDICT_ROUTE": plan.predict_route,
        "AIP_STORAGE_URI": str(copied) if tensorflow else uri,
        "AIP_FRAMEWORK": "TENSORFLOW" if tensorflow else "CUSTOM_CONTAINER",
        "AIP_MODE": plan.mode,
        "AIP_MODE_VERSION": "1.0.0",
        "AIP_MODEL_NAME": plan.deployed or plan.model["name"].rpartition("/")[2],
        "AIP_VERSION_NAME": plan.deployed or plan.model["versionId"],
        "AIP_PROJECT_NUMBER": plan.number,
        "AIP_MACHINE_TYPE": plan.machine.get("machineType", ""),
        "AIP_ACCELERATOR_TYPE": plan.machine.get("acceleratorType", ""),
        "AIP_ENDPOINT_ID": plan.endpoint,
        "AIP_DEPLOYED_MODEL_ID": plan.deployed,
    }
    if sys.platform == "win32":
        return made
    return made | {"HOSTNAME": f"{plan.key}-0"}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]
