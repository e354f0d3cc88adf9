"""The price list that the Cloud Billing Catalog API gives is the one that the bill is made by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from google.auth.transport.requests import AuthorizedSession

from catalog import listed, prices, run
from catalog.gathering import books, layer, names
from catalog.machines import machines
from catalog.regions import regions
from localcloud.billing import prices as billed

pytestmark = pytest.mark.usefixtures("catalog_on")
BASE = "https://cloudbilling.googleapis.com/v1/services"
VERTEX, COMPUTE, STORAGE = "C7E2-9256-1C43", "6F81-5844-456A", "95FF-2EF5-5EA1"


@pytest.fixture(scope="module")
def catalog_on(local_cloud: Any) -> None:
    local_cloud.enable("cloudbilling")


def _skus(session: AuthorizedSession, service: str, currency: str = "USD") -> list[dict[str, Any]]:
    """All pages."""
    found, token = [], ""
    while True:
        answer = session.get(
            f"{BASE}/{service}/skus", params={"pageToken": token, "pageSize": 500, "currencyCode": currency}
        )
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


def _every(session: AuthorizedSession, currency: str = "USD") -> dict[str, list[dict[str, Any]]]:
    return {service: _skus(session, service, currency) for service in names.SERVICES}


def test_training_costs_what_google_publishes_and_spot_less(session: AuthorizedSession) -> None:
    vertex = {sku["description"]: sku for sku in _skus(session, VERTEX)}
    compute = {sku["description"]: sku for sku in _skus(session, COMPUTE)}
    on, core, ram = "Vertex AI: Training/Pipelines on ", "N1 Predefined Instance Core", "N1 Predefined Instance Ram"
    assert 4 * _rate(vertex[f"{on}{core} in Americas"]) + 15 * _rate(vertex[f"{on}{ram} in Americas"]) == 218_498_850
    assert _rate(compute[f"{core} running in Americas"]) == 31_611_000
    assert _rate(compute[f"Spot Preemptible {core} running in Americas"]) == 7_440_000
    fee = vertex[f"Vertex AI: Training/Pipelines management fee on {core} in Americas"]
    assert _rate(fee) == round(31_611_000 * 0.15)
    assert fee["serviceRegions"] == ["us-central1", "us-east1", "us-west1"]
    gpu = compute["Nvidia Tesla T4 GPU attached to Spot Preemptible VMs running in Seoul"]
    assert (gpu["serviceRegions"], gpu["category"]["usageType"]) == (["asia-northeast3"], "Preemptible")
    expression = compute["E2 Instance Ram running in Seoul"]["pricingInfo"][0]["pricingExpression"]
    assert (expression["usageUnit"], expression["baseUnitConversionFactor"]) == ("GiBy.h", 2**30 * 3600)
    assert not any("n1-standard" in text for text in (*vertex, *compute))


@pytest.mark.parametrize("currency", ["USD", "KRW"])
def test_what_is_read_back_is_the_catalogue_to_the_nano(session: AuthorizedSession, currency: str) -> None:
    """All machines, accelerators and regions, with and without spot; disks, storage, Cloud Run and what is free."""
    lists = _every(session, currency)
    assert all(len({sku["skuId"] for sku in found}) == len(found) for found in lists.values())
    found = layer.gather(lists, datetime.now(UTC) + timedelta(days=1), "the local cloud", currency)
    assert (found.unmapped, found.refused, found.used) == ((), (), sum(map(len, lists.values())))
    assert books.changes(found.layer) == []
    bundled = _book()
    listed.use(found.layer)
    try:
        assert _book() == bundled
        assert prices.hourly("c2-standard-4", "asia-northeast3").sure == "confirmed"
    finally:
        listed.use(None)
    assert prices.hourly("c2-standard-4", "asia-northeast3").sure == "derived"


def _book() -> dict[tuple[object, ...], object]:
    """All prices of the catalogue."""
    places = (*regions(), "us", "eu", "asia")
    found: dict[tuple[object, ...], object] = {
        (name, region, kind, spot): prices.hourly(name, region, kind, counts[0] if kind else 0, spot).amount
        for name, machine in machines().items()
        for region in regions()
        for kind, counts in (("", ()), *machine.gpus.items())
        for spot in (False, True)
    }
    for storage_class in ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"):
        found |= {(storage_class, place): prices.storage(place, storage_class).amount for place in places}
        found |= {
            (storage_class, place, reads): prices.operation(place, storage_class, reads).amount
            for place in places
            for reads in (False, True)
        }
    found |= {
        (kind, region): prices.disk(kind, 100, region).amount for kind in prices.disk_kinds() for region in regions()
    }
    found |= {("run", region): (run.cpu_second(region), run.gib_second(region)) for region in run.regions()}
    free = run.free(), prices.operations_free(True), prices.operations_free(False), prices.storage_free("us-east1")
    return found | {("free",): free, ("egress",): prices.egress().amount}


def test_the_bill_counts_by_the_same_prices(session: AuthorizedSession) -> None:
    """An hour of four kinds of machine, as the list has its parts, is what the bill's line for it costs."""
    lists = _every(session)
    found = layer.gather(lists, datetime.now(UTC) + timedelta(days=1), "the local cloud").layer
    for name, accelerator, count, spot in [
        ("n1-standard-4", "", 0, False),
        ("n1-standard-4", "NVIDIA_TESLA_T4", 2, True),
        ("a3-highgpu-8g", "NVIDIA_H100_80GB", 8, True),
        ("c2-standard-60", "", 0, False),
    ]:
        shape, parts = machines()[name], ["fee", "spot"] if spot else ["training"]
        family = name.partition("-")[0]
        amounts = {f"{family} core": shape.vcpus, f"{family} memory": shape.memory_gb, accelerator: count}
        dollars = sum(
            found[table][part]["us-central1"] * Decimal(str(amount))
            for part, amount in amounts.items()
            for table in parts
            if part
        )
        line = billed.machine("training", name, accelerator, count, spot, "us-central1")
        assert line.nanos(Decimal(1)) == int((dollars * billed.NANOS).to_integral_value()), name


