"""An account on a free trial, on a local cloud of its own whose clock can be moved."""

from __future__ import annotations

import pytest
import yaml

from cloudkite import workspace
from cloudkite.accounts import local, registry, target
from cloudkite.journey import setup
from cloudkite.workspace import CLONE
from tests import trainer_folder
from tests.engine.conftest import Place

NAME = "mine"


def described(space, currency="USD", **budget):
    """One whose settings don't say yet when its trial began."""
    text = (CLONE / "infra" / "Pulumi.local.yaml").read_text(encoding="utf-8")
    text = text.replace("cloudkite-local", "cloudkite-mine").replace("tier: paid", "tier: trial")
    config = yaml.safe_load(text)["config"]
    config["cloudkite:budget"] |= {"currency": currency, **budget}
    del config["cloudkite:quotas"]
    (space.accounts / f"Pulumi.{NAME}.yaml").write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    account = registry.load(space, NAME)
    return Place(space, account, target.connect(space, account))


@pytest.fixture
def mine(pulumi, tmp_path):
    """One that is set up, on a local cloud of its own."""
    space = workspace.throw_away(tmp_path / "own")
    made = described(space)
    setup.up(space, NAME)
    trainer_folder.make(space, "tiny")
    yield Place(space, registry.load(space, NAME), made.target)
    local.run(space, "stop")


def forward(space, days):
    local.run(space, "clock", "--forward", f"{days}d")


def put(place, purpose, count=3):
    bucket = place.target.storage().bucket(f"cloudkite-mine-{purpose}")
    for number in range(count):
        bucket.blob(f"x/{number}.csv").upload_from_string(f"{number},b\n" * 100)
