"""A layer of the price book from SKUs as Google's Cloud Billing Catalog API gives them."""

import copy
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from catalog import listed, prices, run
from catalog.book import read
from catalog.gathering import books, layer, names

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)
GOOGLE = json.loads((Path(__file__).parent / "google_skus.json").read_text(encoding="utf-8"))["services"]
THREE = ("us-central1", "us-east1", "us-west1")


def row(amount, *regions, **others):
    named = {region.replace("_", "-"): Decimal(other) for region, other in others.items()}
    return {region: Decimal(amount) for region in regions or ("us-central1",)} | named


EXPECTED = {
    "compute": {
        "NVIDIA_A100_80GB": row("3.92804"),
        "NVIDIA_B200": row("16.11"),
        "NVIDIA_H100_80GB": row("9.79655057"),
        "NVIDIA_H100_MEGA_80GB": row("9.79655057"),
        "NVIDIA_L4": row("0.560004"),
        "NVIDIA_TESLA_A100": row("2.933908", "us-central1", "us-east1"),
        "NVIDIA_TESLA_T4": row("0.35", *THREE),
        "TPU_V5E": row("1.2", "us-west4"),
        "a3-mega core": row("0.029563"),
        "a3-ultra core": row("0.029563"),
        "c2 core": row("0.03398", *THREE, europe_southwest1="0.0400984"),
        "c2 memory": row("0.00455", *THREE),
        "e2 core": row("0.02181159", *THREE, "us-east5", asia_northeast1="0.02802642"),
        "e2 memory": row("0.00292353", *THREE, "us-east5", asia_northeast1="0.00375636"),
        "g2 core": row("0.024988"),
        "g2 memory": row("0.002927"),
        "n1 core": row("0.031611", *THREE, asia_northeast3="0.040618"),
        "n1 memory": row("0.004237", *THREE, asia_northeast3="0.005419"),
        "n2 core": row("0.031611", *THREE),
        "n2 memory": row("0.004237", *THREE),
        "n4 core": row("0.032578", "us-east5"),
        "pd-ssd": row("0.000256164383562", "us-east4"),  # 0.187 a month of 730 hours
        "pd-standard": row("0.000054794520548", *THREE),  # 0.040, beyond 30 free GiB
    },
    "spot": {
        "NVIDIA_B200": row("4.9542"),
        "NVIDIA_L4": row("0.3192"),
        "NVIDIA_TESLA_A100": row("1.7603", "us-central1", "us-east1"),
        "NVIDIA_TESLA_T4": row("0.209", *THREE),
        "TPU_V5E": row("0.494237", "us-west4"),
        "e2 core": row("0.007370235", "us-east4"),
        "e2 memory": row("0.000987597", "us-east4"),
        "g2 core": row("0.009995"),
        "g2 memory": row("0.001171"),
        "n1 core": row("0.00752", *THREE),
        "n1 memory": row("0.001008", *THREE),
    },
    "training": {
        "NVIDIA_H100_80GB": row("11.2660332"),
        "a3 core": row("0.0293227"),
        "a3 memory": row("0.0025534"),
        "n1 core": row("0.03635265", *THREE),
        "n1 memory": row("0.005231860724531", *THREE),  # by the gigabyte of 10^9 bytes, 0.00487255
        "pd-ssd": row("0.000267808219178", *THREE),
    },
    "fee": {
        "NVIDIA_H100_80GB": row("1.4694826"),
        "a3 core": row("0.0038247"),
        "a3 memory": row("0.0003331"),
        "n1 core": row("0.00474165", *THREE),
    },
    "storage": {
        "ARCHIVE": row("0.0016", "asia-northeast1"),
        "NEARLINE": row("0.013", "europe-west2"),
        "STANDARD": row("0.026", "us", "eu", "asia")
        | row("0.023", "asia-northeast3", "europe-west2")
        | row("0.02", *THREE),
    },
    "operation": {
        "STANDARD A multi-region": row("0.00001", "*"),
        "STANDARD A region": row("0.000005", "*"),
        "STANDARD B region": row("0.0000004", "*"),
    },
    "egress": {"internet": row("0.12", "*")},
    "run": {
        "cpu": row("0.000018", asia_northeast3="0.0000216"),
        "memory": row("0.000002", asia_northeast3="0.0000024"),
    },
    "free": {
        "STANDARD": row(5, *THREE),
        "STANDARD A region": row(5000, "*"),
        "STANDARD B region": row(50000, "*"),
        "cpu": row(240000),
        "memory": row(450000),
    },
}
UNMAPPED = {
    "Vertex AI: Online/Batch Prediction Nvidia H100 80gb GPU running in Iowa",
    "Vertex AI: Online/Batch Prediction A3 Predefined Instance Core running in Iowa",
    "Vertex AI: Online/Batch Prediction management fee on NVIDIA H100 80GB in Iowa",
    "Vertex AI: Vizier Trials",
    "Custom Extended Instance Ram running in Los Angeles",
    "Preemptible Custom Instance Ram running in Los Angeles",
    "Custom Instance Core running in Americas",
    "E2 Custom Instance Core running in London",
    "Commitment v1: Cpu in Americas for 1 Year",
    "Commitment v1: Memory-optimized Ram in Tokyo for 1 Year",
    "Commitment v1: Nvidia Tesla T4 GPU running in Americas for 3 Years",
    "Memory Optimized Upgrade Premium for Memory-optimized Instance Ram running in Tokyo",
    "N2 Sole Tenancy Instance Core running in Americas",
    "Sole Tenancy Premium for N2 Sole Tenancy Instance Core running in Americas",
    "Nvidia H100 80GB GPU attached to DWS Defined Duration VMs running in Americas",
    "DWS Defined Duration A3 Core running in Americas",
    "DWS Defined Duration A3 Ram running in Americas",
    "Nvidia Tesla T4 Virtual Workstation GPU running in Americas",
    "N2D AMD Instance Core running in Americas",
    "Reserved V6e TPU in Columbus in Calendar Mode",
    "Network Internet Egress from Virginia to Americas",
    "Services CPU (Request-based billing)",
    "Services Memory (Request-based billing)",
    "Services CPU (Instance-based billing) in europe-west2",
    "Services Min Instance CPU Tier 2 (Request-based billing)",
    "Requests",
    "Standard Storage Belgium/London Dual-region",
    "Standard Storage Iowa Dual-region",
    "Autoclass Standard Storage London",
    "Nearline Storage London (Early Delete)",
    "Nearline Data Retrieval",
    "Regional Standard Tagging Class A Operations",
}


