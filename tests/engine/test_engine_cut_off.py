"""Runs that are interrupted or killed at any moment: no lock stays, nothing is lost, nothing is made twice."""

import contextlib
import dataclasses
import json
import signal
import sys
import time

import psutil
import pytest

from cloudkite import engine
from cloudkite.accounts import target

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them; run on Linux or macOS"),
]


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def at_work(place):
    """Whether an engine has taken the account's lock."""
    return any(place.folder.engine_locks.glob("*.json"))


def in_the_state(place):
    """How many resources the state has; it is written anew all the time, and may be half there."""
    try:
        return len(place.left())
    except engine.run.UserError:
        return 0


def converges(place):
    """`up` goes on, and then the state and the cloud have each resource once."""
    place.up()
    again = place.preview()
    assert not again.changes
    assert engine.status(place.account).unfinished == 0
    assert not at_work(place)
    left = place.left()
    assert len({r.urn for r in left}) == len(left) == len(again.resources)
    twice = [title for title, count in made_twice(place).items() if count != 1]
    assert twice == []


def made_twice(place):
    """How often there is what Google would make twice, for it makes the ids itself: by title."""
    session = place.target.session()
    project = place.account.project
    lists = {
        f"https://monitoring.googleapis.com/v3/projects/{project}/notificationChannels": "notificationChannels",
        f"https://monitoring.googleapis.com/v3/projects/{project}/alertPolicies": "alertPolicies",
        "https://billingbudgets.googleapis.com/v1/billingAccounts/012345-6789AB-CDEF01/budgets": "budgets",
    }
    counts = {}
    for url, field in lists.items():
        answer = session.get(url, timeout=30)
        answer.raise_for_status()
        for row in answer.json().get(field, []):
            title = row["displayName"]
            if field != "budgets" or project in title:
                counts[title] = counts.get(title, 0) + 1
    return counts


@pytest.mark.parametrize("resources", [0, 5, 20])
def test_ctrl_c_saves_what_is_made_and_leaves_no_lock(place, resources):
    running = place.process()
    wait_for(lambda: running.poll() is not None or (at_work(place) and in_the_state(place) >= resources))
    running.send_signal(signal.SIGINT)
    said, _ = running.communicate()
    assert running.returncode == 130, said
    assert "error: interrupted" in said
    assert "Traceback" not in said
    assert not at_work(place)
    assert engine.status(place.account).unfinished == 0
    converges(place)


def test_ctrl_c_pressed_three_times_ends_it_at_once(place):
    running = place.process()
    wait_for(lambda: running.poll() is not None or (at_work(place) and in_the_state(place) >= 1))
    for _ in range(3):
        running.send_signal(signal.SIGINT)
        time.sleep(0.05)
    running.communicate()
    assert running.returncode != 0
    converges(place)


@pytest.mark.parametrize(
    ("who", "resources"),
    [
        *(("all", n) for n in (0, 1, 8, 20, 35)),
        *(("engine", n) for n in (1, 8, 20)),
        *(("parent", n) for n in (1, 8, 35)),
    ],
)
def test_killed_while_it_creates(place, who, resources):
    running = place.process()
    wait_for(lambda: running.poll() is not None or (at_work(place) and in_the_state(place) >= resources))
    kill(running, who)
    running.communicate()
    converges(place)


def test_killed_while_it_takes_down(place):
    place.up()
    whole = len(place.left())
    running = place.process("down")
    wait_for(lambda: running.poll() is not None or (at_work(place) and in_the_state(place) < whole - 3))
    kill(running, "all")
    running.communicate()
    converges(place)
    place.down()
    assert {r.name for r in place.left() if r.protected} == {"data", "models"}


def test_the_cloud_goes_away_while_it_creates(another_cloud):
    place = another_cloud
    running = place.process()
    wait_for(lambda: running.poll() is not None or (at_work(place) and in_the_state(place) >= 3))
    server = place.space.localcloud / "server.json"
    psutil.Process(json.loads(server.read_text(encoding="utf-8"))["pid"]).kill()
    server.unlink()  # in a container the killed server stays a zombie, for nobody waits for it
    said, _ = running.communicate()
    assert running.returncode == 1, said
    assert "Traceback" not in said
    assert "error: the connection to the cloud of account" in said
    assert "hint: run the same command again" in said
    converges(dataclasses.replace(place, target=target.connect(place.space, place.account)))


def kill(running, who):
    """SIGKILL for the run's Python ("parent"), its engine, or both at once."""
    try:
        parent = psutil.Process(running.pid)
    except psutil.NoSuchProcess:  # it was done before
        return
    engines = []
    for child in parent.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            engines += [child] if child.name().startswith("pulumi") else []
    for process in {"all": [*engines, parent], "engine": engines, "parent": [parent]}[who]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
