"""Runs one verb of the engine on an account in a process of its own: `run_engine VERB STATE ACCOUNT`."""

import sys
from pathlib import Path

from cloudkite import accounts, engine, mistakes, target, workspace

verb, state, name = sys.argv[1:]
space = workspace.throw_away(Path(state))
account = accounts.load(space, name)
with mistakes.told():
    outcome = getattr(engine, verb)(space, account, target.connect(space, account))
    print(dict(outcome.changes))
