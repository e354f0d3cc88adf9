"""Whoever is told that a custom role changed finds it as it is now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud.core.clock import Clock
from localcloud.core.state.documents import Documents
from localcloud.iam.custom_roles import CustomRoles

NAME = "projects/p/roles/reader"


class Told:
    """What a role looks like each time that it is said to have changed."""

    def __init__(self, folder: Path) -> None:
        self.states: list[dict[str, Any]] = []
        self.kept = Documents(folder / "iam.sqlite")
        self.roles = CustomRoles(self.kept, Clock(folder / "clock.json"), self._changed)

    def _changed(self) -> None:
        self.states.append(self.roles.get(NAME))


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    made = Told(tmp_path)
    made.roles.create("p", "reader", {"includedPermissions": ["storage.objects.get"]})
    yield made
    made.kept.close()


def test_a_change_is_told_once_it_is_kept(told: Told) -> None:
    told.roles.update(NAME, {"includedPermissions": ["storage.objects.list"]}, "includedPermissions")
    told.roles.delete(NAME)
    told.roles.undelete(NAME)
    assert [state["includedPermissions"] for state in told.states] == [["storage.objects.list"]] * 3
    assert [state.get("deleted", False) for state in told.states] == [False, True, False]
