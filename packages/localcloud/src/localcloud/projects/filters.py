"""The filters of projects: https://cloud.google.com/resource-manager/reference/rest/v1/projects/list.

Terms `field:value`, `field=value` or `field!=value` with * in values, joined by AND, OR, NOT and parentheses; side by
side they are joined by AND, which binds tighter than OR.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from localcloud.core.errors import ApiError
from localcloud.core.filters import Both, Compare, Either, Filter, Not, parse

Body = dict[str, Any]

_FIELDS = {
    "id": "projectId",
    "projectid": "projectId",
    "projectnumber": "projectNumber",
    "name": "name",
    "displayname": "name",
    "lifecyclestate": "state",
    "state": "state",
    "createtime": "createTime",
}
_OF_PARENT = ("parent", "parent.id", "parent.type")  # no project here has one


def read(text: str) -> Filter:
    """The tree of a filter. Raises 400 for one that can't be read."""
    refusal = ApiError(400, f"Invalid filter: {text}")
    try:
        tree = parse(text, tight_and=True) or Both(())
    except ApiError:
        raise refusal from None
    if not all(isinstance(leaf, Compare) and leaf.operator in ("=", ":", "!=") for leaf in _leaves(tree)):
        raise refusal
    return tree


def fits(tree: Filter, project: Body) -> bool:
    """Whether a project is what the filter asks for."""
    match tree:
        case Both(parts):
            return all(fits(part, project) for part in parts)
        case Either(parts):
            return any(fits(part, project) for part in parts)
        case Not(part):
            return not fits(part, project)
        case Compare(path, operator, value):
            return _holds(project, ".".join(path), value.lower()) != (operator == "!=")
    raise AssertionError("`read` lets nothing else in")


def names_state(tree: Filter) -> bool:
    """Whether a filter says which states it is after."""
    return any(
        _FIELDS.get(".".join(leaf.path).lower()) == "state" for leaf in _leaves(tree) if isinstance(leaf, Compare)
    )


def _leaves(tree: Filter) -> list[Filter]:
    if isinstance(tree, Both | Either):
        return [leaf for part in tree.parts for leaf in _leaves(part)]
    return _leaves(tree.part) if isinstance(tree, Not) else [tree]


def _holds(project: Body, field: str, value: str) -> bool:
    if field.lower() in _OF_PARENT:
        return True
    if field.startswith("labels."):
        present = project.get("labels", {}).get(field[7:])
    else:
        present = project.get(_FIELDS.get(field.lower(), field))
    return present is not None and fnmatchcase(str(present).lower(), value)
