"""Runs one verb of the engine on an account in a process of its own: `run_engine VERB STATE ACCOUNT`."""

import sys
from pathlib import Path

from cloudkite import engine, workspace
from cloudkite.accounts import registry, target
from cloudkite.show import mistakes

verb, state, name = sys.argv[1:]
space = workspace.throw_away(Path(state))
account = registry.load(space, name)
with mistakes.told():
    outcome = getattr(engine, verb)(account, target.connect(space, account))
    print(dict(outcome.changes))
