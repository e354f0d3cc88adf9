"""The catalogue's data holds together, and its prices are those that were seen on Google's price lists."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from catalog import accelerators, book, currencies, images, machines, prices, quotas, regions, run, tpus
from catalog.book import UnknownName

FOLDER = Path(book.__file__).parent


@pytest.mark.parametrize(
    "name", ["machines", "accelerators", "regions", "quotas", "prices", "resources", "tpus", "currencies", "run"]
)
def test_each_file_says_its_date_and_source(name):
    data = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    for said in data.get("layers", [data]):
        assert said["as_of"][:2] == "20"
        assert len(said["source"]) > 20


def test_the_data_is_small():
    assert sum(p.stat().st_size for p in FOLDER.glob("*.json")) < 200_000


@pytest.mark.parametrize(
    "name", ["n1-standard-1", "n1-standard-2", "e2-standard-2", "ct6e-standard-1t", "N1-STANDARD-4"]
)
def test_machines_that_training_does_not_accept(name):
    with pytest.raises(LookupError, match=f"unknown machine {name}"):
        machines.machine(name)


def test_a_mistyped_machine_names_those_that_come_near():
    with pytest.raises(UnknownName) as caught:
        machines.machine("n1-standart-4")
    assert caught.value.close[0] == "n1-standard-4"
    with pytest.raises(UnknownName) as caught:
        machines.machine("xyz")
    assert not caught.value.close
    assert caught.value.near


@pytest.mark.parametrize(
    "name, family, vcpus, memory, gpus",
    [
        ("n1-standard-4", "n1", 4, 15,
         {"NVIDIA_TESLA_T4": (1, 2, 4), "NVIDIA_TESLA_V100": (1, 2, 4, 8), "NVIDIA_TESLA_P4": (1, 2, 4)}),
        ("e2-highmem-2", "e2", 2, 16, {}),
        ("g2-standard-4", "g2", 4, 16, {"NVIDIA_L4": (1,)}),
        ("a2-highgpu-1g", "a2", 12, 85, {"NVIDIA_TESLA_A100": (1,)}),
    ],
)  # fmt: skip
def test_shapes(name, family, vcpus, memory, gpus):
    found = machines.machine(name)
    assert (found.family, found.vcpus, found.memory_gb, dict(found.gpus)) == (family, vcpus, memory, gpus)


def test_every_accelerator_that_is_named_exists():
    named = {k for m in machines.machines().values() for k in m.gpus} | {
        k for r in regions.regions().values() for k in r.accelerators
    }
    assert named <= set(accelerators.accelerators())
    assert not [a for a in named if accelerators.accelerators()[a].ended]


@pytest.mark.parametrize("text", ["t4", "T4", "NVIDIA_TESLA_T4", "nvidia-tesla-t4"])
def test_an_accelerator_has_a_short_name(text):
    assert accelerators.accelerator(text).name == "NVIDIA_TESLA_T4"


def test_an_accelerator_whose_support_ended_says_so():
    assert accelerators.accelerator("p100").ended == "2026-09-15"


def test_regions_know_what_they_have():
    assert "NVIDIA_L4" in regions.region("us-central1").accelerators
    assert "NVIDIA_L4" not in regions.region("europe-west1").accelerators  # listed there, but not for training
    assert [r.name for r in regions.regions().values() if r.free_storage] == ["us-central1", "us-east1", "us-west1"]
    assert regions.regions_with("NVIDIA_TESLA_V100") == [
        "asia-east1",
        "europe-west4",
        "us-central1",
        "us-east1",
        "us-west1",
    ]


def test_the_smallest_machine_for_a_gpu():
    assert machines.smallest_with("NVIDIA_TESLA_T4", 1).name == "n1-standard-4"
    assert machines.smallest_with("NVIDIA_L4", 1).name == "g2-standard-4"
    assert machines.smallest_with("NVIDIA_L4", 3) is None


@pytest.mark.parametrize(
    "machine, region, accelerator, count, spot, expected",
    [
        ("n1-standard-4", "us-central1", "", 0, False, "0.2185"),  # on the published list
        ("e2-standard-4", "us-central1", "", 0, False, "0.1541"),
        ("e2-highmem-2", "europe-west1", "", 0, False, "0.1144"),
        ("n1-standard-8", "asia-northeast3", "", 0, False, "0.5606"),
        ("n1-standard-4", "us-central1", "NVIDIA_TESLA_T4", 1, False, "0.6210"),
        ("n1-standard-4", "europe-west4", "NVIDIA_TESLA_T4", 1, False, "0.6430"),
        ("g2-standard-4", "us-central1", "NVIDIA_L4", 1, False, "0.8129"),
        ("g2-standard-4", "asia-northeast3", "NVIDIA_L4", 1, False, "1.0439"),
        ("a2-highgpu-1g", "us-central1", "NVIDIA_TESLA_A100", 1, False, "4.2244"),
        ("cloud-tpu", "us-central1", "TPU_V2", 8, False, "5.1750"),
        ("ct5lp-hightpu-4t", "us-central1", "", 0, False, "5.5200"),
        # spot: 0.04407 + 0.175, and 15 % of 0.189999 + 0.35
        ("n1-standard-4", "us-central1", "NVIDIA_TESLA_T4", 1, True, "0.3001"),
    ],
)
def test_prices_of_an_hour(machine, region, accelerator, count, spot, expected):
    price = prices.hourly(machine, region, accelerator, count, spot)
    assert f"{price.amount:.4f}" == expected
    assert price.currency == "USD"
    assert price.unit == "hour"


def test_the_h100_part_is_the_published_one():
    with_gpu = prices.hourly("a3-highgpu-1g", "us-central1", "NVIDIA_H100_80GB", 1).amount
    without = prices.hourly("a3-highgpu-1g", "us-central1").amount
    assert with_gpu is not None and without is not None
    assert with_gpu - without == Decimal("11.2660332")


@pytest.mark.parametrize(
    "machine, region, accelerator, count, spot",
    [
        ("a4-highgpu-8g", "us-central1", "NVIDIA_B200", 8, False),
        ("n1-standard-4", "us-central1", "NVIDIA_TESLA_P4", 1, False),
        ("n1-standard-4", "nowhere", "", 0, False),
        ("n1-standard-4", "us-west2", "", 0, True),
        ("cloud-tpu", "us-central1", "TPU_V2", 8, True),
        ("n4-standard-2", "asia-east1", "", 0, False),
        ("n1-standard-96", "southamerica-east1", "", 0, False),  # n1 is sold there, but not this large
        ("cloud-tpu", "us-central1", "", 0, False),  # the boards have the price
    ],
)
def test_an_unknown_price_is_unknown_and_never_zero(machine, region, accelerator, count, spot):
    price = prices.hourly(machine, region, accelerator, count, spot)
    assert price.amount is None
    assert price.sure == "unknown"
    assert price.times(3).amount is None
    assert price.plus(prices.disk("pd-ssd", 100)).amount is None


def test_how_sure_and_how_old_a_price_is():
    assert prices.hourly("n1-standard-4", "us-central1").sure == "confirmed"
    assert prices.hourly("n1-standard-4", "us-east4").sure == "derived"
    assert prices.hourly("n1-standard-4", "us-central1", spot=True).sure == "estimate"
    assert prices.hourly("n1-standard-4", "us-central1").as_of == "2026-10-07"
    assert prices.hourly("n1-standard-4", "us-east4").as_of == "2025-04"
    together = prices.hourly("n1-standard-4", "us-central1").plus(prices.disk("pd-standard", 100))
    assert (together.sure, together.as_of) == ("derived", "2026")


def test_the_default_disk():
    assert prices.disk("pd-ssd", 100).amount == Decimal("0.02678")
    assert prices.disk("hyperdisk-balanced", 100).amount is None


@pytest.mark.parametrize(
    "machine, accelerator, count, replicas, spot, expected",
    [
        ("n1-standard-4", "", 0, 1, False, [("custom_model_training_cpus", 4)]),
        ("e2-standard-4", "", 0, 3, False, [("custom_model_training_cpus", 12)]),
        ("n2-standard-8", "", 0, 1, False, [("custom_model_training_n2_cpus", 8)]),
        ("n1-standard-4", "NVIDIA_TESLA_T4", 1, 2, False,
         [("custom_model_training_cpus", 8), ("custom_model_training_nvidia_t4_gpus", 2)]),
        ("n1-standard-4", "NVIDIA_TESLA_T4", 1, 1, True,
         [("custom_model_training_preemptible_cpus", 4), ("custom_model_training_preemptible_nvidia_t4_gpus", 1)]),
        ("n2-standard-8", "", 0, 1, True, [("custom_model_training_preemptible_cpus", 8)]),
    ],
)  # fmt: skip
def test_quotas_that_a_job_counts_against(machine, accelerator, count, replicas, spot, expected):
    found = quotas.needs(machine, accelerator, count, replicas, spot)
    assert [(n.meter.metric.removeprefix("aiplatform.googleapis.com/"), n.amount) for n in found] == expected


@pytest.mark.parametrize(
    ("text", "name", "quota"),
    [
        ("v2", "v2-8", ("TPU-V2", 8)),
        ("v3-8", "v3-8", ("TPU-V3", 8)),
        ("TPU_V3", "v3-8", ("TPU-V3", 8)),
        ("v5e", "v5e-1", ("TPU-V5E", 1)),
        ("V5E-4", "v5e-4", ("TPU-V5E", 4)),
        ("v5litepod-8", "v5e-8", ("TPU-V5E", 8)),
        ("ct5lp-hightpu-4t", "v5e-4", ("TPU-V5E", 4)),
    ],
)
def test_a_tpu_has_a_machine_a_quota_and_a_price(text, name, quota):
    found = tpus.tpu(text)
    assert found.name == name
    (need,) = quotas.needs(found.machine, found.accelerator, found.count, 1, False)
    assert (need.meter.title, need.amount) == quota and (need.meter.id or need.meter.metric)
    assert prices.hourly(found.machine, "us-central1", found.accelerator, found.count).amount
    assert images.image(tpus.software().image).kind == "training"


@pytest.mark.parametrize("text", ["v6e", "v6e-4", "ct6e-standard-1t", "tpu7x", "v7x", "v4-8", "v5p"])
def test_a_chip_that_tensorflow_does_not_train_on_names_who_says_so(text):
    with pytest.raises(tpus.Unsupported) as refused:
        tpus.tpu(text)
    assert refused.value.source.startswith("https://cloud.google.com/vertex-ai/docs/training/training-with-tpu-vm: ")


def test_an_unknown_tpu_names_those_that_there_are():
    with pytest.raises(UnknownName) as caught:
        tpus.tpu("v5e-3")
    assert caught.value.close and set(caught.value.near) <= set(tpus.tpus())


def test_a_documented_default_is_there_for_reference():
    assert quotas.documented_default("NVIDIA_TESLA_T4", "us-central1") == 12
    assert quotas.documented_default("NVIDIA_L4", "us-central1") == 0
    assert quotas.documented_default("NVIDIA_L4", "nowhere") is None


def test_quotas_that_a_deployed_model_counts_against():
    def found(*machine):
        return [(one.meter.id, one.amount) for one in quotas.serving_needs(*machine)]

    cpus, t4 = "CustomModelServingCPUsPerProjectPerRegion", "CustomModelServingT4GPUsPerProjectPerRegion"
    assert found("n1", 2, "", 0, 3) == [(cpus, 6)]
    assert found("n1", 4, "NVIDIA_TESLA_T4", 2, 2) == [(cpus, 8), (t4, 4)]
    assert found("g2", 4, "NVIDIA_L4", 1, 1) == [("CustomModelServingL4GPUsPerProjectPerRegion", 1)]


def test_every_accelerator_that_serves_is_known_and_has_a_quota_with_sound_regions():
    known = set(regions.regions())
    for name, row in quotas.read("quotas.json")["serving"]["accelerators"].items():
        assert accelerators.accelerator(name) and row["id"].startswith("CustomModelServing")
        named = [region for places in row["documented"].values() for region in places]
        assert len(named) == len(set(named)) and set(named) <= known, name


def test_shapes_of_cloud_run():
    assert run.shape("4cpu-8gb") == run.Shape(4, Decimal(8))
    assert run.shape("2CPU").name == "2cpu-4gb"
    assert run.shape("1cpu-0.5gib").memory == "512Mi"
    assert run.shape("8cpu-32gb").memory == "32Gi"
    for name in ("3cpu-4gb", "16cpu-64gb", "4cpu-17gb", "n1-standard-4", "cpu", ""):
        with pytest.raises(run.BadShape):
            run.shape(name)


def test_cloud_run_costs_what_its_price_page_says():
    assert run.hourly(run.Shape(1, Decimal(1)), "us-central1").amount == Decimal("0.072")
    assert run.hourly(run.Shape(1, Decimal(1)), "europe-west3").amount == Decimal("0.0864")
    assert run.tier("asia-northeast3") == "2"
    assert {run.tier(name) for name in run.regions()} == {"1", "2"}
    with pytest.raises(UnknownName):
        run.hourly(run.Shape(1, Decimal(1)), "moon-1")
    assert run.free() == (240_000, 450_000)


def test_what_an_instance_takes_of_the_quotas_of_its_region():
    cpu, memory = run.needs(run.shape("4cpu-8gb"))
    assert (cpu.meter.service, cpu.meter.id, cpu.amount) == (run.SERVICE, "CpuAllocPerProjectRegion", 4000)
    assert (memory.meter.id, memory.amount) == ("MemAllocPerProjectRegion", 8 << 30)


@pytest.mark.parametrize(
    "code, places, per_dollar", [("KRW", 0, "1335.266738"), ("JPY", 0, "157.250269"), ("EUR", 2, "0.895095"),
                                 ("USD", 2, "1.000000"), ("KWD", 3, "")],
)  # fmt: skip
def test_currencies_have_decimals_and_a_dated_rate(code, places, per_dollar):
    assert currencies.decimals(code) == places
    if per_dollar:
        assert currencies.rate(code) == currencies.Rate(code, Decimal(per_dollar), "2026-10-30")
    else:
        with pytest.raises(UnknownName):
            currencies.rate(code)
