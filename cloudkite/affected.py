"""Which tests a change can affect: by the arrows between the houses, which tests hold."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from cloudkite.children import program
from cloudkite.show.errors import UserError
from cloudkite.show.text import _

_LOCALCLOUD = "packages/localcloud/tests"
# Where a change is (the first that fits) -> the tests that it can affect. What is nowhere here can affect all of them.
_AREAS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("template/", ("tests/baked", "tests/docs", "tests/local")),
    ("infra/", ("tests/account", "tests/docs", "tests/engine", "tests/unit")),
    ("cloudkite/", ("tests",)),
    (
        "packages/localcloud/src/",
        (_LOCALCLOUD, "tests/account", "tests/docs", "tests/engine", "tests/local", "tests/unit"),
    ),
    ("packages/localcloud/tests/", (_LOCALCLOUD, "tests/docs", "tests/local")),
    ("packages/localcloud/", (_LOCALCLOUD, "tests/docs")),
    ("tests/", ("tests",)),
    ("docs/", ("tests/docs",)),
    ("README", ("tests/docs",)),
)


def changed(clone: Path) -> list[str]:
    """Files that differ from main: committed since it was left, not committed, new. Raises UserError without git."""
    base = _git(clone, "merge-base", "HEAD", "main").strip()
    listed = _git(clone, "diff", "--name-only", "--no-renames", "-z", base)
    new = _git(clone, "ls-files", "--others", "--exclude-standard", "-z")
    return sorted(set(filter(None, (listed + new).split("\0"))))


def tests(clone: Path, files: Iterable[str]) -> list[str] | None:
    """The test files and folders that changes of `files` can affect; None when it may be any."""
    found: set[str] = set()
    for file in files:
        if Path(file).name.startswith("test_"):
            found |= {file} if (clone / file).exists() else set()
            continue
        area = next((paths for prefix, paths in _AREAS if file.startswith(prefix)), None)
        if area is None:
            return None
        found |= set(area)
    return sorted(one for one in found if not any(one != other and one.startswith(f"{other}/") for other in found))


def _git(clone: Path, *words: str) -> str:
    # A clone that came as an archive has no repository, and the one of a folder above, with its settings, isn't ours.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(clone.resolve().parent)}
    done = subprocess.run(
        [program("git") or "git", "-C", str(clone.resolve()), *words],
        env=environment, capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    if done.returncode:
        raise UserError(
            _("what changed since main is not known: {said}").format(said=done.stderr.strip()),
            _("run all tests: uv run invoke test"),
        )
    return done.stdout
