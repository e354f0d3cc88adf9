"""Quotas: guard-rails that lower what a project may use at once, and requests for more."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_gcp as gcp

from infra.apis import Apis
from infra.mistakes import SettingsError, nearest
from infra.settings import Quota, Settings

UNLIMITED = -1


class Quotas(pulumi.ComponentResource):
    """`values` has what was asked for: by quota (its id or metric, as in the settings) and region.

    A preference can't be deleted on Google: `down` leaves it, and the quota keeps its value.
    """

    def __init__(self, settings: Settings, apis: Apis, opts: pulumi.ResourceOptions) -> None:
        super().__init__("cloudkite:account:Quotas", "quotas", None, opts)
        parent = f"projects/{settings.project}"
        after = pulumi.InvokeOutputOptions(parent=self, depends_on=apis.needed("cloudquotas", "aiplatform"))
        infos = {
            service: gcp.cloudquota.get_s_quota_infos_output(parent=parent, service=service, opts=after)
            for service in sorted({quota.service for quota in settings.quotas})
        }
        self.values: dict[str, dict[str, pulumi.Output[int]]] = {}
        for quota in settings.quotas:
            choice = infos[quota.service].apply(lambda found, q=quota: _choose(settings, q, found.quota_infos))
            name = _slug(quota)
            gcp.cloudquota.SQuotaPreference(
                name,
                name=f"cloudkite-{name}"[:63].rstrip("-"),
                parent=parent,
                service=quota.service,
                quota_id=choice.apply(lambda pair: pair[0]),
                dimensions={"region": quota.region},
                quota_config={"preferred_value": choice.apply(lambda pair: str(pair[1]))},
                # Only a request needs them. Google never tells them again, so each is written anew after an adoption.
                contact_email=settings.contact if quota.request else None,
                justification="TensorFlow training" if quota.request else None,
                # Else a decrease of more than 10 % at once is refused; one below what is in use still is.
                ignore_safety_checks="QUOTA_DECREASE_PERCENTAGE_TOO_HIGH",
                opts=apis.child(self, "cloudquotas", retain_on_delete=True),
            )
            by_region = self.values.setdefault(quota.quota_id or quota.metric or "", {})
            by_region[quota.region] = choice.apply(lambda pair: pair[1])
        self.register_outputs({"values": self.values})


def _choose(settings: Settings, quota: Quota, infos: Sequence[Any]) -> tuple[str, int]:
    """The quota's id, and the value to prefer. Raises RunError for a quota that the project doesn't have."""
    wanted = quota.quota_id or quota.metric or ""
    field = "quota_id" if quota.quota_id else "metric"
    found = next((i for i in infos if getattr(i, field) == wanted and "region" in i.dimensions), None)
    if found is None:
        near = nearest(wanted, {getattr(i, field) for i in infos})
        advice = f"did you mean {near}?" if near else f"none of its {len(infos)} quotas looks like it"
        mistake = f"cloudkite:quotas names {wanted}; {settings.project} has no such quota; {advice}"
        raise pulumi.RunError(str(SettingsError(settings.stack, [mistake])))
    present = _present(found, quota.region)
    more = present != UNLIMITED and quota.value > present
    if more == quota.request or quota.value == present:
        return found.quota_id, quota.value
    if more:
        told = f"a guard-rail of {quota.value} can't raise it (`request: true` asks Google for more)"
    else:
        told = f"asking for {quota.value} isn't needed (without `request: true` it would be lowered)"
    pulumi.warn(f"quota {wanted} in {quota.region} is {'unlimited' if present == UNLIMITED else present}: {told}")
    return found.quota_id, present


def _present(info: Any, region: str) -> int:
    """The value in effect in a region: Google lists the most specific dimensions first; 0 where it lists none."""
    for row in info.dimensions_infos:
        if region in row.applicable_locations and row.dimensions.get("region", region) == region:
            return int(row.details[0].value)
    return 0


def _slug(quota: Quota) -> str:
    name = (quota.quota_id or "").removesuffix("PerProjectPerRegion") or (quota.metric or "").rpartition("/")[2]
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "-", name)
    return f"{words}-{quota.region}".lower()
