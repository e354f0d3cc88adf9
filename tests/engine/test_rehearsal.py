"""`invoke budget.rehearse`: a weekend on a throw-away account, and what stops would do today, by reading only."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from cloudkite.accounts import registry, settings
from cloudkite.journey import rehearsal
from cloudkite.show.errors import UserError
from cloudkite.workspace import CLONE

pytestmark = pytest.mark.slow


def left():
    return list(rehearsal.PLACES.glob(f"{os.getpid()}-*"))


def test_a_forgotten_gpu_is_stopped_at_90_percent(place, capsys):
    rehearsal.rehearse(place.space, place.account.name, as_json=True)
    told = json.loads(capsys.readouterr().out)
    words = [one["what"] for one in told["events"]]
    assert [line[:4] for line in words] == ["50 %", "80 %", "90 %", "stop"]
    hours = [one["hours"] for one in told["events"]]
    assert hours == sorted(hours) and 13 < hours[2] < 15
    hourly = float(told["hourly"])
    assert hours[2] * hourly == pytest.approx(9, abs=0.1)
    assert told["stopped_after_hours"] == pytest.approx(hours[2], abs=1)
    assert float(told["without_stop"]) == pytest.approx(62 * hourly, abs=0.01)
    assert left() == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process; try Ctrl-C by hand")
def test_one_that_is_interrupted_leaves_nothing_running(place):
    code = f"""
from pathlib import Path
from cloudkite import workspace
from cloudkite.journey import rehearsal
rehearsal.rehearse(workspace.throw_away(Path({str(place.space.state)!r})), {place.account.name!r})
"""
    started = subprocess.Popen(
        [sys.executable, "-c", code], cwd=CLONE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    until = time.monotonic() + 60
    while not (found := [*rehearsal.PLACES.glob(f"{started.pid}-*/localcloud/server.json")]):
        assert time.monotonic() < until and started.poll() is None
        time.sleep(0.1)
    server = json.loads(found[0].read_text())["pid"]
    started.send_signal(signal.SIGINT)
    started.wait(60)
    assert list(rehearsal.PLACES.glob(f"{started.pid}-*")) == []
    # Without an init process, one that ended stays as a zombie.
    assert not psutil.pid_exists(server) or psutil.Process(server).status() == psutil.STATUS_ZOMBIE


def test_what_stops_would_do_today_is_read_only(another_cloud, capsys):
    place = another_cloud.settings(
        lambda text: f"{text.rstrip()}\n  cloudkite:stops: {{cap: 5, jobs: true, billing: true}}\n"
    ).opened()
    place.up()
    wanted = settings.check(settings.read(place.account.settings), place.account.name)
    session, project = place.target.session(), place.account.project
    url = f"https://storage.googleapis.com/storage/v1/b?project={project}"
    rehearsal._tell_today(place.account, place.target, wanted, as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "if the budget of 10.00 USD were used up today" in said
    assert "nothing of ours runs" in said and "billing is unlinked" in said
    assert "at 5.00 USD of Vertex AI's own costs new jobs are refused" in said
    assert session.post(url, json={"name": f"{project}-foreign", "location": "US-CENTRAL1"}).ok
    rehearsal._tell_today(place.account, place.target, wanted, as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert f"billing stays linked, since not all is ours: storage.googleapis.com/Bucket {project}-foreign" in said
    assert place.preview().changes == ()
    plain = place.settings(lambda text: text.partition("  cloudkite:stops:")[0])
    none = settings.check(settings.read(plain.account.settings), plain.account.name)
    with pytest.raises(UserError) as told:
        rehearsal._tell_today(registry.load(place.space, place.account.name), place.target, none, as_json=False)
    assert told.value.message == f"account {place.account.name} has no stops"
