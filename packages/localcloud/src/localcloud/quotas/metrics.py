"""serviceusage.googleapis.com/v1beta1: the quotas of a project as Service Usage tells them, with their defaults.

https://cloud.google.com/service-usage/docs/reference/rest/v1beta1/services.consumerQuotaMetrics
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.core.paging import page
from localcloud.projects.store import Projects
from localcloud.quotas import store
from localcloud.transport.rest import App, Call, Router

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

router = Router()
Body = dict[str, Any]
_UNIT = "1/{project}/{region}"


def app(cloud: Cloud) -> App:
    return router.app(cloud)


@router.route(
    "GET", "/v1beta1/projects/{project}/services/{service}/consumerQuotaMetrics", needs="serviceusage.quotas.get"
)
async def list_metrics(call: Call) -> Body:
    project = call.cloud.of(Projects).get(call.params["project"])
    service = call.params["service"]
    parent = f"projects/{project['projectNumber']}/services/{service}/consumerQuotaMetrics"
    infos = store.quota_infos(call.cloud, project["projectId"], service)
    return page("metrics", [_metric(parent, info) for info in infos if info["metric"]], call.query)


def _metric(parent: str, info: Body) -> Body:
    name = f"{parent}/{info['metric'].replace('/', '%2F')}"
    limit = {
        "name": f"{name}/limits/%2Fproject%2Fregion",
        "metric": info["metric"],
        "unit": _UNIT,
        "quotaBuckets": [_bucket(entry["details"], region) for entry in info["dimensionsInfos"]
                         for region in entry["applicableLocations"]],
    }  # fmt: skip
    title = info["metricDisplayName"]
    return {"name": name, "metric": info["metric"], "displayName": title, "consumerQuotaLimits": [limit]}


def _bucket(details: Body, region: str) -> Body:
    return {
        "effectiveLimit": details["value"],
        "defaultLimit": details["resetValue"],
        "dimensions": {"region": region},
    }
