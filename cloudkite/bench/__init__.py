"""`invoke bench`: each row is measured against a peer, or against a plain yardstick, in one run; medians and ratios."""

from __future__ import annotations

from cloudkite.bench.report import run

__all__ = ["run"]
