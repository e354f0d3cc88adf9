"""Which batch prediction jobs can't be.

Source: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.batchPredictionJobs
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from localcloud.core.errors import NotEmulated
from localcloud.vertex.jobs.validation import REQUIRED, Violation, refuse, texts
from localcloud.vertex.serving.artifacts import is_path

Body = Mapping[str, Any]

_NOT_EMULATED = {
    "unmanagedContainerModel": "models that were not uploaded (unmanaged_container_model)",
    "generateExplanation": "explanations of predictions",
    "explanationSpec": "explanations of predictions",
    "encryptionSpec": "encryption with keys of your own (encryption_spec)",
}
_INPUTS = ("jsonl", "csv")
_KNOWN_INPUTS = (*_INPUTS, "bigquery", "tf-record", "tf-record-gzip", "file-list")
_KNOWN_OUTPUTS = ("jsonl", "csv", "bigquery")
_INSTANCE_TYPES = ("", "object", "array")


def check(job: Body) -> None:
    """Raises 400 with all that is wrong with a BatchPredictionJob, 501 for what is not here."""
    refuse(_violations(job))
    for field, what in _NOT_EMULATED.items():
        if job.get(field):
            raise NotEmulated(what)
    given, made = job["inputConfig"]["instancesFormat"], job["outputConfig"]["predictionsFormat"]
    if given not in _INPUTS:
        raise NotEmulated(f"batch predictions of {given} (input_config.instances_format)")
    if made != "jsonl":
        raise NotEmulated(f"batch predictions as {made} (output_config.predictions_format)")


def _violations(job: Body) -> Iterator[Violation]:
    path = "batch_prediction_job"
    yield from texts(job, f"{path}.")
    if not job.get("model") and not job.get("unmanagedContainerModel"):
        yield Violation(f"{path}.model", REQUIRED)
    if "machineSpec" not in job.get("dedicatedResources", {}):
        yield Violation(f"{path}.dedicated_resources.machine_spec", REQUIRED)
    yield from _input(f"{path}.input_config", job.get("inputConfig", {}))
    yield from _output(f"{path}.output_config", job.get("outputConfig", {}))
    shape = job.get("instanceConfig", {})
    if shape.get("instanceType", "") not in _INSTANCE_TYPES:
        words = f"The instance type `{shape['instanceType']}` must be `object` or `array`."
        yield Violation(f"{path}.instance_config.instance_type", words)
    if shape.get("includedFields") and shape.get("excludedFields"):
        words = "Only one of `included_fields` and `excluded_fields` can be set."
        yield Violation(f"{path}.instance_config.excluded_fields", words)


def _input(path: str, given: Body) -> Iterator[Violation]:
    kind = given.get("instancesFormat", "")
    if kind not in _KNOWN_INPUTS:
        words = f"The format `{kind}` must be one of {', '.join(_KNOWN_INPUTS)}." if kind else REQUIRED
        yield Violation(f"{path}.instances_format", words)
        return
    uris = given.get("gcsSource", {}).get("uris", [])
    if kind != "bigquery" and not uris:
        yield Violation(f"{path}.gcs_source.uris", REQUIRED)
    for number, uri in enumerate(uris):
        if not is_path(uri) or "/" not in uri.removeprefix("gs://"):
            words = f"The Google Cloud Storage path `{uri}` must start with `gs://` and name an object."
            yield Violation(f"{path}.gcs_source.uris[{number}]", words)


def _output(path: str, given: Body) -> Iterator[Violation]:
    kind = given.get("predictionsFormat", "")
    if kind not in _KNOWN_OUTPUTS:
        words = f"The format `{kind}` must be one of {', '.join(_KNOWN_OUTPUTS)}." if kind else REQUIRED
        yield Violation(f"{path}.predictions_format", words)
        return
    prefix = given.get("gcsDestination", {}).get("outputUriPrefix", "")
    if kind != "bigquery" and not is_path(prefix):
        words = f"The Google Cloud Storage path `{prefix}` must start with `gs://` and name a bucket."
        yield Violation(f"{path}.gcs_destination.output_uri_prefix", words if prefix else REQUIRED)
