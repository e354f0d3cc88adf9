"""The drills of docs/reliability.md, with fewer rounds: nothing acknowledged is lost, and many clients see no error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudkite.bench import reliability
from cloudkite.bench.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.close()


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_by_kills(place: Place) -> None:
    lost = []
    look = reliability._lost

    def noted(*given):
        found = look(*given)
        lost.extend(found)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reliability, "_lost", noted)
        (row,) = reliability.kills(place, count=5)
    assert lost == []
    assert row.note.endswith("0 lost or torn") and row.note.startswith("5 kills, ")
    assert int(row.note.split()[2]) > 50  # something was acknowledged


@pytest.mark.slow
def test_many_clients_see_no_error(place: Place) -> None:
    rates, memory = reliability.endurance(place, clients=8, requests=100)
    assert rates.note == "0 errors" and rates.ours > 0
    assert memory.ours < 300
