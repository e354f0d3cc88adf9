"""docs/architecture.md is held against the code: what it names is there, and its floors are those that tests hold."""

import re
import runpy
from pathlib import Path

CLONE = Path(__file__).resolve().parents[2]
PAGE = (CLONE / "docs" / "architecture.md").read_text(encoding="utf-8")
LOCALCLOUD = CLONE / "packages" / "localcloud" / "src" / "localcloud"


def test_every_place_that_it_names_is_there():
    text = re.sub(r"```.*?```", "", PAGE, flags=re.S)
    named = {name for name in re.findall(r"`([\w/.]+(?:/|\.py))`", text) if not name.startswith("trainers/")}
    assert len(named) > 20
    assert not {name for name in named if not (CLONE / name).exists() and not (LOCALCLOUD / name).exists()}


def test_its_floors_of_the_local_cloud_are_those_of_the_test():
    floors = runpy.run_path(str(CLONE / "packages/localcloud/tests/unit/test_floors.py"))["FLOORS"]
    picture = re.findall(r"```\n(packages/localcloud.*?)```", PAGE, re.S)[0]
    shown = [sorted(re.findall(r"(\w+)/", line)) for line in picture.splitlines()[2:-1]]
    assert [sorted(floor) for floor in reversed(floors[:-1])] == shown


def test_its_rooms_of_cloudkite_are_all_there_are():
    picture = re.findall(r"```\n(tasks\.py.*?)```", PAGE, re.S)[0]
    named = set(re.findall(r"(\w+)/", picture))
    rooms = {path.parent.name for path in (CLONE / "cloudkite").glob("*/__init__.py")}
    assert not rooms - named
