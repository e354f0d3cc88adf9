"""The methods of hyperparameter tuning jobs."""

from __future__ import annotations

from localcloud.vertex.methods import Methods, of_jobs

METHODS: Methods = of_jobs("HyperparameterTuningJob", lambda vertex: vertex.tuning)
