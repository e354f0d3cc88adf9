"""The program of one account, for the plain CLI: `pulumi up` in this folder."""

import sys
from pathlib import Path

import pulumi

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from infra.program import build
from infra.settings import Settings

for name, value in build(Settings.load()).items():
    pulumi.export(name, value)
