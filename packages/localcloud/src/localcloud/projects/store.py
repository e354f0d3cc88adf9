"""Projects and which of Google's APIs are on in them."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.permits import Resource
from localcloud.core.asked.usage import DEFAULT_PAYER, Usage
from localcloud.core.environment import boto_configuration, client_environment
from localcloud.core.errors import ApiError, error_info
from localcloud.core.state.documents import Documents
from localcloud.core.state.files import private_folder, write_privately
from localcloud.core.state.kept import parsed, texts
from localcloud.iam import access
from localcloud.iam.store import Iam
from localcloud.projects.services import ON_BY_DEFAULT, known

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
_TAKEN = re.compile(r"gcp-sa-.*|gs-project-accounts")  # Google's own: accounts in them would be its agents
_ID = re.compile(r"[a-z][-a-z0-9]{4,28}[a-z0-9]")


class Projects:
    """Projects, by id or number. Each has a folder `projects/<ID>` with what its clients need."""

    region = "us-central1"  # where this machine stands, for the metadata server

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._kept = Documents(cloud.folder("projects") / "projects.sqlite")
        self._lock = threading.RLock()
        self._on: dict[str, frozenset[str]] = {}  # which APIs are on, as far as it was asked
        cloud.count("projects", lambda: len(self.list()))

    def create(
        self,
        project_id: str,
        name: str = "",
        labels: dict[str, str] | None = None,
        payer: str = "",
        person: str | None = None,
    ) -> Body:
        """The project, made if it isn't there, with its owner account and key file. Raises 400, 409 for a bad id.

        A new one is paid by the billing account `payer`, "" for none, and belongs to `person` (see below).

        Made in steps that can each be repeated, the record last, so that a kill in the middle leaves nothing odd.
        """
        if not _ID.fullmatch(project_id):
            raise ApiError(
                400,
                f"project_id '{project_id}' contains invalid characters or is not between 6 and 30 characters long.",
            )
        if _TAKEN.fullmatch(project_id):
            raise ApiError(409, f"Requested entity already exists: project {project_id}")
        with self._lock:
            found = self._kept.find(f"projects/{project_id}")
            if found is None:
                # A project's number follows from its id, so that what is printed is the same each time.
                digest = hashlib.sha256(project_id.encode()).digest()
                number = str(10**11 + int.from_bytes(digest[:8], "big") % (9 * 10**11))
                found = {
                    "projectId": project_id,
                    "projectNumber": number,
                    "name": name or project_id,
                    "state": "ACTIVE",
                    "labels": labels or {},
                    "createTime": self._cloud.clock.stamp(),
                    "billingAccount": payer,
                    # The command line's projects are one person's, who tries Google is another; who makes one by the
                    # API stays who they are.
                    "person": person if person is not None else "" if payer == DEFAULT_PAYER else project_id,
                    "linked": True,  # who pays is known; older projects had no such field
                    "services": sorted(ON_BY_DEFAULT),
                }
                iam = self._cloud.of(Iam)
                iam.ensure_account(project_id, iam.owner(project_id), "Owner of the project")
                iam.add_member(f"projects/{project_id}", "roles/owner", f"serviceAccount:{iam.owner(project_id)}")
                found = self._kept.put(f"projects/{project_id}", "project", found)
                self._cloud.of(Usage).forget_states()
            self.write_files(found)
            return found

    def write_files(self, project: Body) -> None:
        """What clients of a project need: its owner's key, and their environment."""
        project_id = project["projectId"]
        folder = private_folder(self._cloud.folder("projects") / project_id)
        key_file = folder / "key.json"
        if not _is_key(key_file):
            key = self._cloud.of(Iam).new_key(self._cloud.of(Iam).owner(project_id))
            write_privately(key_file, json.dumps(key, indent=2))
        environment = client_environment(self._cloud.root, self._cloud.ports, project_id)
        written = {
            "boto.cfg": boto_configuration(key_file, self._cloud.root / "ca.pem", project_id, folder / "gcloud"),
            "environment.json": json.dumps(environment, indent=2),
        }
        for name, text in written.items():
            path = folder / name
            if not path.is_file() or path.read_bytes() != text.encode():
                write_privately(path, text)
        private_folder(folder / "gcloud")
        (folder / "provider-token").unlink(missing_ok=True)  # older versions wrote it

    def find(self, id_or_number: str) -> Body | None:
        """The project by id or number, or None."""
        if id_or_number.isdigit():
            return next((p for p in self.list() if p["projectNumber"] == id_or_number), None)
        return self._kept.find(f"projects/{id_or_number}")

    def get(self, id_or_number: str) -> Body:
        """The project: projectId, projectNumber, name, state, labels, billingAccount, services. Raises 403.

        Google does not tell a project that isn't there from one that the caller may not see.
        """
        found = self.find(id_or_number)
        if found is None:
            resource = f"projects/{id_or_number}"
            permission = "resourcemanager.projects.get"
            domain = "cloudresourcemanager.googleapis.com"
            raise ApiError(
                403,
                f"Permission '{permission}' denied on resource '//{domain}/{resource}' (or it may not exist).",
                reason="forbidden",
                details=[error_info("IAM_PERMISSION_DENIED", domain, resource=resource, permission=permission)],
            )
        return found

    def resource(self, id_or_number: str) -> Resource:
        """The project as a permission is asked on it. Raises 403 for one that isn't there."""
        return access.project(self.get(id_or_number)["projectId"])

    def list(self) -> list[Body]:
        """All projects, by id."""
        return self._kept.list("project")

    def update(self, project_id: str, **changes: Any) -> Body:
        """Change fields of the record: name, labels, state, billingAccount ("" for none). Raises 403."""
        with self._lock:
            found = self.get(project_id)
            changed = self._kept.patch(f"projects/{found['projectId']}", changes)
            self._on = {}
            return changed

    # APIs

    def services(self, project: str) -> set[str]:
        """Which APIs are on, such as "storage.googleapis.com"."""
        return set(self.get(project)["services"])

    def is_on(self, project_id: str, service: str) -> bool:
        """Whether an API is on in a project, by its id; it costs no query. False when there is no such project."""
        known = self._on  # first: a change in between must not be missed
        found = known.get(project_id)
        if found is None:
            project = self.find(project_id)
            if project is None:
                return False
            found = known[project_id] = frozenset(project["services"])
        return service in found

    def enable(self, project: str, *services: str) -> bool:
        """Turn APIs on; False when all were on. Raises 403 for one that Google has not, 400 when nobody would pay."""
        if strange := [service for service in services if not known(service)]:
            raise ApiError(
                403,
                f"Not found or permission denied for service(s): {', '.join(strange)}.",
                details=[
                    error_info(
                        "SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED",
                        "serviceusage.googleapis.com",
                        services=",".join(strange),
                    )
                ],
            )
        with self._lock:
            found = self.get(project)
            on = set(found["services"])
            if on.issuperset(services):
                return False
            self._cloud.of(Usage).check_activation(found, [service for service in services if service not in on])
            changes: Body = {"services": sorted(on.union(services))}
            if found.get("fresh"):
                new = dict.fromkeys(set(services) - on, self._cloud.clock.time())
                changes["enabledAt"] = {**found.get("enabledAt", {}), **new}
            self.update(found["projectId"], **changes)
        if "compute.googleapis.com" in services:  # it comes with the default account of machines
            email = f"{found['projectNumber']}-compute@developer.gserviceaccount.com"
            self._ensure_compute_account(found["projectId"], email)
        return True

    def _ensure_compute_account(self, project: str, email: str) -> None:
        """As in projects outside an organization, it may edit: https://cloud.google.com/iam/docs/service-account-types"""
        iam = self._cloud.of(Iam)
        if iam.find_service_account(email) is None:
            iam.ensure_account(project, email, "Compute Engine default service account")
            iam.add_member(f"projects/{project}", "roles/editor", f"serviceAccount:{email}")

    def disable(self, project: str, service: str) -> None:
        """Turn an API off. Raises 400 when it is off."""
        with self._lock:
            found = self.get(project)
            if service not in found["services"]:
                raise ApiError(
                    400,
                    f"The service {service} is not enabled for project {found['projectNumber']}.",
                    "FAILED_PRECONDITION",
                )
            self.update(found["projectId"], services=sorted(set(found["services"]) - {service}))


def _is_key(path: Path) -> bool:
    """Whether a key file is there, and as it was written; another is made anew."""
    try:
        kept = parsed(path.read_bytes(), texts)
        return kept["type"] == "service_account" and kept["private_key"].startswith("-----BEGIN PRIVATE KEY-----\n")
    except (OSError, ValueError, KeyError):
        return False
