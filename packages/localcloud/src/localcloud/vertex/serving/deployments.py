"""Deployed models as this cloud keeps them: one record each, from the call that deploys it until it is undeployed.

`deployments(cloud)` tells others what machines serve; the bill is told by `cloud.of(Usage).begin` and `end`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localcloud.core.cloud import Cloud

Body = dict[str, Any]

DEPLOYMENT = "vertex-deployment"  # kind of document, by "ENDPOINT/deployedModels/ID"


@dataclass(frozen=True)
class Deployment:
    """One deployed model. `state`: deploying, deployed, undeploying. `project` is the project's id.

    `body` is Google's DeployedModel; `charged` what the bill calls its machines; `traffic` the split that the end of
    its operation brings, None to leave it.
    """

    endpoint: str
    id: str
    project: str
    account: str
    body: Body
    state: str
    operation: str
    charged: str
    traffic: dict[str, int] | None = None

    @property
    def name(self) -> str:
        return f"{self.endpoint}/deployedModels/{self.id}"

    @property
    def location(self) -> str:
        return self.endpoint.split("/")[3]

    @property
    def machine(self) -> Body:
        """MachineSpec."""
        return self.body["dedicatedResources"]["machineSpec"]

    @property
    def replicas(self) -> int:
        return int(self.body["dedicatedResources"]["minReplicaCount"])


def save(cloud: Cloud, one: Deployment, **changes: Any) -> Deployment:
    """Keep it, with changes."""
    made = replace(one, **changes)
    cloud.documents.put(made.name, DEPLOYMENT, asdict(made))
    return made


def find(cloud: Cloud, endpoint: str, deployed: str) -> Deployment | None:
    """The deployed model of an endpoint (full name), or None."""
    kept = cloud.documents.find(f"{endpoint}/deployedModels/{deployed}")
    return Deployment(**kept) if kept else None


def deployments(cloud: Cloud, prefix: str = "") -> list[Deployment]:
    """All of the cloud, or of a place or an endpoint."""
    return [Deployment(**kept) for kept in cloud.documents.list(DEPLOYMENT, prefix)]
