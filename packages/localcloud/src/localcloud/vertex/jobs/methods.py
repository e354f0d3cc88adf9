"""The methods of custom jobs."""

from __future__ import annotations

from localcloud.vertex.jobs.store import CustomJobs
from localcloud.vertex.methods import Methods, of_jobs

METHODS: Methods = of_jobs("CustomJob", lambda cloud: cloud.of(CustomJobs))
