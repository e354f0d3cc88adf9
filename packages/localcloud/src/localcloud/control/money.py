"""The control's routes for money: the bill, and the upgrade of a free trial."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from localcloud.bigquery import http as bigquery
from localcloud.billing.meter import Billing
from localcloud.core.errors import Advised
from localcloud.projects.store import Projects
from localcloud.transport.rest import Call, Router


def register(router: Router) -> None:
    """Add the routes to the control."""
    router.route("GET", "/bill")(_bill)
    router.route("POST", "/projects/{project}/upgrade")(_upgrade)
    router.route("POST", "/export")(_export)


async def _bill(call: Call) -> dict[str, Any]:
    """The bill of one project or all (`project`), for a month in Pacific time or all time (`month`, YYYY-MM)."""
    project, month = call.query.get("project", ""), call.query.get("month", "")
    if month and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise Advised(400, f"{month} isn't a month", "a month is YYYY-MM, such as 2026-11")
    if project:
        found = call.cloud.of(Projects).find(project)
        if found is None:
            known = ", ".join(one["projectId"] for one in call.cloud.of(Projects).list())
            raise Advised(400, f"no project is called {project}", f"known: {known}")
        project = found["projectId"]
    await call.cloud.of(Billing).settle()
    await asyncio.to_thread(call.cloud.of(Billing).sample)
    return await asyncio.to_thread(call.cloud.of(Billing).bill, project, month)


async def _upgrade(call: Call) -> dict[str, Any]:
    return await call.cloud.of(Billing).upgrade(call.params["project"])


async def _export(call: Call) -> dict[str, Any]:
    """Switch the export of the bill on, as one does in Google's console: `dataset` PROJECT.DATASET, `account`."""
    wanted, account = str(call.body.get("dataset", "")), str(call.body.get("account", ""))
    return bigquery.switch_on(call.cloud, wanted, account)
