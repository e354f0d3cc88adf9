"""The machines that serve: which there are, what quotas they take, what they are charged as.

Source: https://cloud.google.com/vertex-ai/docs/predictions/configure-compute
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from catalog.machines import machines
from catalog.quotas import needs
from catalog.regions import region
from localcloud.billing.ledger import Pool
from localcloud.errors import ApiError, NotEmulated
from localcloud.quotas.limits import UNLIMITED
from localcloud.quotas.store import effective
from localcloud.vertex.validation import Violation, found

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

Body = Mapping[str, Any]

_REQUIRED = "Required field is not set."
# Small shapes that serve and do not train, with their vCPUs.
_SMALL = {
    "n1-standard-2": 2,
    "n1-highcpu-2": 2,
    "n1-highcpu-4": 4,
    "n1-highcpu-8": 8,
    "e2-standard-2": 2,
    "e2-highcpu-2": 2,
    "e2-highcpu-4": 4,
    "e2-highcpu-8": 8,
    "n2-standard-2": 2,
    "n2-highcpu-2": 2,
    "n2-highcpu-4": 4,
    "n2-highcpu-8": 8,
}
_N1_GPUS = {"NVIDIA_TESLA_T4", "NVIDIA_TESLA_P4", "NVIDIA_TESLA_P100", "NVIDIA_TESLA_V100"}


def check(spec: Body, path: str, location: str) -> None:
    """Raises 400 for a MachineSpec that serving has not, or not in this region; `path` is its field."""
    name, accelerator = spec.get("machineType", ""), spec.get("acceleratorType", "")
    count = int(spec.get("acceleratorCount", 0))
    if not name:
        raise found([Violation(f"{path}.machine_type", _REQUIRED)])
    if bool(accelerator) != (count > 0):
        words = "Both `accelerator_type` and `accelerator_count` should be specified or none."
        raise found([Violation(f"{path}.accelerator_type", words)])
    for field, what in (("reservationAffinity", "reservations"), ("tpuTopology", "TPUs that serve")):
        if spec.get(field):
            raise NotEmulated(what)
    known = machines().get(name)
    if (known is None and name not in _SMALL) or (known is not None and known.tpu):
        raise ApiError(400, f'Machine type "{name}" is not supported.')
    if not accelerator:
        if known is not None and known.fixed:
            words = f"Both `accelerator_type` and `accelerator_count` should be specified or none. {name} has a GPU."
            raise found([Violation(f"{path}.accelerator_type", words)])
        return
    if known is None:
        fits = name.startswith("n1-") and accelerator in _N1_GPUS and count in (1, 2, 4)
    else:
        fits = count in known.gpus.get(accelerator, ())
    if not fits:
        raise ApiError(400, f'Accelerator "{accelerator}" is not supported for machine type "{name}"')
    if accelerator not in region(location).accelerators:
        raise ApiError(400, f'Accelerator "{accelerator}" is not supported in region "{location}".')


def check_quotas(
    cloud: Cloud, project: str, location: str, wanted: tuple[Body, int], used: Iterable[tuple[Body, int]]
) -> None:
    """Raises 429 when machines (MachineSpec, replicas) beside those in use need more than a known quota is."""
    total: Counter[str] = Counter()
    for spec, replicas in (wanted, *used):
        total += _takes(spec, replicas)
    own = _takes(*wanted)
    short = []
    for metric in own:
        limit = effective(cloud, project, location, metric)
        if limit is not None and limit != UNLIMITED and total[metric] > limit:
            short.append(metric)
    if short:
        raise ApiError(429, f"The following quota metrics exceed quota limits: {','.join(short)}")


def _takes(spec: Body, replicas: int) -> Counter[str]:
    """Metrics of serving, which are those of training under another name, and how much of each is taken."""
    name, accelerator = spec["machineType"], spec.get("acceleratorType", "")
    taken: Counter[str] = Counter()
    if name in machines():
        for need in needs(name, accelerator, int(spec.get("acceleratorCount", 0)), replicas, False):
            taken[need.meter.metric.replace("custom_model_training", "custom_model_serving")] += need.amount
    else:
        taken["aiplatform.googleapis.com/custom_model_serving_cpus"] += _SMALL[name] * replicas
    return taken


def pool(spec: Body, replicas: int) -> Pool:
    """What the machines are charged as."""
    return Pool(spec["machineType"], replicas, spec.get("acceleratorType", ""), int(spec.get("acceleratorCount", 0)))
