"""Projects of the person who is signed in: which they may see, and a new one.

https://cloud.google.com/resource-manager/reference/rest/v3/projects
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from cloudkite.accounts.api import call, pages, send, table
from cloudkite.accounts.patience import Progress
from cloudkite.accounts.target import Target
from cloudkite.show.errors import BadValue, UserError, from_google, is_off
from cloudkite.show.text import _

_URL = "https://cloudresourcemanager.googleapis.com/v3"
_PATIENCE = 300.0  # seconds that a new project may take; it takes about 10 (field reports)
_PAUSE = 1.0  # seconds between two looks
_RESOURCE_EXHAUSTED, _ALREADY_EXISTS = 8, 6  # google.rpc.Code


@dataclass(frozen=True)
class Project:
    """One project; `name` is what people call it."""

    id: str
    name: str
    number: str


def listed(target: Target) -> list[Project]:
    """The active projects that the person may see, by id. Raises UserError."""
    doing = _("list the projects")
    rows = pages(target, f"{_URL}/projects:search", "projects", doing, {"query": "state:ACTIVE", "pageSize": 500})
    return sorted((_project(row) for row in rows), key=lambda one: one.id)


def _project(row: dict[str, str]) -> Project:
    return Project(row["projectId"], row.get("displayName", ""), row["name"].rpartition("/")[2])


def find(target: Target, project: str) -> Project | None:
    """The project of that id, None where there is none that the person may see. Raises UserError.

    Google doesn't tell the two apart. A search may know of a new project only after a while; this does at once.
    Raises BadValue for one that is being deleted.
    """
    doing = _("look at project {project}").format(project=project)
    response = send(target, "GET", f"{_URL}/projects/{project}", doing, again=True)
    if response.status_code in (403, 404) and not is_off(response):
        return None
    if not response.ok:
        raise from_google(response, doing)
    row = table(response, doing)
    if row.get("state") != "ACTIVE":
        raise BadValue(
            _("project {project} is being deleted").format(project=project),
            _("choose another; or bring it back: gcloud projects undelete {project}").format(project=project),
        )
    return _project(row)


def create(target: Target, project: str, progress: Progress) -> None:
    """Make a project, which belongs to the person. Raises BadValue for an id that somebody has, UserError.

    Safe to be repeated: who was cut off finds it by `find`.
    """
    doing = _("make project {project}").format(project=project)
    response = send(
        target, "POST", f"{_URL}/projects", doing, again=False, json={"projectId": project, "displayName": project}
    )
    if response.status_code == 409:
        raise _taken(project)
    if not response.ok:
        raise from_google(response, doing)
    operation, deadline = table(response, doing), time.monotonic() + _PATIENCE
    while not operation.get("done"):
        if time.monotonic() > deadline:
            raise UserError(_("{doing}: Google takes too long").format(doing=doing), _("look again in a few minutes"))
        progress(_("Google is making project {project} ...").format(project=project))
        time.sleep(_PAUSE)
        operation = call(target, "GET", f"{_URL}/{operation['name']}", doing)
    error = operation.get("error")
    if error and error.get("code") == _ALREADY_EXISTS:
        raise _taken(project)
    if error:
        # https://support.google.com/cloud/answer/6330231
        way = _("delete one that you don't need, or choose one that there is; a deleted one counts for 30 more days")
        raise UserError(f"{doing}: {error.get('message', '')}", way if error.get("code") == _RESOURCE_EXHAUSTED else "")


def _taken(project: str) -> BadValue:
    return BadValue(
        _("the project id {project} is taken, by somebody else or by a project that is being deleted").format(
            project=project
        ),
        _("choose another, such as {project}-2").format(project=project[:28].rstrip("-")),
    )
