"""Keeps one model server running: started under a supervisor, watched, its output logged, started again when it dies.

The process outlives this server: after a kill it is taken up again where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from localcloud.containers import ground, processes, spool, supervised
from localcloud.core.errors import ApiError
from localcloud.core.state.disk import is_full
from localcloud.core.state.files import write_privately
from localcloud.core.state.kept import parsed, whole
from localcloud.identity.metadata import Metadata
from localcloud.logging.entries import Entry, timestamp
from localcloud.logging.store import Logs
from localcloud.vertex.replicas import output
from localcloud.vertex.serving import model_http
from localcloud.vertex.serving.model_http import Answer, Lost
from localcloud.vertex.serving.plan import Door, Plan, door, lay_out
from localcloud.vertex.settings import Settings

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_QUICK, _SLOW = 0.05, 0.3  # seconds between looks: until it is ready, and from then on
_START = 20.0  # seconds for a supervisor to take a run's lock
_STUCK = 3.0  # seconds beyond the grace after which a supervisor that does not end its process is given up
_LONGEST_PAUSE = 10.0  # seconds between two tries to start a server that keeps dying
# Bad answers in a row: https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements#health
_UNHEALTHY = 4


class ModelServer:
    """One model server; all methods are called in the server's event loop. `folder` has its plan and its runs."""

    def __init__(self, cloud: Cloud, folder: Path, plan: Plan, settings: Settings, pool: ThreadPoolExecutor) -> None:
        self._cloud = cloud
        self._folder = folder
        self.plan = plan
        self._grace = settings.grace
        self._health = settings.health
        self._pool = pool
        self._door = Door(0, "")
        self._ready = asyncio.Event()
        self._ending = False
        self._why = ""
        self._was_ready = False
        self._process: subprocess.Popen[bytes] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, again: bool = False) -> None:
        """Begin to keep it running, or take up the run that is there; `again`: it was ready, and never given up."""
        self._was_ready = again
        self._task = asyncio.ensure_future(self._keep())

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set()

    async def until_ready(self) -> None:
        """Wait until it is healthy. Raises 400 FAILED_PRECONDITION when it exits before, or takes too long."""
        assert self._task is not None
        waiting = asyncio.ensure_future(self._ready.wait())
        try:
            await asyncio.wait(
                [waiting, self._task], timeout=self.plan.ready_seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waiting.cancel()
        if self._task.done():
            if error := self._task.exception():
                raise error
            if self._why:
                raise ApiError(400, self._why, "FAILED_PRECONDITION")
            raise ApiError(400, f"Model server exited unexpectedly. {self._where()}", "FAILED_PRECONDITION")
        if not self._ready.is_set():
            words = (
                "Model server never became ready. Please validate that your model file or container configuration are "
                f"valid. {self._where()}"
            )
            raise ApiError(400, words, "FAILED_PRECONDITION")

    def _where(self) -> str:
        return f"Model server logs can be found at {console(self.plan)}."

    async def send(self, body: bytes, content_type: str = "application/json", timeout: float = 60.0) -> Answer:
        """POST to its predict route. Raises Lost, TimeoutError."""
        if not self._ready.is_set():
            raise Lost("no healthy upstream")
        asked = (self._door, self.plan.predict_route, body, content_type, timeout)
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: model_http.post(*asked))

    async def end(self, forget: bool = True, why: str = "") -> None:
        """End its process, and wait until nothing of it is left; with `forget` its folder and account's key go too.

        Who waits until it is ready is told why.
        """
        self._ending = True
        self._why = self._why or why
        self._ready.clear()
        if self._task is None:  # it was never taken up by this server
            self.start()
        assert self._task is not None
        with contextlib.suppress(Exception):  # whoever started it was told
            await asyncio.wait_for(asyncio.shield(self._task), self._grace + _STUCK + 5)
        if forget:
            await asyncio.to_thread(release, self._cloud, self._folder, self.plan.key)

    # One run after another

    async def _keep(self) -> None:
        pause = 0.5
        while True:
            run = await asyncio.to_thread(self._begin)
            if run is None:
                return
            began = time.monotonic()
            probing = asyncio.ensure_future(self._probe())
            try:
                await self._through(run)
            finally:
                probing.cancel()
            if self._ending or not self._was_ready:
                return
            self._ready.clear()
            pause = 0.5 if time.monotonic() - began > 60 else min(pause * 2, _LONGEST_PAUSE)
            self.say("The model server exited; it is started again.", "WARNING")
            until = time.monotonic() + pause
            while time.monotonic() < until and not self._ending:
                await asyncio.sleep(_QUICK)

    def _begin(self) -> Path | None:
        """The run that lives, or a new one; None when it is to end and nothing lives."""
        runs = sorted(self._folder.glob("run-*"), key=lambda path: int(path.name[4:]))
        latest = runs[-1] if runs else None
        if latest is not None and not (latest / "exit.json").exists():
            if (latest / "started.json").exists() and supervised.alive(latest):
                with contextlib.suppress(OSError, ValueError):  # damaged: it can't be asked, and another is started
                    self._door = door(latest)
                    return latest
            processes.kill(processes.family(str(latest)))
        if self._ending:
            return None
        run = self._folder / f"run-{int(latest.name[4:]) + 1 if latest else 1}"
        shutil.rmtree(run, ignore_errors=True)
        self._door = lay_out(self._cloud, self.plan, self._folder, run, self._grace)
        self._process = supervised.spawn(run)
        for old in runs:
            shutil.rmtree(old, ignore_errors=True)
        return run

    async def _through(self, run: Path) -> None:
        """Follow one run to its end."""
        began = checked = time.monotonic()
        stopped: float | None = None
        while True:
            over = await asyncio.to_thread(self._look, run)
            if over:
                return
            now = time.monotonic()
            if self._ending and stopped is None:
                (run / "stop").touch()
                stopped = now
            if stopped is not None and now > stopped + self._grace + _STUCK:
                await asyncio.to_thread(self._lose, run)
                return
            if now - began > _START and now - checked > 1:
                checked = now
                dead = not (run / "exit.json").exists() and not await asyncio.to_thread(supervised.alive, run)
                if dead and not (run / "exit.json").exists():
                    await asyncio.to_thread(self._lose, run)
                    return
            await asyncio.sleep(_SLOW if self._ready.is_set() else _QUICK)

    async def _probe(self) -> None:
        """Ask for the health of a run until it is cancelled.

        As on Google, an endpoint's server that gives four bad answers in a row gets no calls until a good one; it is
        not started again for that.
        """
        loop = asyncio.get_running_loop()
        bad = 0
        while not self._ending:
            good = await loop.run_in_executor(self._pool, model_http.healthy, self._door, self.plan.health_route)
            if good and not self._ending:
                if bad >= _UNHEALTHY:
                    self.say("The model server is healthy again.")
                self._was_ready = True
                self._ready.set()
                bad = 0
            elif self._ready.is_set():
                bad += 1
                if bad == _UNHEALTHY and self.plan.endpoint:
                    self._ready.clear()
                    self.say("The model server is not healthy: it gets no calls until it is.", "WARNING")
            await asyncio.sleep(self._health if self._ready.is_set() or bad else _QUICK)

    def _lose(self, run: Path) -> None:
        if self._process is not None:
            self._process.kill()
        processes.kill(processes.family(str(run)))
        self._look(run)

    def _look(self, run: Path) -> bool:
        """Carry what is new in its output to the log; whether the run is over."""
        over = (run / "exit.json").exists()  # before the output, which is complete then
        try:
            self._carry(run)
        except Exception as error:
            if not is_full(error):
                raise
        if over and self._process is not None:
            self._process.poll()
        return over

    def _carry(self, run: Path) -> None:
        mark = run / "offset"
        offset = _offset(mark)
        while lines := list(spool.read(run / "output", offset)):
            if not self.plan.model.get("disableContainerLogging"):
                self._cloud.of(Logs).write([entry for line in lines for entry in self._entries(run, line)])
            offset = lines[-1].end
            write_privately(mark, str(offset))

    def _entries(self, run: Path, line: spool.Line) -> list[Entry]:
        if not line.text.strip():
            return []
        found, severity = output.payload(line)
        key = f"{self.plan.key}-{run.name}-{line.offset:012d}"
        return [self._entry(line.at, severity) | {"insertId": key, "jsonPayload": found}]

    def say(self, text: str, severity: str = "INFO") -> None:
        """Write to its log."""
        self._cloud.of(Logs).write([self._entry(time.time_ns(), severity) | {"textPayload": text}])

    def _entry(self, at: int, severity: str) -> Entry:
        plan = self.plan
        if plan.endpoint:
            kind, ids = "Endpoint", {"endpoint_id": plan.endpoint}
            log, labels = "prediction_container", {"deployed_model_id": plan.deployed}
        else:
            kind, ids = "BatchPredictionJob", {"batch_prediction_job_id": plan.key.removeprefix("batch-")}
            log, labels = "batch_prediction_container", {}
        return {
            "logName": f"projects/{plan.project}/logs/aiplatform.googleapis.com%2F{log}",
            "resource": {
                "type": f"aiplatform.googleapis.com/{kind}",
                "labels": {"resource_container": plan.number, "location": plan.location, **ids},
            },
            "labels": {**labels, "replica_id": f"{plan.key}-0"},
            "timestamp": timestamp(at),
            "severity": severity,
        }


