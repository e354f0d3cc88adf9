"""bigquery.googleapis.com/bigquery/v2: datasets, the tables of billing exports, their rows.

https://cloud.google.com/bigquery/docs/reference/rest. Jobs and queries, tables of one's own, views and models are not
emulated. A dataset has no policy of its own: who may is decided by the project's.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any

from localcloud.bigquery import export, tables
from localcloud.bigquery.refusals import denied, refused
from localcloud.core.asked.permits import Resource
from localcloud.iam import access
from localcloud.iam.access import Access
from localcloud.projects.store import Projects
from localcloud.services.enabled import require
from localcloud.transport.rest import App, Call, Router

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]
SERVICE = "bigquery.googleapis.com"
KIND = "bigquery.dataset"
_NAME = re.compile(r"[A-Za-z0-9_]{1,1024}")
_PROJECT = "/bigquery/v2/projects/{project}"
_DATASET = f"{_PROJECT}/datasets/{{dataset}}"
_TABLE = f"{_DATASET}/tables/{{table}}"
_ADDRESS = "https://bigquery.googleapis.com/bigquery/v2"
_ASKS = "asks by itself: BigQuery has words of its own for a refusal"
_MOST = 10_000  # rows of a page
router = Router()


def app(cloud: Cloud) -> App:
    return router.app(cloud)


def _admit(call: Call, permission: str, kind: str = "Project", name: str = "") -> str:
    """The id of the path's project. Raises 403 while the API is off there, or without the permission."""
    project = require(call.cloud, call.params["project"], SERVICE)["projectId"]
    on: Resource = access.project(project, SERVICE)
    if not call.cloud.of(Access).allows(call.caller, permission, on):
        raise denied(permission, kind, name or project)
    return project


def make_dataset(cloud: Cloud, project: str, name: str, given: Body) -> Body:
    """A new dataset. Raises 400, 409."""
    if not _NAME.fullmatch(name):
        words = (
            f'Invalid dataset ID "{name}". Dataset IDs must be alphanumeric (plus underscores) and must be at most '
            "1024 characters long."
        )
        raise refused(400, "invalid", words)
    if cloud.documents.find(_document(project, name)):
        raise refused(409, "duplicate", f"Already Exists: Dataset {project}:{name}")
    stamp = str(int(cloud.clock.time() * 1000))
    kept = {
        key: given[key] for key in ("friendlyName", "description", "labels", "defaultTableExpirationMs") if key in given
    }
    made = {
        "kind": "bigquery#dataset",
        "id": f"{project}:{name}",
        "datasetReference": {"datasetId": name, "projectId": project},
        "selfLink": f"{_ADDRESS}/projects/{project}/datasets/{name}",
        "location": str(given.get("location", "US")),
        "creationTime": stamp,
        "lastModifiedTime": stamp,
        "etag": "AA==",
        "type": "DEFAULT",
        **kept,
    }
    cloud.documents.put(_document(project, name), KIND, made | {"name": _document(project, name)})
    return made


def _document(project: str, name: str) -> str:
    return f"projects/{project}/datasets/{name}"


def _shown(dataset: Body) -> Body:
    return {key: value for key, value in dataset.items() if key != "name"}


@router.route("GET", f"{_PROJECT}/datasets", open=_ASKS)
async def list_datasets(call: Call) -> Body:
    project = _admit(call, "bigquery.datasets.get")
    found = call.cloud.documents.list(KIND, f"projects/{project}/datasets/")
    wanted = ("kind", "id", "datasetReference", "location", "labels", "friendlyName")
    listed = [{key: one[key] for key in wanted if key in one} for one in found]
    return {"kind": "bigquery#datasetList", "etag": "AA==", **({"datasets": listed} if listed else {})}


@router.route("POST", f"{_PROJECT}/datasets", open=_ASKS)
async def insert_dataset(call: Call) -> Body:
    project = _admit(call, "bigquery.datasets.create")
    return make_dataset(call.cloud, project, str(call.body.get("datasetReference", {}).get("datasetId", "")), call.body)


@router.route("GET", _DATASET, open=_ASKS)
async def get_dataset(call: Call) -> Body:
    return _shown(_dataset(call, "bigquery.datasets.get"))


@router.route("DELETE", _DATASET, open=_ASKS)
async def delete_dataset(call: Call) -> None:
    found = _dataset(call, "bigquery.datasets.delete")
    inside = export.into(call.cloud, found["id"].replace(":", "."))
    if inside and call.query.get("deleteContents") != "true":
        raise refused(400, "resourceInUse", f"Dataset {found['id']} is still in use")
    for one in inside.values():
        call.cloud.documents.delete(one["name"])
    call.cloud.documents.delete(found["name"])


