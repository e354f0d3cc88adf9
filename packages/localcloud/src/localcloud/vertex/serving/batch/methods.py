"""The methods of batch prediction jobs."""

from __future__ import annotations

from localcloud.vertex.methods import Methods, of_jobs
from localcloud.vertex.serving.store import Serving

METHODS: Methods = of_jobs("BatchPredictionJob", lambda cloud: cloud.of(Serving).batches)
