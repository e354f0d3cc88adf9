"""Where measurements are made: an own state folder, local cloud and trainer, away from the person's."""

from __future__ import annotations

import json
import os
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from cloudkite.accounts import local, registry
from cloudkite.accounts.target import Target
from cloudkite.bench.measure import Run, process
from cloudkite.journey.reach import connect
from cloudkite.workspace import CLONE, Workspace, throw_away


class Place:
    """A throw-away workspace whose account `local` is reached by the same commands that people type."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.space: Workspace = throw_away(folder)
        self.environment = {**os.environ, "CLOUDKITE_STATE": str(folder), "CLOUDKITE_ACCOUNT": "local"}

    def invoke(self, *words: str) -> Run:
        """A run of `invoke ...` as a whole process."""
        return process([sys.executable, "-m", "invoke", *words], self.environment, CLONE)

    @cached_property
    def account(self) -> registry.Account:
        """The clone's own `local` account, with its state in this place."""
        settings = CLONE / "infra" / "Pulumi.local.yaml"
        (self.space.accounts / settings.name).write_text(settings.read_text(encoding="utf-8"), encoding="utf-8")
        return registry.load(self.space, "local")

    @cached_property
    def target(self) -> Target:
        """The account's target; starts the local cloud."""
        return connect(self.space, self.account, new=True)

    @cached_property
    def set_up(self) -> Target:
        """The target of the account after `up`."""
        self.invoke("up", "--yes")()
        return self.target

    @cached_property
    def trainer(self) -> Any:
        """A penguins trainer."""
        from cloudkite.trainers import folders, making

        return folders.find(self.space, str(making.new(self.space, "penguins").folder))

    def bucket(self, name: str) -> Any:
        """A new bucket that forgets at once what is overwritten: a week of it would fill the disk."""
        bucket = self.target.storage().bucket(name)
        bucket.soft_delete_policy.retention_duration_seconds = 0
        bucket.create(location=self.account.region)
        return bucket

    @property
    def memory(self) -> float:
        """Bytes that the local cloud's processes hold."""
        server = json.loads((self.space.localcloud / "server.json").read_text(encoding="utf-8"))
        process = psutil.Process(server["pid"])
        return sum(p.memory_info().rss for p in [process, *process.children(recursive=True)])

    def close(self) -> None:
        """Stop the local cloud of this place."""
        if (self.space.localcloud / "server.json").is_file():
            local.run(self.space, "stop")
