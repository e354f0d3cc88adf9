"""The verb of the local cloud's command line that tells who used what: audit."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from localcloud import launch


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """The verb and its options."""
    audit = verbs.add_parser("audit", parents=[shared], help="who may do what, did it, or was refused")
    audit.add_argument("--principal", default="", metavar="EMAIL", help="only this account, or allUsers")


def audit(options: argparse.Namespace) -> int:
    """Show what each principal was granted, used and was refused. Raises launch.Failed."""
    query = urlencode({"principal": options.principal})
    found = launch.control(options.root, "GET", f"/audit?{query}")
    print(json.dumps(found, indent=2) if options.json else _text(found["principals"]))
    return 0


def _text(principals: list[dict[str, Any]]) -> str:
    """A block for each principal."""
    blocks = []
    for one in principals:
        lines = [one["principal"]]
        unused = [(grant["role"], grant["resource"], grant.get("condition")) for grant in one["unused"]]
        for grant in one["granted"]:
            key = (grant["role"], grant["resource"], grant.get("condition"))
            words = f"  granted  {grant['role']} on {grant['resource']}"
            words += f" if {grant['condition'].get('expression', '')}" if grant.get("condition") else ""
            lines.append(words + ("  (nothing of it was used)" if key in unused else ""))
        for what in ("used", "refused"):
            lines += [f"  {what:8} {text}" for text in _counted(one[what])]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) or "nobody was granted or refused anything"


def _counted(rows: list[dict[str, Any]]) -> list[str]:
    width = max((len(row["permission"]) for row in rows), default=0)
    return [
        f"{row['permission']:{width}}  {row['count']:>6} x  last {_time(row['last'])}  {row['resource']}"
        for row in rows
    ]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
