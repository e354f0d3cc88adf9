"""What serves is charged by the node-hour, idle or not, and is undeployed when nobody pays any more."""

from __future__ import annotations

from decimal import Decimal

import pytest

from clouds import Start
from clouds.serving import prepare
from localcloud import launch

DAY = 86_400
INFO = "https://cloudbilling.googleapis.com/v1/projects/test-project/billingInfo"


@pytest.mark.slow
def test_an_idle_endpoint_costs_by_the_hour_until_nobody_pays(new_cloud: Start) -> None:
    cloud = new_cloud()
    session = cloud.session()
    api = prepare(cloud, session)
    cloud.enable("cloudbilling")
    endpoint = api.endpoint()
    deployed = api.deploy(endpoint, api.model())
    launch.forward(cloud.root, 10 * DAY)  # nothing asks, and no time-out ends it
    bill = launch.control(cloud.root, "GET", "/bill")
    assert {line["resource"].partition("/endpoints/")[2] for line in bill["lines"]} == {
        f"{endpoint.rpartition('/')[2]}/deployedModels/{deployed}"
    }
    assert {line["sku"] for line in bill["lines"]} == {
        "Vertex AI: Online/Batch Prediction on n1-standard-2 in us-central1"
    }
    assert sum(Decimal(line["amount"]) for line in bill["lines"]) == pytest.approx(240, abs=0.1)
    assert Decimal(bill["cost"]) == pytest.approx(Decimal("26.2"), abs=Decimal("0.1"))  # half of n1-standard-4
    assert session.put(INFO, json={"billingAccountName": ""}).json()["billingEnabled"] is False
    assert api.refused("GET", endpoint)[2].startswith("This API method requires billing to be enabled.")
    launch.forward(cloud.root, 10 * DAY)
    again = launch.control(cloud.root, "GET", "/bill")
    assert Decimal(again["cost"]) == pytest.approx(Decimal(bill["cost"]), abs=Decimal("0.01"))
    assert session.put(INFO, json={"billingAccountName": "billingAccounts/012345-6789AB-CDEF01"}).ok
    assert "deployedModels" not in api.call("GET", endpoint)
    assert api.call("DELETE", endpoint)["done"]
    session.close()
