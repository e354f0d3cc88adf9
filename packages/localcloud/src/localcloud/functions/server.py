"""One function's process: started under a supervisor, kept running, its output logged as Cloud Run logs it."""

from __future__ import annotations

import json
import secrets
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from localcloud.containers import ground
from localcloud.containers.spool import Line
from localcloud.core.state.files import private_folder, write_privately
from localcloud.functions import runner
from localcloud.logging.entries import Entry, timestamp
from localcloud.vertex.serving import model_http
from localcloud.vertex.serving.model_http import Answer
from localcloud.vertex.serving.plan import Door, Plan
from localcloud.vertex.serving.servers import ModelServer
from localcloud.vertex.settings import Settings

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_FOREVER = 10**9  # seconds
_ON_ITS_WAY = 0.02  # seconds from a process' print to the file that its supervisor keeps
_READY_SECONDS = 240.0  # https://cloud.google.com/run/docs/configuring/healthchecks: of the default startup probe


@dataclass(frozen=True)
class FunctionPlan:
    """What a function's process is started with; kept in its folder. `source` and `python` are paths.

    `account` is the e-mail that it acts as, `revision` the name of this version of its service.
    """

    key: str
    project: str
    location: str
    service: str
    revision: str
    account: str
    entry: str
    event: bool
    timeout: float
    variables: dict[str, str]
    source: str
    python: str
    # What a model server's keeper asks of its plan:
    endpoint: str = ""
    model: dict[str, Any] = field(default_factory=dict)
    health_route: str = runner.READY
    predict_route: str = "/"
    ready_seconds: float = _READY_SECONDS

    def save(self, folder: Path) -> None:
        """Keep it in the server's folder."""
        write_privately(private_folder(folder) / "plan.json", json.dumps(asdict(self)))

    @staticmethod
    def load(folder: Path) -> FunctionPlan:
        """What `save` kept. Raises OSError, ValueError, TypeError."""
        return FunctionPlan(**json.loads((folder / "plan.json").read_text(encoding="utf-8")))


class FunctionServer(ModelServer):
    """Kept as a model server is; what it says is a Cloud Run revision's."""

    def __init__(
        self, cloud: Cloud, folder: Path, plan: FunctionPlan, settings: Settings, pool: ThreadPoolExecutor
    ) -> None:
        super().__init__(cloud, folder, cast("Plan", plan), settings, pool)
        self.function = plan
        self._carrying = threading.Lock()

    def _lay_out(self, run: Path) -> Door:
        cloud, plan = self._cloud, self.function
        private_folder(run)
        with socket.create_server(("127.0.0.1", 0)) as held:
            port = held.getsockname()[1]
        secret = secrets.token_urlsafe(24)
        python = Path(plan.python)
        variables = ground.base(run, python)
        variables |= ground.identity(cloud, plan.account, plan.project, plan.key, self._folder)
        # https://cloud.google.com/functions/docs/configuring/env-var#runtime_environment_variables_set_automatically
        variables |= plan.variables | {
            "FUNCTION_TARGET": plan.entry,
            "FUNCTION_SIGNATURE_TYPE": "cloudevent" if plan.event else "http",
            "K_SERVICE": plan.service,
            "K_REVISION": plan.revision,
            "K_CONFIGURATION": plan.service,
            "LOG_EXECUTION_ID": "true",
            "PORT": str(port),
            "LOCALCLOUD_FUNCTION_SECRET": secret,
        }
        spec = {
            "command": [str(python), "-c", _start(Path(runner.__file__))],
            "environment": variables,
            "workingFolder": plan.source,
            "timeoutSeconds": _FOREVER,
            "graceSeconds": self._grace,
            "root": str(cloud.root),
        }
        made = Door(port, secret)
        write_privately(run / "door.json", json.dumps(asdict(made)))
        write_privately(run / "spec.json", json.dumps(spec))
        return made

    def invoke(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Call it, for at most its timeout. Raises Lost, TimeoutError."""
        try:
            return model_http.send(self._door, path, body, headers, self.function.timeout)
        finally:
            # What it said belongs to the moment at which it was called, and a clock that moves waits for the answer.
            time.sleep(_ON_ITS_WAY)
            if runs := sorted(self._folder.glob("run-*"), key=lambda path: int(path.name[4:])):
                self._carry(runs[-1])

    def _carry(self, run: Path) -> None:
        with self._carrying:
            super()._carry(run)

    def _where(self) -> str:
        return f'Logs for this revision: resource.labels.service_name="{self.function.service}" in Cloud Logging.'

    def _entries(self, run: Path, line: Line) -> list[Entry]:
        found = super()._entries(run, line)
        log = "stdout" if line.stream == "stdout" else "stderr"
        name = f"projects/{self.function.project}/logs/run.googleapis.com%2F{log}"
        return [one | {"logName": name} for one in found]

    def _entry(self, at: int, severity: str) -> Entry:
        plan = self.function
        return {
            "logName": f"projects/{plan.project}/logs/run.googleapis.com%2Fvarlog%2Fsystem",
            "resource": {
                "type": "cloud_run_revision",
                "labels": {
                    "project_id": plan.project,
                    "location": plan.location,
                    "service_name": plan.service,
                    "revision_name": plan.revision,
                    "configuration_name": plan.service,
                },
            },
            "labels": {"goog-managed-by": "cloudfunctions"},
            "timestamp": timestamp(at + int(self._cloud.clock.ahead.total_seconds() * 1e9)),
            "severity": severity,
        }

    def say(self, text: str, severity: str = "INFO") -> None:
        """Write to its log what Cloud Run itself would."""
        super().say(text.replace("The model server", "The instance of the function"), severity)


def _start(path: Path) -> str:
    """Code that runs the runner with the source's own folder on the path, and no other."""
    return f"import sys, runpy; sys.path.insert(0, ''); runpy.run_path({str(path)!r}, run_name='__main__')"
