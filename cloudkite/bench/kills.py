"""A drill of the commands: each is killed at random moments, with all that it started, and run again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from cloudkite import children, leftovers
from cloudkite.accounts import registry
from cloudkite.bench.measure import Row
from cloudkite.bench.place import Place
from cloudkite.jobs import service
from cloudkite.jobs.body import JobSpec
from cloudkite.show import screen
from cloudkite.workspace import CLONE

_ROW = "island=Dream,bill_length_mm=39.1,bill_depth_mm=18.7,flipper_length_mm=181,body_mass_g=3750,sex=male"
_EVERYTHING = ("down", "--everything", "--yes", "--confirm", "local", "--json")
_INVOKE = """
import pathlib, sys
from cloudkite import workspace
space = workspace.throw_away(pathlib.Path(sys.argv.pop(1)))
workspace.find = lambda: space
sys.argv[0] = "invoke"
from invoke.main import program
program.run()
"""
_SECONDS = 300  # for one run
# Of kinds whose names the cloud gives, or which there may be many of: what the local cloud calls them.
_COUNTED = {
    "AlertPolicy": "monitoring.policy",
    "Bucket": "buckets",
    "Budget": "billing.budget",
    "NotificationChannel": "monitoring.channel",
    "Repository": "artifacts.repository",
}
# Of the settings: what is changed, made and deleted by them.
_CHANGES = [
    ("amount: 10", "amount: 12"),
    ("[owner@example.com]", "[other@example.com]"),
    ("cloudkite:logRetentionDays: 30", "cloudkite:members: ['user:kim@example.com']\n  cloudkite:logRetentionDays: 31"),
]


@dataclass(frozen=True)
class _Drill:
    """A command that is killed `count` times. `before` makes it possible; `wrong` tells what is not as it must be.

    `done` is what the second run may say instead of succeeding: the first had done it all before it was killed.
    """

    words: tuple[str, ...]
    count: int
    wrong: Callable[[str], str]
    before: Callable[[], object] = lambda: None
    done: str = ""


def kills(place: Place, name: str, most: int = 1000) -> Iterator[Row]:
    """A command killed at random moments (at most `most` times), each time run to its end and looked at."""
    commands = _Commands(place)
    drill: _Drill = getattr(commands, name.replace(".", "_"))()
    chance = random.Random(name)  # noqa: S311  when to kill is no secret
    times, wrong, count = [], [], min(drill.count, most)
    drill.before()
    length = commands.timed(drill.words)
    while len(times) < count:
        drill.before()
        if not commands.killed(drill.words, chance.uniform(0.02, 1.0) * length):
            length *= 0.9  # it was quicker than that
            continue
        began = time.perf_counter()
        code, said, complaint = commands.run(*drill.words)
        times.append(time.perf_counter() - began)
        if code and not (drill.done and drill.done in complaint):
            wrong.append(f"ended with {code}: {complaint.strip()[-500:]}")
        elif problem := drill.wrong(said) or commands.left_over():
            wrong.append(problem)
    for problem in wrong:
        screen.warn(f"{name}: {problem}")
    yield Row(f"{name} killed: the run after it", "s", median(times), (min(times), max(times)), target="0 wrong",
              runs=count, note=f"{count} kills, {len(wrong)} wrong")  # fmt: skip


class _Commands:
    """The commands in one place, and what each must leave."""

    def __init__(self, place: Place) -> None:
        self.place, self.space = place, place.space
        _ = place.account  # its settings are in the place from then on

    def new(self) -> _Drill:
        """A trainer is whole or not there."""
        folder, words = self.space.trainers / "killed", ("new", "killed")
        self.run(*words)
        whole = _digest(folder)
        return _Drill(words, 15, lambda _said: self._differs(folder, whole), lambda: _remove(folder),
                      "is there already")  # fmt: skip

    def account_add(self) -> _Drill:
        """An account is described or not."""
        words = ("account.add", "--name", "killed", "--project", "killed-project", "--local")
        return _Drill(words, 15, self._described, self._forget, "there is an account killed already")

    def up(self) -> _Drill:
        """All is there, nothing is unfinished, and a third run has nothing to change."""
        return _Drill(("up", "--yes"), 20, self._set_up, self._take_down)

    def update(self) -> _Drill:
        """The same after other settings: an `up` that makes, changes and deletes."""
        return _Drill(("up", "--yes"), 15, self._set_up, self._other_settings)

    def down(self) -> _Drill:
        """Nothing is left."""
        return _Drill(_EVERYTHING, 15, self._down, lambda: self.must("up", "--yes"))

    def fetch(self) -> _Drill:
        """A model is whole."""
        words = ("fetch", "--job", self._job_with_a_model(), "--json")
        model = Path(json.loads(self.must(*words))["model"])
        whole = _digest(model)
        return _Drill(words, 15, lambda _said: self._differs(model, whole), lambda: _remove(model))

    def check(self) -> _Drill:
        """The report is written and says that all is well."""
        words = ("check", str(self.place.trainer.folder), "--json")
        return _Drill(words, 5, lambda said: "" if json.loads(said)["ok"] else said,
                      lambda: (self.space.state / "checks" / "penguins.json").unlink(missing_ok=True))  # fmt: skip

    def train(self) -> _Drill:
        """A job is there."""
        self.must("up", "--yes")
        return _Drill(self._train(), 12, self._submitted)

    def predict(self) -> _Drill:
        """The answer is the same."""
        self.must("up", "--yes")
        job = json.loads(self.must(*self._train(), "--", "--epochs", "1"))
        while json.loads(self.must("jobs", "--json"))[0]["state"] not in ("SUCCEEDED", "FAILED"):
            time.sleep(1)
        model = json.loads(self.must("fetch", "--job", job["id"], "--json"))["model"]
        words = ("predict", str(self.place.trainer.folder), "--model", model, "--row", _ROW, "--json")
        answer = self.must(*words)
        return _Drill(words, 6, lambda said: "" if said == answer else f"another answer: {said}")

    def local_start(self) -> _Drill:
        """It runs."""
        return _Drill(("local.start",), 5, lambda _said: self._running(True), lambda: self.must("local.stop"))

    def local_stop(self) -> _Drill:
        """It doesn't run."""
        return _Drill(("local.stop",), 5, lambda _said: self._running(False), lambda: self.must("local.start"))

    def local_reset(self) -> _Drill:
        """It doesn't run, and nothing but its ports is kept."""
        return _Drill(("local.reset", "--yes"), 5, self._empty, lambda: self.must("local.start"))

    def _train(self) -> tuple[str, ...]:
        return ("train", str(self.place.trainer.folder), "--max-cost", "5", "--yes", "--detach", "--json")

    def _job_with_a_model(self) -> str:
        """The id of a job that ended at once, and the model that it could have left: many files of some size."""
        self.must("up", "--yes")
        target = self.place.target
        made = registry.load(self.space, "local").outputs()
        output = f"{made.buckets['models']}/killed/"
        bucket = target.storage().bucket(made.buckets["models"].removeprefix("gs://"))
        chance = random.Random(0)  # noqa: S311
        for number in range(40):
            bucket.blob(f"killed/model/{number}").upload_from_string(chance.randbytes(number * 20_000))
        spec = JobSpec(
            name="killed", trainer="killed", account="local", image="nobody/knows:1", wheel="", sha256="",
            service_account=made.trainer, output=output, limit_seconds=60, machine="e2-standard-4",
        )  # fmt: skip
        job = service.create(target, spec)
        while service.get(target, job.id).active:
            time.sleep(0.2)
        return job.id

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run a command to its end: exit code, standard output and error."""
        done = subprocess.run(
            self._command(words), env=self.place.environment, cwd=CLONE, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, encoding="utf-8", timeout=_SECONDS,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    def must(self, *words: str) -> str:
        """Run a command that is only there to prepare others."""
        code, said, complaint = self.run(*words)
        if code:
            raise RuntimeError(f"{' '.join(words)} ended with {code}:\n{complaint[-2000:]}")
        return said

    def timed(self, words: tuple[str, ...]) -> float:
        """Seconds that the command takes."""
        began = time.perf_counter()
        self.run(*words)
        return time.perf_counter() - began

    def killed(self, words: tuple[str, ...], after: float) -> bool:
        """Start a command, and kill it and all that it started after so many seconds; False if it was quicker."""
        child = subprocess.Popen(
            self._command(words), env=self.place.environment, cwd=CLONE, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=os.name == "posix",
        )  # fmt: skip
        try:
            child.wait(after)
            return False
        except subprocess.TimeoutExpired:
            if sys.platform != "win32":
                os.killpg(child.pid, signal.SIGKILL)
            return True
        finally:
            children.end(child)

    def left_over(self) -> str:
        """What a killed command left that the next one should have swept."""
        found = [path for path in self.space.state.rglob(".*") if _passing(path)]
        return f"left over: {', '.join(map(str, found))}" if found else ""

    def _command(self, words: tuple[str, ...]) -> list[str]:
        """Invoke in the place's own folders: accounts and trainers are the clone's otherwise."""
        return [sys.executable, "-c", _INVOKE, str(self.space.state), *words]

    def _differs(self, folder: Path, whole: str) -> str:
        return "" if folder.is_dir() and _digest(folder) == whole else f"{folder} is not whole"

    def _described(self, _said: str) -> str:
        known, broken = registry.load_all(self.space)
        return "" if "killed" in {one.name for one in known} and not broken else f"accounts: {known} {broken}"

    def _forget(self) -> None:
        (self.space.accounts / "Pulumi.killed.yaml").unlink(missing_ok=True)

    def _set_up(self, _said: str) -> str:
        from cloudkite import engine

        account = registry.load(self.space, "local")
        status = engine.status(account)
        fine = account.outputs().buckets and not status.unfinished and status.held_by is None
        again = self.must("up", "--yes")
        if not fine or "nothing to change" not in again:
            return f"{status.unfinished} unfinished; {again}"
        return self._unlike_the_state()

    def _down(self, said: str) -> str:
        return self._unlike_the_state() if json.loads(said)["left"] == [] else f"left: {said}"

    def _unlike_the_state(self) -> str:
        """What the local cloud has more of than the state, or less, of kinds that could be made twice."""
        from cloudkite import engine

        known = Counter(one.kind for one in engine.left(registry.load(self.space, "local")))
        there: dict[str, int] = json.loads(self.must("local.status", "--json"))["counts"]
        wrong = {kind: (known[kind], there.get(name, 0)) for kind, name in _COUNTED.items()}
        wrong = {kind: both for kind, both in wrong.items() if both[0] != both[1]}
        return f"in the state and in the cloud: {wrong}" if wrong else ""

    def _take_down(self) -> None:
        self.must(*_EVERYTHING)

    def _other_settings(self) -> None:
        """As they were set up before with one half of the changes, so that each time all of them are to be made."""
        self.must("up", "--yes")
        path = self.place.account.settings
        text = path.read_text(encoding="utf-8")
        ways = _CHANGES if all(old in text for old, _new in _CHANGES) else [(new, old) for old, new in _CHANGES]
        for old, new in ways:
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")

    def _submitted(self, said: str) -> str:
        """The job is there, under a name of its own, and so are at most those of the killed runs; all are ended."""
        job = json.loads(said)
        jobs: list[dict[str, Any]] = json.loads(self.must("jobs", "--json"))
        for one in jobs:
            if one["state"] in ("QUEUED", "PENDING", "RUNNING"):
                self.must("cancel", "--job", one["id"])
        names = [one["name"] for one in jobs]
        return "" if names.count(job["name"]) == 1 and len(set(names)) == len(names) else f"jobs: {names}"

    def _running(self, wanted: bool) -> str:
        code, said, _complaint = self.run("local.status", "--json")
        running = code == 0 and bool(json.loads(said).get("running", json.loads(said).get("pid")))
        return "" if running == wanted else f"runs: {running}, {said}"

    def _empty(self, _said: str) -> str:
        root = self.space.localcloud
        left = [path.name for path in root.iterdir()] if root.is_dir() else []
        return self._running(False) or ("" if not set(left) - {"ports.json", "start.lock"} else f"left: {left}")


def _passing(path: Path) -> bool:
    return bool(leftovers.passing(path.name)) or path.name.endswith((".part", ".old"))


def _digest(folder: Path) -> str:
    """What is in a folder: names and contents."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        total.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def _remove(folder: Path) -> None:
    import shutil

    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


_NAMES = "new account.add up update down fetch check train predict local.start local.stop local.reset".split()
ROWS: dict[str, Callable[[Place], Iterator[Row]]] = {f"{n} killed": partial(kills, name=n) for n in _NAMES}
