"""All kinds of resources that the provider has, by their token."""

from __future__ import annotations

from localcloud.provider.kinds import Kind
from localcloud.provider.resources import (
    alerts,
    buckets,
    budgets,
    federation,
    functions,
    identities,
    images,
    logs,
    members,
    projects,
    quotas,
)

_FAMILIES = (
    alerts,
    budgets,
    buckets,
    federation,
    functions,
    identities,
    images,
    logs,
    members,
    projects,
    quotas,
)

# "gcp:storage/bucket:Bucket" -> Kind
KINDS: dict[str, Kind] = {f"gcp:{name}": kind for family in _FAMILIES for name, kind in family.KINDS.items()}
