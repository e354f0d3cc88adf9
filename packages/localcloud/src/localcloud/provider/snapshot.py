"""Takes schema.json out of the installed pulumi_gcp SDK: `python -m localcloud.provider.snapshot` after an upgrade.

A snapshot, because importing the SDK's modules into the server would cost seconds and tens of MB at each start to check
a dozen kinds. A test takes it again and compares, so that it can't drift from the SDK that is installed.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
import sys
import typing
from collections import abc
from collections.abc import Iterable
from typing import Any

from localcloud.provider.schema import PATH

_SCALARS = {str: "string", bool: "boolean", int: "integer", float: "number"}


def take(kinds: Iterable[str], functions: Iterable[str]) -> dict[str, Any]:
    """The shapes of these resources and functions, as schema.json has them (schema.py explains the notation)."""
    return _Snapshot().take(kinds, functions)


class _Snapshot:
    def __init__(self) -> None:
        self.types: dict[str, Any] = {}

    def take(self, kinds: Iterable[str], functions: Iterable[str]) -> dict[str, Any]:
        resources = {token: self._resource(token) for token in sorted(kinds)}
        calls = {token: self._function(token) for token in sorted(functions)}
        return {
            "sdk": importlib.metadata.version("pulumi-gcp"),
            "resources": resources,
            "functions": calls,
            "types": dict(sorted(self.types.items())),
        }

    def _resource(self, token: str) -> dict[str, Any]:
        from pulumi import _types

        made = _class(token)
        arguments = getattr(sys.modules[made.__module__], f"{made.__name__}Args")
        outputs = {name: hint for name, hint in _types.resource_types(made).items() if name not in ("id", "urn")}
        return {**self._inputs(arguments), "outputs": self._named(outputs)}

    def _function(self, token: str) -> dict[str, Any]:
        module = importlib.import_module(f"pulumi_gcp.{token.split(':')[1].split('/')[0]}")
        name = token.rpartition(":")[2]
        function = getattr(module, _snake(name))
        names = [n for n in inspect.signature(function).parameters if n != "opts"]
        return {"inputs": sorted(_camel(n) for n in names)}

    def _inputs(self, arguments: type) -> dict[str, Any]:
        from pulumi import _types

        names = _types.input_type_py_to_pulumi_names(arguments)
        parameters = inspect.signature(arguments.__init__).parameters.values()
        required = {p.name for p in parameters if p.default is inspect.Parameter.empty}
        return {
            "inputs": self._named(_types.input_type_types(arguments)),
            "required": sorted(names[name] for name in required if name in names),
        }

    def _named(self, hints: dict[str, Any]) -> dict[str, str]:
        return {name: self._text(hint) for name, hint in sorted(hints.items())}

    def _text(self, hint: Any) -> str:
        from pulumi import _types

        hint = _plain(hint)
        origin = typing.get_origin(hint)
        if hint in _SCALARS:
            return _SCALARS[hint]
        if origin in (list, abc.Sequence):
            return self._text(typing.get_args(hint)[0]) + "[]"
        if origin in (dict, abc.Mapping):
            return self._text(typing.get_args(hint)[1]) + "{}"
        if isinstance(hint, type) and (_types.is_input_type(hint) or _types.is_output_type(hint)):
            return self._nested(hint)
        return "any"

    def _nested(self, hint: type) -> str:
        from pulumi import _types

        output = _types.is_output_type(hint)
        name = f"{hint.__module__.removeprefix('pulumi_gcp.').split('.')[0]}.{hint.__name__}"
        if name not in self.types:
            self.types[name] = {}  # a type may hold itself
            if output:
                self.types[name] = {"inputs": self._named(_types.output_type_types(hint)), "required": []}
            else:
                self.types[name] = self._inputs(hint)
        return f"#{name}"


def _class(token: str) -> type:
    _package, module, name = token.split(":")
    return getattr(importlib.import_module(f"pulumi_gcp.{module.split('/')[0]}"), name)


def _plain(hint: Any) -> Any:
    """Input[T], Optional[T] and Union[Args, ArgsDict] are all T."""
    import pulumi
    from pulumi import _types

    while typing.get_origin(hint) is typing.Union:
        skipped = (abc.Awaitable, pulumi.Output)
        members = [
            a for a in typing.get_args(hint) if a is not type(None) and typing.get_origin(a) not in skipped
        ]  # fmt: skip
        classes = [a for a in members if isinstance(a, type) and _types.is_input_type(a) and not typing.is_typeddict(a)]
        hint = (classes or members)[0]
    return hint


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def main() -> None:
    """Write schema.json for the kinds and functions that the provider has."""
    from localcloud.provider.functions import FUNCTIONS
    from localcloud.provider.resources.registry import KINDS

    text = json.dumps(take(KINDS, FUNCTIONS), indent=1)
    PATH.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
