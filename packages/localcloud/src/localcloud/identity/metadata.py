"""The metadata server: tells a job who it is and hands it its own account's tokens, and nobody else's."""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from localcloud.core.asked.directory import Directory
from localcloud.core.errors import ApiError
from localcloud.core.state.files import write_privately
from localcloud.core.state.kept import read_json, reset, text, texts
from localcloud.iam.store import Iam
from localcloud.identity.tokens import SCOPE, Tokens
from localcloud.transport.rest import Receive, Scope, Send, send_bytes

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_FLAVOR = {"Metadata-Flavor": "Google", "Server": "Metadata Server for VM"}
_ROOT = "/computeMetadata/v1"
_TTL = 3599


def _shape(value: Any) -> dict[str, dict[str, str]]:
    jobs = {text(job): texts(kept) for job, kept in value.items()}
    if any(kept.keys() != {"email", "project", "number", "secret"} for kept in jobs.values()):
        raise ValueError("a job without its account")
    return jobs


class Metadata:
    """Jobs and their secrets. The port is the same for all, but each job has a secret path in GCE_METADATA_HOST.

    So another user of this machine, who can reach any loopback port, gets nothing. Jobs come here through a relay of
    their own, which speaks TLS: it sends no secret to whoever takes the port when this server is killed. What was given
    is kept on disk: a job that outlives the server finds its own account again after a restart.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._path = cloud.folder("iam") / "metadata.json"
        self._lock = threading.Lock()
        self._jobs: dict[str, dict[str, str]] = {}
        if self._path.exists():
            self._jobs = read_json(self._path, _shape, reset(cloud.root))

    def environment(self, email: str, project: str, job: str, relay: str) -> dict[str, str]:
        """Variables that make every Google client of a process `email`, which reaches this server by the host `relay`.

        Raises 404 for an unknown account or project.

        The names are google-auth's, TensorFlow's and gcloud's (GCE_METADATA_ROOT).
        """
        self._cloud.of(Iam).get_service_account(email)
        found = self._cloud.of(Directory).get(project)
        with self._lock:
            kept = self._jobs.get(job)
            if kept is None or kept["email"] != email:
                kept = {"email": email, "project": found["projectId"], "number": found["projectNumber"]}
                kept["secret"] = secrets.token_urlsafe(24)
                self._jobs[job] = kept
                self._save()
        host = f"{relay}/{kept['secret']}"
        return {
            "GCE_METADATA_HOST": host,
            "GCE_METADATA_ROOT": host,
            "GCE_METADATA_IP": host,
            "NO_GCE_CHECK": "false",  # clients of this cloud are told not to look for a metadata server; a job has one
            "GOOGLE_CLOUD_PROJECT": found["projectId"],
        }

    def release(self, job: str) -> None:
        """The job's secret is worth nothing from now on."""
        with self._lock:
            if self._jobs.pop(job, None) is not None:
                self._save()

    def _save(self) -> None:
        write_privately(self._path, json.dumps(self._jobs, indent=1))

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application of the metadata port."""
        headers = dict(scope["headers"])
        _, secret, *rest = scope["path"].split("/", 2)
        path = "/" + "".join(rest)
        with self._lock:
            jobs = [job for job in self._jobs.values() if hmac.compare_digest(job["secret"].encode(), secret.encode())]
        try:
            if not jobs:
                raise ApiError(403, "This is the metadata server of a local cloud; the path has no job's secret.")
            if path == "/":  # what clients ping to see whether they are on Google
                return await send_bytes(send, b"computeMetadata/\n", "application/text", headers=_FLAVOR)
            if headers.get(b"metadata-flavor") != b"Google" or b"x-forwarded-for" in headers:
                raise ApiError(403, "Missing required header 'Metadata-Flavor': 'Google'.")
            query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
            if not path.startswith(_ROOT):
                raise ApiError(404, "not found")
            answer = self._answer(jobs[0], path.removeprefix(_ROOT), query)
        except ApiError as error:
            return await send_bytes(send, error.message.encode(), "text/html; charset=UTF-8", error.code, _FLAVOR)
        if isinstance(answer, dict):
            return await send_bytes(send, json.dumps(answer).encode(), "application/json", headers=_FLAVOR)
        await send_bytes(send, answer.encode(), "application/text", headers=_FLAVOR)

    def _answer(self, job: dict[str, str], path: str, query: dict[str, str]) -> str | dict[str, Any]:
        """https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys"""
        zone = f"{self._cloud.of(Directory).region}-a"
        plain = {
            "/project/project-id": job["project"],
            "/project/numeric-project-id": job["number"],
            "/instance/zone": f"projects/{job['number']}/zones/{zone}",
            "/instance/region": f"projects/{job['number']}/regions/{zone[:-2]}",
            "/instance/id": job["number"],
            "/instance/name": "localcloud",
            "/universe/universe-domain": "googleapis.com",
            "/universe/universe_domain": "googleapis.com",
            "/instance/attributes/cluster-name": None,
        }.get(path.rstrip("/"))
        if plain is not None:
            return plain
        head, _, rest = path.strip("/").removeprefix("instance/service-accounts").lstrip("/").partition("/")
        if not path.startswith("/instance/service-accounts") or head not in ("", "default", job["email"]):
            raise ApiError(404, "not found")
        if not head:
            return f"default/\n{job['email']}/\n"
        if rest == "email":
            return job["email"]
        if rest == "scopes":
            return SCOPE + "\n"
        if rest == "aliases":
            return "default\n"
        if rest == "token":
            token = self._cloud.of(Tokens).mint(job["email"], _TTL)
            return {"access_token": token, "expires_in": _TTL, "token_type": "Bearer"}
        if rest == "identity":
            if not query.get("audience"):
                raise ApiError(400, "non-empty audience parameter required")
            return self._cloud.of(Tokens).identity(job["email"], query["audience"])
        if rest == "":
            if query.get("recursive", "").lower() == "true":
                return {"aliases": ["default"], "email": job["email"], "scopes": [SCOPE]}
            return "aliases\nemail\nidentity\nscopes\ntoken\n"
        raise ApiError(404, "not found")
