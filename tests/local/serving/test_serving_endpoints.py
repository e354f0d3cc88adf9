"""Models are deployed to endpoints and predict: over REST, with what is refused."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

import psutil
import pytest

from localcloud.iam import access  # noqa: F401

pytestmark = pytest.mark.slow


def test_deploy_predict_undeploy(api: Any) -> None:
    model = api.model("doubler")
    endpoint = api.endpoint("one")
    assert api.refused("POST", f"{endpoint}:predict", {"instances": [1]}) == (
        400,
        "FAILED_PRECONDITION",
        f"Endpoint {endpoint} doesn't have traffic_split.",
    )
    deployed = api.deploy(endpoint, model, displayName="mine")
    answer = api.predict(endpoint, 1, 2.5, "text", parameters={"k": 1})
    assert answer == {
        "predictions": [2, 5.0, "text"],
        "deployedModelId": deployed,
        "model": model,
        "modelDisplayName": "mine",
        "modelVersionId": "1",
        "metadata": {"got": {"k": 1}},
    }
