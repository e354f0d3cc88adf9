"""Classes with few rows beside others: told, with the line of model.py that makes each count alike."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from cloudkite.check.findings import NOTE, WARNING, Findings
from cloudkite.data import balance
from cloudkite.data.declared import Declared
from cloudkite.show.text import _

_UNEVEN = 10  # times as many rows as the rarest class, from which weights are offered


def tell(declared: Declared, counts: Mapping[str, int], findings: Findings) -> None:
    """Tell how uneven the classes are; weights are offered where model.py has none."""
    there = {name: counts[name] for name in declared.classes if counts.get(name)}
    uneven = balance.lopsided(there)
    if not uneven and (len(there) < 2 or max(there.values()) < _UNEVEN * min(there.values())):
        return
    offer = ""
    if not _weighted(declared):
        # The offer is for the class that people look for: the rarer it is the more it counts, all rows 1 on average.
        total = sum(there.values())
        weights = ", ".join(f"{name!r}: {total / len(there) / count:.3g}" for name, count in there.items())
        offer = _("in model.py, CLASS_WEIGHT = {weights} makes each class count alike").format(
            weights="{" + weights.replace("'", '"') + "}" if "'" not in "".join(there) else "{" + weights + "}"
        )
    if uneven:
        findings.add(WARNING, "; ".join(part for part in (f"{declared.label}: {uneven}", offer) if part))
    elif offer:
        rarest = min(there, key=there.__getitem__)
        said = _("{label}: {name!r} has {count:,} of {total:,} rows; {offer}")
        text = said.format(
            label=declared.label, name=rarest, count=there[rarest], total=sum(there.values()), offer=offer
        )
        findings.add(NOTE, text)


def _weighted(declared: Declared) -> bool:
    """Whether the trainer's model.py gives CLASS_WEIGHT something."""
    try:
        tree = ast.parse(declared.source.with_name("model.py").read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "CLASS_WEIGHT" for target in targets):
            return not (isinstance(node.value, ast.Dict) and not node.value.keys)  # pyright: ignore[reportAttributeAccessIssue]
    return False
