"""The machines that serve: which there are, what quotas they take, what they are charged as.

Source: https://cloud.google.com/vertex-ai/docs/predictions/configure-compute
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from catalog.machines import machines
from catalog.quotas import serving_needs
from catalog.regions import region
from localcloud.core.asked.usage import Pool
from localcloud.core.errors import ApiError, NotEmulated
from localcloud.quotas.limits import UNLIMITED
from localcloud.quotas.store import effective
from localcloud.vertex.jobs.validation import REQUIRED, Violation, found

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = Mapping[str, Any]

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
        raise found([Violation(f"{path}.machine_type", REQUIRED)])
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
    """Raises 429 when machines (MachineSpec, replicas) beside those in use need more than a quota is.

    The words name ids, where those of training name metrics. Field reports have them as the error of a deployment's
    operation ("429 The following quotas are exceeded: CustomModelServingCPUsPerProjectPerRegion 8: The following ...").
    """
    total: Counter[str] = Counter()
    for spec, replicas in (wanted, *used):
        total += _takes(spec, replicas)
    short = []
    for quota in _takes(*wanted):
        limit = effective(cloud, project, location, quota)
        if limit is not None and limit != UNLIMITED and total[quota] > limit:
            short.append(quota)
    if short:
        raise ApiError(429, f"The following quotas are exceeded: {','.join(short)}")


def _takes(spec: Body, replicas: int) -> Counter[str]:
    """How much of each quota of serving, by its id, machines take."""
    name, accelerator = spec["machineType"], spec.get("acceleratorType", "")
    vcpus = (machines()[name].vcpus or 0) if name in machines() else _SMALL[name]
    taken: Counter[str] = Counter()
    count = int(spec.get("acceleratorCount", 0))
    for need in serving_needs(name.partition("-")[0], vcpus, accelerator, count, replicas):
        taken[need.meter.id] += need.amount
    return taken


def pool(spec: Body, replicas: int) -> Pool:
    """What the machines are charged as."""
    return Pool(spec["machineType"], replicas, spec.get("acceleratorType", ""), int(spec.get("acceleratorCount", 0)))