@pytest.fixture
def without_copy():
    yield
    listed.use(None)


def test_googles_list_becomes_a_layer_and_what_has_no_place_in_it_is_told():
    found = layer.gather(GOOGLE, NOW, "Google's price list")
    assert found.layer == {"as_of": "2026-11-30", "source": "Google's price list", "sure": "confirmed", **EXPECTED}
    assert {told.description for told in found.unmapped} == UNMAPPED
    # Two SKUs for one thing in one region: neither is believed.
    assert {(told.sku, told.why, told.region) for told in found.refused} == {
        (sku, "two prices", "asia-northeast1")
        for sku in ("23EB-5861-7872", "255E-0C41-3813", "570B-10D7-C81F", "757F-6F9E-CCEC")
    }
    assert (found.used, found.since[:10]) == (65, "2026-11-05")
    assert found.used + len(found.unmapped) + len(found.refused) == sum(map(len, GOOGLE.values())) == 101


def test_a_copy_prices_what_it_has_and_the_bundled_book_the_rest(without_copy):
    before = {name: prices.hourly(name, "us-central1") for name in ("e2-standard-4", "n4-standard-4")}
    listed.use(layer.gather(GOOGLE, NOW, "Google's price list").layer)
    e2, rest = prices.hourly("e2-standard-4", "us-central1"), prices.hourly("n4-standard-4", "us-central1")
    # 4 x 0.02181159 and 16 x 0.00292353, each x 1.15 to the nano
    assert (e2.amount, e2.sure, e2.as_of) == (Decimal("0.154126276"), "derived", "2026-11-30")
    assert rest == before["n4-standard-4"]
    a3 = prices.hourly("a3-highgpu-1g", "us-central1", "NVIDIA_H100_80GB", 1)
    assert (a3.amount, a3.sure, a3.as_of) == (Decimal("12.6259190"), "confirmed", "2026-11-30")
    # One core by the list of today, its memory by the bundled one: as old as the older.
    mixed = prices.hourly("n4-standard-4", "us-east5")
    assert (mixed.as_of, mixed.sure) == ("2025-04", "derived")
    spot = prices.hourly("g2-standard-4", "us-central1", "NVIDIA_L4", 1, spot=True)
    fee = 4 * Decimal("0.0037482") + 16 * Decimal("0.00043905") + Decimal("0.0840006")
    assert spot.amount == 4 * Decimal("0.009995") + 16 * Decimal("0.001171") + Decimal("0.3192") + fee
    assert prices.hourly("a4-highgpu-8g", "us-central1", "NVIDIA_B200", 8).amount is None  # its host isn't known
    assert prices.disk("pd-ssd", 100, "us-east4").amount == 100 * Decimal("0.000294589")
    assert prices.disk("pd-ssd", 100, "europe-west4").amount == Decimal("0.02678")
    assert (prices.storage("asia-northeast3").amount, prices.storage("asia-northeast3").sure) == (
        Decimal("0.023"),
        "confirmed",
    )
    assert prices.storage("us-east4").sure == "estimate"
    assert prices.operation("us-west1", "STANDARD", reads=True).sure == "confirmed"
    assert prices.operation("us-west1", "NEARLINE", reads=True).sure == "estimate"
    assert run.hourly(run.shape("1cpu-2gb"), "asia-northeast3").as_of == "2026-11-30"
    listed.use(None)
    assert prices.hourly("e2-standard-4", "us-central1") == before["e2-standard-4"]