@router.route("GET", f"{_DATASET}/tables", open=_ASKS)
async def list_tables(call: Call) -> Body:
    found = _dataset(call, "bigquery.tables.list")
    listed = []
    for name, one in sorted(_tables(call, found).items()):
        told = _told(found, name, one, 0)
        listed.append(
            {key: told[key] for key in ("kind", "id", "tableReference", "type", "creationTime", "timePartitioning")}
        )
    total = {"totalItems": len(listed)}
    return {"kind": "bigquery#tableList", "etag": "AA==", **({"tables": listed} if listed else {}), **total}


@router.route("GET", _TABLE, open=_ASKS)
async def get_table(call: Call) -> Body:
    dataset, name, one, _day = _table(call, "bigquery.tables.get")
    return _told(dataset, name, one, len(export.rows(call.cloud, one)))


@router.route("GET", f"{_TABLE}/data", open=_ASKS)
async def list_rows(call: Call) -> Body:
    _found, _name, one, day = _table(call, "bigquery.tables.getData")
    try:
        size = min(int(call.query.get("maxResults") or _MOST), _MOST)
        start = int(call.query.get("pageToken") or call.query.get("startIndex") or 0)
        if size < 0 or start < 0:
            raise ValueError
    except ValueError:
        raise refused(400, "invalid", "Invalid value for maxResults, startIndex or pageToken") from None
    schema = tables.selected(export.SCHEMA, call.query.get("selectedFields", ""))
    found = [row for row in export.rows(call.cloud, one) if day is None or export.partition(row) == day]
    whole = call.query.get("formatOptions.useInt64Timestamp", "").lower() == "true"
    shown = [tables.row(row, schema, whole) for row in found[start : start + size]]
    more = {"pageToken": str(start + size)} if found[start + size :] else {}
    rows = {"rows": shown} if shown else {}
    return {"kind": "bigquery#tableDataList", "etag": "AA==", "totalRows": str(len(found)), **more, **rows}


def _dataset(call: Call, permission: str) -> Body:
    """The dataset of the path. Raises 403, 404."""
    name = call.params["dataset"]
    project = _admit(call, permission, "Dataset", f"{call.params['project']}:{name}")
    found = call.cloud.documents.find(_document(project, name))
    if found is None:
        raise refused(404, "notFound", f"Not found: Dataset {project}:{name}")
    return found


def _tables(call: Call, dataset: Body) -> dict[str, Body]:
    return export.into(call.cloud, dataset["id"].replace(":", "."))


def _table(call: Call, permission: str) -> tuple[Body, str, Body, date | None]:
    """(dataset, table, what is exported into it, the day of a partition that the path names). Raises 400, 403, 404."""
    name, _dollar, partition = call.params["table"].partition("$")
    full = f"{call.params['project']}:{call.params['dataset']}.{name}"
    project = _admit(call, permission, "Table", full)
    found = call.cloud.documents.find(_document(project, call.params["dataset"]))
    if found is None:
        raise refused(404, "notFound", f"Not found: Dataset {project}:{call.params['dataset']}")
    one = _tables(call, found).get(name)
    if one is None:
        raise refused(404, "notFound", f"Not found: Table {found['id']}.{name}")
    day = None
    if partition:
        try:
            day = date.fromisoformat(f"{partition[:4]}-{partition[4:6]}-{partition[6:]}")
        except ValueError:
            raise refused(400, "invalid", f'Invalid table ID "{call.params["table"]}".') from None
    return found, name, one, day


def _told(dataset: Body, name: str, one: Body, count: int) -> Body:
    reference = dataset["datasetReference"]
    return {
        "kind": "bigquery#table",
        "etag": "AA==",
        "id": f"{dataset['id']}.{name}",
        "selfLink": f"{dataset['selfLink']}/tables/{name}",
        "tableReference": {**reference, "tableId": name},
        "schema": {"fields": export.SCHEMA},
        "timePartitioning": {"type": "DAY"},
        "numRows": str(count),
        "numBytes": "0",
        "creationTime": str(one["since"] * 1000),
        "lastModifiedTime": str(one["since"] * 1000),
        "type": "TABLE",
        "location": dataset["location"],
    }


def switch_on(cloud: Cloud, dataset: str, account: str = "") -> Body:
    """Export the bill into "PROJECT.DATASET", which is made where it isn't there, with the API turned on.

    `account` is the billing account, by default the one that pays for the project. Raises 400, 404.
    """
    project, dot, name = dataset.partition(".")
    found = cloud.of(Projects).find(project)
    if not dot or found is None or not _NAME.fullmatch(name):
        raise refused(400, "invalid", f"{dataset} isn't PROJECT.DATASET with a project that is there")
    payer = f"billingAccounts/{account}" if account else found["billingAccount"]
    if not payer:
        raise refused(400, "invalid", f"nobody pays for {project}: name the billing account that is exported")
    cloud.of(Projects).enable(found["projectId"], SERVICE)
    if cloud.documents.find(_document(found["projectId"], name)) is None:
        make_dataset(cloud, found["projectId"], name, {})
    return export.switch_on(cloud, f"{found['projectId']}.{name}", payer)
