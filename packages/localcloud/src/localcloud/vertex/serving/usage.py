"""What deployed models and batch predictions of a project take of its quotas in a region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localcloud.core.asked.usage import Usage
from localcloud.vertex.place import SERVICE, Place
from localcloud.vertex.serving import deployments, machines
from localcloud.vertex.serving.batch import records

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud


def check(cloud: Cloud, place: Place, machine: Mapping[str, Any], replicas: int, instead_of: str = "") -> None:
    """Raises 429 when machines (MachineSpec) beside all that is in use there need more than a quota is, or by a cap.

    What is being deployed and batch predictions that wait count too. `instead_of` is the name of a deployment that they
    take the place of.
    """
    cloud.of(Usage).check_cap(place.project_id, SERVICE)
    used = [
        (one.machine, one.replicas)
        for one in deployments.deployments(cloud, f"{place.name}/")
        if one.name != instead_of
    ]
    for kept in records.unfinished(cloud, f"{place.name}/"):
        resources = kept["job"]["dedicatedResources"]
        used.append((resources["machineSpec"], int(resources["startingReplicaCount"])))
    machines.check_quotas(cloud, place.project_id, place.location, (machine, replicas), used)
