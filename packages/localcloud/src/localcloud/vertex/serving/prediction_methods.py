"""The methods of online prediction."""

from __future__ import annotations

from localcloud.vertex.methods import Method, Methods

_PREDICT = "aiplatform.endpoints.predict"
METHODS: Methods = {
    "Predict": Method(
        "PredictRequest",
        "PredictResponse",
        lambda call, request: call.cloud.vertex.serving.prediction.predict(call, request),
        _PREDICT,
    ),
    "RawPredict": Method(
        "RawPredictRequest",
        "google.api.HttpBody",
        lambda call, request: call.cloud.vertex.serving.prediction.raw_predict(call, request),
        _PREDICT,
    ),
}
