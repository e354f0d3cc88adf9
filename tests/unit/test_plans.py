"""Wishes against the catalogue: what can be is priced, what can't be is told with what can."""
# ruff: noqa: E501 (a case is a line)

from decimal import Decimal

import pytest

from cloudkite.show.errors import BadValue
from tests.jobs import plan


@pytest.mark.parametrize(
    "wishes, described, hourly, worst, limit",
    [
        ({}, "e2-standard-4", "0.1809", "0.1810", 3600),
        ({"machine": "n1-standard-4"}, "n1-standard-4", "0.2453", "0.2453", 3600),
        ({"gpu": "t4"}, "n1-standard-4 + 1 T4", "0.6478", "0.6478", 3600),
        ({"gpu": "L4"}, "g2-standard-4 + 1 L4", "0.8396", "0.8397", 3600),
        ({"machine": "g2-standard-4"}, "g2-standard-4 + 1 L4", "0.8396", "0.8397", 3600),
        ({"gpu": "t4", "gpus": 2}, "n1-standard-4 + 2 T4", "1.0503", "1.0503", 3600),
        ({"workers": 3}, "3 x e2-standard-4", "0.5427", "0.5428", 3600),
        ({"limit": "30m"}, "e2-standard-4", "0.1809", "0.0905", 1800),
        ({"max_cost": "1"}, "e2-standard-4", "0.1809", "0.1810", 3600),
        ({"max_cost": "0.1"}, "e2-standard-4", "0.1809", "0.0995", 1980),
        ({"gpu": "t4", "spot": True}, "n1-standard-4 + 1 T4, spot", "0.3268", "2.2880", 3600),
        ({"gpu": "h100"}, "a3-highgpu-1g + 1 H100", "12.6527", "12.6527", 3600),
    ],
)
def test_a_plan_is_priced(wishes, described, hourly, worst, limit):
    made = plan(**wishes)
    assert made.describe() == described
    assert f"{made.price.amount:.4f}" == hourly
    assert f"{made.worst_case:.4f}" == worst
    assert made.limit_seconds == limit


@pytest.mark.parametrize("limit", ["", "30m"])
@pytest.mark.parametrize("wishes", [{}, {"gpu": "t4"}, {"workers": 3}, {"gpu": "t4", "spot": True}], ids=str)
def test_max_cost_never_raises_the_time_limit_or_what_is_reserved(wishes, limit):
    without = plan(limit=limit, **wishes)
    reserved = without.worst_case
    for amount in ("2.5", "8", "1000"):  # more than any of these jobs may cost anyway
        capped = plan(limit=limit, max_cost=amount, **wishes)
        assert (capped.limit_seconds, capped.worst_case) == (without.limit_seconds, reserved)
        assert capped.max_cost == Decimal(amount)
    if not limit:
        half = Decimal(f"{reserved / 2:.2f}")
        less = plan(max_cost=str(half), **wishes)
        assert less.limit_seconds < without.limit_seconds and less.worst_case <= half < reserved


def test_without_restarts_a_spot_job_has_one_run():
    made = plan(gpu="t4", spot=True, options={"restarts": False})
    assert made.restarts == 0
    assert made.worst_case < Decimal("0.33")
    assert not any("starts again" in note for note in made.notes)
    assert any("6 times" in note for note in plan(gpu="t4", spot=True).notes)


@pytest.mark.parametrize(
    ("tpu", "described", "price", "need"),
    [
        ("v2", "cloud-tpu + 8 TPU-V2", "5.2018", ("TPU-V2", 8)),
        ("v5e-4", "ct5lp-hightpu-4t + 4 TPU-V5E", "5.5468", ("TPU-V5E", 4)),
    ],
)
def test_a_tpu_job_has_its_machine_image_price_and_quota_and_is_experimental(tpu, described, price, need):
    made = plan(tpu=tpu)
    assert (made.describe(), made.image, f"{made.price.amount:.4f}") == (described, "python:3.11", price)
    assert [(one.meter.title, one.amount) for one in made.needs()] == [need]
    assert made.notes[0].startswith("TPUs are experimental: a job on one has not been proven on Google.")
    assert made.price.sure == "estimate" and plan(tpu=tpu, image="own:1").image == "own:1"


def test_a_gpu_job_gets_the_gpu_image():
    assert plan(gpu="t4").image == "python:3.11"
    assert plan().image == "tensorflow/tensorflow:2.21.0"
    unknown = plan(image="us-central1-docker.pkg.dev/my-project/mine/tf:1")
    assert any("not in the catalogue" in note for note in unknown.notes)


