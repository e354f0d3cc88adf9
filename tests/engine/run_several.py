"""Sets several accounts up, or takes them down, in a process of its own: `run_several VERB STATE ACCOUNT...`."""

import sys
from pathlib import Path

from cloudkite import workspace
from cloudkite.journey import several
from cloudkite.show import mistakes

verb, state, *names = sys.argv[1:]
space = workspace.throw_away(Path(state))
with mistakes.told():
    if verb == "up":
        several.up(space, names, yes=True)
    else:
        several.down(space, names, save=None, yes=True)
