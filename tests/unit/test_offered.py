"""`invoke prices`: which machines are offered, in which order, what budget and quotas allow, and what is said of it."""

import json
from decimal import Decimal

import pytest

from catalog import quotas
from catalog.book import UnknownName
from catalog.quotas import Need
from cloudkite.journey import pricing
from cloudkite.money import prices
from cloudkite.money.currency import DOLLAR, Rate
from cloudkite.money.offered import machines
from cloudkite.money.offered.machines import Wish
from cloudkite.money.offered.means import Allowance, Means
from cloudkite.show.errors import BadValue
from cloudkite.workspace import throw_away

HERE = "us-central1"
T4, V100 = "NVIDIA_TESLA_T4", "NVIDIA_TESLA_V100"


@pytest.mark.parametrize(
    "wish, holds",
    [
        (Wish(), lambda one: True),
        (Wish(gpu=T4), lambda one: one.accelerator == T4),
        (Wish(memory_gb=100), lambda one: one.memory_gb >= 100),
        (Wish(cpus=20), lambda one: one.vcpus >= 20),
        (Wish(T4, 20, 8), lambda one: one.accelerator == T4 and one.memory_gb >= 20 and one.vcpus >= 8),
        (Wish(spot=True), lambda one: one.spot.amount is not None),
        (Wish(T4, everything=True), lambda one: one.accelerator == T4),
    ],
)
def test_offers_fulfil_the_wish_and_the_cheapest_is_first(wish, holds):
    found = machines.offers(HERE, wish)
    hourly = [one.hourly(wish.spot) for one in found]
    assert found and hourly == sorted(hourly) and None not in hourly
    assert all(holds(one) for one in found)
    everything = machines.offers(HERE, Wish(wish.gpu, wish.memory_gb, wish.cpus, wish.spot, True))
    assert set(found) <= set(everything)
    for kind in {one.accelerator for one in everything}:  # the cheapest of each kind is never left out
        assert next(o for o in found if o.accelerator == kind) == next(o for o in everything if o.accelerator == kind)


def test_what_another_machine_beats_is_left_out_unless_everything_is_wanted():
    found = [one for one in machines.offers(HERE, Wish()) if not one.accelerator]
    for number, one in enumerate(found):
        better = [other for other in found[:number] if machines._as_much(other, one)]
        assert not better, (one, better)
    assert {one.count for one in machines.offers(HERE, Wish()) if one.accelerator == T4} == {1}
    assert {one.count for one in machines.offers(HERE, Wish(T4))} == {1, 2, 4}
    plain = [one for one in machines.first(machines.offers(HERE, Wish())) if not one.accelerator]
    assert plain == found[: machines.FIRST]


def test_a_gpu_never_stands_on_a_machine_that_may_lose_lines_of_its_log():
    found = machines.offers(HERE, Wish(everything=True))
    assert not [one for one in found if one.accelerator and one.machine == "n1-highmem-2"]


def test_an_offers_price_and_quotas_are_those_of_a_job_on_it():
    for one in machines.offers(HERE, Wish(everything=True)):
        named = machines._named(one)
        assert one.on_demand == prices.job_hour(one.machine, HERE, *named)
        assert one.needs() == quotas.needs(one.machine, *named, 1, False)
    (tpu,) = [one for one in machines.offers(HERE, Wish("TPU_V5E")) if one.count == 1]
    assert (tpu.machine, machines._named(tpu)) == ("ct5lp-hightpu-1t", ("", 0))


def test_other_regions_beside_the_own():
    seoul = "asia-northeast3"
    one = machines.offers(seoul, Wish(T4))[0]
    there, saved = machines.cheaper(one) or (one, Decimal(0))
    assert there.region != seoul and (there.machine, there.accelerator) == (one.machine, T4)
    assert saved == 1 - there.on_demand.amount / one.on_demand.amount and 0 < saved < 1
    assert machines.cheaper(there) is None
    regions = machines.elsewhere(Wish(T4), but=seoul)
    assert len({o.region for o in regions}) == len(regions) > 3 and seoul not in {o.region for o in regions}
    assert regions[0].hourly() == min(o.hourly() for o in machines.everywhere(Wish(T4)))


def test_shapes_of_cloud_run():
    found = machines.offers(HERE, Wish(memory_gb=6, cpus=2), "run")
    assert [one.machine for one in found] == ["2cpu-6gb", "4cpu-6gb", "6cpu-6gb", "8cpu-6gb"]
    assert all(one.spot is None for one in found)
    assert not machines.offers(HERE, Wish(gpu=T4), "run")
    with pytest.raises(UnknownName):
        machines.offers("moon-1", Wish(), "run")


