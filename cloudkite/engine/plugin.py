"""The engine's plug-in for Google Cloud: which version is pinned, and whether it is there, whole."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from cloudkite.workspace import tools


def version() -> str:
    """The pinned version: the plug-in's is that of the Python package."""
    return importlib.metadata.version("pulumi-gcp")


def there(home: Path | None = None) -> bool:
    """Whether the engine has it. `home` is Pulumi's, by default Cloudkite's own."""
    folder = (home or tools() / "home") / "plugins"
    name = f"resource-gcp-v{version()}"
    return (folder / name).is_dir() and not (folder / f"{name}.partial").exists()
