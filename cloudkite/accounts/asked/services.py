"""The APIs that have to be on before the infrastructure program runs; the rest it turns on itself.

https://cloud.google.com/service-usage/docs/reference/rest/v1/services
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cloudkite.accounts.api import call, send, table
from cloudkite.accounts.patience import Patience, Progress
from cloudkite.accounts.target import Target
from cloudkite.show.errors import UserError, from_google, is_off
from cloudkite.show.text import _

MANAGER, USAGE = "cloudresourcemanager.googleapis.com", "serviceusage.googleapis.com"
# And what each is asked when it was turned on, until it answers; who needs the quotas waits for them.
FIRST = {
    MANAGER: "v3/projects/{project}",  # by it, others are seen to be on
    "cloudbilling.googleapis.com": "v1/projects/{project}/billingInfo",  # who pays, in which currency
    "cloudquotas.googleapis.com": "",  # what is declared of quotas depends on what they are
}
_URL = "https://serviceusage.googleapis.com/v1"


@dataclass(frozen=True)
class Services:
    """Which APIs a project has on, and its number."""

    number: str
    on: frozenset[str]


def read(target: Target, names: Iterable[str] = FIRST) -> Services:
    """Which of these APIs are on, such as "storage.googleapis.com" (at most 30). Raises UserError.

    It is the one answer about a project that needs no other API, so its number is taken from here, too.
    """
    project = target.account.project
    doing = _("look which APIs project {project} has on").format(project=project)
    params = {"names": [f"projects/{project}/services/{name}" for name in names]}
    response = send(target, "GET", f"{_URL}/projects/{project}/services:batchGet", doing, again=True, params=params)
    if is_off(response):
        raise UserError(
            _("{api} is off in project {project}: without it no other API can be turned on").format(
                api=USAGE, project=project
            ),
            _("gcloud services enable {api} --project {project}").format(api=USAGE, project=project),
        )
    if not response.ok:
        raise from_google(response, doing)
    rows = table(response, doing).get("services", [])
    on = frozenset(row["name"].rpartition("/")[2] for row in rows if row.get("state") == "ENABLED")
    return Services(rows[0]["parent"].removeprefix("projects/") if rows else "", on)


def turn_on_first(target: Target, found: Services, progress: Progress) -> None:
    """Turn on what has to be on before the infrastructure program can ask, make or turn on anything; wait for it.

    Raises UserError.
    """
    missing = [name for name in FIRST if name not in found.on]
    if not missing:
        return
    project = target.account.project
    doing = _("turn on {apis} in project {project}").format(apis=", ".join(missing), project=project)
    url = f"{_URL}/projects/{project}/services:batchEnable"
    call(target, "POST", url, doing, body={"serviceIds": missing}, again=True)
    patience = Patience(progress)
    for name, probe in FIRST.items():
        while name in missing and probe:
            response = send(target, "GET", f"https://{name}/{probe.format(project=project)}", doing, again=True)
            if not is_off(response):  # whatever else it says is told to who needs it
                break
            if not patience.wait(name):
                raise from_google(response, doing)


def turn_on(target: Target, names: Iterable[str], progress: Progress) -> None:
    """Turn on APIs (at most 20), and wait until Service Usage says that it is done. That costs nothing.

    Raises UserError.
    """
    project, wanted = target.account.project, sorted(names)
    doing = _("turn on {apis} in project {project}").format(apis=", ".join(wanted), project=project)
    url = f"{_URL}/projects/{project}/services:batchEnable"
    operation = call(target, "POST", url, doing, body={"serviceIds": wanted}, again=True)
    patience = Patience(progress)
    while not operation.get("done"):
        if not patience.wait(", ".join(wanted)):
            raise UserError(_("{doing}: Google takes too long").format(doing=doing), _("look again in a few minutes"))
        operation = call(target, "GET", f"{_URL}/{operation['name']}", doing)
    if error := operation.get("error"):
        raise UserError(f"{doing}: {error.get('message', '')}")
