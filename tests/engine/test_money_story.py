"""The story of money: a budget of 5 euro, a rate that is found by tuning, what it should cost, cost, and is billed."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
import yaml

from cloudkite import workspace
from cloudkite.accounts import local, registry, target
from cloudkite.jobs import service
from cloudkite.jobs.plans import Wishes
from cloudkite.journey import setup, training, tuning
from cloudkite.money import currency
from cloudkite.money.spent.account import read_costs
from cloudkite.show.errors import UserError
from cloudkite.trainers import folders, making
from cloudkite.tuning import study
from cloudkite.workspace import CLONE

pytestmark = pytest.mark.slow
NAME, EPOCHS = "mine", ("--epochs", "8", "--model", "mlp")


@pytest.mark.parametrize("code, amount, dearest", [("EUR", 5, 1), ("KRW", 7000, 1400)])
def test_a_better_rate_is_found_within_the_budget_and_costs_what_was_said(
    pulumi, tmp_path, capsys, code, amount, dearest
):
    space = workspace.throw_away(tmp_path / "own")
    text = (CLONE / "infra" / "Pulumi.local.yaml").read_text(encoding="utf-8").replace("cloudkite-local", "money-story")
    config = yaml.safe_load(text)["config"]
    config["cloudkite:budget"] |= {"currency": code, "amount": amount}
    (space.accounts / f"Pulumi.{NAME}.yaml").write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    try:
        setup.up(space, NAME)
        account = registry.load(space, NAME)
        here = target.connect(space, account)
        making.make(space, "penguins", None, None)
        folder = space.trainers / "penguins"
        (folder / "tuning.toml").write_text(
            'metric = "val_accuracy"\n[parameters]\nrate = { from = 1e-4, to = 1e-1, scale = "log" }\n',
            encoding="utf-8",
        )

        # A first run, with a rate that is far too small.
        slow = Wishes(arguments=(*EPOCHS, "--rate", "0.0001"))
        training.train(space, "penguins", NAME, slow, yes=True)
        before = capsys.readouterr().out
        assert f"{code}" in before and "such jobs took" not in before

        # Two hundred tries are more than it may cost; five are not, where each is shorter.
        asked = {"engine": "google", "account": NAME, "arguments": EPOCHS, "yes": True}
        with pytest.raises(UserError, match="tries"):
            tuning.tune(space, "penguins", tuning.Asked(tries=200, max_cost=f"{dearest}{code}", **asked))
        tuning.tune(space, "penguins", tuning.Asked(tries=5, parallel=2, max_cost=f"{dearest}{code}", **asked))
        said = capsys.readouterr().out
        trainer = folders.find(space, "penguins")
        found = study.load(trainer, study.names(trainer)[0])
        assert found is not None and found.best is not None and found.best.metric is not None
        spent = sum(one.cost or Decimal(0) for one in found.tries)
        rate = currency.look(here, code)
        assert 0 < rate.of(spent) <= dearest
        first = next(job for job in service.search(here, trainer="penguins") if job.place == service.VERTEX)
        assert found.best.metric > accuracy(before)
        line = next(line for line in said.splitlines() if line.startswith("next: uv run invoke train penguins"))
        assert f" --account {NAME} -- {' '.join(EPOCHS)} --rate " in line
        better = line.rpartition(" ")[2]
        assert float(better) == pytest.approx(float(found.best.values["rate"]))

        # The best in full: by the first run it is known what that costs.
        best = Wishes(arguments=(*EPOCHS, "--rate", better))
        training.train(space, "penguins", NAME, best, yes=True)
        said = capsys.readouterr().out
        assert f"(measured on {first.name})" in said and accuracy(said) > accuracy(before)
        last = next(job for job in service.search(here, trainer="penguins") if job.place == service.VERTEX)
        assert last.id != first.id and last.gate is not None and last.estimate and last.cost
        assert abs(last.estimate - last.cost) <= last.cost / 10 and last.cost < last.gate

        # What Cloudkite counts, and what the local cloud bills: to the cent, in the account's currency.
        costs = read_costs(here)
        assert costs.rate is not None and costs.rate.currency == code
        jobs = [row for row in costs.rows if row.job]
        assert {row.job.id for row in jobs if row.job} == {job.id for job in service.search(here, trainer="penguins")}
        bill = json.loads(local.run(space, "bill", "--project", "money-story", "--json"))
        machines = [line for line in bill["lines"] if line["service"] == "Vertex AI"]
        billed = costs.rate.of(sum((Decimal(line["cost"]) for line in machines), Decimal(0)))
        counted = costs.rate.of(sum((row.amount or Decimal(0) for row in jobs), Decimal(0)))
        cent = Decimal("0.005") if code == "EUR" else Decimal("0.5")
        assert billed > cent and abs(billed - counted) <= cent
        assert costs.rate.of(costs.total) <= amount
    finally:
        local.run(space, "stop")


def accuracy(said):
    """What a run printed at its end."""
    (line,) = [line for line in said.splitlines() if line.startswith("held-out:")]
    return float(line.partition("balanced")[0].rpartition("accuracy=")[2])
