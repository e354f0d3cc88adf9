"""The methods of online prediction."""

from __future__ import annotations

from localcloud.vertex.methods import Method, Methods
from localcloud.vertex.serving.store import Serving

_PREDICT = "aiplatform.endpoints.predict"
METHODS: Methods = {
    "Predict": Method(
        "PredictRequest",
        "PredictResponse",
        lambda call, request: call.cloud.of(Serving).prediction.predict(call, request),
        _PREDICT,
    ),
    "RawPredict": Method(
        "RawPredictRequest",
        "google.api.HttpBody",
        lambda call, request: call.cloud.of(Serving).prediction.raw_predict(call, request),
        _PREDICT,
    ),
}
