"""The verb of the local cloud's command line that tells who used what: audit."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from localcloud import launch


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """The verb and its options."""
    audit = verbs.add_parser("audit", parents=[shared], help="show who may do what, did it, or was refused")
    audit.add_argument(
        "--principal", default="", metavar="EMAIL", help="only this account, allUsers, or projectOwner:ID"
    )


def audit(options: argparse.Namespace) -> int:
    """Show what each principal was granted, used and was refused. Raises launch.Failed."""
    query = urlencode({"principal": options.principal})
    found = launch.control(options.root, "GET", f"/audit?{query}")
    nobody = f"{options.principal} was granted nothing and asked for nothing"
    text = "\n\n".join(map(_block, found["principals"])) or (nobody if options.principal else "no requests yet")
    print(json.dumps(found, indent=2) if options.json else text)
    return 0


def _block(one: dict[str, Any]) -> str:
    """What concerns a principal, by resource; lines fit on a terminal of 80 columns unless a name is long."""
    parts = (("granted", _granted(one)), ("used", _counted(one["used"])), ("refused", _counted(one["refused"])))
    lines = [one["principal"]]
    for word, by_resource in parts:
        lines += [f"  {word}"] if by_resource else []
        for resource, rows in by_resource.items():
            lines += [f"    on {resource}", *(f"      {row}" for row in rows)]
    return "\n".join(lines)


def _granted(one: dict[str, Any]) -> dict[str, list[str]]:
    rows: dict[str, list[str]] = defaultdict(list)
    for grant in one["granted"]:
        words = grant["role"] + ("  (nothing of it was used)" if grant in one["unused"] else "")
        rows[grant["resource"]].append(words)
        if condition := grant.get("condition"):
            rows[grant["resource"]].append(f"  if {condition.get('expression', '')}")
    return rows


def _counted(asked: list[dict[str, Any]]) -> dict[str, list[str]]:
    width = max((len(row["permission"]) for row in asked), default=0)
    digits = max((len(str(row["count"])) for row in asked), default=0)
    rows: dict[str, list[str]] = defaultdict(list)
    for row in asked:
        words = f"{row['permission']:{width}}  {row['count']:>{digits}} x  last {_time(row['last'])}"
        rows[row["resource"]].append(words)
    return rows


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
