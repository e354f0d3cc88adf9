"""The way to an account's cloud: what is to be said of it comes before the command's own output."""

from __future__ import annotations

from cloudkite.accounts import registry, target
from cloudkite.accounts.registry import Account
from cloudkite.show import screen
from cloudkite.workspace import Workspace


def connect(workspace: Workspace, account: Account, *, new: bool = False) -> target.Target:
    """The target of `account`, with its notes told. Raises UserError, see accounts/target.py.

    And, unless it may be `new`, where it was never set up: the cloud's own refusal would name an API that is off. After
    `down` its models are still there, and its jobs.
    """
    made = target.connect(workspace, account)
    for note in made.notes:
        screen.note(note)
    if not new and not account.outputs_file.is_file() and not _left(account):
        account.outputs()  # raises, with the hint
    return made


def refuse_shared(workspace: Workspace, account: Account) -> None:
    """Raise BadValue when another account is set up in the project of `account`: one would take the other's buckets."""
    for other in registry.sharing(workspace, account.name, account.target, account.project):
        if other.outputs_file.is_file() or _left(other):
            raise registry.shared(other, account.name)


def _left(account: Account) -> bool:
    from cloudkite import engine

    return bool(engine.left(account))
