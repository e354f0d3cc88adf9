"""What a training pipeline is asked to run: the task that its definition names, read from its loosely typed inputs.

https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.trainingPipelines and
gs://google-cloud-aiplatform/schema/trainingjob/definition/custom_task_1.0.0.yaml
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from localcloud.core.errors import ApiError, NotEmulated
from localcloud.transport import shapes
from localcloud.vertex.jobs import validation
from localcloud.vertex.jobs.validation import Violation
from localcloud.vertex.wire import messages

Body = dict[str, Any]

_CUSTOM = "custom_task_1.0.0.yaml"
_FOLDER = "gs://google-cloud-aiplatform/schema/trainingjob/definition"
_DEFINITION = re.compile(rf"{_FOLDER}/([\w.]+\.yaml)")
# https://github.com/GoogleCloudPlatform/generative-ai/pull/2495
_UNREADABLE = (
    "Unable to parse `training_pipeline.training_task_inputs` into custom task `inputs` defined in the file: "
    f"{_FOLDER}/{_CUSTOM}"
)
_OTHERS = ("automl_", "hyperparameter_tuning_job_task_", "custom_task_", "seq2seq_", "tft_", "tide_", "time_series_")


def check(pipeline: Mapping[str, Any], location: str) -> Body:
    """The CustomJobSpec that the pipeline runs. Raises 400 with all that is wrong, 501 for what is not here."""
    definition = pipeline.get("trainingTaskDefinition", "")
    found = _DEFINITION.fullmatch(definition)
    if found is not None and found[1] != _CUSTOM and found[1].startswith(_OTHERS):
        raise NotEmulated(f"training pipelines of {found[1].removesuffix('.yaml')}: use {_CUSTOM}")
    spec, violations = _spec(pipeline.get("trainingTaskInputs"))
    if not definition:
        violations.append(Violation("training_task_definition", validation.REQUIRED))
    elif found is None or found[1] != _CUSTOM:
        words = f"Unknown training task definition: {definition}"
        violations.append(Violation("training_task_definition", words))
    own = {"displayName": pipeline.get("displayName", ""), "labels": pipeline.get("labels", {}), "jobSpec": spec}
    if not violations:
        for one in validation.violations(own):
            violations.append(Violation(re.sub(r"^job_spec", "training_task_inputs", one.path), one.message))
        if "baseOutputDirectory" not in spec and "modelToUpload" in pipeline:
            where = "training_task_inputs.base_output_directory"
            violations.append(Violation(where, "Required when `model_to_upload` is set."))
    validation.refuse(violations)
    if pipeline.get("inputDataConfig"):
        raise NotEmulated("managed datasets of training pipelines (input_data_config)")
    validation.check_emulated(pipeline, spec, location)
    return spec


def _spec(inputs: Any) -> tuple[Body, list[Violation]]:
    """The inputs as Google's JSON of a CustomJobSpec. They may be written in snake_case, numbers are all floats.

    Raises 400 for what can't be read as one.
    """
    from google.protobuf import json_format

    if inputs is None or inputs == {}:
        return {}, [Violation("training_task_inputs", validation.REQUIRED)]
    message_class = messages.load().message("CustomJobSpec")
    given = _whole(inputs)
    if not isinstance(given, dict) or [*shapes.wrong(message_class.DESCRIPTOR, given)]:
        raise ApiError(400, _UNREADABLE)
    try:
        message = json_format.ParseDict(given, message_class())
    except json_format.ParseError:
        raise ApiError(400, _UNREADABLE) from None
    return json_format.MessageToDict(message), []


def _whole(value: Any) -> Any:
    """The same with integers where numbers have no fraction, so that enumerations can be numbers."""
    if isinstance(value, dict):
        return {name: _whole(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
