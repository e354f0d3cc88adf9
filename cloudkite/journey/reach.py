"""What is to be said before a command's own output: of the way to an account's cloud, of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import environments
from catalog import images
from cloudkite.accounts import registry, target
from cloudkite.accounts.registry import Account
from cloudkite.check import machine
from cloudkite.journey import trial
from cloudkite.show import screen
from cloudkite.show.errors import UserError
from cloudkite.show.text import _
from cloudkite.workspace import Workspace


def connect(workspace: Workspace, account: Account, *, new: bool = False) -> target.Target:
    """The target of `account`, with its notes told. Raises UserError, see accounts/target.py.

    And, unless it may be `new`, where it was never set up: the cloud's own refusal would name an API that is off. After
    `down` its models are still there, and its jobs.
    """
    made = target.connect(workspace, account)
    for note in made.notes:
        screen.note(note)
    trial.tell(made)
    if not new and not account.outputs_file.is_file():
        _learn(account, made)
        if not account.outputs_file.is_file() and not _left(account):
            account.outputs()  # raises, with the hint
    return made


def check_set_up(workspace: Workspace, account: Account) -> None:
    """Raise UserError for an account that is not set up, before anything takes time."""
    if account.shared and not account.outputs_file.is_file():
        _learn(account, target.connect(workspace, account))
    account.outputs()


def look_at_machine(workspace: Workspace, requirements: Sequence[str] | None = None, *, stops: bool = True) -> None:
    """Say what this machine lacks for TensorFlow, before anything takes minutes.

    `requirements` are what is to be built, by default what a new trainer has; without TensorFlow there is nothing to
    say. Raises UserError for what lets nothing train here, unless it `stops` nobody: a trainer can be made here and
    trained elsewhere.
    """
    image = images.image(images.DEFAULT_CPU)
    wanted = image.requirements if requirements is None else requirements
    if not any(pin.lower().startswith("tensorflow") for pin in wanted):
        return
    for lack in machine.lacks(machine.here(workspace.envs, environments.is_ready(workspace.envs, wanted))):
        if lack.fatal and stops:
            raise UserError(lack.what, lack.way)
        _warn_once(_("{what}; {way}").format(what=lack.what, way=lack.way))


@cache
def _warn_once(text: str) -> None:
    """Several steps of one command look at the machine; a person need not be told by each."""
    screen.warn(text)


def refuse_shared(workspace: Workspace, account: Account) -> None:
    """Raise BadValue when another account is set up in the project of `account`: one would take the other's buckets."""
    for other in registry.sharing(workspace, account.name, account.target, account.project):
        if other.outputs_file.is_file() or _left(other):
            raise registry.shared(other, account.name)


def _learn(account: Account, found: target.Target) -> None:
    """A team's account may be set up though this computer has never heard of it."""
    from cloudkite import engine

    engine.learn(account, found)


def _left(account: Account) -> bool:
    from cloudkite import engine

    return bool(engine.left(account))
