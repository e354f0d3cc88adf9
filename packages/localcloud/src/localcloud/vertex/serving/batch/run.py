"""Runs one batch prediction job: its model's server is started, asked batch by batch, and ended.

Nothing of the output is visible before the job's end: a job that a kill interrupts begins again.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.containers.background import apart
from localcloud.core.errors import ApiError
from localcloud.vertex.serving.batch.files import Files, Row
from localcloud.vertex.serving.plan import interpreter
from localcloud.vertex.serving.servers import Lost, ModelServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from localcloud.core.cloud import Cloud

Body = dict[str, Any]

_BATCH = 64  # instances a request, unless the job says otherwise
_TIMEOUT = 600.0  # seconds for one request
_PATIENCE = 30  # looks for a server that died to be back
_LOOK = 1.0  # seconds


class Results:
    """Lines of the two output files, and how many there are."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.failed: Counter[str] = Counter()

    def stats(self) -> dict[str, str]:
        """CompletionStats."""
        return {"successfulCount": str(len(self.lines)), "failedCount": str(self.failed.total())}

    def write(self, files: Files, folder: str) -> None:
        """Both files of a job of one replica."""
        files.write(f"{folder}/prediction.results-00000-of-00001", _text(self.lines))
        errors = [json.dumps([message, count]) for message, count in self.failed.items()]
        files.write(f"{folder}/prediction.errors_stats-00000-of-00001", _text(errors))


def _text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


async def run(
    cloud: Cloud,
    job: Body,
    server: ModelServer,
    files: Files,
    began: Callable[[], None],
    told: Callable[[Results], None],
) -> Results:
    """Predict all instances. `began` is called when the server is ready, `told` after each batch. Raises ApiError."""
    await apart(lambda: interpreter(cloud, server.plan.container["imageUri"]))
    server.start()
    await server.until_ready()
    began()
    results = Results()
    instances = await asyncio.to_thread(lambda: list(files.instances(job)))
    size = int(job.get("manualBatchTuningParameters", {}).get("batchSize", 0)) or _BATCH
    for start in range(0, len(instances), size):
        await _batch(server, instances[start : start + size], job.get("modelParameters"), results)
        told(results)
    return results


async def _batch(server: ModelServer, instances: list[Row], parameters: Any, results: Results) -> None:
    sent: Body = {"instances": [row.sent for row in instances]} | (
        {"parameters": parameters} if parameters is not None else {}
    )
    try:
        predictions = await _asked(server, json.dumps(sent).encode(), len(instances))
    except ApiError as error:
        if len(instances) > 1:  # find those that can be predicted
            half = len(instances) // 2
            await _batch(server, instances[:half], parameters, results)
            await _batch(server, instances[half:], parameters, results)
        else:
            results.failed[error.message] += 1
        return
    for row, prediction in zip(instances, predictions, strict=True):
        results.lines.append(json.dumps({**row.shown, "prediction": prediction}))


async def _asked(server: ModelServer, body: bytes, count: int) -> list[Any]:
    try:
        answer = await server.send(body, timeout=_TIMEOUT)
    except TimeoutError:
        raise ApiError(504, "Deadline exceeded while waiting for the model server.") from None
    except Lost as error:
        for _ in range(_PATIENCE):
            await asyncio.sleep(_LOOK)
            if server.is_ready:
                break
        raise ApiError(503, str(error)) from None
    if answer.status != 200:
        raise ApiError(400, answer.body.decode("utf-8", "replace").strip(), "FAILED_PRECONDITION")
    try:
        predictions = json.loads(answer.body)["predictions"]
    except (ValueError, KeyError, TypeError):
        predictions = None
    if not isinstance(predictions, list) or len(predictions) != count:
        words = "The response of the model server is not a JSON object with a list `predictions` of all instances."
        raise ApiError(400, words, "FAILED_PRECONDITION")
    return predictions


def folder_of(root: Path, job: str) -> Path:
    """The folder of a batch prediction job's model server; `job` is its full name."""
    parts = job.split("/")
    return root / f"{parts[1]}-{parts[3]}-batch-{parts[5]}"