TPU_PAGE = "https://cloud.google.com/vertex-ai/docs/training/training-with-tpu-vm"
BAD = [
    ({"machine": "n1-standard-2"}, "--machine: unknown machine n1-standard-2", "did you mean n1-standard-"),
    ({"machine": "n1-standard-1"}, "--machine: unknown machine n1-standard-1", "did you mean n1-standard-"),
    ({"machine": "e2-standard-2"}, "--machine: unknown machine e2-standard-2", "did you mean e2-standard-"),
    ({"machine": "big"}, "--machine: unknown machine big", "known: "),
    ({"machine": "; rm -rf /"}, "--machine: unknown machine ; rm -rf /", "known: "),
    ({"gpu": "t5"}, "--gpu: unknown accelerator T5", "did you mean T4"),
    ({"gpu": "rtx"}, "--gpu: unknown accelerator RTX", ""),
    ({"gpu": "p100"}, "support for P100 ended on 2026-09-15", "--gpu t4"),
    ({"gpu": "p4"}, "the price of n1-standard-4 + P4 in us-central1 is not known, and nothing runs without one", "with a known price there: n1-standard-4 + 1 T4"),
    ({"gpu": "b200"}, "no machine has 1 B200", "available counts: 8"),
    ({"gpu": "b200", "gpus": 8}, "the price of a4-highgpu-8g + B200 in us-central1 is not known, and nothing runs without one", "known price"),
    ({"gpu": "h200", "gpus": 3}, "no machine has 3 H200", "available counts: 8"),
    ({"gpu": "t4", "gpus": 3}, "no machine has 3 T4", "available counts: 1, 2, 4"),
    ({"gpu": "t4", "gpus": -1}, "no machine has -1 T4", "available counts: 1, 2, 4"),
    ({"gpu": "t4", "gpus": 3, "machine": "n1-standard-4"}, "n1-standard-4 can't have 3 T4", "--gpus 1 or 2 or 4"),
    ({"gpu": "t4", "gpus": 1, "machine": "n1-standard-32"}, "n1-standard-32 can't have 1 T4", "--gpus 2 or 4"),
    ({"gpu": "t4", "machine": "e2-standard-4"}, "e2-standard-4 can't have 1 T4", "--machine n1-standard-4"),
    ({"gpu": "l4", "machine": "n1-standard-4"}, "n1-standard-4 can't have 1 L4", "--machine g2-standard-4"),
    ({"gpus": 2}, "--gpus 2 of which type?", "--gpu t4, for example"),
    ({"machine": "g2-standard-4", "gpus": 2}, "g2-standard-4 has 1 L4, not 2", "leave --gpus out"),
    ({"gpu": "l4", "region": "europe-west1"}, "L4 isn't available for training in europe-west1", "regions that have it: asia-northeast3"),
    ({"gpu": "t4", "region": "us-east5"}, "T4 isn't available for training in us-east5", "us-central1"),
    ({"region": "moon-1"}, "--region: unknown region moon-1", ""),
    ({"options": {"region": "us-east1"}}, "account home is in us-central1, and a job must run where its buckets are", "account.add --region us-east1"),
    ({"workers": 0}, "--workers must be 1 to 20, not 0", ""),
    ({"workers": -3}, "--workers must be 1 to 20, not -3", ""),
    ({"workers": 1000}, "--workers must be 1 to 20, not 1000", ""),
    ({"options": {"disk_gb": 50}}, "the boot disk must have 100 to 64000 GB, not 50", ""),
    ({"options": {"disk_gb": 100000}}, "the boot disk must have 100 to 64000 GB, not 100000", ""),
    ({"options": {"disk_kind": "pd-balanced"}}, "no price is known for the boot disk pd-balanced", "pd-ssd, pd-standard"),
    ({"machine": "cloud-tpu"}, "cloud-tpu is a machine with TPUs", "--tpu v2-8"),
    ({"machine": "ct5lp-hightpu-4t"}, "ct5lp-hightpu-4t is a machine with TPUs", "--tpu v5e-4"),
    ({"gpu": "tpu-v2"}, "TPU-V2 is a TPU, not a GPU", "--tpu v2"),
    ({"tpu": "v2", "workers": 2}, "a TPU job has one replica", "leave --workers out"),
    ({"tpu": "v5e", "spot": True}, "TPU jobs aren't offered on spot", "leave --spot out"),
    ({"tpu": "v5e", "gpu": "t4"}, "--tpu and --gpu exclude each other", "leave one of them out"),
    ({"tpu": "v5e", "machine": "cloud-tpu"}, "--tpu and --machine exclude each other", "leave one of them out"),
    ({"tpu": "v5e-3"}, "--tpu: unknown TPU v5e-3", "did you mean v5e-"),
    ({"tpu": "v6e"}, f"TensorFlow can't train on TPU v6e there ({TPU_PAGE}: from v6e on, TensorFlow isn't supported for training)", "--tpu v5e"),
    ({"tpu": "v5e", "region": "europe-west4"}, "TPU-V5E isn't available for training in europe-west4", "regions that have it: us-central1, us-east1"),
    ({"tpu": "v3", "region": "us-east1"}, "TPU-V3 isn't available for training in us-east1", "europe-west4, us-central1"),
    ({"spot": True, "region": "us-west2"}, "the price of e2-standard-4 on spot in us-west2 is not known, and nothing runs without one", "leave --spot out"),
    ({"limit": "forever"}, "--limit 'forever' isn't a duration", "for example 30m, 1h or 2h30m"),
    ({"limit": "1m"}, "--limit 1m is too short", "at least 5m"),
    ({"limit": "30d"}, "--limit 30d is too long", "at most 7d"),
    ({"max_cost": "free"}, "--max-cost 'free' isn't an amount", "for example 0.50 or 2"),
    ({"max_cost": "0.01"}, "--max-cost 0.01 USD pays for less than 5 minutes at 0.1809 USD an hour", "--max-cost 0.02 pays for 5 minutes"),
    ({"max_cost": "0.1", "limit": "2h"}, "--limit 2h may cost 0.36 USD, more than --max-cost 0.1", "--limit 33m fits"),
]  # fmt: skip


@pytest.mark.parametrize("wishes, message, hint", BAD, ids=[str(row[0]) for row in BAD])
def test_what_can_not_be(wishes, message, hint):
    with pytest.raises(BadValue) as caught:
        plan(**wishes)
    assert caught.value.message == message
    assert hint in caught.value.hint
    assert caught.value.code == 2