def test_an_older_copy_does_not_stand_above_a_newer_book(without_copy):
    old = layer.gather(GOOGLE, NOW, "an old copy").layer | {"as_of": "2024-01-01"}
    before = prices.hourly("n1-standard-4", "us-central1"), prices.hourly("n1-standard-4", "us-central1", spot=True)
    listed.use(old)
    now = prices.hourly("n1-standard-4", "us-central1"), prices.hourly("n1-standard-4", "us-central1", spot=True)
    assert now == before


# Damage ----------------------------------------------------------------------------------------------------------


def core(**expression):
    """The SKU of an N1 core, with another pricing expression."""
    [sku] = [copy.deepcopy(one) for one in GOOGLE[names.COMPUTE] if one["skuId"] == "2E27-4F75-95CD"]
    sku["pricingInfo"][0]["pricingExpression"].update(expression)
    return sku


def tiers(*pairs, currency="USD"):
    """Tiers: (from, units, nanos)."""
    return [
        {"startUsageAmount": start, "unitPrice": {"currencyCode": currency, "units": units, "nanos": nanos}}
        for start, units, nanos in pairs
    ]


def info(**changed):
    sku = core()
    sku["pricingInfo"][0].update(changed)
    return sku


def top(**changed):
    return core() | changed


def read_one(sku, service=names.COMPUTE, currency="USD"):
    """(price of an N1 core in us-central1, why it was refused)."""
    found = layer.gather({service: [sku]}, NOW, "a list", currency)
    amount = found.layer.get("compute", {}).get("n1 core", {}).get("us-central1")
    assert (amount is None) == bool(found.refused or found.unmapped)
    return amount, found.refused[0].why if found.refused else None


