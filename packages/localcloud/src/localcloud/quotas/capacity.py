"""What training jobs take of the project's quotas: refuses those that need more than there is, counts submissions."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any, NamedTuple

from catalog.quotas import SERVICE, needs
from localcloud.core.errors import ApiError, error_info
from localcloud.quotas.limits import UNLIMITED
from localcloud.quotas.store import effective

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

_SPOT = ("SPOT", "FLEX_START", "LOW_COST")
_MINUTE = 60.0  # seconds


class Key(NamedTuple):
    """One quota of a project in a region: its id in Cloud Quotas and its metric, of which one may be "" (not known)."""

    project: str
    region: str
    quota: str
    metric: str

    @property
    def name(self) -> str:
        """As refusals call it."""
        return self.metric or self.quota


def wanted(project: str, region: str, spec: dict[str, Any]) -> Counter[Key]:
    """What a CustomJobSpec takes of each quota that is known. Disks are not counted: none of their quotas is near."""
    spot = spec.get("scheduling", {}).get("strategy", "") in _SPOT
    found: Counter[Key] = Counter()
    for pool in filter(None, spec["workerPoolSpecs"]):
        machine = pool["machineSpec"]
        accelerator = machine.get("acceleratorType", "")
        count, replicas = int(machine.get("acceleratorCount", 0)), int(pool.get("replicaCount", 1))
        for need in needs(machine["machineType"], accelerator, count, replicas, spot):
            found[Key(project, region, need.meter.id, need.meter.metric)] += need.amount
    return found


def exceeds(cloud: Cloud, key: Key, amount: int) -> bool:
    """Whether `amount` is more than the quota. One that isn't known here holds nothing back."""
    limit = effective(cloud, key.project, key.region, key.quota or key.metric)
    return limit is not None and limit != UNLIMITED and amount > limit


def check(cloud: Cloud, project: str, region: str, spec: dict[str, Any]) -> None:
    """Raises 429 RESOURCE_EXHAUSTED when a CustomJobSpec alone needs more than a quota is.

    What other jobs use is not counted: a job that has to wait for them is queued.
    """
    short = [key.name for key, amount in wanted(project, region, spec).items() if exceeds(cloud, key, amount)]
    if short:
        raise ApiError(429, f"The following quota metrics exceed quota limits: {','.join(short)}")


class Submissions:
    """How many jobs of a project and region were created in the last minute; a restart of the server forgets it."""

    def __init__(self, cloud: Cloud, limit: int) -> None:
        self._cloud = cloud
        self._limit = limit
        self._recent: dict[tuple[str, str], deque[float]] = {}

    def enter(self, number: str, region: str) -> None:
        """Count one; `number` is the project's. Raises 429 RATE_LIMIT_EXCEEDED, as Google's quota checks say it.

        The names of the metric and the limit are not published; the shape is
        https://cloud.google.com/apis/design/errors#error_info's.
        """
        now = self._cloud.clock.time()
        recent = self._recent.setdefault((number, region), deque())
        while recent and recent[0] <= now - _MINUTE:
            recent.popleft()
        if len(recent) >= self._limit:
            raise _too_fast(number, region, self._limit)
        recent.append(now)


def _too_fast(number: str, region: str, limit: int) -> ApiError:
    metric = "Custom model training submission requests"
    detail = error_info(
        "RATE_LIMIT_EXCEEDED",
        "googleapis.com",
        consumer=f"projects/{number}",
        quota_limit="CustomModelTrainingSubmissionRequestsPerMinutePerProjectPerRegion",
        quota_limit_value=str(limit),
        quota_location=region,
        quota_metric=f"{SERVICE}/custom_model_training_submission_requests",
        service=SERVICE,
    )
    words = (
        f"Quota exceeded for quota metric '{metric}' and limit '{metric} per minute per region' of service '{SERVICE}' "
        f"for consumer 'project_number:{number}'."
    )
    return ApiError(429, words, details=[detail])
