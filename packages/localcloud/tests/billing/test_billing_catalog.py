"""The price list that the Cloud Billing Catalog API gives is the one that the bill is made by."""

from __future__ import annotations

from typing import Any

import pytest
from google.auth.transport.requests import AuthorizedSession

pytestmark = pytest.mark.usefixtures("catalog_on")
BASE = "https://cloudbilling.googleapis.com/v1/services"
VERTEX, COMPUTE, STORAGE = "C7E2-9256-1C43", "6F81-5844-456A", "95FF-2EF5-5EA1"


@pytest.fixture(scope="module")
def catalog_on(local_cloud: Any) -> None:
    local_cloud.enable("cloudbilling")


def _skus(session: AuthorizedSession, service: str) -> list[dict[str, Any]]:
    """All pages."""
    found, token = [], ""
    while True:
        answer = session.get(f"{BASE}/{service}/skus", params={"pageToken": token, "pageSize": 5000})
        assert answer.status_code == 200, answer.text
        found += answer.json()["skus"]
        token = answer.json().get("nextPageToken", "")
        if not token:
            return found


def _rate(sku: dict[str, Any], tier: int = 0) -> int:
    """Nanos of a dollar."""
    money = sku["pricingInfo"][0]["pricingExpression"]["tieredRates"][tier]["unitPrice"]
    assert money["currencyCode"] == "USD"
    return int(money["units"]) * 10**9 + money["nanos"]


def test_the_services(session: AuthorizedSession) -> None:
    found = session.get(BASE).json()["services"]
    assert {one["serviceId"]: one["displayName"] for one in found} == {
        VERTEX: "Vertex AI",
        COMPUTE: "Compute Engine",
        STORAGE: "Cloud Storage",
        "152E-C115-5142": "Cloud Run",
    }


def test_training_costs_what_google_publishes_and_spot_less(session: AuthorizedSession) -> None:
    found = _skus(session, VERTEX)
    assert len({sku["skuId"] for sku in found}) == len(found)
    mine = [sku for sku in found if "on n1-standard-4 in us-central1" in sku["description"]]
    rates = {sku["category"]["usageType"]: _rate(sku) for sku in mine}
    assert rates["OnDemand"] == pytest.approx(218_498_850, abs=50_000)
    assert rates["Preemptible"] < rates["OnDemand"]
    assert mine[0]["serviceRegions"] == ["us-central1"]
    assert mine[0]["pricingInfo"][0]["pricingExpression"]["usageUnit"] == "h"
    base = {sku["description"]: _rate(sku) for sku in _skus(session, COMPUTE)}
    assert base["n1-standard-4 running in us-central1"] * 1.15 == pytest.approx(rates["OnDemand"], abs=2)


@pytest.mark.parametrize(
    ("currency", "rate", "hour"), [("KRW", 1335.266738, 291.754), ("EUR", 0.895095, 0.195577), ("USD", 1, 0.218499)]
)
def test_prices_in_another_currency_are_by_one_dated_rate(
    session: AuthorizedSession, currency: str, rate: float, hour: float
) -> None:
    query = {"currencyCode": currency, "pageSize": "1"}
    [sku] = session.get(f"{BASE}/{VERTEX}/skus", params=query).json()["skus"]
    assert sku["pricingInfo"][0]["currencyConversionRate"] == rate
    everything = session.get(f"{BASE}/{VERTEX}/skus", params={"currencyCode": currency}).json()["skus"]
    name = "Vertex AI: Training/Pipelines on n1-standard-4 in us-central1"
    [mine] = [one for one in everything if one["description"] == name]
    money = mine["pricingInfo"][0]["pricingExpression"]["tieredRates"][0]["unitPrice"]
    assert money["currencyCode"] == currency
    assert int(money["units"]) + money["nanos"] / 1e9 == pytest.approx(hour, rel=1e-4)


def test_the_first_gigabytes_are_free_in_three_regions(session: AuthorizedSession) -> None:
    found = {sku["description"]: sku for sku in _skus(session, STORAGE)}
    home = found["Standard Storage in us-central1"]
    assert (_rate(home, 0), _rate(home, 1)) == (0, 20_000_000)
    assert _rate(found["Standard Storage in europe-west4"]) == 20_000_000
    assert _rate(found["Nearline Storage in us-central1"]) == 10_000_000


@pytest.mark.parametrize(
    ("path", "query", "code", "words"),
    [
        ("0000-0000-0000/skus", {}, 404, "Service 0000-0000-0000 is not found."),
        (f"{VERTEX}/skus", {"currencyCode": "VND"}, 400, "knows no rate of VND"),
        (f"{VERTEX}/skus", {"startTime": "2026-01-01T00:00:00Z"}, 501, "prices of another time"),
        (f"{VERTEX}/skus", {"pageToken": "x"}, 400, "invalid argument"),
    ],
)
def test_what_is_refused(session: AuthorizedSession, path: str, query: Any, code: int, words: str) -> None:
    answer = session.get(f"{BASE}/{path}", params=query)
    assert (answer.status_code, words in answer.json()["error"]["message"]) == (code, True), answer.text
