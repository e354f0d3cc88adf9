"""What batch prediction reads and writes in Cloud Storage, as the job's account and nobody else.

https://cloud.google.com/vertex-ai/docs/predictions/get-batch-predictions
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.core import strict_json
from localcloud.core.asked.callers import Caller
from localcloud.core.errors import ApiError
from localcloud.storage.admission import Admission
from localcloud.storage.store import Storage

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """An instance as the model gets it, and how the output tells which one it was.

    https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.batchPredictionJobs#InstanceConfig:
    with a key field `{"key": ...}`, else `{"instance": ...}` with the excluded fields attached again.
    """

    sent: Any
    shown: Body


class Files:
    """Cloud Storage for one account."""

    def __init__(self, cloud: Cloud, account: str, project: str) -> None:
        self._cloud = cloud
        self._asker = Admission(cloud.of(Storage)).of(Caller(account, project), {}, {})

    def instances(self, job: Body) -> Iterator[Row]:
        """All instances of a job's input, file by file. Raises 400, 403, 404."""
        config, shape = job["inputConfig"], job.get("instanceConfig", {})
        for bucket, name in self._sources(config["gcsSource"]["uris"]):
            text = self.read(bucket, name).decode("utf-8-sig")
            if config["instancesFormat"] == "csv":
                yield from _csv(text, shape)
            else:
                yield from _jsonl(text, f"gs://{bucket}/{name}", shape)

    def _sources(self, uris: list[str]) -> Iterator[tuple[str, str]]:
        for uri in uris:
            bucket, name = uri.removeprefix("gs://").split("/", 1)
            if "*" not in name:
                yield bucket, name
                continue
            self._asker.bucket(bucket, "storage.objects.list")
            pattern = re.compile("".join({"**": ".*", "*": "[^/]*"}.get(p, re.escape(p)) for p in _stars(name)))
            found = [
                one["name"]
                for one in self._cloud.of(Storage).list_objects(bucket, name.partition("*")[0])
                if pattern.fullmatch(one["name"])
            ]
            if not found:
                raise ApiError(400, f"No files found in {uri}.", "FAILED_PRECONDITION")
            yield from ((bucket, one) for one in found)

    def read(self, bucket: str, name: str) -> bytes:
        """All bytes of an object. Raises 403, 404."""
        self._asker.object(bucket, name, "storage.objects.get")
        return self._cloud.of(Storage).get_object(bucket, name)

    def write(self, uri: str, data: bytes) -> None:
        """Make or overwrite an object. Raises 403, 404."""
        bucket, name = uri.removeprefix("gs://").split("/", 1)
        self._asker.write(bucket, name)
        self._cloud.of(Storage).put_object(bucket, name, data, "text/plain")


def _stars(name: str) -> list[str]:
    return [part for part in re.split(r"(\*\*|\*)", name) if part]


def _jsonl(text: str, uri: str, shape: Body) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield _row(strict_json.loads(line), shape)
        except ValueError as error:
            words = f"Line {number} of {uri} is not JSON: {error}"
            raise ApiError(400, words, "INVALID_ARGUMENT") from None


def _csv(text: str, shape: Body) -> Iterator[Row]:
    """Rows below the header: an array each, or an object by the header's names; what is not quoted is a number."""
    lines = csv.reader(io.StringIO(text), quoting=csv.QUOTE_NONNUMERIC) if _quoted(text) else _loose(text)
    try:
        header = [str(name) for name in next(lines)]
        for row in lines:
            if not row:
                continue
            named = dict(zip(header, row, strict=True))
            yield _row(named, shape, dict if shape.get("instanceType") == "object" else _values)
    except StopIteration:
        return
    except ValueError as error:
        raise ApiError(400, f"A row of the CSV file can't be read: {error}", "INVALID_ARGUMENT") from None


def _values(named: Body) -> list[Any]:
    return [*named.values()]


def _quoted(text: str) -> bool:
    return text.lstrip().startswith('"')


def _loose(text: str) -> Iterator[list[Any]]:
    """Rows of a file whose header is not quoted: what looks like a number is one."""
    for row in csv.reader(io.StringIO(text)):
        yield [_number(value) for value in row]


def _number(value: str) -> Any:
    try:
        return float(value)
    except ValueError:
        return value


def _row(instance: Any, shape: Body, form: Callable[[Body], Any] = dict) -> Row:
    """What the model gets of an instance, and what the output shows of it; `form` is that of a row of a table."""
    if not isinstance(instance, dict):
        return Row(instance, {"instance": instance})
    key, included, excluded = shape.get("keyField"), shape.get("includedFields"), shape.get("excludedFields", [])
    names = included or [name for name in instance if name not in (*excluded, key)]
    sent = form({name: instance[name] for name in names if name in instance})
    if key:
        return Row(sent, {"key": instance.get(key)})
    return Row(sent, {"instance": form(instance) if excluded else sent})
