"""Variables and words of a command, as a container has them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")


def with_author_variables(environment: Mapping[str, str], given: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """`environment` and the author's variables, whose values may refer to those before them."""
    merged = dict(environment)
    for variable in given:
        merged[variable["name"]] = expand(variable.get("value", ""), merged)
    return merged


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace $(NAME); $$(NAME) stays as $(NAME), and so does a name that is not set.

    https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
    """

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return environment.get(match[1], match[0])

    return _REFERENCE.sub(value, text)
