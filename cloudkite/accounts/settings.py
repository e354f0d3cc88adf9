"""An account's settings file: read, checked by the model that the infrastructure program has of it, and written."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudkite.show.errors import BadValue
from cloudkite.show.text import _
from cloudkite.workspace import CLONE, Workspace, read_json, write_atomically

if TYPE_CHECKING:
    from infra.settings import Settings

# What an account is made of.
_KNOWN = {"target", "project", "region", "tier", "trial_started", "owner", "budget", "state", "billing_export"}
_SCHEMA = CLONE / "infra" / "settings.schema.json"
_MOST = 100_000  # bytes of a settings file
_NODES = 10_000  # values in it, those that an alias repeats counted each time
_COMPARE = _("compare with infra/examples/")


def read(path: Path) -> dict[str, Any]:
    """`config:` of a settings file. Raises BadValue when it can't be read."""
    try:
        usual = path.stat().st_size <= _MOST and path.is_file()
        text = path.read_text(encoding="utf-8") if usual else None
    except OSError as error:
        raise BadValue(
            _("{path} can't be read: {problem}").format(path=path, problem=error.strerror),
            _("compare with infra/examples/, or describe the account again: uv run invoke account.add"),
        ) from None
    except ValueError:
        text = None
    return parsed(text, path.name)


def parsed(text: str | None, name: str) -> dict[str, Any]:
    """`config:` of the text of a settings file; None is a text that can't be one. Raises BadValue."""
    import yaml

    try:
        document = _document(text) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = f":{where.line + 1}" if where else ""
        raise BadValue(_("{file}{line} isn't valid YAML").format(file=name, line=line), _COMPARE) from None
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise BadValue(_("{file} has no `config:`").format(file=name), _COMPARE)
    return config


def keep(path: Path, text: str) -> None:
    """Write a settings file as it is."""
    write_atomically(path, text, 0o644)


def _document(text: str | None) -> Any:
    """The YAML of a text, as long as it is of a size that settings can have. Raises as PyYAML, ValueError."""
    import yaml

    if text is None or len(text) > _MOST:
        raise ValueError("too long, or no file")
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is not None and _count(root, {}) > _NODES:
            raise ValueError("too many values")
        return loader.construct_document(root) if root is not None else None
    finally:
        loader.dispose()


def _count(node: Any, known: dict[int, int]) -> int:
    """How many values a node holds when its aliases are written out: ten lines of them can mean billions."""
    if id(node) not in known:
        known[id(node)] = _NODES  # for one that holds itself
        parts = [part for entry in node.value for part in (entry if isinstance(entry, tuple) else (entry,))]
        known[id(node)] = 1 + sum(_count(part, known) for part in (parts if not isinstance(node.value, str) else ()))
    return known[id(node)]


def check(config: Mapping[str, Any], name: str) -> Settings:
    """The settings of account `name`. Raises BadValue that tells every mistake: key, value and what is allowed."""
    from infra.mistakes import SettingsError
    from infra.settings import Settings

    try:
        return Settings.parse(config, name)
    except SettingsError as mistakes:
        raise BadValue(str(mistakes), _COMPARE) from None


def check_answer(field: str, value: Any) -> None:
    """Check one of the arguments of `describe` by itself. Raises BadValue."""
    from infra.mistakes import SettingsError
    from infra.settings import Settings

    right = {"project": "my-project", "budget": 10.0, "billing_account": "012345-6789AB-CDEF01"}
    try:
        Settings.parse(describe(**{**right, field: value}), "new")
    except SettingsError as wrong:
        what, _semicolon, allowed = wrong.mistakes[0].partition("; ")
        raise BadValue(what, allowed) from None


def checked(workspace: Workspace, path: Path, name: str) -> dict[str, Any]:
    """The settings of account `name` as plain values by their names in the model. Raises BadValue.

    Loading the model takes longer than most commands, so what was right is remembered until the file or the model
    changes.
    """
    digest = _digest(path)
    memory = workspace.state / "settings" / f"{name}.json"
    try:
        kept = read_json(memory)
        if digest and kept["of"] == digest and kept["settings"].keys() >= _KNOWN:
            return kept["settings"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # never checked, or what was remembered is damaged
    found = check(read(path), name).model_dump(mode="json", exclude={"stack", "access_token"})
    if digest:
        write_atomically(memory, json.dumps({"of": digest, "settings": found}), 0o600)
    return found


def _digest(path: Path) -> str:
    """What the result of a check depends on; "" when it can't be read."""
    try:
        return hashlib.sha256(_SCHEMA.read_bytes() + path.read_bytes()).hexdigest()
    except OSError:
        return ""


def write(path: Path, config: Mapping[str, Any]) -> None:
    """Write a settings file, with the line by which editors find its schema."""
    import yaml

    schema = os.path.relpath(_SCHEMA, path.parent).replace(os.sep, "/") if path.is_relative_to(CLONE) else str(_SCHEMA)
    text = yaml.safe_dump({"config": dict(config)}, sort_keys=False, allow_unicode=True)
    write_atomically(path, f"# yaml-language-server: $schema={schema}\n{text}", 0o644)  # as the clone's other files


def put(path: Path, key: str, value: str) -> None:
    """Set one key of a settings file to a text; everything else in it, comments too, stays as it is.

    Raises BadValue for a file in which no place for it is found; then nothing is written.
    """
    import yaml

    before, text = read(path), path.read_text(encoding="utf-8")
    line = f"{key}: '{value}'"
    present = re.compile(rf"^(\s+){re.escape(key)}:.*$", re.MULTILINE)
    first = re.compile(r"^config:[ \t]*(?:#.*)?\n((?:[ \t]*(?:#.*)?\n)*)([ \t]+)(?=\S)", re.MULTILINE)
    if present.search(text):
        changed = present.sub(lambda found: f"{found[1]}{line}", text, count=1)
    else:
        changed = first.sub(lambda found: f"{found[0]}{line}\n{found[2]}", text, count=1)
    try:
        found = yaml.safe_load(changed)["config"]
    except (yaml.YAMLError, TypeError, KeyError):
        found = None
    if found != {**before, key: value}:
        raise BadValue(
            _("{key} can't be written into {path}").format(key=key, path=path),
            _("put this line below `config:`: {line}").format(line=line),
        )
    write_atomically(path, changed, 0o644)


def describe(
    project: str,
    region: str = "us-central1",
    target: str = "google",
    tier: str = "trial",
    owner: str = "",
    billing_account: str = "",
    budget: float | None = None,
    currency: str = "USD",
    email: str = "",
) -> dict[str, Any]:
    """The `config` of an account's settings file. `budget` is per month, in the billing account's `currency`."""
    config: dict[str, Any] = {
        "gcp:project": project,
        "gcp:region": region,
        "cloudkite:target": target,
        "cloudkite:tier": tier,
    }
    if owner:
        config["cloudkite:owner"] = owner
    if budget is not None:
        config["cloudkite:budget"] = {
            "billingAccount": billing_account,
            "amount": budget,
            "currency": currency,
            "thresholds": [0.5, 0.9, 1.0],
            "emails": [email] if email else [],
        }
    return config
