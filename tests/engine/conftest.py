"""The real engine on a throw-away account of a local cloud: found, installed or built by the product's own code."""

import itertools
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloudkite import engine, workspace
from cloudkite.accounts import local, registry, target
from cloudkite.accounts.registry import Account
from cloudkite.accounts.target import Target
from cloudkite.engine import cli
from cloudkite.engine.folder import Folder
from cloudkite.workspace import CLONE, Workspace, private_folder

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """One account of its own, on the session's local cloud."""

    space: Workspace
    account: Account
    target: Target

    @property
    def folder(self) -> Folder:
        return Folder(self.account)

    def preview(self):
        return engine.preview(self.account, self.target)

    def up(self, on_step=None, progress=lambda _line: None):
        return engine.up(self.account, self.target, on_step, progress)

    def down(self, everything=False):
        return engine.down(self.account, self.target, everything)

    def left(self):
        return engine.left(self.account)

    def settings(self, change):
        """Rewrite the account's settings file: `change` gets its text and gives the new one."""
        path = self.account.settings
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
        return Place(self.space, registry.load(self.space, self.account.name), self.target)

    def opened(self):
        """The same, once the billing account that its settings name is open: a start of the local cloud does that."""
        local.run(self.space, "start", *local.start_options(self.account))
        return self

    def process(self, verb="up", *words):
        """The same in a process of its own, to be interrupted or killed."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.engine.run_engine", verb, self.space.state, self.account.name, *words],
            cwd=CLONE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=sys.platform != "win32",
        )


@pytest.fixture(scope="session")
def pulumi():
    """The CLI; the first time on a machine without one this takes minutes."""
    return cli.find(print)


@pytest.fixture(scope="session")
def space():
    """A workspace of its own, with its own local cloud."""
    with tempfile.TemporaryDirectory(prefix="cloudkite-engine-", ignore_cleanup_errors=True) as folder:
        made = workspace.throw_away(Path(folder))
        # A state in a bucket is one object, written a hundred times: what is not about that limit doesn't wait for it.
        private_folder(made.localcloud)
        (made.localcloud / "storage.json").write_text('{"changesAtOnce": 10000}', encoding="utf-8")
        yield made
        local.run(made, "stop")


def _describe(space, tier="paid", fresh=False):
    """A new account's settings: those of the default account, on a project of its own, which may be a `fresh` one."""
    name = f"account-{next(_numbers)}"
    project = f"cloudkite-{name}"
    text = (CLONE / "infra" / "Pulumi.local.yaml").read_text(encoding="utf-8").replace("cloudkite-local", project)
    (space.accounts / f"Pulumi.{name}.yaml").write_text(text.replace("tier: paid", f"tier: {tier}"), encoding="utf-8")
    account = registry.load(space, name)
    if fresh:
        local.run(space, "start", f"--fresh-project={project}", *local.start_options(account))
    return Place(space, account, target.connect(space, account))


@pytest.fixture
def describe():
    """Makes accounts that were never set up: call it with a workspace, and `fresh=True` for a project where things take
    a while, as in a new one on Google.
    """
    return _describe


@pytest.fixture
def place(space, pulumi):
    """An account that was never set up."""
    return _describe(space)


@pytest.fixture(scope="session")
def _standing(space, pulumi):
    made = _describe(space)
    made.up()
    return made


@pytest.fixture
def standing(_standing, tmp_path):
    """An account that is set up, for tests that spoil its files and leave its cloud as it is."""
    for folder in (_standing.account.state, _standing.space.accounts):
        shutil.copytree(folder, tmp_path / folder.name)
    yield _standing
    for folder in (_standing.account.state, _standing.space.accounts):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tmp_path / folder.name, folder)


@pytest.fixture
def another_cloud(pulumi, tmp_path):
    """An account that was never set up, on a local cloud that no other test uses."""
    own = workspace.throw_away(tmp_path / "own")
    yield _describe(own)
    local.run(own, "stop")