@pytest.mark.parametrize(
    "left, rate, hourly, seconds, said",
    [
        ("1.00", DOLLAR, "0.10", 36_000, "10h 00m"),
        ("1.00", DOLLAR, "20", 180, "too little"),
        ("-3", DOLLAR, "1", 0, "too little"),
        ("1000", Rate("KRW", Decimal(1000), "2026-11-29"), "0.5", 7200, "2h 00m"),
        (None, DOLLAR, "1", None, ""),
        ("1", None, "1", None, ""),
        ("1", DOLLAR, None, None, ""),
        ("100000", DOLLAR, "0.01", 8_640_000, "2400h 00m"),
    ],
)
def test_how_long_the_budget_lasts(left, rate, hourly, seconds, said):
    means = Means(Decimal(10), None if left is None else Decimal(left), rate=rate)
    lasts = means.seconds(None if hourly is None else Decimal(hourly))
    assert lasts == seconds
    assert pricing._lasts(lasts) == said


CPU, GPU = quotas.needs("n1-standard-4", T4, 1, 1, False)


@pytest.mark.parametrize(
    "limits, needs, word, said",
    [
        ({"N1 and E2 vCPUs": 4, "T4": 1}, (CPU, GPU), "granted", "granted"),
        ({"N1 and E2 vCPUs": -1, "T4": -1}, (CPU, GPU), "granted", "granted"),
        ({"N1 and E2 vCPUs": 4, "T4": 0}, (CPU, GPU), "none", "no quota (T4)"),
        ({"N1 and E2 vCPUs": 2, "T4": 1}, (CPU, GPU), "short", "needs 4 N1 and E2 vCPUs, has 2"),
        ({"N1 and E2 vCPUs": 2, "T4": 0}, (CPU, GPU), "none", "no quota (T4)"),
        ({"N1 and E2 vCPUs": None, "T4": 0}, (CPU, GPU), "none", "no quota (T4)"),
        ({"N1 and E2 vCPUs": None, "T4": 1}, (CPU, GPU), "unknown", "unknown"),
        ({}, (CPU, GPU), "unknown", "unknown"),
        ({"N1 and E2 vCPUs": 4}, (), "unknown", "unknown"),
        ({"N1 and E2 vCPUs": 100}, (Need(CPU.meter, 8),), "granted", "granted"),
    ],
)
def test_what_the_quotas_allow(limits, needs, word, said):
    found = Means(limits=limits).allowance(needs)
    assert isinstance(found, Allowance) and found.word == word
    assert pricing.allowed(found) == said


@pytest.mark.parametrize(
    "wishes, message, hint",
    [
        ({"gpu": "t5"}, "--gpu: unknown accelerator t5", "did you mean T4?"),
        ({"region": "us-centrall"}, "--region: unknown region us-centrall",
         "did you mean us-central1 or me-central2 or me-central1?"),
        ({"on": "moon"}, "--on must be vertex or run, not moon", "--on run, for example"),
        ({"on": "run", "gpu": "t4"}, "Cloud Run jobs train on CPUs, one at a time: --gpu is for Vertex AI",
         "leave --gpu out, or --on run"),
        ({"on": "run", "spot": True}, "Cloud Run jobs train on CPUs, one at a time: --spot is for Vertex AI",
         "leave --spot out, or --on run"),
    ],
)  # fmt: skip
def test_mistakes(wishes, message, hint):
    with pytest.raises(BadValue) as refused:
        pricing.Wishes(**wishes).checked()
    assert (refused.value.message, refused.value.hint) == (message, hint)


def test_without_an_account_the_catalogue_is_enough(tmp_path, capsys):
    space = throw_away(tmp_path)
    pricing.show(space, "", pricing.Wishes(gpu="t4"))
    out, err = capsys.readouterr()
    assert out.startswith("machines in us-central1\n") and "n1-standard-4 + 1 T4" in out
    assert "prices of an hour, with the disk, before tax and network; by Google's rule from its list prices, 2" in out
    assert "budget and quotas weren't looked at: no account is called local" in err
    pricing.show(space, "", pricing.Wishes(gpu="t4", region="africa-south1", spot=True))
    out, err = capsys.readouterr()
    assert out.startswith("T4 isn't available for training in africa-south1; regions that have it: ")
    assert "elsewhere" in out and "us-central1" in out
    pricing.show(space, "", pricing.Wishes(everything=True, gpu="v100"), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert {one["accelerator"] for one in told["machines"]} == {V100} == {o["accelerator"] for o in told["elsewhere"]}
    assert told["notes"] and told["left"] is None


def test_a_mark_for_each_kind_of_price_that_is_not_the_usual():
    found = machines.first(machines.offers(HERE, Wish()))
    legend = pricing.Legend(found)
    (line,) = legend.lines()
    kinds = {(p.sure, p.as_of) for one in found for p in (one.on_demand, one.spot) if p and p.amount is not None}
    assert len(kinds) > 2
    assert sorted(legend.marks.values()) == ["", *"abcdef"[: len(kinds) - 1]]
    assert all(f"; {mark}: " in line for mark in legend.marks.values() if mark)
    for one in found:
        mark = legend.marks[one.on_demand.sure, one.on_demand.as_of]
        assert legend.price(one.on_demand, DOLLAR) == f"{one.on_demand.amount:,.4f} USD {mark}".rstrip()
    assert legend.price(None, DOLLAR) == "-"
    assert not list(pricing.Legend([]).lines())
