"""What is in folders, for tests of what must stay as it was."""

from __future__ import annotations

from pathlib import Path


def tree(folder: Path) -> dict[str, bytes | str | None]:
    """All that is under a folder: contents of files, targets of links, None for folders. Links are not followed."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            found[path.name] = f"-> {path.readlink()}"
        elif path.is_dir():
            found[path.name] = None
            found |= {f"{path.name}/{name}": content for name, content in tree(path).items()}
        else:
            found[path.name] = path.read_bytes()
    return found


def outside(top: Path) -> dict[str, bytes | str | None]:
    """What is under `top` but in no trainer's models."""
    return {name: content for name, content in tree(top).items() if "/models" not in name}


def put(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
