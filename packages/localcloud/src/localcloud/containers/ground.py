"""What a process that stands in for a container stands on: an interpreter, an account, a clean set of variables."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from environments import EnvironmentFailed, environment
from localcloud.containers import images, processes
from localcloud.core.environment import boto_configuration
from localcloud.core.network import Network
from localcloud.core.state.files import private_folder, write_privately
from localcloud.core.state.kept import parsed, texts
from localcloud.iam.store import Iam
from localcloud.identity.metadata import Metadata

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Say = Callable[[str, str], None]  # text, severity

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CantPrepare(Exception):
    """Why a job can't be started, in words for its author."""


@dataclass(frozen=True)
class Interpreter:
    """What stands in for an image: its Python executable, and the image's entry point."""

    python: Path
    entrypoint: Sequence[str]


def interpreter(cloud: Cloud, image: str, more: str, say: Say) -> Interpreter:
    """What stands in for an image, built if needed: minutes for a new one; `more` is images.REQUIREMENTS' value.

    Raises CantPrepare.
    """
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


def identity(cloud: Cloud, account: str, project: str, owner: str, folder: Path) -> dict[str, str]:
    """The variables of a client of this cloud, as the service account `account` and nobody else.

    `owner` is a name of one's own, by which `Metadata.release` takes back what was given; the key is kept in `folder`.
    """
    key_file = folder / "key.json"
    if not _key_of(folder):
        write_privately(key_file, json.dumps(cloud.of(Iam).new_key(account)))
    boto = boto_configuration(key_file, cloud.root / "ca.pem", project, folder / "gcloud")
    write_privately(folder / "boto.cfg", boto)
    made = cloud.environment(project) | cloud.of(Metadata).environment(account, project, owner, processes.DOOR)
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
