"""The way to an account's cloud: what is to be said of it comes before the command's own output."""

from __future__ import annotations

from cloudkite.accounts import target
from cloudkite.accounts.registry import Account
from cloudkite.show import screen
from cloudkite.workspace import Workspace


def connect(workspace: Workspace, account: Account) -> target.Target:
    """The target of `account`, with its notes told. Raises UserError, see accounts/target.py."""
    made = target.connect(workspace, account)
    for note in made.notes:
        screen.note(note)
    return made
