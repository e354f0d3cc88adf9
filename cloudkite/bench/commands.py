"""How long commands take, as whole processes, beside Google's own SDK and command line."""

from __future__ import annotations

import contextlib
import datetime
import json
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from cloudkite.bench.measure import Row, paired, process, seconds
from cloudkite.bench.place import Place
from cloudkite.children import program
from cloudkite.jobs.body import JobSpec, body

_LIST = """
from google.cloud import aiplatform
aiplatform.init(project={project!r}, location={region!r})
print(len(aiplatform.CustomJob.list()))
"""
_SUBMIT = """
from google.cloud import aiplatform
aiplatform.init(project={project!r}, location={region!r}, staging_bucket={staging!r})
job = aiplatform.CustomJob.from_local_script(
    display_name="bench", script_path={script!r},
    container_uri="us-docker.pkg.dev/vertex-ai/training/tf-cpu.2-17.py310:latest", machine_type="e2-standard-4")
job.submit(service_account={account!r}, timeout=3600)
"""

_JOBS = 1000


def listing(place: Place) -> Iterator[Row]:
    """`invoke --list` beside an Invoke with a single task."""
    with tempfile.TemporaryDirectory() as folder:
        text = "from invoke.tasks import task\n\n\n@task\ndef one(c):\n    pass\n"
        Path(folder, "tasks.py").write_text(text, encoding="utf-8")
        single = process([sys.executable, "-m", "invoke", "--list"], place.environment, Path(folder))
        yield paired(
            "invoke --list", place.invoke("--list"), single, runs=11, target="<= 0.35 s", peer_name="one-task invoke"
        )


def prices(place: Place) -> Iterator[Row]:
    """`invoke prices` beside `invoke --list`: with an account that is set up, and by the catalogue alone."""
    listed = place.invoke("--list")
    yield paired(
        "invoke prices, no account set up", place.invoke("prices"), listed, runs=7, target="", peer_name="invoke --list"
    )
    assert place.set_up
    yield paired("invoke prices", place.invoke("prices"), listed, runs=11, target="<= 0.5 s", peer_name="invoke --list")


def jobs(place: Place) -> Iterator[Row]:
    """`invoke jobs` beside the SDK's list, and gcloud's where it is installed."""
    target = place.set_up
    where = {"project": target.account.project, "region": target.account.region}
    sdk = process([sys.executable, "-c", _LIST.format(**where)], target.child_environment(), place.folder)
    yield paired("invoke jobs", place.invoke("jobs", "--json"), sdk, runs=5, target="", peer_name="SDK list")
    if gcloud := program("gcloud"):
        words = [gcloud, "ai", "custom-jobs", "list", f"--region={target.account.region}"]
        peer = process(words, target.child_environment(), place.folder)
        yield paired("invoke jobs", place.invoke("jobs"), peer, runs=7, target="<= 0.75", peer_name="gcloud")


def train(place: Place) -> Iterator[Row]:
    """From the command to a queued job, code unchanged since the last one."""
    target = place.set_up
    folder = str(place.trainer.folder)
    submit = place.invoke("train", folder, "--yes", "--detach", "--", "--epochs", "1", "--steps", "1")
    submit()  # runs the check once
    made = target.account.outputs()
    with tempfile.TemporaryDirectory() as scripts:
        script = Path(scripts, "script.py")
        script.write_text("print('hello')\n", encoding="utf-8")
        text = _SUBMIT.format(
            project=made.project, region=made.region, staging=made.buckets["staging"], script=str(script),
            account=made.trainer,
        )  # fmt: skip
        sdk = process([sys.executable, "-c", text], target.child_environment(), Path(scripts))
        yield paired("train to queued", submit, sdk, runs=3, target="<= 0.15", peer_name="SDK from_local_script")
    _cancel_all(place)


def costs(place: Place) -> Iterator[Row]:
    """`invoke costs` of an account with 1,000 jobs in this month, which the local cloud lists like any others."""
    _thousand_jobs(place)
    yield paired("costs, 1,000 jobs", place.invoke("costs"), None, runs=7, target="<= 1 s", peer_name="")


def _thousand_jobs(place: Place) -> None:
    """Write jobs that have ended into the local cloud's own list, as if each had run for ten minutes."""
    account, made = place.set_up.account, place.set_up.account.outputs()
    parent = f"projects/{made.project_number}/locations/{account.region}"
    now = place.set_up.now()
    rows = []
    for number in range(_JOBS):
        name = f"many-{number:04}"
        spec = JobSpec(
            name=name, trainer=f"trainer{number % 7}", account=account.name, image="python:3.11", wheel="gs://a/b.whl",
            sha256="0" * 64, service_account=made.trainer, output=f"{made.buckets['models']}/{name}/",
            limit_seconds=3600, machine="e2-standard-4", labels={"worst-case": "0_1810", "job": name},
        )  # fmt: skip
        began, ended = (f"{now - datetime.timedelta(seconds=ago):%Y-%m-%dT%H:%M:%SZ}" for ago in (900, 300))
        told = {"name": f"{parent}/customJobs/{10**18 + number}", "state": "JOB_STATE_SUCCEEDED", "createTime": began,
                "startTime": began, "endTime": ended, "updateTime": ended}  # fmt: skip
        run = {"project": account.project, "account": made.trainer, "listed": True}
        rows.append((str(10**18 + number), parent, "SUCCEEDED", json.dumps({**body(spec), **told}), json.dumps(run)))
    with contextlib.closing(sqlite3.connect(place.space.localcloud / "vertex" / "jobs.sqlite", timeout=30)) as base:
        base.executemany("INSERT OR IGNORE INTO jobs (id, parent, state, body, run) VALUES (?, ?, ?, ?, ?)", rows)
        base.commit()


def _cancel_all(place: Place) -> None:
    from cloudkite.jobs import service

    for job in service.running(place.target):
        service.cancel(place.target, job.id)


def up(place: Place) -> Iterator[Row]:
    """The engine's usual runs: the first on a new local cloud that runs already, and with nothing to change."""
    make = place.invoke("up", "--yes")
    times = []
    for _round in range(5):
        place.invoke("local.start")()
        times.append(seconds(make))
        place.invoke("down", "--everything", "--yes", "--confirm", "local")()
        place.invoke("local.reset", "--yes")()
    yield Row("up, first", "s", median(times), (min(times), max(times)), target="<= 4 s", runs=len(times))
    make()
    yield paired("up, nothing to change", make, None, runs=5, target="<= 2 s", peer_name="")


def demo(place: Place) -> Iterator[Row]:
    """The whole demo, everything installed."""
    yield paired("demo", place.invoke("demo"), None, runs=3, warm=0, target="<= 60 s", peer_name="")


ROWS: dict[str, Callable[[Place], Iterator[Row]]] = {
    "list": listing,
    "up": up,
    "prices": prices,
    "jobs": jobs,
    "costs": costs,
    "train": train,
    "demo": demo,
}
