"""iam.WorkloadIdentityPool and iam.WorkloadIdentityPoolProvider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from localcloud.iam.federation.pools import POOL, PROVIDER, Pools
from localcloud.provider import permits
from localcloud.provider.kinds import Kind, names, parts
from localcloud.provider.scope import Scope, Values

_POOL = "projects/{project}/locations/global/workloadIdentityPools/{workloadIdentityPoolId}"
_IDS = {POOL: _POOL, PROVIDER: _POOL + "/providers/{workloadIdentityPoolProviderId}"}


@dataclass(frozen=True)
class _Federated:
    """One of the two kinds: `fields` are those that Google's JSON has by the same names.

    The real provider takes one that is soft-deleted for gone, and its id can't be used again for 30 days.
    """

    kind: str
    fields: tuple[str, ...]

    def _body(self, inputs: Values) -> dict[str, Any]:
        return {name: inputs[name] for name in self.fields if inputs.get(name) is not None}

    def create(self, scope: Scope, inputs: Values) -> str:
        given = {**inputs, "project": scope.project_of(inputs)}
        name = _IDS[self.kind].format_map(given)
        parent, _, short = name.rpartition("/")
        scope.cloud.of(Pools).create(self.kind, parent.rpartition("/")[0], short, self._body(inputs))
        return name

    def read(self, scope: Scope, resource_id: str, _known: Values) -> Values | None:
        found = scope.cloud.of(Pools).find(resource_id)
        if found is None or found["state"] != "ACTIVE":
            return None
        told = {name: found.get(name) for name in (*self.fields, "name", "state")}
        return {**parts(_IDS[self.kind], resource_id), **told, "disabled": found.get("disabled", False)}

    def update(self, scope: Scope, resource_id: str, inputs: Values) -> None:
        scope.cloud.of(Pools).update(self.kind, resource_id, self._body(inputs), ",".join(self.fields))

    def delete(self, scope: Scope, resource_id: str, _known: Values) -> None:
        scope.cloud.of(Pools).delete(self.kind, resource_id)

    def as_kind(self, refused: str) -> Kind:
        """The kind, with the properties that are not emulated."""
        return Kind(
            self.create,
            self.read,
            self.update,
            self.delete,
            ids=_IDS[self.kind],
            api="iam",
            rights=permits.rights(f"iam.googleapis.com/{self.kind}s"),
            refused=names(refused),
        )


KINDS = {
    "iam/workloadIdentityPool:WorkloadIdentityPool": _Federated(
        POOL, ("displayName", "description", "disabled")
    ).as_kind("attestationRules inlineCertificateIssuanceConfig inlineTrustConfig mode"),
    "iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": _Federated(
        PROVIDER, ("displayName", "description", "disabled", "attributeMapping", "attributeCondition", "oidc")
    ).as_kind("aws saml x509"),
}
