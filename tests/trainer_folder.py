"""A trainer as small as can be, for tests of what reads trainers."""

from pathlib import Path

from cloudkite import workspace
from cloudkite.workspace import Workspace

PYPROJECT = """\
[project]
name = "grades"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = [
    "tensorflow-cpu==2.21.0; sys_platform == 'linux'",
    "tensorflow==2.21.0; sys_platform != 'linux'",
    "keras==3.15.1",
]
"""
DATA_PY = """\
COLUMNS = {"hours": float("nan"), "city": ""}
LABEL = "passed"
CLASSES = ("no", "yes")
DATA = "data/grades.csv"
RANGES = {"hours": (0, 100)}
"""
TASK = """\
import sys

print("ran", sys.argv[1:])
"""
# No column gives the label away, no row is there twice.
ROWS = [f"{i % 13}.{i},{'Seoul' if i % 3 else 'Busan'},{'yes' if i % 2 else 'no'}" for i in range(40)]
CSV = "\n".join(["hours,city,passed", *ROWS]) + "\n"


def space(path: Path) -> Workspace:
    """A workspace of its own under `path`."""
    return workspace.throw_away(path / "state")


def make(
    place: Workspace,
    name: str = "grades",
    data_py: str = DATA_PY,
    csv: str | bytes = CSV,
    pyproject: str = PYPROJECT,
    task: str = TASK,
) -> Path:
    """Write the trainer `name` into the workspace's trainers."""
    folder = place.trainers / name
    files = {
        "pyproject.toml": pyproject,
        "trainer/__init__.py": "",
        "trainer/data.py": data_py,
        "trainer/task.py": task,
        "data/grades.csv": csv,
    }
    for file, content in files.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder
