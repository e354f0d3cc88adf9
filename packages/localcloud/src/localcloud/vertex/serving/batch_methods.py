"""The methods of batch prediction jobs."""

from __future__ import annotations

from localcloud.vertex.methods import Methods, of_jobs

METHODS: Methods = of_jobs("BatchPredictionJob", lambda vertex: vertex.serving.batches)
