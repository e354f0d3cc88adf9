"""An account that was never set up, on a local cloud of its own, for attacks on the engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudkite import workspace
from cloudkite.accounts import local, registry, target
from cloudkite.engine import cli
from cloudkite.workspace import CLONE
from tests.engine.conftest import Place


@pytest.fixture
def attacked(tmp_path: Path) -> Iterator[Place]:
    """The account; its name, which is in the engine's command line, is the attack's own."""
    cli.find(print)
    space = workspace.throw_away(tmp_path / "space")
    name = f"attacked-{tmp_path.name.replace('_', '-')[-12:].strip('-')}".lower()
    text = (CLONE / "infra" / "Pulumi.local.yaml").read_text(encoding="utf-8").replace("cloudkite-local", name)
    (space.accounts / f"Pulumi.{name}.yaml").write_text(text, encoding="utf-8")
    account = registry.load(space, name)
    try:
        yield Place(space, account, target.connect(space, account))
    finally:
        local.run(space, "stop")