@pytest.mark.parametrize(
    ("sku", "why"),
    [
        (core(tieredRates=tiers((0, "0", -1))), "price"),
        (core(tieredRates=tiers((0, "-1", 0))), "price"),
        (core(tieredRates=tiers((0, "0", 0))), "price"),
        (core(tieredRates=tiers((0, "0", 10**9))), "price"),
        (core(tieredRates=tiers((0, "0", 2**63))), "price"),
        (core(tieredRates=tiers((0, "9223372036854775807", 999_999_999))), "price"),
        (core(tieredRates=tiers((0, "9223372036854775808", 0))), "price"),
        (core(tieredRates=tiers((0, "9" * 5000, 0))), "price"),
        (core(tieredRates=tiers((0, "1e3", 0))), "price"),
        (core(tieredRates=tiers((0, 0.03, 0))), "price"),
        (core(tieredRates=tiers((0, True, 0))), "price"),
        (core(tieredRates=[{"startUsageAmount": 0, "unitPrice": {"currencyCode": "USD"}}]), "price"),
        (core(tieredRates=[]), "price"),
        (core(tieredRates=None), "torn"),
        (core(tieredRates=["0.03"]), "torn"),
        (core(tieredRates=[{"startUsageAmount": 0}]), "torn"),
        (core(tieredRates=tiers((0, "0", 31611000), currency="KRW")), "currency"),
        (core(tieredRates=tiers((0, "0", 31611000), currency="")), "currency"),
        (core(tieredRates=[{"startUsageAmount": 0, "unitPrice": {"units": "0", "nanos": 31611000}}]), "torn"),
        (core(tieredRates=tiers((5, "0", 31611000))), "tiers"),
        (core(tieredRates=tiers((0, "0", 31611000), (0, "0", 30000000))), "tiers"),
        (core(tieredRates=tiers((-1, "0", 31611000), (0, "0", 30000000))), "tiers"),
        (core(tieredRates=tiers(("many", "0", 31611000))), "tiers"),
        (core(tieredRates=tiers((float("nan"), "0", 31611000))), "tiers"),
        (core(usageUnit="fortnight"), "unit"),
        (core(usageUnit="GiBy.h", baseUnit="By.s", baseUnitConversionFactor=2**30 * 3600), "unit"),
        (core(usageUnit="GiBy.h"), "unit"),
        (core(usageUnit="mo"), "unit"),
        (core(usageUnit=""), "unit"),
        (core(usageUnit=None), "unit"),
        (core(usageUnit=["h"]), "torn"),
        (core(baseUnit="By.s"), "unit"),
        (core(baseUnitConversionFactor=60), "unit"),
        (core(baseUnitConversionFactor=float("inf")), "unit"),
        (core(baseUnitConversionFactor="1" * 5000), "unit"),
        (info(effectiveTime="2027-01-01T00:00:00Z"), "not in force"),
        (info(effectiveTime="soon"), "torn"),
        (info(effectiveTime=None), "torn"),
        (info(pricingExpression=None), "torn"),
        (top(pricingInfo=[]), "price"),
        (top(pricingInfo=None), "torn"),
        (top(pricingInfo={"0": {}}), "torn"),
        (top(description=None), "torn"),
        (top(serviceRegions=None), "torn"),
        (top(category={}), "torn"),
        ({}, "torn"),
        (None, "torn"),
        ("N1 Predefined Instance Core running in Americas", "torn"),
        ([], "torn"),
    ],
)
def test_what_is_not_whole_is_told_and_not_used(sku, why):
    assert read_one(sku) == (None, why)


@pytest.mark.parametrize(
    ("sku", "amount"),
    [
        (core(tieredRates=tiers((0, "0", 31611000), (100, "0", 20000000))), "0.031611"),
        (core(tieredRates=tiers((10, "0", 20000000), (5, "0", 31611000), (0, "0", 0))), "0.031611"),  # in odd order
        (core(tieredRates=tiers((0, 0, 31611000))), "0.031611"),
        (core(tieredRates=tiers((0, "99999", 999_999_999))), "99999.999999999"),
        (core(tieredRates=[{"unitPrice": {"currencyCode": "USD", "nanos": 31611000}}]), "0.031611"),
        (core(usageUnit="s", baseUnitConversionFactor=1, tieredRates=tiers((0, "0", 8000))), "0.0288"),
        (core(usageUnit="mo", baseUnitConversionFactor=2678400.0, tieredRates=tiers((0, "73", 0))), "0.1"),
        (core(displayQuantity=10000), "0.031611"),
    ],
)
def test_odd_but_whole_is_read(sku, amount):
    assert read_one(sku) == (Decimal(amount), None)


def test_the_price_in_force_is_the_newest_that_has_begun():
    sku = core()
    [now] = sku["pricingInfo"]
    earlier, later = copy.deepcopy(now), copy.deepcopy(now)
    earlier["effectiveTime"], later["effectiveTime"] = "2020-01-01T00:00:00Z", "2026-12-01T00:00:00+00:00"
    earlier["pricingExpression"]["tieredRates"] = tiers((0, "0", 40000000))
    later["pricingExpression"]["tieredRates"] = tiers((0, "0", 50000000))
    for timeline in ([earlier, now, later], [later, now, earlier]):
        assert read_one(sku | {"pricingInfo": timeline}) == (Decimal("0.031611"), None)
    assert read_one(sku | {"pricingInfo": [later, earlier]}) == (Decimal("0.04"), None)


@pytest.mark.parametrize("rate", [1335.266738, "1335.266738"])
def test_a_list_in_another_currency_is_the_one_in_dollars(rate):
    won = core(tieredRates=tiers((0, "42", 209116855), currency="KRW"))  # 0.031611 x the rate
    won["pricingInfo"][0]["currencyConversionRate"] = rate
    assert read_one(won, currency="KRW") == (Decimal("0.031611"), None)