def _offset(mark: Path) -> int:
    """How far the output was carried; what is carried twice is kept once, so a damaged mark is none."""
    try:
        return parsed(mark.read_bytes(), lambda kept: whole(kept, 0, 1 << 63))
    except (FileNotFoundError, ValueError):
        return 0


def console(plan: Plan) -> str:
    """The address of a model server's log in Google's console."""
    kind = "Endpoint" if plan.endpoint else "BatchPredictionJob"
    label = "endpoint_id" if plan.endpoint else "batch_prediction_job_id"
    of = plan.endpoint or plan.key.removeprefix("batch-")
    resource = quote(f"aiplatform.googleapis.com/{kind}/{label}/{of}", safe="")
    words = f'resource.type="aiplatform.googleapis.com/{kind}"\nresource.labels.{label}="{of}"'
    words += f'\nresource.labels.location="{plan.location}"'
    base = "https://console.cloud.google.com/logs/viewer"
    return f"{base}?project={plan.number}&resource={resource}&advancedFilter={quote(words, safe='')}"


def release(cloud: Cloud, folder: Path, key: str) -> None:
    """Take back a model server's key and secret, and forget its folder; nothing happens when that was done."""
    cloud.of(Metadata).release(key)
    ground.forget_key(cloud, folder)
    shutil.rmtree(folder, ignore_errors=True)
