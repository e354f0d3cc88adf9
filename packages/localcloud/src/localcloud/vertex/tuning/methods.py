"""The methods of hyperparameter tuning jobs."""

from __future__ import annotations

from localcloud.vertex.methods import Methods, of_jobs
from localcloud.vertex.tuning.store import Tuning

METHODS: Methods = of_jobs("HyperparameterTuningJob", lambda cloud: cloud.of(Tuning))
