"""The program of one account, for the plain CLI: `pulumi up` in this folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from infra.program import run

run()
