"""Runs one verb of the engine on an account in a process of its own: `run_engine VERB STATE ACCOUNT`.

With `end STATE ACCOUNT FOLDER` it ends the account.
"""

import sys
from pathlib import Path

from cloudkite import engine, workspace
from cloudkite.accounts import registry, target
from cloudkite.journey import ending
from cloudkite.show import mistakes

verb, state, name, *words = sys.argv[1:]
space = workspace.throw_away(Path(state))
account = registry.load(space, name)
with mistakes.told():
    if verb == "end":
        ending.end(space, name, save=Path(words[0]), confirmed=name)
        sys.exit()
    outcome = getattr(engine, verb)(account, target.connect(space, account))
    print(dict(outcome.changes))
