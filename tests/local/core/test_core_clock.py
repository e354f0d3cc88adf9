"""The clock of a running local cloud is moved forward from the command line's side, and stays so over a restart."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from localcloud import launch
from tests.local.conftest import Start

pytestmark = pytest.mark.slow

WEEK = 7 * 24 * 3600


def test_what_is_made_after_a_week_in_a_moment_is_a_week_later_also_over_a_restart(new_cloud: Start) -> None:
    cloud = new_cloud()
    session = cloud.session()

    def made(name: str) -> datetime:
        answer = session.post(
            "https://storage.googleapis.com/storage/v1/b", params={"project": cloud.project}, json={"name": name}
        )
        assert answer.status_code == 200, answer.text
        return datetime.fromisoformat(answer.json()["timeCreated"])

    before = made("before-the-week")
    moved = launch.forward(cloud.root, WEEK)
    assert moved["ahead_seconds"] == WEEK
    assert (made("after-the-week") - before).days == 7
    launch.stop(cloud.root)
    assert new_cloud().server
    assert (datetime.fromisoformat(launch.forward(cloud.root, 0)["now"]) - datetime.now(UTC)).days >= 6
    session.close()


@pytest.mark.parametrize("seconds", [-1, 1e12, "a day", None, True, float("inf")])
def test_a_move_that_can_not_be_is_refused(new_cloud: Start, seconds: float) -> None:
    cloud = new_cloud()
    with pytest.raises(launch.Failed, match="the clock moves forward by 0 to"):
        launch.forward(cloud.root, seconds)


def test_no_clock_moves_where_no_local_cloud_runs(tmp_path: Path) -> None:
    with pytest.raises(launch.Failed, match="no local cloud runs in"):
        launch.forward(tmp_path, 1)