@pytest.mark.parametrize(
    ("currency", "rate", "hour"), [("KRW", 1335.266738, 48.540485), ("EUR", 0.895095, 0.032539), ("USD", 1, 0.036353)]
)
def test_prices_in_another_currency_are_by_one_dated_rate(
    session: AuthorizedSession, currency: str, rate: float, hour: float
) -> None:
    query = {"currencyCode": currency, "pageSize": "1"}
    [sku] = session.get(f"{BASE}/{VERTEX}/skus", params=query).json()["skus"]
    assert sku["pricingInfo"][0]["currencyConversionRate"] == rate
    everything = session.get(f"{BASE}/{VERTEX}/skus", params={"currencyCode": currency}).json()["skus"]
    name = "Vertex AI: Training/Pipelines on N1 Predefined Instance Core in Americas"
    [mine] = [one for one in everything if one["description"] == name]
    money = mine["pricingInfo"][0]["pricingExpression"]["tieredRates"][0]["unitPrice"]
    assert money["currencyCode"] == currency
    assert int(money["units"]) + money["nanos"] / 1e9 == pytest.approx(hour, rel=1e-4)


def test_the_first_gigabytes_are_free_in_three_regions(session: AuthorizedSession) -> None:
    found = {sku["description"]: sku for sku in _skus(session, STORAGE)}
    home = found["Standard Storage US Regional"]
    assert home["serviceRegions"] == ["us-central1", "us-east1", "us-west1"]
    assert (_rate(home, 0), _rate(home, 1)) == (0, 20_000_000)
    assert _rate(found["Standard Storage Netherlands"]) == 20_000_000
    assert _rate(found["Nearline Storage US Regional"]) == 10_000_000
    assert found["Standard Storage Europe Multi-region"]["serviceRegions"] == ["europe"]


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
