"""Values as the engine sends them: unknowns, secrets, and how they go through a resource.

https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/plugin/rpc.go has the signatures.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.struct_pb2 import Struct, Value

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 (the mark of a secret is none itself)
ASSET, ARCHIVE = "c44067f5952c0a294b673a41bacd8c17", "0def7320c3a5731c473e5ecbe6d01bc7"
_SHORTEST = 4  # characters of a secret that is looked for inside longer texts

Values = dict[str, Any]


def load(struct: Struct) -> Values:
    """A Struct as plain values; whole numbers become int."""
    return {name: _load(value) for name, value in struct.fields.items()}


def _load(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return load(value.struct_value)
    if kind == "list_value":
        return [_load(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    return getattr(value, kind) if kind in ("string_value", "bool_value") else None


def dump(values: Mapping[str, Any]) -> Struct:
    """Plain values as a Struct."""
    from google.protobuf.struct_pb2 import Struct

    struct = Struct()
    struct.update(values)
    return struct


def mark(value: Any) -> str | None:
    """The signature of a marked value (SECRET), None of a plain one."""
    return value.get(_SIGNATURE) if isinstance(value, dict) else None


def secret(value: Any) -> Values:
    """The value, marked so that the engine encrypts it in the state."""
    return {_SIGNATURE: SECRET, "value": value}


def is_unknown(value: Any) -> bool:
    """Whether the value is known only after something else was made."""
    return value == UNKNOWN


def bare(value: Any) -> Any:
    """The value without marks, and without the engine's own properties: what the cloud itself sees.

    Assets and archives stay as they are: see `content`.
    """
    if isinstance(value, dict):
        if mark(value) in (ASSET, ARCHIVE):
            return value
        if _SIGNATURE in value:
            return bare(value.get("value"))
        return {name: bare(item) for name, item in value.items() if not name.startswith("__")}
    return [bare(item) for item in value] if isinstance(value, list) else value


def fingerprint(value: Any) -> str:
    """The hash that the engine gave an asset or archive, "" of any other value."""
    return str(value.get("hash", "")) if mark(value) in (ASSET, ARCHIVE) else ""


def content(value: Any) -> bytes:
    """The bytes of an asset of a text, or of an archive of such, which is zipped. Raises ValueError for others.

    Paths are not read: they are of the engine's process, for whom this one would read what it may not.
    """
    if mark(value) == ASSET and "text" in value:
        return str(value["text"]).encode()
    if mark(value) != ARCHIVE or not value.get("assets"):
        raise ValueError("only text assets, and archives of such, are emulated")
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in sorted(value["assets"].items()):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content(part))
    return data.getvalue()


def _secrets(value: Any) -> Iterator[Any]:
    if mark(value) == SECRET:
        yield bare(value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _secrets(item)
    elif isinstance(value, list):
        for item in value:
            yield from _secrets(item)


def hide(outputs: Values, *origins: Mapping[str, Any]) -> Values:
    """`outputs` with everything marked secret that was secret in one of `origins`, wherever it turns up again.

    Without this, a secret label would stand in plain text in the state, three times.
    """
    texts: set[str] = set()
    others: list[Any] = []
    for found in (found for origin in origins for found in _secrets(dict(origin))):
        # A very short text would be found inside everything: it is looked for as a whole value only.
        texts |= {leaf for leaf in _leaves(found) if isinstance(leaf, str) and len(leaf) >= _SHORTEST}
        others.append(found)
    return {name: _hidden(value, texts, others) for name, value in outputs.items()} if texts or others else outputs


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _hidden(value: Any, texts: set[str], others: list[Any]) -> Any:
    if value is None or mark(value) == SECRET:
        return value
    if any(value == other and type(value) is type(other) for other in others):
        return secret(value)
    if isinstance(value, str):
        return secret(value) if any(text in value for text in texts) else value
    if isinstance(value, dict):
        return {name: _hidden(item, texts, others) for name, item in value.items()}
    return [_hidden(item, texts, others) for item in value] if isinstance(value, list) else value
