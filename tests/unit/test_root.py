"""What stands at the root is what the README shows, and no folder of sources is a heap."""

import runpy
import subprocess
from collections import Counter
from pathlib import Path

import pytest

CLONE = Path(__file__).resolve().parents[2]
LOCALCLOUD = "packages/localcloud/src/localcloud"
SHOWN = {"README.md", "README.ko.md", "pyproject.toml", "tasks.py", "infra", "template", "cloudkite", "tests", "docs"}
OWN = {"trainers"}  # a person's: there when they track it
BESIDES = {
    "packages": "the local cloud, and what both houses share",
    "LICENSE": "where people and tools look for it",
    ".gitignore": "where git looks for it",
    ".github": "where GitHub looks for its workflows",
    ".ci": "what they run, on any machine",
}
SOURCES = ("cloudkite", "infra", "packages/*/src")
MOST = 12  # loose modules in a folder, __init__.py apart
# Folders with more; the local cloud's own test tells those of its house, and both together are few. Folders of tests
# may be as full as they like: one looks there for the name of what is tested, and no test imports another.
FULL = {
    "cloudkite/commands": "a command each, by its name",
    "cloudkite/journey": "what people do with the tasks: a module for each",
    "cloudkite/engine": "the Pulumi engine: found, run, locked and taken up again, behind one door",
    "infra": "the Pulumi program: a module for each thing that an account is given",
}
FEW = 6


def git(*arguments: str) -> str:
    """What git says of the clone; "" where there is no git, or the clone is none of its own."""
    try:
        done = subprocess.run(["git", *arguments], cwd=CLONE, capture_output=True, text=True, encoding="utf-8")
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def test_the_root_holds_what_people_look_for_and_little_else():
    top = git("rev-parse", "--show-toplevel").strip()
    if not top or Path(top).resolve() != CLONE:
        pytest.skip("not a git checkout: nobody can tell what belongs to it")
    tracked = {name.partition("/")[0] for name in git("ls-files", "-z").split("\0") if name}
    assert tracked - OWN == SHOWN | set(BESIDES)
    assert len(BESIDES) <= 5


def test_the_top_of_the_local_cloud_is_seen_at_a_glance():
    assert sum(path.is_file() for path in (CLONE / LOCALCLOUD).iterdir()) < 10


def test_no_folder_is_a_heap_but_a_few_that_say_why():
    floors = runpy.run_path(str(CLONE / "packages/localcloud/tests/unit/test_floors.py"))
    known = FULL | {f"{LOCALCLOUD}/{name}": reason for name, reason in floors["LARGE"].items()}
    modules = [path for pattern in SOURCES for top in CLONE.glob(pattern) for path in top.rglob("*.py")]
    loose = Counter(path.parent.relative_to(CLONE).as_posix() for path in modules if path.name != "__init__.py")
    assert {folder for folder, count in loose.items() if count > MOST} == set(known)
    assert len(known) <= FEW and all(known.values())