@pytest.mark.parametrize("rate", [0, -1, "many", float("nan"), True])
def test_a_rate_that_is_none_makes_no_price(rate):
    won = core(tieredRates=tiers((0, "42", 209116855), currency="KRW"))
    won["pricingInfo"][0]["currencyConversionRate"] = rate
    assert read_one(won, currency="KRW") == (None, "currency")


def test_spot_is_what_the_description_says():
    on_demand = top(category=core()["category"] | {"usageType": "Preemptible"})  # contradicts its description
    found = layer.gather({names.COMPUTE: [on_demand]}, NOW, "a list")
    assert ("compute" in found.layer, len(found.unmapped)) == (False, 1)


def test_two_skus_with_one_price_agree():
    again = top(skuId="0000-0000-0001", description="N1 Predefined Instance Core running in Iowa")
    found = layer.gather({names.COMPUTE: [core(), again]}, NOW, "a list")
    assert (found.used, found.refused) == (2, ())


# Books -----------------------------------------------------------------------------------------------------------


def test_what_became_far_dearer_or_cheaper_is_told():
    dear = layer.gather({names.COMPUTE: [core(tieredRates=tiers((0, "0", 94_833_001)))]}, NOW, "a list").layer
    assert {(one.region, one.before, one.after, one.far) for one in books.changes(dear)} == {
        (region, Decimal("0.031611"), Decimal("0.094833001"), True) for region in THREE
    }
    cheap = layer.gather({names.COMPUTE: [core(tieredRates=tiers((0, "0", 10_537_000)))]}, NOW, "a list").layer
    assert [one.far for one in books.changes(cheap)] == [False] * 3  # exactly a third
    assert books.changes(layer.gather({names.COMPUTE: [core()]}, NOW, "a list").layer) == []


def test_a_layer_is_put_on_top_and_takes_the_place_of_what_it_says_anew():
    found = layer.gather(GOOGLE, NOW, "Google's price list").layer
    book = books.put(read("prices.json"), found)
    assert book["layers"][0] == found
    below = [cell[:3] for one in book["layers"][1:] for cell in books.cells(one)]
    assert not {cell[:3] for cell in books.cells(found)} & set(below)
    assert ("compute", "e2 core", "asia-northeast3") in below
    before = sum(len(list(books.cells(one))) for one in read("prices.json")["layers"])
    assert len(below) < before
    text = books.written(book)
    again = json.loads(text, parse_float=Decimal)
    assert again == json.loads(json.dumps(json.loads(text)), parse_float=Decimal)
    assert books.put(again, found) == again  # a second time changes nothing
    assert len(text) < 60_000


def test_the_bundled_book_is_written_as_it_stands():
    text = (Path(books.__file__).parent.parent / "prices.json").read_text(encoding="utf-8")
    assert books.written(read("prices.json")) + "\n" == text


@pytest.mark.parametrize(
    "damaged",
    [
        None,
        [],
        {},
        {"as_of": "2026-11-30"},
        {"as_of": "yesterday", "source": "a list", "sure": "confirmed"},
        {"as_of": "2026-11-30", "source": 1, "sure": "confirmed"},
        {"as_of": "2026-11-30", "source": "a list", "sure": "unknown"},
        {"as_of": "2026-11-30", "source": "a list", "sure": "confirmed", "more": {}},
        *(
            {"as_of": "2026-11-30", "source": "a list", "sure": "confirmed", "compute": table}
            for table in (
                [],
                {"n1 core": None},
                {"n1 core": {"us-central1": "free"}},
                {"n1 core": {"us-central1": Decimal("-1")}},
                {"n1 core": {"us-central1": Decimal(0)}},
                {"n1 core": {"us-central1": Decimal("NaN")}},
                {"n1 core": {"us-central1": 10**10}},
                {"n1 core": {"../etc": 1}},
                {"n1\ncore": {"us-central1": 1}},
            )
        ),
    ],
)
def test_a_damaged_copy_is_no_copy(damaged):
    with pytest.raises(ValueError, match="a damaged layer"):
        books.checked(damaged)


def test_a_whole_copy_is_read_back_as_it_was():
    found = layer.gather(GOOGLE, NOW, "Google's price list").layer
    assert books.checked(json.loads(books.written(found), parse_float=Decimal)) == found
